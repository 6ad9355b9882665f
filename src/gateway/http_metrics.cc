#include "gateway/http_metrics.h"

#include <algorithm>

namespace mayfly::gateway {

HttpMetrics::HttpMetrics(telemetry::Metrics& metrics)
    : metrics_(metrics),
      in_flight_(metrics.gauge("mayfly_http_requests_in_flight",
                               "Requests at the gateway whose answer has not begun.", {})),
      duration_(metrics.histogram(
          "mayfly_http_request_duration_seconds",
          "Time from the request's head to the head of its answer, at the gateway.", {},
          {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30})) {}

void HttpMetrics::end(std::string_view method, int status, SteadyTime::duration took) {
  in_flight_.add(-1);
  const auto known = std::find(kMethods.begin(), kMethods.end() - 1, method);
  const auto row = static_cast<std::size_t>(known - kMethods.begin());
  const auto column = static_cast<std::size_t>(std::clamp(status / 100, 0, 5));
  auto*& counter = counters_[row][column];
  if (counter == nullptr)
    counter = &metrics_.counter(
        "mayfly_http_requests_total",
        "Requests answered by the gateway, by method and class of status.",
        {{"method", std::string(kMethods[row])}, {"status", std::string(kClasses[column])}});
  counter->add();
  duration_.observe(std::chrono::duration<double>(took).count());
}

}  // namespace mayfly::gateway
