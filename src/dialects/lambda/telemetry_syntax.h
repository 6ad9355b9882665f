#pragma once
// Subscriptions of the Telemetry API (2022-07-01) and the Logs API (2020-08-15), and the text of
// their events; without I/O. Pure; what comes in is hostile.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace mayfly::dialects::lambda {

struct TelemetrySubscription {
  std::vector<std::string> types;  // "platform", "function", "extension"
  std::size_t items_max = 10'000, bytes_max = 256 * 1024;
  std::chrono::milliseconds timeout{1'000};
  std::uint16_t port = 0;  // of the sandbox's loopback
  std::string path = "/";
  bool logs_api = false;

  bool wants(std::string_view type) const;
};

// The errors are sentences.
Result<TelemetrySubscription> parse_subscription(std::string_view body, bool logs_api);

// {"time":"...","type":"...","record":RECORD}; record is JSON.
std::string telemetry_event(WallTime time, std::string_view type, std::string_view record);
// The record of a line: a text; with JSON logs the object that the line is.
std::string line_record(std::string_view line, bool json_logs);
// 12.345
std::string json_ms(std::chrono::microseconds time);

}  // namespace mayfly::dialects::lambda
