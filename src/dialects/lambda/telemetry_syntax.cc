#include "dialects/lambda/telemetry_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "wire/http_message.h"

namespace mayfly::dialects::lambda {

namespace {

using TelemetryObject = boost::json::object;

constexpr std::string_view kTypes[] = {"platform", "function", "extension"};
constexpr std::string_view kHosts[] = {"sandbox.localdomain", "sandbox", "localhost", "127.0.0.1"};

Error wrong_subscription(std::string message) {
  return Error{Code::invalid_argument, std::move(message)};
}

Status read_bound(const TelemetryObject& buffering, std::string_view key, std::int64_t min,
                  std::int64_t max, std::int64_t& into) {
  const auto* value = buffering.if_contains(key);
  if (!value) return ok();
  if (!value->is_int64() || value->get_int64() < min || value->get_int64() > max)
    return wrong_subscription(
        fmt::format("buffering.{} must be a whole number from {} to {}", key, min, max));
  into = value->get_int64();
  return ok();
}

Status read_destination(const TelemetryObject& destination, TelemetrySubscription& into) {
  const auto text = [&](std::string_view key) -> std::string_view {
    const auto* value = destination.if_contains(key);
    return value && value->is_string()
               ? std::string_view(value->get_string().data(), value->get_string().size())
               : std::string_view();
  };
  if (text("protocol") != "HTTP")
    return wrong_subscription("destination.protocol must be HTTP; others are not served");
  std::string_view uri = text("URI");
  constexpr std::string_view kScheme = "http://";
  if (!uri.starts_with(kScheme) || uri.size() > 1024)
    return wrong_subscription("destination.URI must be http://sandbox.localdomain:PORT/PATH");
  uri.remove_prefix(kScheme.size());
  const auto slash = uri.find('/');
  const auto host = uri.substr(0, slash);
  if (slash != std::string_view::npos) into.path = std::string(uri.substr(slash));
  const auto colon = host.find(':');
  const auto name = host.substr(0, colon);
  if (std::find(std::begin(kHosts), std::end(kHosts), name) == std::end(kHosts))
    return wrong_subscription("the host of destination.URI must be sandbox.localdomain");
  std::uint16_t port = 80;
  if (colon != std::string_view::npos) {
    const auto digits = host.substr(colon + 1);
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (failed != std::errc() || end != digits.data() + digits.size() || port == 0)
      return wrong_subscription("destination.URI has no port from 1 to 65535");
  }
  for (const char c : into.path)
    if (c <= ' ' || c == 0x7f) return wrong_subscription("destination.URI has a path of no form");
  into.port = port;
  return ok();
}

}  // namespace

bool TelemetrySubscription::wants(std::string_view type) const {
  return std::find(types.begin(), types.end(), type) != types.end();
}

Result<TelemetrySubscription> parse_subscription(std::string_view body, bool logs_api) {
  boost::json::parse_options options;
  options.max_depth = 8;
  boost::system::error_code failed;
  const auto value = boost::json::parse({body.data(), body.size()}, failed, {}, options);
  if (failed || !value.is_object()) return wrong_subscription("the body must be a JSON object");
  const auto& object = value.get_object();
  TelemetrySubscription out;
  out.logs_api = logs_api;
  const auto* schema = object.if_contains("schemaVersion");
  const std::string version =
      schema && schema->is_string() ? std::string(schema->get_string()) : std::string();
  const bool known =
      logs_api ? !schema || version == "2020-08-15" || version == "2021-03-18"
               : version == "2022-07-01" || version == "2022-12-13" || version == "2025-01-29";
  if (!known) return wrong_subscription("schemaVersion is none that is known here");
  const auto* types = object.if_contains("types");
  if (!types || !types->is_array() || types->get_array().empty())
    return wrong_subscription("types must name at least one of platform, function, extension");
  for (const auto& type : types->get_array()) {
    const std::string name = type.is_string() ? std::string(type.get_string()) : std::string();
    if (std::find(std::begin(kTypes), std::end(kTypes), name) == std::end(kTypes))
      return wrong_subscription("a type must be platform, function or extension");
    if (!out.wants(name)) out.types.push_back(name);
  }
  if (const auto* buffering = object.if_contains("buffering")) {
    if (!buffering->is_object()) return wrong_subscription("buffering must be an object");
    std::int64_t items = 10'000, bytes = 256 * 1024, timeout = 1'000;
    const auto& bounds = buffering->get_object();
    MAYFLY_TRY(read_bound(bounds, "maxItems", 1'000, 10'000, items));
    MAYFLY_TRY(read_bound(bounds, "maxBytes", 262'144, 1'048'576, bytes));
    MAYFLY_TRY(read_bound(bounds, "timeoutMs", 25, 30'000, timeout));
    out.items_max = static_cast<std::size_t>(items);
    out.bytes_max = static_cast<std::size_t>(bytes);
    out.timeout = std::chrono::milliseconds(timeout);
  }
  const auto* destination = object.if_contains("destination");
  if (!destination || !destination->is_object())
    return wrong_subscription("destination must be an object");
  MAYFLY_TRY(read_destination(destination->get_object(), out));
  return out;
}

std::string telemetry_event(WallTime time, std::string_view type, std::string_view record) {
  std::string event = "{\"time\":";
  wire::append_json_string(event, to_rfc3339(time));
  event += ",\"type\":";
  wire::append_json_string(event, type);
  event += ",\"record\":";
  event += record;
  event += '}';
  return event;
}

std::string line_record(std::string_view line, bool json_logs) {
  if (json_logs && line.starts_with('{')) {
    boost::system::error_code failed;
    (void)boost::json::parse({line.data(), line.size()}, failed);
    if (!failed) return std::string(line);
  }
  std::string record;
  wire::append_json_string(record, line);
  return record;
}

std::string json_ms(std::chrono::microseconds time) {
  const auto us = std::max<std::int64_t>(0, time.count());
  return fmt::format("{}.{:03}", us / 1000, us % 1000);
}

}  // namespace mayfly::dialects::lambda
