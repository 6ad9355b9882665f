#pragma once
// Amazon EventBridge (API version 2015-10-07) over event buses: what `aws events`, boto3 and the
// SDKs speak. docs/reference/topics.md says what differs.

#include <string>

#include "aws/service.h"
#include "triggers/event_bus.h"

namespace mayfly::dialects::eventbridge {

// Belongs to the loop of the buses; outlives the calls that it runs.
class EventBridge : public aws::Service {
 public:
  struct Parts {
    triggers::EventBuses& buses;
    std::string region, account;
  };
  explicit EventBridge(Parts parts) : parts_(std::move(parts)) {}

  const aws::Contract& contract() const override;
  std::vector<aws::Need> needs(const aws::Call& call) const override;
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;

 private:
  using Object = boost::json::object;
  using Answer = io::Task<aws::Outcome<Object>>;

  aws::Outcome<triggers::RulePtr> rule_of(const Object& input, std::string_view member) const;
  Object rule_info(const triggers::Rule& rule) const;
  Object bus_info(const triggers::Bus& bus) const;

  // buses.cc: buses, events, tags
  Answer create_bus(aws::Call call);
  Answer update_bus(aws::Call call);
  Answer delete_bus(aws::Call call);
  aws::Outcome<Object> describe_bus(const aws::Call& call) const;
  aws::Outcome<Object> list_buses(const aws::Call& call) const;
  Answer put_events(aws::Call call);
  aws::Outcome<Object> list_tags(const aws::Call& call) const;
  Answer change_tags(aws::Call call);
  // rules.cc
  Answer put_rule(aws::Call call);
  Answer delete_rule(aws::Call call);
  Answer switch_rule(aws::Call call);
  aws::Outcome<Object> describe_rule(const aws::Call& call) const;
  aws::Outcome<Object> list_rules(const aws::Call& call) const;
  aws::Outcome<Object> rule_names_by_target(const aws::Call& call) const;
  aws::Outcome<Object> test_pattern(const aws::Call& call) const;
  // targets.cc
  Answer put_targets(aws::Call call);
  Answer remove_targets(aws::Call call);
  aws::Outcome<Object> list_targets(const aws::Call& call) const;

  Parts parts_;
};

// "default", "NAME" or an ARN of a bus; empty is the default.
std::string bus_name(std::string_view text);
aws::Fault not_found(std::string message);
// What buses say.
aws::Fault bus_fault(const Error& error);

}  // namespace mayfly::dialects::eventbridge
