#include "triggers/topic_types.h"

#include <array>

#include "telemetry/bytes.h"
#include "triggers/byte_maps.h"

namespace mayfly::triggers {
namespace {

constexpr std::uint8_t kTopicVersion = 1;
constexpr std::array<std::string_view, 3> kDeliveryForms{"envelope", "raw", "cloudevent"};

Error broken(const char* what) {
  return Error{Code::corrupt, std::string("A stored ") + what + " is broken."};
}

}  // namespace

std::string_view protocol_of(const Target& target) {
  switch (target.kind) {
    case Target::Kind::function:
      return "lambda";
    case Target::Kind::queue:
      return "sqs";
    case Target::Kind::webhook:
      return target.name.starts_with("https:") ? "https" : "http";
    default:
      return kind_name(target.kind);
  }
}

std::string_view form_name(Subscription::Form form) {
  return kDeliveryForms[static_cast<std::size_t>(form)];
}

std::optional<Subscription::Form> form_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kDeliveryForms.size(); ++i)
    if (kDeliveryForms[i] == name) return static_cast<Subscription::Form>(i);
  return std::nullopt;
}

std::string encode(const Topic& topic) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.byte(kTopicVersion);
  out.text(topic.name);
  out.byte(static_cast<std::uint8_t>((topic.fifo ? 1 : 0) | (topic.content_deduplication ? 2 : 0) |
                                     (topic.deduplicate_by_group ? 4 : 0)));
  put_map(out, topic.other);
  put_map(out, topic.tags);
  out.signed_number(to_epoch_us(topic.created));
  return bytes;
}

Result<Topic> decode_topic(std::string_view bytes) {
  telemetry::ByteReader in(bytes);
  Topic topic;
  if (in.byte() != kTopicVersion) return broken("topic");
  topic.name = std::string(in.text());
  const std::uint8_t flags = in.byte();
  topic.fifo = (flags & 1) != 0;
  topic.content_deduplication = (flags & 2) != 0;
  topic.deduplicate_by_group = (flags & 4) != 0;
  topic.other = get_map(in);
  topic.tags = get_map(in);
  topic.created = from_epoch_us(in.signed_number());
  if (!in.good() || !in.at_end()) return broken("topic");
  return topic;
}

std::string encode(const Subscription& subscription) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.byte(kTopicVersion);
  out.text(subscription.id);
  out.text(subscription.topic);
  out.text(to_text(subscription.target));
  out.byte(static_cast<std::uint8_t>(subscription.form));
  out.byte(static_cast<std::uint8_t>((subscription.confirmed ? 1 : 0) |
                                     (subscription.filter_on_body ? 2 : 0)));
  out.text(subscription.token);
  out.text(subscription.filter);
  out.text(subscription.dead_letter);
  out.signed_number(subscription.retries ? static_cast<std::int64_t>(*subscription.retries) : -1);
  put_map(out, subscription.other);
  out.signed_number(to_epoch_us(subscription.created));
  return bytes;
}

Result<Subscription> decode_subscription(std::string_view bytes) {
  telemetry::ByteReader in(bytes);
  Subscription subscription;
  if (in.byte() != kTopicVersion) return broken("subscription");
  subscription.id = std::string(in.text());
  subscription.topic = std::string(in.text());
  auto target = parse_target(in.text());
  if (target.has_error()) return broken("subscription");
  subscription.target = std::move(*target);
  const std::uint8_t form = in.byte();
  if (form >= kDeliveryForms.size()) return broken("subscription");
  subscription.form = static_cast<Subscription::Form>(form);
  const std::uint8_t flags = in.byte();
  subscription.confirmed = (flags & 1) != 0;
  subscription.filter_on_body = (flags & 2) != 0;
  subscription.token = std::string(in.text());
  subscription.filter = std::string(in.text());
  subscription.dead_letter = std::string(in.text());
  if (const std::int64_t retries = in.signed_number(); retries >= 0)
    subscription.retries = static_cast<std::uint32_t>(retries);
  subscription.other = get_map(in);
  subscription.created = from_epoch_us(in.signed_number());
  if (!in.good() || !in.at_end()) return broken("subscription");
  return subscription;
}

}  // namespace mayfly::triggers
