// Schedules as JSON: the native API, the CLI and the store.

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "triggers/schedules.h"

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

constexpr std::size_t kBytesMax = 1u << 20;

Error wrong(std::string_view key, std::string_view wants) {
  return Error{Code::invalid_argument, fmt::format("{} must be {}.", key, wants)};
}

Result<std::string> text_at(const json::value& value, std::string_view key) {
  if (!value.is_string()) return wrong(key, "a text");
  return std::string(value.get_string());
}

Result<std::int64_t> number_at(const json::value& value, std::string_view key, std::int64_t low,
                               std::int64_t high) {
  std::int64_t number = 0;
  if (value.is_int64())
    number = value.get_int64();
  else if (value.is_double())
    number = static_cast<std::int64_t>(value.get_double());
  else
    return wrong(key, "a number");
  if (number < low || number > high) return wrong(key, fmt::format("{} to {}", low, high));
  return number;
}

// RFC 3339 in UTC, or seconds of the epoch.
Result<WallTime> time_at(const json::value& value, std::string_view key) {
  if (value.is_int64() || value.is_double()) {
    auto number = number_at(value, key, 0, 7'258'118'400);
    if (number.has_error()) return number.error();
    return from_epoch_us(*number * 1'000'000);
  }
  if (value.is_string()) {
    std::string text(value.get_string());
    const auto dot = text.find('.');
    if (dot != std::string::npos && text.ends_with('Z')) text = text.substr(0, dot) + "Z";
    if (!text.ends_with('Z')) text += 'Z';
    const auto when = When::parse("at(" + text + ")");
    static const Zone kUtc;
    if (when.has_value())
      if (const auto time = when->next(from_epoch_us(-1'000'000), kUtc, WallTime())) return *time;
  }
  return wrong(key, "a time like 2026-11-21T10:00:00Z, or seconds since 1970");
}

// Whole seconds without a fraction, as people write them.
std::string short_time(WallTime time) {
  std::string text = to_rfc3339(time);
  if (text.ends_with(".000Z")) text.replace(text.size() - 5, 5, "Z");
  return text;
}

template <class T>
Status keep(Result<T> read, T& out) {
  if (read.has_error()) return read.error();
  out = std::move(*read);
  return ok();
}

Status read_other(const json::value& value, Schedule& schedule) {
  if (!value.is_object()) return wrong("other", "an object of texts");
  for (const auto& [name, text] : value.get_object()) {
    if (!text.is_string()) return wrong("other", "an object of texts");
    schedule.other[std::string(name)] = std::string(text.get_string());
  }
  return ok();
}

Status read_flag(const json::value& value, std::string_view key, bool& out) {
  if (!value.is_bool()) return wrong(key, "true or false");
  out = value.get_bool();
  return ok();
}

Status read_times(Schedule& s, std::string_view key, const json::value& value) {
  auto time = time_at(value, key);
  if (time.has_error()) return time.error();
  if (key == "start")
    s.start = *time;
  else if (key == "end")
    s.end = *time;
  else if (key == "created")
    s.created = *time;
  else
    s.modified = *time;
  return ok();
}

Status read_numbers(Schedule& s, std::string_view key, const json::value& value) {
  const std::int64_t high = key == "window_s" ? 86'400 : key == "retries" ? 185 : 1'209'600;
  auto number = number_at(value, key, 0, high);
  if (number.has_error()) return number.error();
  if (key == "window_s")
    s.window_s = static_cast<std::uint32_t>(*number);
  else if (key == "retries")
    s.retries = static_cast<std::uint32_t>(*number);
  else
    s.max_age_s = *number;
  return ok();
}

Status read_member(Schedule& s, std::string_view key, const json::value& value) {
  const std::pair<std::string_view, std::string*> texts[] = {{"group", &s.group},
                                                             {"name", &s.name},
                                                             {"expression", &s.expression},
                                                             {"timezone", &s.zone},
                                                             {"target", &s.target},
                                                             {"description", &s.description},
                                                             {"dead_letter", &s.dead_letter}};
  for (const auto& [name, out] : texts)
    if (key == name) return keep(text_at(value, key), *out);
  if (key == "input") {  // any JSON, or a text that is one
    s.input = value.is_string() ? std::string(value.get_string()) : json::serialize(value);
    return ok();
  }
  if (key == "enabled") return read_flag(value, key, s.enabled);
  if (key == "remove_when_over") return read_flag(value, key, s.remove_when_over);
  if (key == "start" || key == "end" || key == "created" || key == "modified")
    return read_times(s, key, value);
  if (key == "window_s" || key == "retries" || key == "max_age_s")
    return read_numbers(s, key, value);
  if (key == "catch_up") {
    const auto found = value.is_string() ? catch_up_from_name(value.get_string()) : std::nullopt;
    if (!found) return wrong("catch_up", "latest, all or none");
    s.catch_up = *found;
    return ok();
  }
  if (key == "other") return read_other(value, s);
  return Error{Code::invalid_argument,
               fmt::format("A schedule has no key \"{}\".", key.substr(0, 100))};
}

}  // namespace

std::string_view catch_up_name(CatchUp catch_up) {
  return catch_up == CatchUp::all ? "all" : catch_up == CatchUp::none ? "none" : "latest";
}

std::optional<CatchUp> catch_up_from_name(std::string_view name) {
  for (const auto each : {CatchUp::latest, CatchUp::all, CatchUp::none})
    if (catch_up_name(each) == name) return each;
  return std::nullopt;
}

std::string schedule_to_json(const Schedule& s) {
  json::object object{{"group", s.group},
                      {"name", s.name},
                      {"expression", s.expression},
                      {"timezone", s.zone},
                      {"description", s.description},
                      {"target", s.target},
                      {"input", s.input},
                      {"enabled", s.enabled},
                      {"window_s", s.window_s},
                      {"catch_up", catch_up_name(s.catch_up)},
                      {"dead_letter", s.dead_letter},
                      {"remove_when_over", s.remove_when_over},
                      {"created", to_rfc3339(s.created)},
                      {"modified", to_rfc3339(s.modified)}};
  if (s.start) object["start"] = short_time(*s.start);
  if (s.end) object["end"] = short_time(*s.end);
  if (s.retries) object["retries"] = *s.retries;
  if (s.max_age_s) object["max_age_s"] = *s.max_age_s;
  if (!s.other.empty()) {
    json::object other;
    for (const auto& [name, value] : s.other) other[name] = value;
    object["other"] = std::move(other);
  }
  return json::serialize(object);
}

Result<Schedule> schedule_from_json(std::string_view text) {
  if (text.size() > kBytesMax)
    return Error{Code::too_large, "The JSON of a schedule is longer than 1 MB."};
  boost::system::error_code failed;
  const json::value value = json::parse(text, failed);
  if (failed || !value.is_object())
    return Error{Code::invalid_argument, "A schedule wants a JSON object."};
  Schedule schedule;
  for (const auto& member : value.get_object()) {
    if (member.value().is_null()) continue;
    MAYFLY_TRY(read_member(schedule, member.key(), member.value()));
  }
  return schedule;
}

}  // namespace mayfly::triggers
