#include "telemetry/record.h"

namespace mayfly::telemetry {

std::string_view party_name(Party party) {
  switch (party) {
    case Party::none:
      return "none";
    case Party::client:
      return "client";
    case Party::gateway:
      return "gateway";
    case Party::platform:
      return "platform";
    case Party::function:
      return "function";
    case Party::dependency:
      return "dependency";
  }
  return "none";
}

std::string_view phase_name(Phase phase) {
  switch (phase) {
    case Phase::none:
      return "none";
    case Phase::accept:
      return "accept";
    case Phase::route:
      return "route";
    case Phase::authorize:
      return "authorize";
    case Phase::queue:
      return "queue";
    case Phase::start:
      return "start";
    case Phase::init:
      return "init";
    case Phase::run:
      return "run";
    case Phase::reply:
      return "reply";
  }
  return "none";
}

std::string_view start_name(StartKind start) {
  switch (start) {
    case StartKind::none:
      return "none";
    case StartKind::boot:
      return "boot";
    case StartKind::clone:
      return "clone";
  }
  return "none";
}

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "ok";
    case Outcome::function_error:
      return "function_error";
    case Outcome::crash:
      return "crash";
    case Outcome::out_of_memory:
      return "out_of_memory";
    case Outcome::timeout:
      return "timeout";
    case Outcome::refused:
      return "refused";
    case Outcome::init_failed:
      return "init_failed";
    case Outcome::cancelled:
      return "cancelled";
    case Outcome::platform_error:
      return "platform_error";
  }
  return "platform_error";
}

}  // namespace mayfly::telemetry
