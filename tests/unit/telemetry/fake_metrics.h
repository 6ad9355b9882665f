#pragma once
// Metrics that a test can read.

#include <map>
#include <string>

#include "telemetry/telemetry.h"

namespace mayfly::telemetry::testing {

class FakeMetrics final : public Metrics {
 public:
  struct Cell final : Counter, Gauge, Histogram {
    double value = 0;
    int count = 0;  // of observations
    void add(double n) override { value += n; }
    void set(double v) override { value = v; }
    void observe(double) override { ++count; }
  };
  Counter& counter(const std::string& name, const std::string&, const Labels& labels) override {
    return at(name, labels);
  }
  Gauge& gauge(const std::string& name, const std::string&, const Labels& labels) override {
    return at(name, labels);
  }
  Histogram& histogram(const std::string& name, const std::string&, const Labels& labels,
                       std::vector<double>) override {
    return at(name, labels);
  }
  void before_exposition(std::function<void()> refresh) override { refresh_ = std::move(refresh); }
  std::string exposition() override {
    if (refresh_) refresh_();
    return {};
  }
  Cell& at(const std::string& name, const Labels& labels = {}) {
    std::string key = name;
    for (const auto& [label, value] : labels) key += "," + label + "=" + value;
    return cells_[key];
  }

 private:
  std::map<std::string, Cell> cells_;
  std::function<void()> refresh_;
};

}  // namespace mayfly::telemetry::testing
