#include "dialects/logs/logs.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "aws/session.h"
#include "dialects/aws_values.h"
#include "dialects/logs/contract.h"

namespace mayfly::dialects::logs {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using telemetry::LogLine;

namespace {

constexpr std::size_t kLinesMax = 100'000;  // newest ones that an answer is made of
constexpr std::int64_t kEventsMax = 10'000;

aws::Fault wrong(std::string message) {
  return {"InvalidParameterException", std::move(message)};
}

// A line with the id that orders it among those of its function.
struct Event {
  std::string id;
  std::string stream;
  const LogLine* line = nullptr;
};

std::vector<Event> events_of(const std::vector<LogLine>& lines) {
  std::vector<Event> events;
  events.reserve(lines.size());
  std::int64_t last = -1;
  std::uint32_t ordinal = 0;
  for (const auto& line : lines) {
    ordinal = line.time_us == last ? ordinal + 1 : 0;
    last = line.time_us;
    events.push_back({fmt::format("{:020}{:06}", line.time_us, ordinal), stream_of(line), &line});
  }
  return events;
}

json::object event_info(const Event& event, bool with_stream) {
  const std::int64_t ms = event.line->time_us / 1000;
  json::object out{{"timestamp", ms}, {"ingestionTime", ms}, {"message", event.line->text}};
  if (with_stream) {
    out["logStreamName"] = event.stream;
    out["eventId"] = event.id;
  }
  return out;
}

bool within(const json::object& input, const Event& event) {
  const std::int64_t ms = event.line->time_us / 1000;
  return ms >= number_member(input, "startTime", 0) &&
         ms < number_member(input, "endTime", std::numeric_limits<std::int64_t>::max());
}

std::int64_t since_us_of(const json::object& input) {
  return std::clamp<std::int64_t>(number_member(input, "startTime", 0), 0, 1'000'000'000'000'000) *
         1000;
}

Outcome<std::size_t> limit_of(const json::object& input, std::int64_t fallback, std::int64_t most) {
  const std::int64_t limit = number_member(input, "limit", fallback);
  if (limit < 1 || limit > most)
    return wrong("limit must be from 1 to " + std::to_string(most) + ".");
  return static_cast<std::size_t>(limit);
}

}  // namespace

aws::Fault no_group() {
  return {"ResourceNotFoundException", "The specified log group does not exist."};
}

std::string stream_of(const LogLine& line) {
  std::string day = to_rfc3339(from_epoch_us(line.time_us)).substr(0, 10);
  std::replace(day.begin(), day.end(), '-', '/');
  return day + "/[" + (line.version == 0 ? "$LATEST" : std::to_string(line.version)) + "]" +
         (line.instance.empty() ? "platform" : line.instance);
}

bool WordFilter::matches(std::string_view text) const {
  const auto in = [text](const std::string& word) {
    return text.find(word) != std::string_view::npos;
  };
  return std::all_of(all.begin(), all.end(), in) && std::none_of(none.begin(), none.end(), in) &&
         (any.empty() || std::any_of(any.begin(), any.end(), in));
}

Outcome<WordFilter> parse_filter(std::string_view pattern) {
  WordFilter filter;
  const auto first = pattern.find_first_not_of(' ');
  if (first == std::string_view::npos) return filter;
  if (pattern[first] == '{' || pattern[first] == '[' || pattern[first] == '%')
    return wrong("Filter patterns are words here: \"quoted text\", -without, ?either.");
  for (std::size_t at = first; at < pattern.size();) {
    if (pattern[at] == ' ') {
      ++at;
      continue;
    }
    auto* into = &filter.all;
    if (pattern[at] == '-' || pattern[at] == '?')
      into = pattern[at++] == '-' ? &filter.none : &filter.any;
    std::string word;
    if (at < pattern.size() && pattern[at] == '"') {
      const auto end = pattern.find('"', at + 1);
      if (end == std::string_view::npos) return wrong("A quote in the filter pattern has no end.");
      word = std::string(pattern.substr(at + 1, end - at - 1));
      at = end + 1;
    } else {
      const auto end = std::min(pattern.find(' ', at), pattern.size());
      word = std::string(pattern.substr(at, end - at));
      at = end;
    }
    if (!word.empty()) into->push_back(std::move(word));
  }
  return filter;
}

const aws::Contract& Logs::contract() const {
  return logs_contract();
}

std::vector<aws::Need> Logs::needs(const Call& call) const {
  const auto function = function_in(call.input);
  return {{"logs:" + std::string(call.operation->name),
           function.has_value() ? "arn:aws:logs:" + parts_.region + ":" + parts_.account +
                                      ":log-group:" + std::string(kGroupPrefix) + *function +
                                      ":log-stream:" + text_member(call.input, "logStreamName")
                                : "*"}};
}

io::Task<Outcome<json::object>> Logs::call(Call call) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::describe_groups:
      return answered(describe_groups(call));
    case Op::describe_streams:
      return describe_streams(std::move(call));
    case Op::get_events:
      return get_events(std::move(call));
    case Op::filter_events:
      return filter_events(std::move(call));
    case Op::list_tags:
      return answered(list_group_tags(call));
    default:
      return change_group(std::move(call));
  }
}

Outcome<std::string> Logs::function_in(const Object& input) const {
  const std::string group = group_named(input);
  if (!is_function_group(group)) {
    if (!parts_.groups.find(group)) return no_group();
    return Outcome<std::string>(boost::system::in_place_value);
  }
  std::string name = group.substr(kGroupPrefix.size());
  return Outcome<std::string>(boost::system::in_place_value, std::move(name));
}

io::Task<Outcome<std::vector<LogLine>>> Logs::lines_of(std::string function,
                                                       std::int64_t since_us) {
  if (function.empty()) co_return Outcome<std::vector<LogLine>>(boost::system::in_place_value);
  telemetry::LogQuery query;
  query.function = std::move(function);
  query.since_us = since_us;
  query.limit = kLinesMax;
  auto reading = parts_.pool.run(
      [&telemetry = parts_.telemetry, query = std::move(query)] { return telemetry.logs(query); });
  auto lines = co_await std::move(reading);
  if (lines.has_error()) co_return aws::fault_of(lines.error());
  co_return Outcome<std::vector<LogLine>>(boost::system::in_place_value, std::move(*lines));
}

Logs::Answer Logs::describe_streams(Call call) {
  auto function = function_in(call.input);
  if (function.has_error()) co_return std::move(function).error();
  auto limit = limit_of(call.input, 50, 50);
  if (limit.has_error()) co_return std::move(limit).error();
  auto reading = lines_of(*function, 0);
  auto lines = co_await std::move(reading);
  if (lines.has_error()) co_return std::move(lines).error();
  struct Stream {
    std::string name, key;
    std::int64_t first_us = 0, last_us = 0;
  };
  std::map<std::string, Stream> by_name;
  const std::string prefix = text_member(call.input, "logStreamNamePrefix");
  for (const auto& line : *lines) {
    std::string name = stream_of(line);
    if (!name.starts_with(prefix)) continue;
    Stream& stream = by_name[name];
    if (stream.name.empty()) stream.first_us = line.time_us;
    stream.name = std::move(name);
    stream.last_us = line.time_us;
  }
  const bool by_time = text_member(call.input, "orderBy") == "LastEventTime";
  std::vector<Stream> all;
  for (auto& [name, stream] : by_name) {
    stream.key = by_time ? fmt::format("{:020}{}", stream.last_us, name) : name;
    all.push_back(std::move(stream));
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  const bool descending = flag_member(call.input, "descending");
  if (descending) std::reverse(all.begin(), all.end());
  // Tokens are keys; behind one means before it when the order is turned round.
  const std::string token = text_member(call.input, "nextToken");
  json::array streams;
  std::string next, last;
  for (const auto& stream : all) {
    if (!token.empty() && (descending ? stream.key >= token : stream.key <= token)) continue;
    if (streams.size() == *limit) {
      next = last;
      break;
    }
    last = stream.key;
    streams.push_back(Object{{"logStreamName", stream.name},
                             {"creationTime", stream.first_us / 1000},
                             {"firstEventTimestamp", stream.first_us / 1000},
                             {"lastEventTimestamp", stream.last_us / 1000},
                             {"lastIngestionTime", stream.last_us / 1000},
                             {"storedBytes", 0}});
  }
  Object out{{"logStreams", std::move(streams)}};
  if (!next.empty()) out["nextToken"] = next;
  co_return out;
}

// Tokens are "f/ID" and "b/ID": events behind and before one.
Logs::Answer Logs::get_events(Call call) {
  auto function = function_in(call.input);
  if (function.has_error()) co_return std::move(function).error();
  auto limit = limit_of(call.input, kEventsMax, kEventsMax);
  if (limit.has_error()) co_return std::move(limit).error();
  auto reading = lines_of(*function, since_us_of(call.input));
  auto lines = co_await std::move(reading);
  if (lines.has_error()) co_return std::move(lines).error();
  const std::string stream = text_member(call.input, "logStreamName");
  const std::string token = text_member(call.input, "nextToken");
  const std::string id = token.size() > 2 ? token.substr(2) : std::string();
  const bool backward =
      token.empty() ? !flag_member(call.input, "startFromHead") : token.starts_with("b/");
  std::vector<Event> chosen;
  for (auto& event : events_of(*lines)) {
    if (event.stream != stream || !within(call.input, event)) continue;
    if (!id.empty() && (backward ? event.id >= id : event.id <= id)) continue;
    chosen.push_back(std::move(event));
  }
  if (chosen.size() > *limit) {
    if (backward)
      chosen.erase(chosen.begin(), chosen.end() - static_cast<std::ptrdiff_t>(*limit));
    else
      chosen.resize(*limit);
  }
  json::array events;
  for (const auto& event : chosen) events.push_back(event_info(event, false));
  const std::string first = chosen.empty() ? id : chosen.front().id;
  const std::string last = chosen.empty() ? id : chosen.back().id;
  co_return Object{{"events", std::move(events)},
                   {"nextForwardToken", "f/" + last},
                   {"nextBackwardToken", "b/" + first}};
}

Logs::Answer Logs::filter_events(Call call) {
  auto function = function_in(call.input);
  if (function.has_error()) co_return std::move(function).error();
  auto limit = limit_of(call.input, kEventsMax, kEventsMax);
  if (limit.has_error()) co_return std::move(limit).error();
  auto filter = parse_filter(text_member(call.input, "filterPattern"));
  if (filter.has_error()) co_return std::move(filter).error();
  auto reading = lines_of(*function, since_us_of(call.input));
  auto lines = co_await std::move(reading);
  if (lines.has_error()) co_return std::move(lines).error();
  const auto names = texts_member(call.input, "logStreamNames");
  const std::string prefix = text_member(call.input, "logStreamNamePrefix");
  const std::string token = text_member(call.input, "nextToken");
  json::array events;
  std::string next, last;
  for (const auto& event : events_of(*lines)) {
    if (event.id <= token || !within(call.input, event)) continue;
    if (!names.empty() && std::find(names.begin(), names.end(), event.stream) == names.end())
      continue;
    if (!event.stream.starts_with(prefix) || !filter->matches(event.line->text)) continue;
    if (events.size() == *limit) {
      next = last;
      break;
    }
    last = event.id;
    events.push_back(event_info(event, true));
  }
  Object out{{"events", std::move(events)}, {"searchedLogStreams", json::array()}};
  if (!next.empty()) out["nextToken"] = next;
  co_return out;
}

}  // namespace mayfly::dialects::logs
