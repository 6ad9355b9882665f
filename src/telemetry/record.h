#pragma once
// One record for each invocation: who, when, how long in each phase, what it used, how it ended,
// who failed, what it costs. The owner of the numbers is the engine; this room keeps and sums them.

#include <cstdint>
#include <string>
#include <string_view>

namespace mayfly::telemetry {

enum class Party : std::uint8_t { none, client, gateway, platform, function, dependency };
enum class Phase : std::uint8_t { none, accept, route, authorize, queue, start, init, run, reply };
enum class Outcome : std::uint8_t {
  ok,
  function_error,  // the handler threw or returned an error
  crash,           // the instance ended while it ran
  out_of_memory,
  timeout,
  refused,  // no capacity: 429
  init_failed,
  cancelled,  // the caller went away
  platform_error,
};
std::string_view party_name(Party party);
std::string_view phase_name(Phase phase);
std::string_view outcome_name(Outcome outcome);
// How the instance came to be that a call waited for.
enum class StartKind : std::uint8_t {
  none,   // it waited for none
  boot,   // the program was started, and ran the user's initialisation
  clone,  // cloned from a template that had
};
std::string_view start_name(StartKind start);
// Not an invocation that the caller pays for.
inline bool is_unbilled(Outcome outcome) {
  return outcome == Outcome::refused || outcome == Outcome::platform_error;
}

// All times in microseconds. Phases add up to the time between arrival and end.
struct Record {
  std::string request_id;
  std::string function;
  std::uint64_t version = 0;  // 0: $LATEST
  std::string revision;
  std::string instance;         // id of the instance; empty if none was reached
  std::string source;           // "http", "invoke", "check", "async", "schedule" ...
  std::uint32_t attempt = 1;    // of a call that is tried several times
  std::int64_t arrived_us = 0;  // Unix epoch
  std::uint64_t queue_us = 0;   // waiting for an instance that was busy or not asked for yet
  std::uint64_t start_us = 0;   // making the sandbox (cold start only)
  std::uint64_t init_us = 0;    // the user's initialisation (cold start only)
  std::uint64_t run_us = 0;     // in the handler, until the last byte of its answer
  std::uint64_t cpu_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint32_t memory_mb = 0;  // the limit, which the price depends on
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  bool cold = false;
  StartKind start = StartKind::none;  // of the start that it waited for
  Outcome outcome = Outcome::ok;
  Party party = Party::none;    // who failed
  Phase phase = Phase::none;    // where it failed
  int http_status = 0;          // of the answer that the caller got; 0: it got none
  std::string error;            // one line, empty when ok
  std::int64_t price_nano = 0;  // billionths of the currency unit of the price table
};

}  // namespace mayfly::telemetry
