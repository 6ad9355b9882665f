#pragma once
// The lines that AWS Lambda writes around the log of a call: START, END, REPORT. Whoever shows the
// log of a call as Lambda does (LogType Tail, CloudWatch Logs, the Telemetry API) composes them
// here. Pure; any thread.
// Source: aws-lambda-runtime-interface-emulator (internal/lambda/rie), and CloudWatch's log lines.

#include <string>
#include <string_view>

#include "base/clock.h"
#include "telemetry/record.h"

namespace mayfly::telemetry {

// What the lines say of one call. Times in microseconds.
struct CallReport {
  std::string request_id;
  std::uint64_t version = 0;  // 0: $LATEST
  std::uint64_t run_us = 0;
  std::uint64_t init_us = 0;    // of the start that it waited for; 0: none
  std::uint32_t memory_mb = 0;  // the limit
  std::uint64_t memory_peak_bytes = 0;
  bool restored = false;  // that start was a clone, as with SnapStart
  Outcome outcome = Outcome::ok;
  std::string error_type;  // "Runtime.ExitError", of a call that did not end as a function does
  std::string trace_id;    // X-Ray form; may be empty
};
CallReport report_of(const Record& record);

constexpr std::size_t kLogTailMax = 4096;  // bytes, as on AWS

// No line has its newline. Members of REPORT are separated by tabs.
std::string start_line(const CallReport& report);
std::string end_line(const CallReport& report);
std::string report_line(const CallReport& report);
std::string timeout_line(WallTime now, std::string_view request_id, milliseconds timeout);

// "$LATEST" or the number.
std::string version_text(std::uint64_t version);
// Whole milliseconds that are paid for: initialisation and run, rounded up.
std::uint64_t billed_ms(const CallReport& report);

// The whole log of a call as Lambda has it: START, log (lines with their newlines), END, REPORT; of
// that the last max bytes, cut between characters.
std::string log_with_report(const CallReport& report, std::string_view log,
                            std::size_t max = kLogTailMax);

// Of platform records; each has a level of its own, a failed call's is warn.
enum class SystemLogLevel { debug, info, warn };
// The log of a call in the log format JSON: platform.start, log, platform.runtimeDone and
// platform.report, as far as the level lets them; cut as above.
std::string log_with_records(WallTime now, const CallReport& report, std::string_view log,
                             SystemLogLevel level, std::size_t max = kLogTailMax);

// The same as the JSON records of the Telemetry API and of the log format JSON:
// {"time","type":"platform.start","record":{...}}.
std::string start_record(WallTime now, const CallReport& report);
std::string report_record(WallTime now, const CallReport& report);
std::string runtime_done_record(WallTime now, const CallReport& report);

}  // namespace mayfly::telemetry
