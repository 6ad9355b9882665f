#include "dialects/sqs/attributes.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "dialects/sqs/faults.h"

namespace mayfly::dialects::sqs {

namespace json = boost::json;
using aws::Fault;
using aws::Outcome;
using queues::QueueInfo;
using queues::QueueSettings;

namespace {

constexpr std::size_t kPolicyMax = 65'536;
constexpr std::uint32_t kReceivesMax = 1000;

struct NumberAttribute {
  std::string_view name;
  std::uint32_t QueueSettings::*field;
  std::uint32_t low, high;
};
constexpr NumberAttribute kNumbers[] = {
    {"DelaySeconds", &QueueSettings::delay_s, 0, 900},
    {"MaximumMessageSize", &QueueSettings::message_bytes_max, 1024, 1'048'576},
    {"MessageRetentionPeriod", &QueueSettings::retention_s, 60, 1'209'600},
    {"ReceiveMessageWaitTimeSeconds", &QueueSettings::receive_wait_s, 0, 20},
    {"VisibilityTimeout", &QueueSettings::visibility_timeout_s, 0, 43'200},
};

constexpr std::string_view kNames[] = {"Policy",
                                       "VisibilityTimeout",
                                       "MaximumMessageSize",
                                       "MessageRetentionPeriod",
                                       "ApproximateNumberOfMessages",
                                       "ApproximateNumberOfMessagesNotVisible",
                                       "CreatedTimestamp",
                                       "LastModifiedTimestamp",
                                       "QueueArn",
                                       "ApproximateNumberOfMessagesDelayed",
                                       "DelaySeconds",
                                       "ReceiveMessageWaitTimeSeconds",
                                       "RedrivePolicy",
                                       "FifoQueue",
                                       "ContentBasedDeduplication",
                                       "KmsMasterKeyId",
                                       "KmsDataKeyReusePeriodSeconds",
                                       "DeduplicationScope",
                                       "FifoThroughputLimit",
                                       "RedriveAllowPolicy",
                                       "SqsManagedSseEnabled"};

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> flag_of(std::string_view text) {
  if (text == "true" || text == "True") return true;
  if (text == "false" || text == "False") return false;
  return std::nullopt;
}

std::optional<json::object> object_of(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse(json::string_view(text), failed);
  if (failed || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

Outcome<void> apply_redrive(std::string_view text, QueueSettings& settings) {
  settings.dead_letter_queue.clear();
  settings.receive_count_max = 0;
  if (text.empty()) return {};
  const auto refuse = [&](std::string_view reason) {
    return bad_value("RedrivePolicy", text, reason);
  };
  const auto policy = object_of(text);
  if (!policy) return refuse("Redrive policy is not a valid JSON map.");
  const json::value* arn = policy->if_contains("deadLetterTargetArn");
  const json::value* count = policy->if_contains("maxReceiveCount");
  if (!arn || !arn->is_string())
    return refuse("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.");
  if (!count)
    return refuse("Redrive policy does not contain mandatory attribute: maxReceiveCount.");
  std::optional<std::uint32_t> number;
  if (count->is_string()) number = number_of(count->get_string());
  if (count->is_int64() && count->get_int64() > 0 && count->get_int64() <= kReceivesMax)
    number = static_cast<std::uint32_t>(count->get_int64());
  if (!number || *number < 1 || *number > kReceivesMax)
    return refuse("Invalid value for maxReceiveCount. Must be between 1 and 1000.");
  settings.dead_letter_queue = name_in_arn(arn->get_string());
  settings.receive_count_max = *number;
  if (!is_queue_name(settings.dead_letter_queue))
    return refuse("Invalid value for deadLetterTargetArn.");
  return {};
}

// FIFO's own; a queue that is none does not know them.
Outcome<bool> apply_fifo(std::string_view name, std::string_view value, bool creating,
                         QueueInfo& info) {
  QueueSettings& settings = info.settings;
  if (name == "FifoQueue") {
    const auto flag = flag_of(value);
    if (!flag) return bad_attribute(name, value);
    if (creating ? (!*flag && settings.fifo) : *flag != settings.fifo)
      return bad_attribute(name, value);
    return true;
  }
  const bool of_fifo = name == "ContentBasedDeduplication" || name == "DeduplicationScope" ||
                       name == "FifoThroughputLimit";
  if (!of_fifo) return false;
  if (!settings.fifo) return unknown_attribute(name);
  if (name == "ContentBasedDeduplication") {
    const auto flag = flag_of(value);
    if (!flag) return bad_attribute(name, value);
    settings.content_deduplication = *flag;
  } else if (name == "DeduplicationScope") {
    if (value != "messageGroup" && value != "queue") return bad_attribute(name, value);
    settings.deduplicate_by_group = value == "messageGroup";
  } else {
    if (value != "perQueue" && value != "perMessageGroupId") return bad_attribute(name, value);
    settings.other["FifoThroughputLimit"] = value;
  }
  return true;
}

// Kept for the client; nothing here acts on them but RedriveAllowPolicy (queues.cc).
Outcome<bool> keep_other(std::string_view name, std::string_view value, QueueSettings& settings) {
  if (name == "KmsDataKeyReusePeriodSeconds") {
    const auto number = number_of(value);
    if (!number || *number < 60 || *number > 86'400) return bad_attribute(name, value);
  } else if (name == "SqsManagedSseEnabled") {
    if (!flag_of(value)) return bad_attribute(name, value);
  } else if (name == "Policy" || name == "RedriveAllowPolicy") {
    if (value.size() > kPolicyMax || (!value.empty() && !object_of(value)))
      return bad_attribute(name, value.substr(0, 1024));
  } else if (name != "KmsMasterKeyId") {
    return false;
  }
  if (value.empty())
    settings.other.erase(std::string(name));
  else
    settings.other[std::string(name)] = value;
  return true;
}

}  // namespace

bool is_queue_name(std::string_view name) {
  if (name.empty() || name.size() > 80) return false;
  if (name.ends_with(".fifo")) name.remove_suffix(5);
  if (name.empty()) return false;
  for (const char c : name)
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
          c == '_'))
      return false;
  return true;
}

std::string name_in_arn(std::string_view arn) {
  if (!arn.starts_with("arn:")) return {};
  int colons = 0;
  for (std::size_t i = 0; i < arn.size(); ++i)
    if (arn[i] == ':' && ++colons == 5) return std::string(arn.substr(i + 1));
  return {};
}

Outcome<void> apply_attributes(const json::object& attributes, bool creating, QueueInfo& info) {
  for (const auto& entry : attributes) {
    const std::string_view name = entry.key();
    if (!entry.value().is_string()) return bad_attribute(name, "null");
    const std::string_view value = entry.value().get_string();
    bool known = false;
    for (const auto& number : kNumbers) {
      if (number.name != name) continue;
      const auto given = number_of(value);
      if (!given || *given < number.low || *given > number.high) return bad_attribute(name, value);
      info.settings.*number.field = *given;
      known = true;
    }
    if (known) continue;
    if (name == "RedrivePolicy") {
      AWS_TRY(apply_redrive(value, info.settings));
      continue;
    }
    auto fifo = apply_fifo(name, value, creating, info);
    if (fifo.has_error()) return std::move(fifo).error();
    if (*fifo) continue;
    auto kept = keep_other(name, value, info.settings);
    if (kept.has_error()) return std::move(kept).error();
    if (!*kept) return unknown_attribute(name);
  }
  return {};
}

std::optional<std::string> attribute_text(std::string_view name, const QueueInfo& info,
                                          const queues::Counts& counts, const ArnForm& arns) {
  const QueueSettings& settings = info.settings;
  for (const auto& number : kNumbers)
    if (number.name == name) return std::to_string(settings.*number.field);
  const auto seconds_of = [](WallTime time) { return std::to_string(to_epoch_ms(time) / 1000); };
  if (name == "ApproximateNumberOfMessages") return std::to_string(counts.visible);
  if (name == "ApproximateNumberOfMessagesNotVisible") return std::to_string(counts.in_flight);
  if (name == "ApproximateNumberOfMessagesDelayed") return std::to_string(counts.delayed);
  if (name == "CreatedTimestamp") return seconds_of(info.created);
  if (name == "LastModifiedTimestamp") return seconds_of(info.modified);
  if (name == "QueueArn") return arns.prefix + info.name;
  if (name == "RedrivePolicy") {
    if (settings.dead_letter_queue.empty()) return std::nullopt;
    return json::serialize(
        json::object{{"deadLetterTargetArn", arns.prefix + settings.dead_letter_queue},
                     {"maxReceiveCount", settings.receive_count_max}});
  }
  const auto other = settings.other.find(std::string(name));
  if (other != settings.other.end()) return other->second;
  if (name == "SqsManagedSseEnabled") return "false";
  if (!settings.fifo) return std::nullopt;
  if (name == "FifoQueue") return "true";
  if (name == "ContentBasedDeduplication") return settings.content_deduplication ? "true" : "false";
  if (name == "DeduplicationScope") return settings.deduplicate_by_group ? "messageGroup" : "queue";
  if (name == "FifoThroughputLimit") return "perQueue";
  return std::nullopt;
}

std::span<const std::string_view> attribute_names() {
  return kNames;
}

}  // namespace mayfly::dialects::sqs
