#pragma once
// Internal to the queue triggers: the table in memory, and one source of batches for each mapping.

#include <boost/asio/cancellation_signal.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/park.h"
#include "engine/timer_queue.h"
#include "triggers/patterns.h"
#include "triggers/queue_trigger.h"
#include "triggers/sqs_event.h"
#include "triggers/trigger_counters.h"

namespace mayfly::triggers {

// What one mapping has at work.
struct Source {
  std::shared_ptr<const Mapping> mapping;
  std::vector<Pattern> filters;
  TriggerStatus status;
  std::shared_ptr<const TriggerCounters> counters;  // null until there are messages
  bool removed = false;
  // Batches that may run at once as far as the backlog justifies it: grows while batches end well
  // and the machine has cores left, shrinks when it has none, and falls back when the queue is
  // empty or calls are refused.
  std::uint32_t limit = 2;
  std::uint32_t entering = 0;  // batches that begin: the dispatcher does not count them yet
  std::size_t message_bytes = 16 * 1024;  // of an event, a running mean
  std::uint32_t refusals = 0;             // in a row
  SteadyTime not_before{};                // after a refusal: no batch before that
  engine::Park room;                      // the poller waits here for a batch to end
  engine::Park rest;                      // and here for what is missing
};
using SourcePtr = std::shared_ptr<Source>;

// One run of a poller; a changed mapping gets another.
struct Poller {
  SourcePtr source;
  boost::asio::cancellation_signal stop;
  bool ended = false;
};

struct QueueTriggers::State : std::enable_shared_from_this<QueueTriggers::State> {
  explicit State(Parts p) : parts(std::move(p)), timers(parts.loop, parts.clock) {}

  Parts parts;
  engine::TimerQueue timers;
  std::map<std::string, SourcePtr> sources;  // by id
  std::map<std::string, std::shared_ptr<Poller>> pollers;
  bool started = false, stopping = false;
  std::uint32_t running = 0;  // batches of all
  engine::Park drained;

  SourcePtr find(const std::string& id) const;
  void adopt(Mapping mapping);  // new or changed
  void begin(const SourcePtr& source);
  void end(const std::string& id);
  const TriggerCounters& counters_of(Source& source) const;
  EventOrigin origin_of(const Mapping& mapping) const;
  void batch_begins(const SourcePtr& source);
  void batch_over(const SourcePtr& source);
};

}  // namespace mayfly::triggers
