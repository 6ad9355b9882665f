#include "triggers/mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include <re2/re2.h>

#include "functions/checks.h"
#include "functions/pollers.h"
#include "triggers/patterns.h"
#include "triggers/targets.h"

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

constexpr std::string_view kMappingVersion = "\x01";
constexpr std::size_t kFiltersMax = 10, kTagsMax = 50;
constexpr std::size_t kFilterBytesMax = 4096;

const std::vector<std::string_view> kKeys = {
    "queue",    "function", "batch",       "window_s",        "concurrency",
    "attempts", "filters",  "on_failure",  "partial",         "enabled",
    "tags",     "metrics",  "kms_key_arn", "minimum_pollers", "maximum_pollers"};

json::object object_of(const Mapping& m) {
  json::object tags;
  for (const auto& [key, value] : m.tags) tags[key] = value;
  return {{"id", m.id},
          {"queue", m.queue},
          {"function", m.qualified()},
          {"batch", m.batch},
          {"window_s", m.window_s},
          {"concurrency", m.concurrency},
          {"minimum_pollers", m.minimum_pollers},
          {"maximum_pollers", m.maximum_pollers},
          {"attempts", m.attempts},
          {"filters", json::array(m.filters.begin(), m.filters.end())},
          {"on_failure", m.on_failure},
          {"partial", m.partial},
          {"enabled", m.enabled},
          {"tags", std::move(tags)},
          {"metrics", json::array(m.metrics.begin(), m.metrics.end())},
          {"kms_key_arn", m.kms_key},
          {"created_us", m.created_us},
          {"modified_us", m.modified_us}};
}

Status number(const json::object& object, std::string_view key, std::uint32_t& out) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return ok();
  if (!value->is_int64() || value->get_int64() < 0 || value->get_int64() > 1'000'000)
    return invalid(std::string(key) + " must be a whole number.");
  out = static_cast<std::uint32_t>(value->get_int64());
  return ok();
}

Status flag(const json::object& object, std::string_view key, bool& out) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return ok();
  if (!value->is_bool()) return invalid(std::string(key) + " must be true or false.");
  out = value->get_bool();
  return ok();
}

Status text(const json::object& object, std::string_view key, std::string& out) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return ok();
  if (!value->is_string()) return invalid(std::string(key) + " must be a text.");
  out = std::string(value->get_string());
  return ok();
}

// Each filter is a pattern, as an object or as its JSON in a text.
Status read_filters(const json::object& object, std::vector<std::string>& out) {
  const auto* value = object.if_contains("filters");
  if (value == nullptr || value->is_null()) return ok();
  if (!value->is_array()) return invalid("filters must be a list of patterns.");
  out.clear();
  for (const auto& item : value->get_array())
    out.push_back(item.is_string() ? std::string(item.get_string()) : json::serialize(item));
  return ok();
}

Status read_metrics(const json::object& object, std::vector<std::string>& out) {
  const auto* value = object.if_contains("metrics");
  if (value == nullptr || value->is_null()) return ok();
  if (!value->is_array()) return invalid("metrics must be a list of texts.");
  out.clear();
  for (const auto& item : value->get_array()) {
    if (!item.is_string()) return invalid("metrics must be a list of texts.");
    out.emplace_back(item.get_string());
  }
  return ok();
}

Status read_tags(const json::object& object, std::map<std::string, std::string>& out) {
  const auto* value = object.if_contains("tags");
  if (value == nullptr || value->is_null()) return ok();
  if (!value->is_object()) return invalid("tags must be an object of texts.");
  out.clear();
  for (const auto& tag : value->get_object()) {
    if (!tag.value().is_string()) return invalid("tags must be an object of texts.");
    out[std::string(tag.key())] = std::string(tag.value().get_string());
  }
  return ok();
}

void set_function(Mapping& m, const std::string& qualified) {
  const auto colon = qualified.find(':');
  m.function = qualified.substr(0, colon);
  m.qualifier = colon == std::string::npos ? "" : qualified.substr(colon + 1);
  if (m.qualifier == "$LATEST") m.qualifier.clear();
}

Result<Mapping> read(const json::object& object, Mapping m) {
  std::string function = m.function.empty() ? "" : m.qualified();
  MAYFLY_TRY(text(object, "queue", m.queue));
  MAYFLY_TRY(text(object, "function", function));
  if (m.queue.starts_with("queue:")) m.queue.erase(0, 6);
  if (function.starts_with("function:")) function.erase(0, 9);
  set_function(m, function);
  MAYFLY_TRY(number(object, "batch", m.batch));
  MAYFLY_TRY(number(object, "window_s", m.window_s));
  MAYFLY_TRY(number(object, "concurrency", m.concurrency));
  MAYFLY_TRY(number(object, "minimum_pollers", m.minimum_pollers));
  MAYFLY_TRY(number(object, "maximum_pollers", m.maximum_pollers));
  MAYFLY_TRY(number(object, "attempts", m.attempts));
  MAYFLY_TRY(read_filters(object, m.filters));
  MAYFLY_TRY(text(object, "on_failure", m.on_failure));
  MAYFLY_TRY(flag(object, "partial", m.partial));
  MAYFLY_TRY(flag(object, "enabled", m.enabled));
  MAYFLY_TRY(read_tags(object, m.tags));
  MAYFLY_TRY(read_metrics(object, m.metrics));
  MAYFLY_TRY(text(object, "kms_key_arn", m.kms_key));
  return m;
}

Result<json::object> parse_object(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed || !value.is_object()) return invalid("A trigger must be a JSON object.");
  return std::move(value.get_object());
}

Status check_pollers(const Mapping& m) {
  if (m.minimum_pollers == 0 && m.maximum_pollers == 0) return ok();
  using functions::kMinimumPollers, functions::kMinimumPollersMax, functions::kMaximumPollersMax;
  if (m.minimum_pollers < kMinimumPollers || m.minimum_pollers > kMinimumPollersMax)
    return invalid(
        fmt::format("minimum_pollers must be from {} to {}, and 0 with maximum_pollers: none.",
                    kMinimumPollers, kMinimumPollersMax));
  if (m.maximum_pollers < kMinimumPollers || m.maximum_pollers > kMaximumPollersMax)
    return invalid(
        fmt::format("maximum_pollers must be from {} to {}, and 0 with minimum_pollers: none.",
                    kMinimumPollers, kMaximumPollersMax));
  if (m.minimum_pollers > m.maximum_pollers)
    return invalid("minimum_pollers must not be more than maximum_pollers.");
  if (m.concurrency != 0)
    return invalid(
        "concurrency and maximum_pollers both say how many invocations run at once: leave one of "
        "them out.");
  return ok();
}

Status check_metrics(const std::vector<std::string>& metrics) {
  for (const auto& metric : metrics)
    if (metric != "EventCount")
      return invalid("metrics: '" + metric.substr(0, 100) + "' is none of [EventCount].");
  if (metrics.size() > 1) return invalid("metrics: EventCount is named more than once.");
  return ok();
}

}  // namespace

std::uint32_t Mapping::most_at_once() const {
  if (maximum_pollers != 0) return maximum_pollers * kInvocationsOfPoller;
  return concurrency != 0 ? concurrency : UINT32_MAX;
}

std::uint32_t Mapping::least_at_once() const {
  return std::max(2u, minimum_pollers * kInvocationsOfPoller);
}

std::string Mapping::qualified() const {
  return qualifier.empty() ? function : function + ":" + qualifier;
}

std::string Mapping::pair() const {
  return queue + ":" + qualified();
}

Status check_mapping(const Mapping& m) {
  const bool fifo = m.queue.ends_with(".fifo");
  if (m.queue.empty()) return invalid("A trigger needs a queue.");
  if (m.queue.starts_with('.') || m.queue.size() > 80)
    return invalid("'" + m.queue.substr(0, 100) + "' is no queue that a function can be put to.");
  MAYFLY_TRY(functions::check_name("function", m.function));
  if (m.qualifier.size() > 128) return invalid("The version of the function is too long a text.");
  const std::uint32_t batch_max = fifo ? 10 : 10'000;
  if (m.batch < 1 || m.batch > batch_max)
    return invalid("batch must be from 1 to " + std::to_string(batch_max) +
                   (fifo ? " for a fifo queue." : "."));
  if (m.window_s > 300) return invalid("window_s must be from 0 to 300.");
  if (fifo && m.window_s > 0) return invalid("window_s is not for fifo queues.");
  if (m.concurrency > 1000) return invalid("concurrency must be from 1 to 1000; 0: no limit.");
  MAYFLY_TRY(check_pollers(m));
  if (m.attempts > 1000) return invalid("attempts must be from 0 to 1000.");
  if (m.filters.size() > kFiltersMax)
    return invalid("There are more than " + std::to_string(kFiltersMax) + " filters.");
  for (const auto& filter : m.filters) {
    auto compiled = Pattern::compile(filter, kFilterBytesMax);
    if (compiled.has_error())
      return Error{compiled.error().code, "filters: " + compiled.error().message};
  }
  MAYFLY_TRY(check_tags(m.tags));
  MAYFLY_TRY(check_metrics(m.metrics));
  MAYFLY_TRY(check_kms_key(m.kms_key));
  if (!m.on_failure.empty()) {
    auto target = parse_target(m.on_failure);
    if (target.has_error())
      return Error{target.error().code, "on_failure: " + target.error().message};
  }
  return ok();
}

Status check_tags(const std::map<std::string, std::string>& tags) {
  if (tags.size() > kTagsMax)
    return invalid("There are at most " + std::to_string(kTagsMax) + " tags.");
  for (const auto& [key, value] : tags)
    if (key.empty() || key.size() > 128 || value.size() > 256)
      return invalid("The key of a tag has 1 to 128 bytes and its value at most 256: '" +
                     key.substr(0, 130) + "'.");
  return ok();
}

Status check_kms_key(const std::string& arn) {
  static const RE2 form("arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*", RE2::Quiet);
  if (arn.empty() || (arn.size() <= 2048 && RE2::FullMatch(arn, form))) return ok();
  return invalid("'" + arn.substr(0, 200) +
                 "' is no ARN of a key, as in arn:aws:kms:us-east-1:000000000000:key/ID.");
}

std::string mapping_to_json(const Mapping& mapping) {
  return json::serialize(object_of(mapping));
}

const std::vector<std::string_view>& mapping_keys() {
  return kKeys;
}

Result<Mapping> mapping_from_json(std::string_view text, Mapping base) {
  auto object = parse_object(text);
  if (object.has_error()) return object.error();
  for (const auto& member : *object) {
    const std::string_view key(member.key().data(), member.key().size());
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end())
      return invalid("'" + std::string(key.substr(0, 100)) + "' is not a known key of a trigger." +
                     functions::did_you_mean(key, kKeys));
  }
  auto mapping = read(*object, std::move(base));
  if (mapping.has_error()) return mapping.error();
  MAYFLY_TRY(check_mapping(*mapping));
  return mapping;
}

std::string encode_mapping(const Mapping& mapping) {
  return std::string(kMappingVersion) + mapping_to_json(mapping);
}

Result<Mapping> decode_mapping(std::string_view bytes) {
  const Error corrupt{Code::corrupt, "A trigger in the store cannot be read."};
  if (!bytes.starts_with(kMappingVersion)) return corrupt;
  auto object = parse_object(bytes.substr(kMappingVersion.size()));
  if (object.has_error()) return corrupt;
  auto mapping = read(*object, {});
  if (mapping.has_error()) return corrupt;
  const auto time = [&](std::string_view key) {
    const auto* value = object->if_contains(key);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
  };
  if (text(*object, "id", mapping->id).has_error() || mapping->id.empty()) return corrupt;
  mapping->created_us = time("created_us");
  mapping->modified_us = time("modified_us");
  return mapping;
}

}  // namespace mayfly::triggers
