#pragma once
// What binds topics and event buses to async calls: deliveries that are no messages for queues.

#include "triggers/async_calls.h"
#include "triggers/fanout.h"

namespace mayfly::triggers {

// calls outlives what this returns.
AddCall add_calls_to(AsyncCalls& calls);

}  // namespace mayfly::triggers
