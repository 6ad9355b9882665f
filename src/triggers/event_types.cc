#include "triggers/event_types.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.h"
#include "telemetry/bytes.h"
#include "triggers/byte_maps.h"
#include "wire/utf8.h"

namespace mayfly::triggers {

namespace json = boost::json;

namespace {

constexpr std::uint8_t kEventVersion = 1;

void put_target(telemetry::ByteWriter& out, const RuleTarget& target) {
  out.text(target.id);
  out.text(target.arn);
  out.text(to_text(target.target));
  out.text(target.input);
  out.text(target.input_path);
  out.byte(static_cast<std::uint8_t>((target.transformer ? 1 : 0) | (target.cloud_event ? 2 : 0)));
  if (target.transformer) {
    put_map(out, target.transformer->paths);
    out.text(target.transformer->text);
  }
  out.text(target.group);
  out.signed_number(target.retries ? static_cast<std::int64_t>(*target.retries) : -1);
  out.signed_number(target.max_age_s.value_or(-1));
  out.text(target.dead_letter);
  out.text(target.other);
}

std::optional<RuleTarget> get_target(telemetry::ByteReader& in) {
  RuleTarget target;
  target.id = std::string(in.text());
  target.arn = std::string(in.text());
  auto parsed = parse_target(in.text());
  if (parsed.has_error()) return std::nullopt;
  target.target = std::move(*parsed);
  target.input = std::string(in.text());
  target.input_path = std::string(in.text());
  const std::uint8_t flags = in.byte();
  target.cloud_event = (flags & 2) != 0;
  if ((flags & 1) != 0) {
    target.transformer.emplace();
    target.transformer->paths = get_map(in);
    target.transformer->text = std::string(in.text());
  }
  target.group = std::string(in.text());
  if (const auto retries = in.signed_number(); retries >= 0)
    target.retries = static_cast<std::uint32_t>(retries);
  if (const auto age = in.signed_number(); age >= 0) target.max_age_s = age;
  target.dead_letter = std::string(in.text());
  target.other = std::string(in.text());
  return target;
}

// EventBridge tells whole seconds.
std::string to_seconds(WallTime time) {
  std::string text = to_rfc3339(time);
  text.erase(19, text.size() - 20);
  return text;
}

}  // namespace

std::string encode(const Bus& bus) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.byte(kEventVersion);
  out.text(bus.name);
  out.text(bus.description);
  put_map(out, bus.tags);
  put_map(out, bus.other);
  out.signed_number(to_epoch_us(bus.created));
  out.signed_number(to_epoch_us(bus.modified));
  return bytes;
}

Result<Bus> decode_bus(std::string_view bytes) {
  telemetry::ByteReader in(bytes);
  Bus bus;
  const bool known = in.byte() == kEventVersion;
  bus.name = std::string(in.text());
  bus.description = std::string(in.text());
  bus.tags = get_map(in);
  bus.other = get_map(in);
  bus.created = from_epoch_us(in.signed_number());
  bus.modified = from_epoch_us(in.signed_number());
  if (!known || !in.good() || !in.at_end())
    return Error{Code::corrupt, "A stored event bus is broken."};
  return bus;
}

std::string encode(const Rule& rule) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.byte(kEventVersion);
  out.text(rule.bus);
  out.text(rule.name);
  out.text(rule.description);
  out.text(rule.pattern);
  out.text(rule.schedule);
  out.byte(rule.enabled ? 1 : 0);
  out.text(rule.role);
  put_map(out, rule.tags);
  out.signed_number(to_epoch_us(rule.created));
  out.number(rule.targets.size());
  for (const auto& [id, target] : rule.targets) put_target(out, target);
  return bytes;
}

Result<Rule> decode_rule(std::string_view bytes) {
  const Error broken{Code::corrupt, "A stored rule is broken."};
  telemetry::ByteReader in(bytes);
  Rule rule;
  if (in.byte() != kEventVersion) return broken;
  rule.bus = std::string(in.text());
  rule.name = std::string(in.text());
  rule.description = std::string(in.text());
  rule.pattern = std::string(in.text());
  rule.schedule = std::string(in.text());
  rule.enabled = in.byte() != 0;
  rule.role = std::string(in.text());
  rule.tags = get_map(in);
  rule.created = from_epoch_us(in.signed_number());
  for (std::uint64_t n = in.number(); n > 0 && in.good(); --n) {
    auto target = get_target(in);
    if (!target) return broken;
    const std::string id = target->id;
    rule.targets[id] = std::move(*target);
  }
  if (!in.good() || !in.at_end()) return broken;
  return rule;
}

json::value event_json(const Event& event, const json::value& detail, WallTime now,
                       std::string_view region, std::string_view account) {
  json::object out;
  out["version"] = "0";
  out["id"] = event.id;
  out["detail-type"] = event.detail_type;
  out["source"] = event.source;
  out["account"] = account;
  out["time"] = to_seconds(event.time.value_or(now));
  out["region"] = region;
  json::array resources;
  for (const auto& resource : event.resources) resources.emplace_back(resource);
  out["resources"] = std::move(resources);
  out["detail"] = detail;
  return out;
}

CloudEvent cloud_event_of(const Event& event, WallTime now) {
  if (event.cloud_event) return *event.cloud_event;
  CloudEvent out;
  out.id = event.id;
  out.source = event.source;
  out.type = event.detail_type;
  out.time = to_rfc3339(event.time.value_or(now));
  if (!event.resources.empty()) out.subject = event.resources.front();
  out.data_content_type = "application/json";
  out.data = event.detail;
  out.has_data = true;
  return out;
}

Event event_of(CloudEvent cloud_event) {
  Event event;
  event.id = cloud_event.id;
  event.source = cloud_event.source;
  event.detail_type = cloud_event.type;
  if (!cloud_event.subject.empty()) event.resources.push_back(cloud_event.subject);
  if (auto time = parse_timestamp(cloud_event.time); time.has_value()) event.time = *time;
  json::object detail;
  boost::system::error_code failed;
  const bool as_json =
      cloud_event.data_content_type.empty() || is_json_type(cloud_event.data_content_type);
  json::value data = as_json ? json::parse(cloud_event.data, failed) : json::value();
  if (cloud_event.has_data && as_json && !failed) {
    if (data.is_object()) {
      detail = std::move(data.get_object());
    } else {
      detail["data"] = std::move(data);
    }
  } else if (cloud_event.has_data && wire::is_utf8(cloud_event.data)) {
    detail["data"] = cloud_event.data;
  } else if (cloud_event.has_data) {
    std::string base64;
    append_base64(base64, cloud_event.data);
    detail["data_base64"] = base64;
  }
  event.detail = json::serialize(detail);
  event.cloud_event = std::move(cloud_event);
  return event;
}

}  // namespace mayfly::triggers
