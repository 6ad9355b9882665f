#pragma once
// Event buses: what is put on a bus goes to the targets of every rule whose pattern it matches.
// Events are answered once all that they cause is on disk together. Names, limits and rules are
// those of Amazon EventBridge (API version 2015-10-07). How:
// docs/decisions/0017-topics-and-buses.md.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "triggers/event_types.h"
#include "triggers/fanout.h"

namespace mayfly::triggers {

inline constexpr std::string_view kDefaultBus = "default";  // is always there

// Settings events.*.
struct EventSettings {
  std::uint32_t entry_bytes_max = 262'144;  // of one event
  std::uint32_t pattern_bytes_max = 4'096;
  std::uint32_t buses_max = 1'000;
  std::uint32_t rules_max = 2'000;  // of one bus
  std::uint32_t targets_max = 100;  // of one rule
};

// Belongs to one loop; outlives its tasks.
class EventBuses {
 public:
  struct Parts {
    store::Store& store;
    queues::QueueEngine& queues;
    const Clock& clock;
    AddCall add_call;
    // Whether calls of the function are HTTP requests; then it gets binary CloudEvents.
    std::function<bool(const Target& function)> takes_http;
    // Puts the schedule of a rule in place (rule.schedule, rule.enabled), or takes it away when it
    // has none; refuses expressions that are none. May be empty: then rules have no schedules.
    std::function<io::Task<Status>(Rule rule)> set_schedule;
    std::string region, account;
    EventSettings settings;
  };
  explicit EventBuses(Parts parts);
  ~EventBuses();

  // At start; blocks.
  Status open();

  io::Task<Result<BusPtr>> create(Bus bus);  // already_exists
  io::Task<Status> update(Bus bus);          // description, tags, other
  // invalid_argument while it has rules, and for the default bus; not_found.
  io::Task<Status> remove(std::string name);
  BusPtr find(const std::string& name) const;
  std::vector<BusPtr> list() const;  // by name

  // Makes it or changes pattern, schedule, description, role and state; targets stay. Tags count
  // only when it is made. not_found: the bus.
  io::Task<Result<RulePtr>> put_rule(Rule rule);
  io::Task<Status> tag_rule(std::string bus, std::string name,
                            std::map<std::string, std::string> tags);  // all of them
  io::Task<Status> enable_rule(std::string bus, std::string name, bool enabled);
  io::Task<Status> remove_rule(std::string bus, std::string name);  // invalid_argument: has targets
  RulePtr find_rule(const std::string& bus, const std::string& name) const;
  std::vector<RulePtr> rules(const std::string& bus) const;  // by name

  // In place of those with the same ids.
  io::Task<Status> put_targets(std::string bus, std::string rule, std::vector<RuleTarget> targets);
  // Ids that are not there are ok.
  io::Task<Status> remove_targets(std::string bus, std::string rule, std::vector<std::string> ids);

  // One result for each, in order; durable. not_found (the bus), io_error and the like fail all.
  io::Task<Result<std::vector<Result<PutResult>>>> put(std::string bus, std::vector<Event> events);
  // For Targets: the body is an event in EventBridge's form, or any JSON, which becomes the detail.
  io::Task<Status> deliver(Target target, Delivery delivery);

  std::string bus_arn(const std::string& bus) const;
  std::string rule_arn(const Rule& rule) const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// What a rule with a schedule puts on its bus; only that rule matches it.
std::string scheduled_event(const std::string& rule_arn);

}  // namespace mayfly::triggers
