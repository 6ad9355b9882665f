#include "triggers/event_input.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <optional>

#include "wire/http_message.h"

namespace mayfly::triggers {

namespace json = boost::json;

namespace {

constexpr std::size_t kStepsMax = 64;
constexpr std::string_view kReserved = "aws.events.";

Error wrong_path(std::string_view text, std::string_view why) {
  return Error{Code::invalid_argument, "\"" + std::string(text.substr(0, 100)) +
                                           "\" is no path into an event: " + std::string(why) +
                                           ". A path looks like $.detail.items[0].name."};
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// The variable at the front of text, which begins with '<'; none when it is just a sign.
std::optional<std::string_view> variable_at(std::string_view text) {
  const auto end = text.find('>');
  if (end == std::string_view::npos) return std::nullopt;
  const auto name = text.substr(1, end - 1);
  if (name.empty() ||
      !std::all_of(name.begin(), name.end(), [](char c) { return is_name_char(c) || c == '.'; }))
    return std::nullopt;
  return name;
}

bool is_reserved_variable(std::string_view name) {
  return name == "aws.events.rule-arn" || name == "aws.events.rule-name" ||
         name == "aws.events.event.ingestion-time" || name == "aws.events.event" ||
         name == "aws.events.event.json";
}

// The JSON of a variable; empty when there is nothing.
std::string value_of(const InputTransformer& transformer, std::string_view name,
                     const json::value& event, const RuleFacts& facts) {
  if (name == "aws.events.rule-arn") return json::serialize(json::value(facts.rule_arn));
  if (name == "aws.events.rule-name") return json::serialize(json::value(facts.rule_name));
  if (name == "aws.events.event.ingestion-time")
    return json::serialize(json::value(facts.ingestion_time));
  if (name == "aws.events.event.json") return json::serialize(event);
  if (name == "aws.events.event") {
    json::value less = event;
    if (auto* object = less.if_object()) object->erase("detail");
    return json::serialize(less);
  }
  const auto found = transformer.paths.find(std::string(name));
  if (found == transformer.paths.end()) return {};
  const auto path = EventPath::parse(found->second);
  const json::value* value = path.has_value() ? path->find(event) : nullptr;
  return value != nullptr ? json::serialize(*value) : std::string();
}

// JSON text as characters of a JSON string: of a string its own, of anything else its text.
std::string inside_string(const std::string& value) {
  if (value.size() >= 2 && value.front() == '"') return value.substr(1, value.size() - 2);
  std::string quoted;
  wire::append_json_string(quoted, value);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

Result<EventPath> EventPath::parse(std::string_view text) {
  EventPath path;
  std::string_view rest = text;
  if (!rest.starts_with('$')) return wrong_path(text, "it does not begin with $");
  rest.remove_prefix(1);
  while (!rest.empty()) {
    if (path.steps_.size() == kStepsMax) return wrong_path(text, "it has too many steps");
    if (rest.front() == '.') {
      rest.remove_prefix(1);
      const auto end = std::find_if_not(rest.begin(), rest.end(), is_name_char);
      const std::string name(rest.begin(), end);
      if (name.empty()) return wrong_path(text, "a name is missing after a dot");
      rest.remove_prefix(name.size());
      path.steps_.emplace_back(name);
      continue;
    }
    if (rest.front() != '[') return wrong_path(text, "a step begins with . or [");
    const bool quoted = rest.size() > 1 && (rest[1] == '\'' || rest[1] == '"');
    const auto close = rest.find(quoted ? std::string{rest[1], ']'} : std::string("]"), 2);
    if (close == std::string_view::npos) return wrong_path(text, "a [ has no end");
    if (quoted) {
      path.steps_.emplace_back(std::string(rest.substr(2, close - 2)));
      rest.remove_prefix(close + 2);
      continue;
    }
    const auto digits = rest.substr(1, close - 1);
    std::size_t place = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), place);
    if (failed != std::errc() || end != digits.data() + digits.size())
      return wrong_path(text, "only whole numbers and quoted names stand in [ ]");
    path.steps_.emplace_back(place);
    rest.remove_prefix(close + 1);
  }
  return path;
}

const json::value* EventPath::find(const json::value& event) const {
  const json::value* at = &event;
  for (const auto& step : steps_) {
    if (const auto* name = std::get_if<std::string>(&step)) {
      const auto* object = at->if_object();
      at = object != nullptr ? object->if_contains(*name) : nullptr;
    } else {
      const auto* list = at->if_array();
      at = list != nullptr ? list->if_contains(std::get<std::size_t>(step)) : nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

Status check(const InputTransformer& transformer) {
  if (transformer.paths.size() > kTransformerPathsMax)
    return Error{Code::invalid_argument, "InputPathsMap holds at most 100 paths."};
  if (transformer.text.empty() || transformer.text.size() > kTransformerBytesMax)
    return Error{Code::invalid_argument, "InputTemplate must have 1 to 8192 bytes."};
  for (const auto& [name, path] : transformer.paths) {
    if (name.starts_with(kReserved) || name.empty() ||
        !std::all_of(name.begin(), name.end(), is_name_char))
      return Error{Code::invalid_argument,
                   "InputPathsMap: \"" + name + "\" is no name of a variable."};
    if (auto parsed = EventPath::parse(path); parsed.has_error())
      return Error{Code::invalid_argument, "InputPathsMap: " + parsed.error().message};
  }
  const std::string_view text = transformer.text;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '<') continue;
    const auto name = variable_at(text.substr(i));
    if (name && !is_reserved_variable(*name) && !transformer.paths.contains(std::string(*name)))
      return Error{Code::invalid_argument, "InputTemplate names <" + std::string(*name) +
                                               ">, which InputPathsMap does not know."};
  }
  return ok();
}

Result<std::string> transform(const InputTransformer& transformer, const json::value& event,
                              const RuleFacts& facts, std::size_t bytes_max) {
  std::map<std::string, std::string, std::less<>> values;
  std::string out;
  bool in_string = false;
  const std::string_view text = transformer.text;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto name = c == '<' ? variable_at(text.substr(i)) : std::nullopt;
    if (name) {
      auto found = values.find(*name);
      if (found == values.end())
        found =
            values.emplace(std::string(*name), value_of(transformer, *name, event, facts)).first;
      const std::string& value = found->second;
      if (in_string) {
        out += value.empty() ? std::string() : inside_string(value);
      } else {
        out += value.empty() ? "null" : value;
      }
      i += name->size() + 1;
    } else {
      out += c;
      if (c == '\\' && in_string && i + 1 < text.size()) {
        out += text[++i];
      } else if (c == '"') {
        in_string = !in_string;
      }
    }
    if (out.size() > bytes_max)
      return Error{Code::invalid_argument,
                   "What InputTemplate makes of this event is larger than " +
                       std::to_string(bytes_max) + " bytes."};
  }
  return out;
}

}  // namespace mayfly::triggers
