#include "functions/projects/intrinsics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/base64.h"
#include "functions/checks.h"

namespace mayfly::functions::projects {
namespace {

constexpr int kResolveDepthMax = 120;

// Marks what AWS::NoValue takes away: a null with this tag.
constexpr std::string_view kNoValue = "AWS::NoValue";

constexpr std::array<std::string_view, 18> kFunctions = {
    "Ref",        "Condition",  "Fn::GetAtt",      "Fn::Sub",    "Fn::Join", "Fn::If",
    "Fn::Select", "Fn::Split",  "Fn::FindInMap",   "Fn::Equals", "Fn::Not",  "Fn::And",
    "Fn::Or",     "Fn::Base64", "Fn::ImportValue", "Fn::GetAZs", "Fn::Cidr", "Fn::Transform"};

// "!GetAtt" and "Fn::GetAtt" are the same; "" when it is no function of CloudFormation.
std::string_view function_of_tag(std::string_view tag) {
  if (tag.empty()) return "";
  tag.remove_prefix(1);
  for (const auto name : kFunctions)
    if (name == tag || (name.starts_with("Fn::") && name.substr(4) == tag)) return name;
  return "";
}

std::string_view function_of(const Value& value) {
  if (!value.tag.empty()) return function_of_tag(value.tag);
  if (!value.is_map() || value.members.size() != 1) return "";
  const std::string& key = value.members[0].first;
  if (key == "Condition") return value.members[0].second.is_scalar() ? key : "";
  for (const auto name : kFunctions)
    if (name == key) return name;
  return key.starts_with("Fn::") ? std::string_view(key) : "";
}

// The argument of the short form is the value itself.
Value argument_of(const Value& value) {
  if (value.tag.empty()) return value.members[0].second;
  Value bare = value;
  bare.tag.clear();
  return bare;
}

bool gone(const Value& value) {
  return value.is_null() && value.tag == kNoValue;
}

Value placed(Value value, const Value& at) {
  value.place = at.place;
  return value;
}

Value truth_value(bool truth, const Value& at) {
  Value value = Value::scalar(truth ? "true" : "false", at.place);
  value.quoted = false;
  return value;
}

const Value& list_argument(const Value& argument, std::string_view function, std::size_t least,
                           std::size_t most) {
  if (!argument.is_list() || argument.items.size() < least || argument.items.size() > most)
    wrong(argument, least == most
                        ? fmt::format("{} takes a list of {}.", function, least)
                        : fmt::format("{} takes a list of {} to {}.", function, least, most));
  return argument;
}

}  // namespace

const CloudResource* Intrinsics::resource(std::string_view name) const {
  const auto at = resources_.find(name);
  return at == resources_.end() ? nullptr : &at->second;
}

Value Intrinsics::resolve(const Value& value) {
  return resolve_at(value, 0);
}

Value Intrinsics::resolve_at(const Value& value, int depth) {
  if (depth > kResolveDepthMax) wrong(value, "its functions are nested too deeply.");
  budget_.spend(value, 1, value.text.size());
  if (const auto function = function_of(value); !function.empty()) {
    const Value argument = argument_of(value);
    return call(function, argument, value, depth + 1);
  }
  if (!value.tag.empty() && value.tag.find(':') == std::string::npos)
    wrong(value, fmt::format("'{}' is no function of CloudFormation.", value.tag.substr(0, 40)));
  Value out = value;
  out.tag.clear();
  if (value.is_list()) {
    out.items.clear();
    for (const auto& item : value.items)
      if (Value made = resolve_at(item, depth + 1); !gone(made))
        out.items.push_back(std::move(made));
  } else if (value.is_map()) {
    out.members.clear();
    for (const auto& [key, member] : value.members)
      if (Value made = resolve_at(member, depth + 1); !gone(made))
        out.members.emplace_back(key, std::move(made));
  }
  return out;
}

Value Intrinsics::call(std::string_view function, const Value& argument, const Value& at,
                       int depth) {
  if (function == "Ref") return ref(text_of(argument), at);
  if (function == "Fn::GetAtt") return get_att(argument, at, depth);
  if (function == "Fn::Sub") return sub(argument, at, depth);
  if (function == "Fn::Join") return join(argument, at, depth);
  if (function == "Fn::Select") return select(argument, at, depth);
  if (function == "Fn::Split") return split(argument, at, depth);
  if (function == "Fn::FindInMap") return find_in_map(argument, at, depth);
  if (function == "Fn::If") return choose(argument, at, depth);
  if (function == "Condition" || function == "Fn::Equals" || function == "Fn::Not" ||
      function == "Fn::And" || function == "Fn::Or")
    return truth_value(truth(at, depth), at);
  if (function == "Fn::Base64") {
    const Value inner = resolve_at(argument, depth);
    if (inner.is_unknown()) return inner;
    std::string encoded;
    append_base64(encoded, text_of(inner));
    return Value::scalar(std::move(encoded), at.place);
  }
  if (function == "Fn::ImportValue")
    return Value::unknown("Fn::ImportValue: Mayfly has no exports of other stacks", at.place);
  return Value::unknown(std::string(function.substr(0, 60)) + " is not worked out by Mayfly",
                        at.place);
}

Value Intrinsics::ref(const std::string& name, const Value& at) {
  if (name == kNoValue) {
    Value nothing;
    nothing.tag = kNoValue;
    nothing.place = at.place;
    return nothing;
  }
  if (const auto found = pseudo_.find(name); found != pseudo_.end())
    return Value::scalar(found->second, at.place);
  if (const auto found = parameters_.find(name); found != parameters_.end()) {
    budget_.spend_copy(at, found->second);
    return placed(found->second, at);
  }
  const auto* target = resource(name);
  if (target == nullptr) {
    if (name.starts_with("AWS::"))
      return Value::unknown(name.substr(0, 60) + " has no meaning in Mayfly", at.place);
    std::vector<std::string_view> known;
    for (const auto& [key, value] : parameters_) known.push_back(key);
    for (const auto& [key, value] : resources_) known.push_back(key);
    wrong(at, fmt::format("'{}' is neither a parameter nor a resource of this file.{}",
                          name.substr(0, 100), did_you_mean(name, known)));
  }
  if (target->ref) return Value::scalar(*target->ref, at.place);
  return Value::unknown(fmt::format("it refers to {} ({}), which Mayfly does not make",
                                    name.substr(0, 100), target->type.substr(0, 100)),
                        at.place);
}

Value Intrinsics::get_att(const Value& argument, const Value& at, int depth) {
  std::string name, wanted;
  if (argument.is_scalar()) {
    const auto dot = argument.text.find('.');
    if (dot == std::string::npos) wrong(at, "Fn::GetAtt takes Resource.Attribute.");
    name = argument.text.substr(0, dot);
    wanted = argument.text.substr(dot + 1);
  } else {
    list_argument(argument, "Fn::GetAtt", 2, 2);
    name = text_of(argument.items[0]);
    const Value attribute = resolve_at(argument.items[1], depth);
    if (attribute.is_unknown()) return attribute;
    wanted = text_of(attribute);
  }
  return attribute(name, wanted, at);
}

Value Intrinsics::attribute(const std::string& name, const std::string& attribute,
                            const Value& at) {
  const auto* target = resource(name);
  if (target == nullptr) {
    std::vector<std::string_view> known;
    for (const auto& [key, value] : resources_) known.push_back(key);
    wrong(at, fmt::format("'{}' is no resource of this file.{}", name.substr(0, 100),
                          did_you_mean(name, known)));
  }
  if (const auto found = target->attributes.find(attribute); found != target->attributes.end())
    return Value::scalar(found->second, at.place);
  return Value::unknown(
      fmt::format("it refers to {}.{} ({}), which Mayfly does not have", name.substr(0, 100),
                  attribute.substr(0, 60), target->type.substr(0, 100)),
      at.place);
}

Value Intrinsics::sub(const Value& argument, const Value& at, int depth) {
  const Value* text = &argument;
  std::map<std::string, Value> given;
  if (argument.is_list()) {
    list_argument(argument, "Fn::Sub", 1, 2);
    text = &argument.items[0];
    if (argument.items.size() == 2) {
      if (!argument.items[1].is_map()) wrong(argument.items[1], "must be a mapping (NAME: value).");
      for (const auto& [key, value] : argument.items[1].members)
        given[key] = resolve_at(value, depth);
    }
  }
  const std::string from = text_of(*text);
  std::string out;
  for (std::size_t i = 0; i < from.size();) {
    const auto open = from.find("${", i);
    out.append(from, i, open == std::string::npos ? std::string::npos : open - i);
    if (open == std::string::npos) break;
    const auto close = from.find('}', open);
    if (close == std::string::npos) wrong(at, "Fn::Sub: a ${ has no } behind it.");
    std::string name = from.substr(open + 2, close - open - 2);
    i = close + 1;
    if (!name.empty() && name[0] == '!') {  // ${!Literal}
      out += "${" + name.substr(1) + "}";
      continue;
    }
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    name.erase(name.find_last_not_of(' ') + 1);
    Value value;
    if (const auto own = given.find(name); own != given.end())
      value = own->second;
    else if (const auto dot = name.find('.'); dot != std::string::npos)
      value = attribute(name.substr(0, dot), name.substr(dot + 1), at);
    else
      value = ref(name, at);
    if (value.is_unknown()) return placed(std::move(value), at);
    if (!value.is_scalar())
      wrong(at, fmt::format("Fn::Sub: ${{{}}} is no text.", name.substr(0, 100)));
    out += value.text;
    if (out.size() > kTextBytesMax) wrong(at, "Fn::Sub makes more than a mebibyte of text.");
  }
  budget_.spend(at, 1, out.size());
  return Value::scalar(std::move(out), at.place);
}

Value Intrinsics::join(const Value& argument, const Value& at, int depth) {
  list_argument(argument, "Fn::Join", 2, 2);
  const std::string between = text_of(argument.items[0]);
  const Value list = resolve_at(argument.items[1], depth);
  if (list.is_unknown()) return list;
  if (!list.is_list()) wrong(argument.items[1], "Fn::Join takes a separator and a list.");
  std::string out;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (list.items[i].is_unknown()) return placed(list.items[i], at);
    out += (i == 0 ? "" : between) + text_of(list.items[i]);
    if (out.size() > kTextBytesMax) wrong(at, "Fn::Join makes more than a mebibyte of text.");
  }
  budget_.spend(at, 1, out.size());
  return Value::scalar(std::move(out), at.place);
}

Value Intrinsics::select(const Value& argument, const Value& at, int depth) {
  list_argument(argument, "Fn::Select", 2, 2);
  const Value place = resolve_at(argument.items[0], depth);
  const Value list = resolve_at(argument.items[1], depth);
  if (place.is_unknown()) return place;
  if (list.is_unknown()) return list;
  if (!list.is_list()) wrong(argument.items[1], "Fn::Select takes an index and a list.");
  const auto index = static_cast<std::size_t>(whole_of(place, 0, INT32_MAX));
  if (index >= list.items.size())
    wrong(at, fmt::format("Fn::Select: there is no item {} in a list of {}.", index,
                          list.items.size()));
  return placed(list.items[index], at);
}

Value Intrinsics::split(const Value& argument, const Value& at, int depth) {
  list_argument(argument, "Fn::Split", 2, 2);
  const std::string between = filled_text_of(argument.items[0]);
  const Value text = resolve_at(argument.items[1], depth);
  if (text.is_unknown()) return text;
  Value list;
  list.kind = Value::Kind::list;
  list.place = at.place;
  const std::string whole = text_of(text);
  for (std::size_t i = 0; i <= whole.size();) {
    const auto end = std::min(whole.find(between, i), whole.size());
    budget_.spend(at, 1, end - i);
    list.items.push_back(Value::scalar(whole.substr(i, end - i), at.place));
    i = end + between.size();
    if (end == whole.size()) break;
  }
  return list;
}

Value Intrinsics::find_in_map(const Value& argument, const Value& at, int depth) {
  list_argument(argument, "Fn::FindInMap", 3, 4);
  const Value* found = &mappings_;
  for (int i = 0; i < 3; ++i) {
    const Value key = resolve_at(argument.items[i], depth);
    if (key.is_unknown()) return key;
    const std::string name = text_of(key);
    const Value* next = found->is_map() ? found->find(name) : nullptr;
    if (next == nullptr) {
      if (argument.items.size() == 4)
        if (const Value* other = argument.items[3].find("DefaultValue"))
          return resolve_at(*other, depth);
      wrong(at, fmt::format("Fn::FindInMap: there is no '{}' in {}.", name.substr(0, 100),
                            i == 0 ? std::string("Mappings") : found->place->path()));
    }
    found = next;
  }
  budget_.spend_copy(at, *found);
  return placed(*found, at);
}

Value Intrinsics::choose(const Value& argument, const Value& at, int depth) {
  list_argument(argument, "Fn::If", 3, 3);
  const bool yes = condition(text_of(argument.items[0]), argument.items[0]);
  Value chosen = resolve_at(argument.items[yes ? 1 : 2], depth);
  return gone(chosen) ? chosen : placed(std::move(chosen), at);
}

bool Intrinsics::condition(const std::string& name, const Value& at) {
  if (const auto known = decided_.find(name); known != decided_.end()) return known->second;
  const Value* found = conditions_.is_map() ? conditions_.find(name) : nullptr;
  if (found == nullptr) {
    std::vector<std::string_view> known;
    for (const auto& [key, value] : conditions_.members) known.push_back(key);
    wrong(at, fmt::format("there is no condition '{}'.{}", name.substr(0, 100),
                          did_you_mean(name, known)));
  }
  if (!deciding_.insert(name).second) wrong(*found, "the condition depends on itself.");
  const bool decision = truth(*found, 0);
  deciding_.erase(name);
  decided_[name] = decision;
  return decision;
}

bool Intrinsics::truth(const Value& value, int depth) {
  if (depth > kResolveDepthMax) wrong(value, "its functions are nested too deeply.");
  budget_.spend(value, 1);
  const auto function = function_of(value);
  if (function.empty()) {
    if (value.is_scalar()) return boolean_of(value);
    wrong(value, "a condition is Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition.");
  }
  const Value argument = argument_of(value);
  if (function == "Condition") return condition(text_of(argument), value);
  if (function == "Fn::Not")
    return !truth(list_argument(argument, function, 1, 1).items[0], depth + 1);
  if (function == "Fn::And" || function == "Fn::Or") {
    const bool all = function == "Fn::And";
    for (const auto& item : list_argument(argument, function, 2, 10).items)
      if (truth(item, depth + 1) != all) return !all;
    return all;
  }
  if (function == "Fn::Equals") {
    list_argument(argument, function, 2, 2);
    const Value left = resolve_at(argument.items[0], depth + 1);
    const Value right = resolve_at(argument.items[1], depth + 1);
    for (const auto* side : {&left, &right})
      if (side->is_unknown()) wrong(value, "the condition cannot be decided: " + side->text + ".");
    const auto as_text = [](const Value& side) {
      return side.is_null() ? std::string() : json_text_of(side);
    };
    return as_text(left) == as_text(right);
  }
  wrong(value, fmt::format("{} is no condition.", function.substr(0, 60)));
}

}  // namespace mayfly::functions::projects
