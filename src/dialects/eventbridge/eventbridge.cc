#include "dialects/eventbridge/eventbridge.h"

#include <set>

#include "aws/session.h"

#include "dialects/aws_values.h"
#include "dialects/eventbridge/contract.h"

namespace mayfly::dialects::eventbridge {

using aws::Call;
using aws::Outcome;

const aws::Contract& EventBridge::contract() const {
  return events_contract();
}

aws::Fault not_found(std::string message) {
  return {"ResourceNotFoundException", std::move(message)};
}

aws::Fault bus_fault(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return not_found(error.message);
    case Code::invalid_argument:
      return {error.message.starts_with("Event pattern") ? "InvalidEventPatternException"
                                                         : "ValidationException",
              error.message};
    case Code::already_exists:
      return {"ResourceAlreadyExistsException", error.message};
    case Code::resource_exhausted:
      return {"LimitExceededException", error.message};
    case Code::conflict:
      return {"ConcurrentModificationException", "The rule has changed meanwhile; try again."};
    default:
      return aws::fault_of(error);
  }
}

std::string bus_name(std::string_view text) {
  if (text.empty()) return std::string(triggers::kDefaultBus);
  if (!text.starts_with("arn:")) return std::string(text);
  const auto at = text.find(":event-bus/");
  return at == std::string_view::npos ? std::string(text) : std::string(text.substr(at + 11));
}

std::vector<aws::Need> EventBridge::needs(const Call& call) const {
  const std::string action = "events:" + std::string(call.operation->name);
  const auto arn = [&](const std::string& kind, const std::string& name) {
    return "arn:aws:events:" + parts_.region + ":" + parts_.account + ":" + kind + "/" + name;
  };
  std::vector<aws::Need> needs;
  if (static_cast<Op>(call.operation->tag) == Op::put_events) {
    std::set<std::string> buses;
    if (const auto* entries = call.input.if_contains("Entries"); entries && entries->is_array())
      for (const auto& entry : entries->get_array())
        if (entry.is_object())
          buses.insert(bus_name(text_member(entry.get_object(), "EventBusName")));
    for (const auto& bus : buses) needs.push_back({action, arn("event-bus", bus)});
    return needs;
  }
  const std::string bus = text_member(call.input, "EventBusName");
  for (const auto member : {"Name", "Rule"})
    if (const std::string name = text_member(call.input, member); !name.empty()) {
      const bool of_bus = action.ends_with("EventBus");
      const bool aside = bus.empty() || bus_name(bus) == triggers::kDefaultBus;
      return {{action, of_bus  ? arn("event-bus", bus_name(name))
                       : aside ? arn("rule", name)
                               : arn("rule", bus_name(bus) + "/" + name)}};
    }
  if (const std::string named = text_member(call.input, "ResourceARN"); !named.empty())
    return {{action, named}};
  return {{action, bus.empty() ? "*" : arn("event-bus", bus_name(bus))}};
}

io::Task<Outcome<boost::json::object>> EventBridge::call(Call call) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::put_events:
      return put_events(std::move(call));
    case Op::put_rule:
      return put_rule(std::move(call));
    case Op::delete_rule:
      return delete_rule(std::move(call));
    case Op::describe_rule:
      return answered(describe_rule(call));
    case Op::enable_rule:
    case Op::disable_rule:
      return switch_rule(std::move(call));
    case Op::list_rules:
      return answered(list_rules(call));
    case Op::list_rule_names_by_target:
      return answered(rule_names_by_target(call));
    case Op::put_targets:
      return put_targets(std::move(call));
    case Op::remove_targets:
      return remove_targets(std::move(call));
    case Op::list_targets:
      return answered(list_targets(call));
    case Op::create_bus:
      return create_bus(std::move(call));
    case Op::update_bus:
      return update_bus(std::move(call));
    case Op::delete_bus:
      return delete_bus(std::move(call));
    case Op::describe_bus:
      return answered(describe_bus(call));
    case Op::list_buses:
      return answered(list_buses(call));
    case Op::test_pattern:
      return answered(test_pattern(call));
    case Op::list_tags:
      return answered(list_tags(call));
    case Op::tag:
    case Op::untag:
      return change_tags(std::move(call));
  }
  return answered(aws::Fault{"UnknownOperationException", "There is no such operation."});
}

Outcome<triggers::RulePtr> EventBridge::rule_of(const Object& input,
                                                std::string_view member) const {
  const std::string bus = bus_name(text_member(input, "EventBusName"));
  const std::string name = text_member(input, member);
  if (!parts_.buses.find(bus)) return not_found("Event bus " + bus + " does not exist.");
  auto rule = parts_.buses.find_rule(bus, name);
  if (!rule) return not_found("Rule " + name + " does not exist on EventBus " + bus + ".");
  return rule;
}

}  // namespace mayfly::dialects::eventbridge
