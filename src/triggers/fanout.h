#pragma once
// One event, many targets, one transaction: what topics and event buses put into a batch of the
// queue engine. A queue gets its message in that batch; everything else becomes a durable call
// (async_calls.h) in it, which then tries, retries and ends in its dead letters by itself.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/invocation.h"
#include "queues/engine.h"
#include "triggers/cloud_event.h"
#include "triggers/targets.h"

namespace mayfly::triggers {

struct Outgoing {
  Target target;
  Delivery delivery;
  std::vector<queues::MessageAttribute> attributes;  // queues; beside those of the delivery
  // Functions; see NewCall.
  engine::PayloadKind kind = engine::PayloadKind::event;
  std::string head;
  std::string dead_letter;  // target, as text; empty: none
  std::optional<std::uint32_t> retries;
  std::optional<std::int64_t> max_age_s;
  std::uint32_t hops = 0;
};

// Adds a durable call for what is no queue (fanout_calls.h); batch outlives the task.
using AddCall = std::function<io::Task<Status>(queues::Batch* batch, Outgoing out)>;

// Belongs to one loop; outlives its tasks.
class Fanout {
 public:
  Fanout(queues::QueueEngine& queues, AddCall add_call);

  // batch outlives the task. A target that cannot take the event for good (no such queue, too
  // large for it) is no error of the event: it goes to the dead letters with the reason, or is
  // logged when there are none. An error is one that the sender must know: nothing may be
  // committed then.
  io::Task<Status> add(queues::Batch* batch, Outgoing out);

 private:
  // False, with the reason, when the queue cannot take it.
  bool add_message(queues::Batch& batch, Outgoing& out, std::string& reason);
  io::Task<Status> give_up(queues::Batch* batch, Outgoing out, std::string reason);

  queues::QueueEngine& queues_;
  const AddCall add_call_;
};

// The head of the request by which a function that takes HTTP gets an event, as frames carry it.
std::string event_request(const CloudEvent& event);

}  // namespace mayfly::triggers
