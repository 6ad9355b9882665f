#pragma once
// Internal to the queue triggers: receives for one mapping, and what happens to a batch.

#include "triggers/trigger_state.h"

namespace mayfly::triggers {

// Until poller->ended.
io::Task<void> poll(std::shared_ptr<QueueTriggers::State> state, std::shared_ptr<Poller> poller);

// Runs the messages, and settles, gives back or gives up each of them.
io::Task<void> run_batch(std::shared_ptr<QueueTriggers::State> state, SourcePtr source,
                         std::vector<queues::Message> messages);

// How long received messages are hidden: as the queue says, and no less than a run of the function
// may take.
std::uint32_t hold_seconds(const Mapping& mapping, const queues::QueueInfo& queue,
                           const functions::Version& version);

}  // namespace mayfly::triggers
