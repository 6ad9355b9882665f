#pragma once
// Request counters of the gateway. Handles are looked up once for each pair of method and class of
// status, so that a request costs a few additions.

#include <array>
#include <string_view>

#include "base/clock.h"
#include "telemetry/telemetry.h"

namespace mayfly::gateway {

// Belongs to one loop; what it counts is that of all gateways of the server.
class HttpMetrics {
 public:
  explicit HttpMetrics(telemetry::Metrics& metrics);

  void begin() { in_flight_.add(1); }
  // The head of the answer is there, or the client is gone (status 0).
  void end(std::string_view method, int status, SteadyTime::duration took);

 private:
  static constexpr std::array<std::string_view, 8> kMethods = {"GET",  "POST",    "PUT",   "DELETE",
                                                               "HEAD", "OPTIONS", "PATCH", "other"};
  static constexpr std::array<std::string_view, 6> kClasses = {"gone", "1xx", "2xx",
                                                               "3xx",  "4xx", "5xx"};

  telemetry::Metrics& metrics_;
  telemetry::Metrics::Gauge& in_flight_;
  telemetry::Metrics::Histogram& duration_;
  std::array<std::array<telemetry::Metrics::Counter*, kClasses.size()>, kMethods.size()>
      counters_{};
};

}  // namespace mayfly::gateway
