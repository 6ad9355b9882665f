// Rules of EventBridge.

#include <boost/json/parse.hpp>

#include "dialects/aws_values.h"
#include "dialects/eventbridge/contract.h"
#include "dialects/eventbridge/eventbridge.h"
#include "triggers/patterns.h"

namespace mayfly::dialects::eventbridge {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using triggers::Rule;

namespace {

constexpr std::int64_t kRulesPageMax = 100;

aws::Fault validation(std::string message) {
  return {"ValidationException", std::move(message)};
}

Outcome<std::size_t> page_size(const json::object& input) {
  const std::int64_t limit = number_member(input, "Limit", kRulesPageMax);
  if (limit < 1 || limit > kRulesPageMax) return validation("Limit must be 1 to 100.");
  return static_cast<std::size_t>(limit);
}

}  // namespace

json::object EventBridge::rule_info(const Rule& rule) const {
  json::object out{{"Name", rule.name},
                   {"Arn", parts_.buses.rule_arn(rule)},
                   {"State", rule.enabled ? "ENABLED" : "DISABLED"},
                   {"EventBusName", rule.bus}};
  const auto add = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  add("EventPattern", rule.pattern);
  add("ScheduleExpression", rule.schedule);
  add("Description", rule.description);
  add("RoleArn", rule.role);
  return out;
}

EventBridge::Answer EventBridge::put_rule(Call call) {
  Rule rule;
  rule.bus = bus_name(text_member(call.input, "EventBusName"));
  rule.name = text_member(call.input, "Name");
  rule.pattern = text_member(call.input, "EventPattern");
  rule.schedule = text_member(call.input, "ScheduleExpression");
  rule.description = text_member(call.input, "Description");
  rule.role = text_member(call.input, "RoleArn");
  rule.tags = tags_member(call.input, "Tags");
  const std::string state = text_member(call.input, "State");
  if (!state.empty() && !state.starts_with("ENABLED") && state != "DISABLED")
    co_return validation("State must be ENABLED or DISABLED.");
  rule.enabled = state != "DISABLED";
  auto putting = parts_.buses.put_rule(std::move(rule));
  const auto made = co_await std::move(putting);
  if (made.has_error()) co_return bus_fault(made.error());
  if (!*made) co_return bus_fault(Error{Code::conflict, ""});  // removed meanwhile
  co_return Object{{"RuleArn", parts_.buses.rule_arn(**made)}};
}

EventBridge::Answer EventBridge::delete_rule(Call call) {
  auto rule = rule_of(call.input, "Name");
  if (rule.has_error() && parts_.buses.find(bus_name(text_member(call.input, "EventBusName"))))
    co_return Object{};  // as EventBridge does
  if (rule.has_error()) co_return std::move(rule).error();
  auto removing = parts_.buses.remove_rule((*rule)->bus, (*rule)->name);
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return bus_fault(removed.error());
  co_return Object{};
}

EventBridge::Answer EventBridge::switch_rule(Call call) {
  auto rule = rule_of(call.input, "Name");
  if (rule.has_error()) co_return std::move(rule).error();
  const bool enabled = static_cast<Op>(call.operation->tag) == Op::enable_rule;
  auto switching = parts_.buses.enable_rule((*rule)->bus, (*rule)->name, enabled);
  const Status switched = co_await std::move(switching);
  if (switched.has_error()) co_return bus_fault(switched.error());
  co_return Object{};
}

Outcome<json::object> EventBridge::describe_rule(const Call& call) const {
  auto rule = rule_of(call.input, "Name");
  if (rule.has_error()) return std::move(rule).error();
  json::object info = rule_info(**rule);
  info["CreatedBy"] = parts_.account;
  return info;
}

Outcome<json::object> EventBridge::list_rules(const Call& call) const {
  const std::string bus = bus_name(text_member(call.input, "EventBusName"));
  if (!parts_.buses.find(bus)) return not_found("Event bus " + bus + " does not exist.");
  auto limit = page_size(call.input);
  if (limit.has_error()) return std::move(limit).error();
  auto rules = parts_.buses.rules(bus);
  const std::string prefix = text_member(call.input, "NamePrefix");
  std::erase_if(rules, [&](const auto& rule) { return !rule->name.starts_with(prefix); });
  const auto [page, next] = page_of(rules, text_member(call.input, "NextToken"), *limit,
                                    [](const triggers::RulePtr& rule) { return rule->name; });
  json::array out;
  for (const auto& rule : page) out.push_back(rule_info(*rule));
  json::object answer{{"Rules", std::move(out)}};
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

Outcome<json::object> EventBridge::rule_names_by_target(const Call& call) const {
  const std::string bus = bus_name(text_member(call.input, "EventBusName"));
  if (!parts_.buses.find(bus)) return not_found("Event bus " + bus + " does not exist.");
  auto limit = page_size(call.input);
  if (limit.has_error()) return std::move(limit).error();
  const std::string arn = text_member(call.input, "TargetArn");
  const auto wanted = triggers::parse_target(arn);
  std::vector<std::string> names;
  for (const auto& rule : parts_.buses.rules(bus))
    for (const auto& [id, target] : rule->targets)
      if (target.arn == arn || (wanted.has_value() && target.target == *wanted)) {
        names.push_back(rule->name);
        break;
      }
  const auto [page, next] = page_of(names, text_member(call.input, "NextToken"), *limit,
                                    [](const std::string& name) { return name; });
  json::array out;
  for (const auto& name : page) out.emplace_back(name);
  json::object answer{{"RuleNames", std::move(out)}};
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

Outcome<json::object> EventBridge::test_pattern(const Call& call) const {
  auto pattern = triggers::Pattern::compile(text_member(call.input, "EventPattern"));
  if (pattern.has_error())
    return aws::Fault{"InvalidEventPatternException",
                      "Event pattern is not valid. Reason: " + pattern.error().message};
  boost::system::error_code failed;
  const json::value event = json::parse(text_member(call.input, "Event"), failed);
  if (failed || !event.is_object())
    return validation("Parameter Event is not valid. Reason: it is no JSON object.");
  for (const char* member :
       {"id", "account", "source", "time", "region", "resources", "detail-type"})
    if (!event.get_object().contains(member))
      return validation(std::string("Parameter Event is not valid. Reason: Required property '") +
                        member + "' is missing.");
  return Object{{"Result", pattern->matches(event)}};
}

}  // namespace mayfly::dialects::eventbridge
