#include "triggers/patterns.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <vector>

#include "triggers/conditions.h"

namespace mayfly::triggers {

namespace json = boost::json;

// What one object of a pattern says.
struct Pattern::Node {
  struct Field {
    std::string key;
    std::unique_ptr<Node> nested;       // or:
    std::vector<Condition> conditions;  // one must hold
  };
  std::vector<Field> fields;
  std::vector<std::vector<Node>> choices;  // each $or: one of its patterns must match
};

namespace {

Error wrong_at(const std::string& path, const std::string& what) {
  return Error{Code::invalid_argument, (path.empty() ? "the pattern" : path) + ": " + what + "."};
}

std::string below(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

// {"$or": [...]} is a choice when it holds patterns: two or more objects that are no conditions.
bool is_choice(const json::value& value) {
  const auto* list = value.if_array();
  return list != nullptr && list->size() >= 2 &&
         std::all_of(list->begin(), list->end(), [](const json::value& item) {
           const auto* object = item.if_object();
           return object != nullptr &&
                  std::none_of(object->begin(), object->end(),
                               [](const auto& field) { return is_condition_word(field.key()); });
         });
}

Status build(const json::object& object, const std::string& path, std::size_t depth,
             Pattern::Node& node);

Status build_field(std::string_view key, const json::value& value, const std::string& path,
                   std::size_t depth, Pattern::Node& node) {
  if (key == "$or" && is_choice(value)) {
    auto& choice = node.choices.emplace_back();
    for (const auto& item : value.get_array())
      MAYFLY_TRY(build(item.get_object(), path, depth + 1, choice.emplace_back()));
    return ok();
  }
  auto& field = node.fields.emplace_back();
  field.key = std::string(key);
  if (const auto* object = value.if_object()) {
    field.nested = std::make_unique<Pattern::Node>();
    return build(*object, path, depth + 1, *field.nested);
  }
  const auto* list = value.if_array();
  if (list == nullptr)
    return wrong_at(path, "must be an object or a list of conditions; write [value] for one value");
  if (list->empty()) return wrong_at(path, "has an empty list, which nothing matches");
  for (const auto& item : *list) {
    auto condition = parse_condition(item);
    if (condition.has_error()) return wrong_at(path, condition.error().message);
    field.conditions.push_back(std::move(*condition));
  }
  return ok();
}

Status build(const json::object& object, const std::string& path, std::size_t depth,
             Pattern::Node& node) {
  if (depth > Pattern::kDepthMax)
    return wrong_at(path, "deeper than " + std::to_string(Pattern::kDepthMax) + " objects");
  if (object.empty()) return wrong_at(path, "is an empty object, which says nothing");
  node.fields.reserve(object.size());
  for (const auto& [key, value] : object)
    MAYFLY_TRY(build_field(key, value, below(path, key), depth, node));
  return ok();
}

// True when a value in there (lists are looked through) satisfies a condition; sets present when
// there is a value at all.
bool any_holds(const json::value& value, const std::vector<Condition>& conditions, bool& present) {
  if (const auto* list = value.if_array())
    return std::any_of(list->begin(), list->end(), [&](const json::value& item) {
      return any_holds(item, conditions, present);
    });
  if (value.is_object()) return false;
  present = true;
  return std::any_of(conditions.begin(), conditions.end(),
                     [&](const Condition& c) { return c.holds(value); });
}

bool leaf_matches(const std::vector<Condition>& conditions, const json::value* value) {
  bool present = false;
  if (value != nullptr && any_holds(*value, conditions, present)) return true;
  return !present && std::any_of(conditions.begin(), conditions.end(), [](const Condition& c) {
    return c.kind == Condition::Kind::exists && !c.flag;
  });
}

bool object_matches(const Pattern::Node& node, const json::object* object);

// Sets present when value is an object or holds one.
bool any_object_matches(const Pattern::Node& node, const json::value& value, bool& present) {
  if (const auto* list = value.if_array())
    return std::any_of(list->begin(), list->end(), [&](const json::value& item) {
      return any_object_matches(node, item, present);
    });
  const auto* object = value.if_object();
  if (object == nullptr) return false;
  present = true;
  return object_matches(node, object);
}

bool nested_matches(const Pattern::Node& node, const json::value* value) {
  bool present = false;
  if (value != nullptr && any_object_matches(node, *value, present)) return true;
  return !present && object_matches(node, nullptr);
}

// null: there is no such object, as if each of its fields were absent.
bool object_matches(const Pattern::Node& node, const json::object* object) {
  for (const auto& field : node.fields) {
    const json::value* value = object != nullptr ? object->if_contains(field.key) : nullptr;
    if (!(field.nested ? nested_matches(*field.nested, value)
                       : leaf_matches(field.conditions, value)))
      return false;
  }
  return std::all_of(node.choices.begin(), node.choices.end(), [&](const auto& choice) {
    return std::any_of(choice.begin(), choice.end(), [&](const Pattern::Node& pattern) {
      return object_matches(pattern, object);
    });
  });
}

}  // namespace

Pattern::Pattern(std::shared_ptr<const Node> root) : root_(std::move(root)) {}

Result<Pattern> Pattern::compile(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max)
    return wrong_at("", "is longer than " + std::to_string(bytes_max) + " bytes");
  boost::system::error_code failed;
  const json::value parsed = json::parse(text, failed);
  if (failed) return wrong_at("", "is not valid JSON (" + failed.message() + ")");
  const auto* object = parsed.if_object();
  if (object == nullptr) return wrong_at("", "must be a JSON object");
  auto root = std::make_shared<Node>();
  MAYFLY_TRY(build(*object, "", 0, *root));
  return Pattern(std::move(root));
}

bool Pattern::matches(const json::value& event) const {
  const auto* object = event.if_object();
  return object != nullptr && object_matches(*root_, object);
}

bool Pattern::matches_text(std::string_view event) const {
  boost::system::error_code failed;
  const json::value parsed = json::parse(event, failed);
  return !failed && matches(parsed);
}

}  // namespace mayfly::triggers
