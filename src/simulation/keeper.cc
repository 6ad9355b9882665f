#include "simulation/keeper.h"

#include <cmath>
#include <vector>

#include "engine/policy/hybrid_histogram.h"

namespace mayfly::simulation {
namespace {

using engine::policy::GapHistory;
using engine::policy::HybridHistogram;
using engine::policy::KeepCosts;
using engine::policy::KeepWindow;

class FixedKeeper : public Keeper {
 public:
  explicit FixedKeeper(microseconds keep_alive) : keep_alive_(keep_alive) {}
  void add_pool() override {}
  void on_call(std::uint32_t, microseconds) override {}
  void on_reuse(std::uint32_t, microseconds) override {}
  void on_end(std::uint32_t, SteadyTime) override {}
  void on_miss(std::uint32_t, SteadyTime) override {}
  void on_prewarm(std::uint32_t) override {}
  KeepWindow window(std::uint32_t, const KeepCosts&, bool) override {
    return {microseconds(0), keep_alive_};
  }

 private:
  microseconds keep_alive_;
};

class HybridKeeper final : public FixedKeeper {
 public:
  HybridKeeper() : FixedKeeper(microseconds(0)) {}
  void add_pool() override { histograms_.emplace_back(); }
  void on_call(std::uint32_t pool, microseconds idle_for) override {
    histograms_[pool].add(idle_for);
  }
  KeepWindow window(std::uint32_t pool, const KeepCosts&, bool alone) override {
    KeepWindow window = histograms_[pool].window();
    // While others are busy the application is not unloaded.
    if (!alone) window.from = microseconds(0);
    return window;
  }

 private:
  std::vector<HybridHistogram> histograms_;
};

class LearningKeeper final : public FixedKeeper {
 public:
  LearningKeeper() : FixedKeeper(microseconds(0)) {}
  void add_pool() override { histories_.emplace_back(); }
  void on_reuse(std::uint32_t pool, microseconds gap) override { histories_[pool].on_reuse(gap); }
  void on_end(std::uint32_t pool, SteadyTime since) override { histories_[pool].on_end(since); }
  void on_miss(std::uint32_t pool, SteadyTime now) override { histories_[pool].on_miss(now); }
  void on_prewarm(std::uint32_t pool) override { histories_[pool].on_restart(); }
  KeepWindow window(std::uint32_t pool, const KeepCosts& costs, bool alone) override {
    KeepWindow window = histories_[pool].window(costs);
    // No call is expected before the window begins; another instance is there in case one comes.
    if (window.from.count() > 0 && !alone) return {};
    return window;
  }

 private:
  std::vector<GapHistory> histories_;
};

}  // namespace

std::unique_ptr<Keeper> make_keeper(const PolicyOptions& options) {
  switch (options.kind) {
    case PolicyKind::hybrid:
      return std::make_unique<HybridKeeper>();
    case PolicyKind::mayfly:
      return std::make_unique<LearningKeeper>();
    case PolicyKind::fixed:
      break;
  }
  return std::make_unique<FixedKeeper>(microseconds(std::llround(options.keep_alive_s * 1e6)));
}

}  // namespace mayfly::simulation
