// Metrics over prometheus-cpp's core: families by name, handles that never move.

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>

#include "telemetry/telemetry.h"

namespace mayfly::telemetry {
namespace {

using prometheus::Family;

class CounterHandle final : public Metrics::Counter {
 public:
  explicit CounterHandle(prometheus::Counter& metric) : metric_(metric) {}
  void add(double n) override { metric_.Increment(n); }

 private:
  prometheus::Counter& metric_;
};

class GaugeHandle final : public Metrics::Gauge {
 public:
  explicit GaugeHandle(prometheus::Gauge& metric) : metric_(metric) {}
  void set(double value) override { metric_.Set(value); }
  void add(double n) override { metric_.Increment(n); }

 private:
  prometheus::Gauge& metric_;
};

class HistogramHandle final : public Metrics::Histogram {
 public:
  explicit HistogramHandle(prometheus::Histogram& metric) : metric_(metric) {}
  void observe(double value) override { metric_.Observe(value); }

 private:
  prometheus::Histogram& metric_;
};

class PrometheusMetrics final : public Metrics {
 public:
  Counter& counter(const std::string& name, const std::string& help,
                   const Labels& labels) override {
    std::lock_guard lock(mutex_);
    auto& handle = counters_[{name, labels}];
    if (handle == nullptr) {
      auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
      handle = std::make_unique<CounterHandle>(family.Add(to_map(labels)));
    }
    return *handle;
  }

  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels) override {
    std::lock_guard lock(mutex_);
    auto& handle = gauges_[{name, labels}];
    if (handle == nullptr) {
      auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
      handle = std::make_unique<GaugeHandle>(family.Add(to_map(labels)));
    }
    return *handle;
  }

  Histogram& histogram(const std::string& name, const std::string& help, const Labels& labels,
                       std::vector<double> bounds) override {
    std::lock_guard lock(mutex_);
    auto& handle = histograms_[{name, labels}];
    if (handle == nullptr) {
      auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
      handle = std::make_unique<HistogramHandle>(family.Add(to_map(labels), std::move(bounds)));
    }
    return *handle;
  }

  void before_exposition(std::function<void()> refresh) override {
    std::lock_guard lock(mutex_);
    refreshers_.push_back(std::move(refresh));
  }

  std::string exposition() override {
    std::vector<std::function<void()>> refreshers;
    {
      std::lock_guard lock(mutex_);
      refreshers = refreshers_;
    }
    for (const auto& refresh : refreshers) refresh();
    return prometheus::TextSerializer().Serialize(registry_.Collect());
  }

 private:
  using Key = std::pair<std::string, Labels>;

  static prometheus::Labels to_map(const Labels& labels) {
    return prometheus::Labels(labels.begin(), labels.end());
  }

  // Merge: two parts of the program may add to one family.
  prometheus::Registry registry_{prometheus::Registry::InsertBehavior::Merge};
  std::mutex mutex_;
  // Protected by mutex_.
  std::map<Key, std::unique_ptr<CounterHandle>> counters_;
  std::map<Key, std::unique_ptr<GaugeHandle>> gauges_;
  std::map<Key, std::unique_ptr<HistogramHandle>> histograms_;
  std::vector<std::function<void()>> refreshers_;
};

}  // namespace

std::unique_ptr<Metrics> make_metrics() {
  return std::make_unique<PrometheusMetrics>();
}

}  // namespace mayfly::telemetry
