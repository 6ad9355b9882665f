#pragma once
// Event buses, their rules and targets, and events: plain values and their stored forms.

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "triggers/cloud_event.h"
#include "triggers/event_input.h"
#include "triggers/targets.h"

namespace mayfly::triggers {

struct Bus {
  std::string name;
  std::string description;
  std::map<std::string, std::string> tags;
  std::map<std::string, std::string> other;  // of dialects, not looked into
  WallTime created{}, modified{};
};
using BusPtr = std::shared_ptr<const Bus>;

struct RuleTarget {
  std::string id;   // within its rule
  std::string arn;  // as it was given; text of target otherwise
  Target target;
  // At most one of these; none: the event.
  std::string input;       // a constant, JSON
  std::string input_path;  // a part of the event
  std::optional<InputTransformer> transformer;
  bool cloud_event = false;  // the event as CloudEvent; functions that take HTTP get one anyway
  std::string group;         // fifo queues
  std::optional<std::uint32_t> retries;
  std::optional<std::int64_t> max_age_s;
  std::string dead_letter;  // target, as text
  std::string other;        // JSON of what a dialect keeps (RoleArn, EcsParameters ...)
};

struct Rule {
  std::string bus, name, description;
  std::string pattern;   // patterns.h; empty: by schedule only
  std::string schedule;  // when.h; empty: by pattern only
  bool enabled = true;
  std::string role;  // kept for clients
  std::map<std::string, std::string> tags;
  std::map<std::string, RuleTarget> targets;  // by id
  WallTime created{};
};
using RulePtr = std::shared_ptr<const Rule>;

// What is put on a bus, before it has an id.
struct Event {
  std::string id;  // empty: one is made
  std::string source, detail_type;
  std::string detail;  // JSON object
  std::vector<std::string> resources;
  std::optional<WallTime> time;  // now
  std::string trace_id;
  std::optional<CloudEvent> cloud_event;  // what came as one
  std::uint32_t hops = 0;                 // topics and buses that led here
};

struct PutResult {
  std::string event_id;
  std::uint32_t deliveries = 0;
};

std::string encode(const Bus& bus);
Result<Bus> decode_bus(std::string_view bytes);
std::string encode(const Rule& rule);
Result<Rule> decode_rule(std::string_view bytes);

// EventBridge's event. detail is the parsed detail.
boost::json::value event_json(const Event& event, const boost::json::value& detail, WallTime now,
                              std::string_view region, std::string_view account);
// The event as a CloudEvent: itself when it came as one.
CloudEvent cloud_event_of(const Event& event, WallTime now);
// A CloudEvent as an event: type is detail-type, data is detail when it is a JSON object, else
// {"data": it} (bytes: {"data_base64": them}); subject becomes a resource.
Event event_of(CloudEvent cloud_event);

}  // namespace mayfly::triggers
