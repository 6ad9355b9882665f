// Publishing: one batch for all that a publication causes.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "base/ids.h"
#include "telemetry/bytes.h"
#include "triggers/topic_state.h"
#include "wire/http_message.h"
#include "wire/utf8.h"

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

constexpr std::size_t kSubjectMax = 100;
constexpr std::size_t kIdMax = 128;
constexpr std::size_t kForgetAtOnce = 64;
constexpr int kPublishTriesMax = 8;
constexpr std::size_t kQueueAttributesMax = 10;
constexpr std::string_view kHopsAttribute = "mayfly-hops";

// As SQS and SNS take ids of groups and of duplicates.
bool is_id(std::string_view text) {
  return text.size() <= kIdMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::string_view message_for(const Publication& publication, const Target& target) {
  const auto found = publication.by_protocol.find(std::string(protocol_of(target)));
  return found == publication.by_protocol.end() ? std::string_view(publication.message)
                                                : std::string_view(found->second);
}

// Event models get JSON: what is none becomes a JSON string.
std::string json_text(std::string_view message) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(message, failed);
  if (!failed) return std::string(message);
  std::string text;
  wire::append_json_string(text, message);
  return text;
}

// What a filter on the body looks at; null when the message is no JSON.
json::value parse_or_null(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  return failed ? json::value() : value;
}

}  // namespace

std::string encode(const Seen& seen) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.byte(1);
  out.text(seen.message_id);
  out.number(seen.sequence);
  out.signed_number(seen.time_us);
  return bytes;
}

Result<Seen> decode_seen(std::string_view bytes) {
  telemetry::ByteReader in(bytes);
  Seen seen;
  const bool known = in.byte() == 1;
  seen.message_id = std::string(in.text());
  seen.sequence = in.number();
  seen.time_us = in.signed_number();
  if (!known || !in.good() || !in.at_end())
    return Error{Code::corrupt, "A stored deduplication id of a topic is broken."};
  return seen;
}

Status Topics::State::check(const Topic& topic, const Publication& publication) const {
  std::size_t size = publication.message.size();
  for (const auto& [protocol, message] : publication.by_protocol) {
    if (!wire::is_utf8(message)) return invalid("The message is not UTF-8.");
    size = std::max(size, message.size());
  }
  if (size == 0 && !publication.event) return invalid("The message is empty.");
  if (!wire::is_utf8(publication.message) && !publication.event)
    return invalid("The message is not UTF-8.");
  for (const auto& attribute : publication.attributes) {
    if (attribute.name.empty() || attribute.name.size() > 256 || attribute.type.empty())
      return invalid("A message attribute has no name or no type.");
    size += attribute.name.size() + attribute.type.size() + attribute.value.size();
  }
  if (size > parts.settings.message_bytes_max)
    return Error{Code::too_large,
                 fmt::format("The message has {} bytes with its attributes; {} are allowed "
                             "(setting topics.message_bytes_max).",
                             size, parts.settings.message_bytes_max)};
  if (publication.subject.size() > kSubjectMax ||
      std::any_of(publication.subject.begin(), publication.subject.end(),
                  [](char c) { return c < ' ' || c > '~'; }))
    return invalid("A subject has up to 100 printable ASCII characters.");
  if (!is_id(publication.group) || !is_id(publication.deduplication_id))
    return invalid(
        "MessageGroupId and MessageDeduplicationId have up to 128 printable ASCII characters "
        "without blanks.");
  if (!topic.fifo && !publication.deduplication_id.empty())
    return invalid("MessageDeduplicationId is for fifo topics.");
  if (topic.fifo && publication.group.empty())
    return invalid("A fifo topic wants a MessageGroupId with each message.");
  if (topic.fifo && publication.deduplication_id.empty() && !topic.content_deduplication)
    return invalid(
        "A fifo topic without ContentBasedDeduplication wants a MessageDeduplicationId with each "
        "message.");
  return ok();
}

Outgoing Topics::State::outgoing(const Subscription& subscription, const Publication& publication,
                                 const Published& published, std::uint64_t sequence) const {
  using Form = Subscription::Form;
  Notification notification;
  notification.topic_arn = arn_of_topic(subscription.topic);
  notification.subscription_arn = arn_of(subscription);
  notification.message_id = published.message_id;
  notification.sequence = sequence;
  notification.message = message_for(publication, subscription.target);
  notification.time = parts.clock.wall_now();
  notification.unsubscribe_url =
      parts.api_url() + "/?Action=Unsubscribe&SubscriptionArn=" + notification.subscription_arn;
  notification.publication = &publication;

  Outgoing out;
  out.target = subscription.target;
  out.dead_letter = subscription.dead_letter;
  out.retries = subscription.retries;
  out.hops = publication.hops + 1;
  Delivery& delivery = out.delivery;
  delivery.id = published.message_id + "/" + subscription.id;
  delivery.source = "topic";
  delivery.trace_id = publication.trace_id;
  const bool webhook = subscription.target.kind == Target::Kind::webhook;
  const bool function = subscription.target.kind == Target::Kind::function;
  const bool http = webhook || (function && parts.takes_http(subscription.target));
  if (webhook) {
    if (!out.retries) out.retries = parts.settings.webhook_retries;
    delivery.content_type = "text/plain; charset=UTF-8";
    delivery.headers = {{"x-amz-sns-message-type", "Notification"},
                        {"x-amz-sns-message-id", published.message_id},
                        {"x-amz-sns-topic-arn", notification.topic_arn},
                        {"x-amz-sns-subscription-arn", notification.subscription_arn}};
    if (subscription.form == Form::raw)
      delivery.headers.emplace_back("x-amz-sns-rawdelivery", "true");
  }
  if (subscription.target.kind == Target::Kind::queue) {
    // A standard topic takes a group as well; it goes on as a label.
    delivery.group = publication.group;
    delivery.deduplication_id = publication.deduplication_id;
  }

  if (subscription.form == Form::cloud_event || (function && http && publication.event)) {
    const CloudEvent event = cloud_event_of(notification);
    if (!http) {
      delivery.body = write_structured_event(event);
      delivery.content_type = std::string(kCloudEventType) + "; charset=utf-8";
    } else if (webhook) {
      delivery.body = event.data;
      delivery.headers = binary_event_headers(event);
      delivery.content_type =
          wire::is_field_value(event.data_content_type) ? event.data_content_type : std::string();
    } else {
      out.kind = engine::PayloadKind::http;
      out.head = event_request(event);
      delivery.body = event.data;
    }
  } else if (subscription.form == Form::raw) {
    delivery.body =
        function && !http ? json_text(notification.message) : std::string(notification.message);
    // More than a queue takes: none, as SNS does.
    if (publication.attributes.size() <= kQueueAttributesMax)
      out.attributes = publication.attributes;
  } else {
    delivery.body = function ? lambda_event_json(notification) : envelope_json(notification);
  }
  return out;
}

// topic may be gone after a co_await; subscribers are taken before the first.
io::Task<Result<Planned>> Topics::State::plan(queues::Batch* batch, std::string topic,
                                              Publication publication) {
  const auto found = topics.find(topic);
  if (found == topics.end())
    co_return Error{Code::not_found, fmt::format("There is no topic \"{}\".", topic)};
  Planned planned;
  planned.published.message_id = new_uuid();
  if (found->second.info->fifo) planned.published.sequence = next_sequence();
  std::vector<Outgoing> outgoings;
  std::optional<json::value> attributes;
  std::optional<json::value> body;
  for (const auto& [id, subscriber] : found->second.subscribers) {
    if (!subscriber.info->confirmed) continue;
    if (subscriber.filter && subscriber.info->filter_on_body) {
      if (!body) body = parse_or_null(publication.message);
      if (!subscriber.filter->matches(*body)) continue;
    } else if (subscriber.filter) {
      if (!attributes) attributes = filter_view(publication);
      if (!subscriber.filter->matches(*attributes)) continue;
    }
    outgoings.push_back(
        outgoing(*subscriber.info, publication, planned.published, planned.published.sequence));
  }
  planned.published.deliveries = static_cast<std::uint32_t>(outgoings.size());
  for (auto& out : outgoings) {
    io::Task<Status> adding = fanout.add(batch, std::move(out));
    MAYFLY_CO_TRY(co_await std::move(adding));
  }
  co_return planned;
}

io::Task<Result<std::vector<Result<Published>>>> Topics::State::publish(
    std::string topic, std::vector<Publication> publications) {
  const auto found = topics.find(topic);
  if (found == topics.end())
    co_return Error{Code::not_found, fmt::format("There is no topic \"{}\".", topic)};
  const TopicPtr info = found->second.info;
  std::vector<Result<Published>> results;
  queues::Batch batch;
  for (auto& publication : publications) {
    if (Status good = check(*info, publication); good.has_error()) {
      results.emplace_back(good.error());
      continue;
    }
    if (info->fifo) {  // one after the other: each has a condition of its own
      io::Task<Result<Published>> publishing = publish_fifo(topic, std::move(publication));
      Result<Published> published = co_await std::move(publishing);
      results.push_back(std::move(published));
      continue;
    }
    io::Task<Result<Planned>> planning = plan(&batch, topic, std::move(publication));
    Result<Planned> planned = co_await std::move(planning);
    if (planned.has_error()) co_return planned.error();
    results.emplace_back(std::move(planned->published));
  }
  if (batch.sends.empty()) co_return results;  // nobody to tell
  io::Task<Result<std::vector<queues::Sent>>> committing = parts.queues.commit(std::move(batch));
  const auto sent = co_await std::move(committing);
  if (sent.has_error()) co_return sent.error();
  co_return results;
}

io::Task<Result<Published>> Topics::State::publish_fifo(std::string topic,
                                                        Publication publication) {
  for (int round = 0; round < kPublishTriesMax; ++round) {
    const auto found = topics.find(topic);
    if (found == topics.end())
      co_return Error{Code::not_found, fmt::format("There is no topic \"{}\".", topic)};
    if (publication.deduplication_id.empty())
      publication.deduplication_id = sha256_hex(publication.message);
    std::string identity = publication.deduplication_id;
    if (found->second.info->deduplicate_by_group) identity = publication.group + "\n" + identity;
    const std::string key = std::string(kSeenPrefix) + topic + "/" + sha256_hex(identity);
    std::optional<std::string> before;
    const std::int64_t oldest = now_us() - std::int64_t{parts.settings.deduplication_s} * 1'000'000;
    if (const auto known = seen.find(key); known != seen.end()) {
      if (known->second.time_us > oldest)
        co_return Published{known->second.message_id, known->second.sequence, true, 0};
      before = encode(known->second);
    }
    queues::Batch batch;
    Publication copy = publication;
    io::Task<Result<Planned>> planning = plan(&batch, topic, std::move(copy));
    Result<Planned> planned = co_await std::move(planning);
    if (planned.has_error()) co_return planned.error();
    const Seen now{planned->published.message_id, planned->published.sequence, now_us()};
    batch.also.require(key, before);
    batch.also.put(key, encode(now));
    Forgotten forgotten = forget_expired(batch.also, key);
    io::Task<Result<std::vector<queues::Sent>>> committing = parts.queues.commit(std::move(batch));
    const auto sent = co_await std::move(committing);
    if (sent.has_value()) {
      for (const auto& [time, old] : forgotten) seen.erase(old);
      remember(key, now);
      co_return planned->published;
    }
    for (auto& one : forgotten) seen_order.push_front(std::move(one));
    if (sent.error().code != Code::conflict) co_return sent.error();
  }
  co_return Error{Code::conflict, "Many messages with this MessageDeduplicationId came at once."};
}

void Topics::State::remember(const std::string& key, const Seen& one) {
  seen[key] = one;
  seen_order.emplace_back(one.time_us, key);
}

// A few at a time, in transactions that are written anyway; on condition that nobody has taken the
// id anew meanwhile.
Topics::State::Forgotten Topics::State::forget_expired(store::Transaction& transaction,
                                                       const std::string& but) {
  const std::int64_t oldest = now_us() - std::int64_t{parts.settings.deduplication_s} * 1'000'000;
  Forgotten forgotten;
  while (forgotten.size() < kForgetAtOnce && !seen_order.empty() &&
         seen_order.front().first <= oldest) {
    auto [time, key] = std::move(seen_order.front());
    seen_order.pop_front();
    const auto found = seen.find(key);
    if (key == but || found == seen.end() || found->second.time_us != time) continue;
    transaction.require(key, encode(found->second));
    transaction.remove(key);
    forgotten.emplace_back(time, std::move(key));
  }
  return forgotten;
}

// Grows over restarts as long as the clock does, and past the last that is remembered in any case.
std::uint64_t Topics::State::next_sequence() {
  last_sequence = std::max(last_sequence + 1, static_cast<std::uint64_t>(now_us()));
  return last_sequence;
}

io::Task<Status> Topics::State::add_confirmation(queues::Batch* batch, Subscription subscription) {
  Publication publication;
  const std::string arn = arn_of_topic(subscription.topic);
  const std::string text =
      "You have chosen to subscribe to the topic " + arn +
      ". To confirm the subscription, call ConfirmSubscription with the token, or visit "
      "SubscribeURL.";
  Notification notification;
  notification.topic_arn = arn;
  notification.message_id = new_uuid();
  notification.message = text;
  notification.time = parts.clock.wall_now();
  notification.publication = &publication;
  Outgoing out;
  out.target = subscription.target;
  out.retries = parts.settings.webhook_retries;
  out.delivery.id = notification.message_id;
  out.delivery.source = "topic";
  out.delivery.content_type = "text/plain; charset=UTF-8";
  out.delivery.headers = {{"x-amz-sns-message-type", "SubscriptionConfirmation"},
                          {"x-amz-sns-message-id", notification.message_id},
                          {"x-amz-sns-topic-arn", arn}};
  out.delivery.body =
      confirmation_json(notification, subscription.token,
                        parts.api_url() + "/?Action=ConfirmSubscription&TopicArn=" + arn +
                            "&Token=" + subscription.token);
  io::Task<Status> adding = fanout.add(batch, std::move(out));
  Status added = co_await std::move(adding);
  co_return added;
}

io::Task<Status> Topics::deliver(Target target, Delivery delivery) {
  Publication publication;
  publication.message = std::move(delivery.body);
  publication.trace_id = std::move(delivery.trace_id);
  if (const auto hops = delivery.attributes.find(std::string(kHopsAttribute));
      hops != delivery.attributes.end()) {
    const std::string& text = hops->second;
    std::from_chars(text.data(), text.data() + text.size(), publication.hops);
    delivery.attributes.erase(hops);
  }
  for (auto& [name, value] : delivery.attributes)
    publication.attributes.push_back({name, "String", std::move(value)});
  const auto topic = find(target.name);
  if (!topic) co_return Error{Code::not_found, "There is no topic \"" + target.name + "\"."};
  if (topic->fifo) {
    publication.group = delivery.group.empty() ? "mayfly" : delivery.group;
    publication.deduplication_id =
        delivery.deduplication_id.empty() ? delivery.id : delivery.deduplication_id;
  }
  std::vector<Publication> publications;
  publications.push_back(std::move(publication));
  io::Task<Result<std::vector<Result<Published>>>> publishing =
      publish(target.name, std::move(publications));
  const auto published = co_await std::move(publishing);
  if (published.has_error()) co_return published.error();
  if (published->front().has_error()) co_return published->front().error();
  co_return ok();
}

}  // namespace mayfly::triggers
