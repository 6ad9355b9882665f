#include "simulation/keeper.h"

#include <cmath>
#include <vector>

#include "engine/policy/hybrid_histogram.h"

namespace mayfly::simulation {
namespace {

using engine::policy::GapHistory;
using engine::policy::HybridHistogram;
using engine::policy::KeepCosts;
using engine::policy::KeepPlan;

class FixedKeeper : public Keeper {
 public:
  explicit FixedKeeper(microseconds keep_alive) : keep_alive_(keep_alive) {}
  void add_pool() override {}
  void on_call(std::uint32_t, microseconds) override {}
  void on_reuse(std::uint32_t, microseconds) override {}
  void on_end(std::uint32_t, SteadyTime) override {}
  void on_miss(std::uint32_t, SteadyTime) override {}
  void on_prewarm(std::uint32_t) override {}
  KeepPlan plan(std::uint32_t, const KeepCosts&, microseconds, bool) override {
    return {keep_alive_};
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
  KeepPlan plan(std::uint32_t pool, const KeepCosts&, microseconds, bool alone) override {
    const auto window = histograms_[pool].window();
    // While others are busy the application is not unloaded.
    if (!alone || window.from.count() == 0) return {window.until};
    return {microseconds(0), window.from, window.until};
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
  KeepPlan plan(std::uint32_t pool, const KeepCosts& costs, microseconds start,
                bool alone) override {
    return engine::policy::keep_plan(histories_[pool].window(costs), start, alone);
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
