#pragma once
// Internal: what event_bus.cc (what there is) and event_put.cc (what is sent) share.

#include "triggers/event_bus.h"
#include "triggers/patterns.h"

namespace mayfly::triggers {

inline constexpr std::string_view kBusPrefix = "events/b/";   // name -> Bus
inline constexpr std::string_view kRulePrefix = "events/r/";  // bus LF name -> Rule

struct CompiledRule {
  RulePtr info;
  std::string arn;
  std::optional<Pattern> pattern;
  std::map<std::string, EventPath> paths;  // of targets with input_path, by id
};

struct BusState {
  BusPtr info;
  std::map<std::string, CompiledRule> rules;  // by name
};

struct EventBuses::State {
  explicit State(Parts p) : parts(std::move(p)), fanout(parts.queues, parts.add_call) {}

  // event_bus.cc
  Status open();
  Status add(Rule rule);
  Status check(const Rule& rule) const;
  Status check(const RuleTarget& target) const;
  io::Task<Status> write(store::Transaction transaction);
  io::Task<Status> replace(Rule rule);
  Result<Rule> copy_of(const std::string& bus, const std::string& name) const;

  // event_put.cc
  Result<boost::json::value> check(const Event& event) const;
  io::Task<Result<std::vector<Result<PutResult>>>> put(std::string bus, std::vector<Event> events);
  std::vector<Outgoing> route(const BusState& bus, const Event& event,
                              const boost::json::value& whole, WallTime now) const;
  Result<Outgoing> outgoing(const CompiledRule& rule, const RuleTarget& target, const Event& event,
                            const boost::json::value& whole, WallTime now) const;

  Parts parts;
  Fanout fanout;
  std::map<std::string, BusState> buses;
};

}  // namespace mayfly::triggers
