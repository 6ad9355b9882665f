#include "triggers/bucket_events.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"

namespace mayfly::triggers {

namespace json = boost::json;

namespace {

// As S3 writes keys in events: form encoding, with the slashes as they are.
std::string encoded_key(std::string_view key) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : key) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       std::string_view("-_.*/").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += '%';
      out += kDigits[static_cast<std::uint8_t>(c) >> 4];
      out += kDigits[static_cast<std::uint8_t>(c) & 15];
    }
  }
  return out;
}

}  // namespace

std::string s3_event_json(const buckets::Happening& happening, const std::string& account) {
  json::object object{{"key", encoded_key(happening.key)}};
  if (!happening.cause.event.starts_with("ObjectRemoved:")) {
    object["size"] = happening.size;
    object["eTag"] = happening.etag;
  }
  // Later changes of a key have the greater text.
  object["sequencer"] = fmt::format("{:018X}", happening.time_us);
  const std::string who = "AWS:" + (happening.cause.who.empty() ? account : happening.cause.who);
  json::object record{
      {"eventVersion", "2.1"},
      {"eventSource", "aws:s3"},
      {"awsRegion", happening.region},
      {"eventTime", to_rfc3339(from_epoch_us(happening.time_us))},
      {"eventName", happening.cause.event},
      {"userIdentity", json::object{{"principalId", who}}},
      {"requestParameters", json::object{{"sourceIPAddress", happening.cause.address}}},
      {"responseElements", json::object{{"x-amz-request-id", happening.cause.request_id},
                                        {"x-amz-id-2", happening.cause.request_id}}},
      {"s3", json::object{
                 {"s3SchemaVersion", "1.0"},
                 {"configurationId", happening.notification},
                 {"bucket", json::object{{"name", happening.bucket},
                                         {"ownerIdentity", json::object{{"principalId", account}}},
                                         {"arn", "arn:aws:s3:::" + happening.bucket}}},
                 {"object", std::move(object)}}}};
  return json::serialize(json::object{{"Records", json::array{std::move(record)}}});
}

io::Task<Status> BucketEvents::commit(store::Transaction transaction,
                                      std::vector<buckets::Happening> happenings) {
  queues::Batch batch;
  batch.also = std::move(transaction);
  for (const auto& happening : happenings) {
    auto target = parse_target(happening.target);
    if (target.has_error()) {  // it was checked when the configuration was put
      log::warn("the notification {} of the bucket {} leads nowhere: {}", happening.notification,
                happening.bucket, target.error().message);
      continue;
    }
    Outgoing out;
    out.target = std::move(*target);
    out.delivery.body = s3_event_json(happening, account_);
    out.delivery.id = new_uuid();
    out.delivery.source = "bucket";
    auto adding = fanout_.add(&batch, std::move(out));
    const Status added = co_await std::move(adding);
    if (added.has_error()) co_return added;
  }
  auto committing = queues_.commit(std::move(batch));
  const auto committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  co_return ok();
}

}  // namespace mayfly::triggers
