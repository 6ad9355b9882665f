#pragma once
// Where an event may go: a function, a queue, a topic, an event bus or a web address, under one
// name, so that destinations, dead letters, schedules, topics and rules all deliver alike.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/body.h"
#include "queues/engine.h"

namespace mayfly::triggers {

struct Target {
  enum class Kind : std::uint8_t { function, queue, topic, bus, webhook };
  Kind kind = Kind::function;
  std::string name;       // webhook: the whole URL
  std::string qualifier;  // function: version; may be empty
  bool operator==(const Target&) const = default;
};
std::string_view kind_name(Target::Kind kind);

// "function:NAME[:VERSION]", "queue:NAME", "topic:NAME", "bus:NAME", "http://..." or "https://...",
// or the ARN of one of the first four (any region and account). invalid_argument says which forms
// there are. Pure.
Result<Target> parse_target(std::string_view text);
// The same back, in the first form.
std::string to_text(const Target& target);
// "arn:aws:lambda:REGION:ACCOUNT:function:NAME" ...; of a webhook its URL.
std::string to_arn(const Target& target, std::string_view region, std::string_view account);

// An event on its way to a target.
struct Delivery {
  std::string body;    // JSON text, for queues and webhooks any text
  std::string id;      // of this event; the same id again is the same event
  std::string source;  // how the invocation's record names it: "schedule", "destination", "topic"
  // queue: message attributes (String). webhook: not sent.
  std::map<std::string, std::string> attributes;
  std::string group, deduplication_id;  // queue: fifo
  std::string trace_id;
  std::vector<std::pair<std::string, std::string>> headers;  // webhook: sent with the POST
  std::string content_type = "application/json";             // webhook, functions that take HTTP
};

// Delivers one event; ok means that the target has it durably (a webhook: it has answered 2xx).
// Retries are the caller's: is_retryable() of the error's code says whether one may help.
using Deliverer = std::function<io::Task<Status>(Target target, Delivery delivery)>;

// Belongs to one loop; outlives the deliveries that run.
class Targets {
 public:
  // Queues are known from the start; whoever serves another kind registers it.
  explicit Targets(queues::QueueEngine& queues);
  ~Targets();

  io::Task<Status> deliver(Target target, Delivery delivery);
  // In place of the one before.
  void register_kind(Target::Kind kind, Deliverer deliverer);
  bool serves(Target::Kind kind) const { return deliverers_.contains(kind); }

 private:
  io::Task<Status> to_queue(Target target, Delivery delivery);

  queues::QueueEngine& queues_;
  std::map<Target::Kind, Deliverer> deliverers_;
};

// What a queue gets of a delivery; fifo: with a group and a deduplication id.
queues::NewMessage to_message(Delivery delivery, bool fifo);

}  // namespace mayfly::triggers
