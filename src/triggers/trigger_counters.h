#pragma once
// What becomes of the messages of one queue trigger, on the metrics page. The names follow what
// Lambda counts for an event source mapping (EventCount).

#include <array>
#include <cstddef>

#include "telemetry/telemetry.h"
#include "triggers/mapping.h"

namespace mayfly::triggers {

class TriggerCounters {
 public:
  enum What : std::size_t {
    polled,         // taken from the queue
    filtered,       // no filter wanted them
    invoked,        // the function ran with them; again for each run
    failed,         // an invocation with them failed, or they were named in batchItemFailures
    deleted,        // handled, and removed from the queue
    on_failure,     // delivered to the mapping's target of failures
    dead_lettered,  // moved to the queue's dead letters
    kinds,
  };

  // metrics may be null: nothing is counted. The series of a mapping are those of its queue and
  // function: one that is made anew goes on with them.
  TriggerCounters(telemetry::Metrics* metrics, const Mapping& mapping);

  void add(What what, std::size_t messages) const {
    if (counters_[what] != nullptr && messages > 0)
      counters_[what]->add(static_cast<double>(messages));
  }

 private:
  std::array<telemetry::Metrics::Counter*, kinds> counters_{};  // the registry's
};

}  // namespace mayfly::triggers
