#include "triggers/trigger_counters.h"

namespace mayfly::triggers {

TriggerCounters::TriggerCounters(telemetry::Metrics* metrics, const Mapping& mapping) {
  if (metrics == nullptr) return;
  const telemetry::Metrics::Labels labels{{"queue", mapping.queue},
                                          {"function", mapping.qualified()}};
  const auto counter = [&](What what, const char* name, const char* help) {
    counters_[what] = &metrics->counter(name, help, labels);
  };
  counter(polled, "mayfly_trigger_polled_messages_total", "Messages that a trigger received.");
  counter(filtered, "mayfly_trigger_filtered_messages_total",
          "Messages that no filter of the trigger wanted.");
  counter(invoked, "mayfly_trigger_invoked_messages_total",
          "Messages that the function ran with, once for each run.");
  counter(failed, "mayfly_trigger_failed_messages_total",
          "Messages of invocations that failed, or that the function named as failed.");
  counter(deleted, "mayfly_trigger_deleted_messages_total",
          "Messages that were handled and removed from the queue.");
  counter(on_failure, "mayfly_trigger_on_failure_messages_total",
          "Messages given up and delivered to the target of failures.");
  counter(dead_lettered, "mayfly_trigger_dead_lettered_messages_total",
          "Messages given up and moved to the dead letters of their queue.");
}

}  // namespace mayfly::triggers
