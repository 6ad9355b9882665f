#include "telemetry/report_lines.h"

#include <fmt/format.h>

namespace mayfly::telemetry {
namespace {

double to_ms(std::uint64_t us) {
  return static_cast<double>(us) / 1000.0;
}

std::uint64_t used_mb(const CallReport& report) {
  const std::uint64_t mb = (report.memory_peak_bytes + (1u << 20) - 1) >> 20;
  return mb == 0 ? 1 : mb;
}

// What Lambda calls the end of a call.
std::string_view status_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "success";
    case Outcome::timeout:
      return "timeout";
    case Outcome::function_error:
    case Outcome::crash:
    case Outcome::out_of_memory:
    case Outcome::init_failed:
      return "error";
    case Outcome::refused:
    case Outcome::cancelled:
    case Outcome::platform_error:
      return "failure";
  }
  return "failure";
}

// For ids, which hold no control characters but may come from a client.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  out += '"';
  return out;
}

std::string record_of(WallTime now, std::string_view type, std::string_view record) {
  return fmt::format("{{\"time\":\"{}\",\"type\":\"{}\",\"record\":{{{}}}}}", to_rfc3339(now), type,
                     record);
}

std::string tracing_of(const CallReport& report) {
  if (report.trace_id.empty()) return {};
  return fmt::format(",\"tracing\":{{\"type\":\"X-Amzn-Trace-Id\",\"value\":{}}}",
                     quoted(report.trace_id));
}

// Cut between characters.
std::string last_bytes(std::string text, std::size_t max) {
  if (text.size() <= max) return text;
  std::size_t from = text.size() - max;
  while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xc0) == 0x80) ++from;
  return text.substr(from);
}

std::string end_of_call(const CallReport& report) {
  std::string text = fmt::format(",\"status\":\"{}\"", status_of(report.outcome));
  if (!report.error_type.empty()) text += ",\"errorType\":" + quoted(report.error_type);
  return text;
}

}  // namespace

CallReport report_of(const Record& record) {
  CallReport report;
  report.request_id = record.request_id;
  report.version = record.version;
  report.run_us = record.run_us;
  report.restored = record.start == StartKind::clone;
  if (record.cold) report.init_us = record.init_us + (report.restored ? record.start_us : 0);
  report.memory_mb = record.memory_mb;
  report.memory_peak_bytes = record.memory_peak_bytes;
  report.outcome = record.outcome;
  return report;
}

std::string version_text(std::uint64_t version) {
  return version == 0 ? "$LATEST" : std::to_string(version);
}

std::uint64_t billed_ms(const CallReport& report) {
  return (report.run_us + report.init_us + 999) / 1000;
}

std::string start_line(const CallReport& report) {
  return fmt::format("START RequestId: {} Version: {}", report.request_id,
                     version_text(report.version));
}

std::string end_line(const CallReport& report) {
  return "END RequestId: " + report.request_id;
}

std::string report_line(const CallReport& report) {
  std::string line = fmt::format(
      "REPORT RequestId: {}\tDuration: {:.2f} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t"
      "Max Memory Used: {} MB",
      report.request_id, to_ms(report.run_us), billed_ms(report), report.memory_mb,
      used_mb(report));
  if (report.init_us > 0)
    line += fmt::format("\t{} Duration: {:.2f} ms", report.restored ? "Restore" : "Init",
                        to_ms(report.init_us));
  if (report.outcome == Outcome::timeout)
    line += "\tStatus: timeout";
  else if (!report.error_type.empty())
    line += "\tStatus: error\tError Type: " + report.error_type;
  return line;
}

std::string timeout_line(WallTime now, std::string_view request_id, milliseconds timeout) {
  return fmt::format("{} {} Task timed out after {:.2f} seconds", to_rfc3339(now), request_id,
                     static_cast<double>(timeout.count()) / 1000.0);
}

std::string log_with_report(const CallReport& report, std::string_view log, std::size_t max) {
  std::string text = start_line(report) + '\n';
  text.append(log);
  if (!text.ends_with('\n')) text += '\n';
  text += end_line(report) + '\n' + report_line(report) + '\n';
  return last_bytes(std::move(text), max);
}

// Levels by the table of AWS:
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
std::string log_with_records(WallTime now, const CallReport& report, std::string_view log,
                             SystemLogLevel level, std::size_t max) {
  const bool good = status_of(report.outcome) == "success";
  std::string text;
  if (level <= SystemLogLevel::info) text += start_record(now, report) + '\n';
  text.append(log);
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  if (!good || level == SystemLogLevel::debug) text += runtime_done_record(now, report) + '\n';
  if (!good || level <= SystemLogLevel::info) text += report_record(now, report) + '\n';
  return last_bytes(std::move(text), max);
}

std::string start_record(WallTime now, const CallReport& report) {
  return record_of(now, "platform.start",
                   fmt::format("\"requestId\":{},\"version\":\"{}\"{}", quoted(report.request_id),
                               version_text(report.version), tracing_of(report)));
}

std::string report_record(WallTime now, const CallReport& report) {
  std::string metrics = fmt::format(
      "\"durationMs\":{:.3f},\"billedDurationMs\":{},\"memorySizeMB\":{},\"maxMemoryUsedMB\":{}",
      to_ms(report.run_us), billed_ms(report), report.memory_mb, used_mb(report));
  if (report.init_us > 0)
    metrics += fmt::format(",\"{}DurationMs\":{:.3f}", report.restored ? "restore" : "init",
                           to_ms(report.init_us));
  return record_of(now, "platform.report",
                   fmt::format("\"requestId\":{},\"metrics\":{{{}}}{}{}", quoted(report.request_id),
                               metrics, tracing_of(report), end_of_call(report)));
}

std::string runtime_done_record(WallTime now, const CallReport& report) {
  return record_of(now, "platform.runtimeDone",
                   fmt::format("\"requestId\":{},\"metrics\":{{\"durationMs\":{:.3f}}}{}{}",
                               quoted(report.request_id), to_ms(report.run_us), tracing_of(report),
                               end_of_call(report)));
}

}  // namespace mayfly::telemetry
