#pragma once
// Failures that the adapters' protocols share. Internal.

#include <memory>

#include "engine/instance_protocol.h"

namespace mayfly::dialects::adapters {

// abort() has ended the call.
inline std::shared_ptr<engine::Failure> cancelled() {
  auto failure = engine::crash_failure(telemetry::Phase::run, "the call was cancelled");
  failure->outcome = telemetry::Outcome::cancelled;
  failure->party = telemetry::Party::client;
  failure->code = Code::cancelled;
  return failure;
}

}  // namespace mayfly::dialects::adapters
