#include "simulation/simulator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "simulation/report.h"

namespace mayfly::simulation {
namespace {

LoadOptions load_of(unsigned functions, double hours) {
  LoadOptions options;
  options.functions = functions;
  options.hours = hours;
  options.warmup_h = 0;
  return options;
}

// One function of 100 MB that runs 1 s and whose boot takes 200 ms, called every five minutes for
// an hour.
class TimerCase : public ::testing::Test {
 protected:
  TimerCase() : load_(options(), {{0, 1, 288, 0}}, {function()}) {
    Arrivals arrivals(load_);
    first_s_ = double(arrivals.next_at(0)) / 1e6;
    cluster_.model.boot_ms = 35;
  }
  static LoadOptions options() {
    LoadOptions options = load_of(1, 1);
    options.run_sigma = 0;
    return options;
  }
  static Function function() {
    return {.memory_mb = 100, .run_mean_us = 1'000'000, .init_us = 165'000};
  }
  Outcome run(PolicyOptions policy) { return simulate(load_, cluster_, policy); }
  static PolicyOptions fixed(double keep_alive_s) {
    return {.kind = PolicyKind::fixed, .keep_alive_s = keep_alive_s};
  }

  Load load_;
  Cluster cluster_;
  double first_s_ = 0;
};

TEST_F(TimerCase, FixedBootsOnceAndIdlesInBetween) {
  const Outcome o = run(fixed(600));
  EXPECT_EQ(o.calls, 12);
  EXPECT_EQ(o.boots, 1u);
  EXPECT_EQ(o.booted, 1);
  EXPECT_EQ(o.warm, 11);
  // Idle: 298.8 s after the first call, 299 s after ten more, then to the end of the hour.
  const double idle_s = 298.8 + 10 * 299 + (3600 - first_s_ - 3301);
  EXPECT_NEAR(o.held_gb_h() * 3600, 0.1 * idle_s, 1e-6);
  EXPECT_NEAR(o.busy_gb_h * 3600, 0.1 * (0.2 + 12), 1e-6);
  EXPECT_NEAR(o.function_slowdown_p50, 1 + 0.2 / 12, 1e-9);
  EXPECT_NEAR(o.function_cold_p50, 1.0 / 12, 1e-9);
  EXPECT_EQ(o.delay_p50_ms, 0);
  EXPECT_NEAR(o.delay_p99_ms, 200, 4);
  EXPECT_NEAR(o.slowdown_p99, 1.2, 0.004);
}

TEST_F(TimerCase, ShortKeepAliveBootsEachTime) {
  const Outcome o = run(fixed(60));
  EXPECT_EQ(o.boots, 12u);
  EXPECT_EQ(o.booted, 12);
  const double last = std::min(60.0, 3600 - first_s_ - 3301.2);
  EXPECT_NEAR(o.held_gb_h() * 3600, 0.1 * (11 * 60 + last), 1e-6);
  EXPECT_NEAR(o.function_slowdown_p50, 1.2, 1e-9);
  EXPECT_NEAR(o.boot_cpu_h * 3600, 12 * 0.2, 1e-9);
}

TEST_F(TimerCase, NoKeepAliveHoldsNothing) {
  const Outcome o = run(fixed(0));
  EXPECT_EQ(o.boots, 12u);
  EXPECT_EQ(o.held_gb_h(), 0);
}

TEST_F(TimerCase, HybridStartsAheadOfTheNextCall) {
  const Outcome o = run({.kind = PolicyKind::hybrid});
  EXPECT_EQ(o.booted, 1);
  EXPECT_EQ(o.warm, 11);
  // After the first call nothing is known: kept. From the second on the idle time of 299 s lies in
  // bin 4: unloaded, and there again from 216 s (four minutes less a tenth) on.
  const double after_last = 3600 - first_s_ - 3301;
  EXPECT_NEAR(o.held_gb_h() * 3600,
              0.1 * (298.8 + 10 * (299 - 216) + std::max(0.0, after_last - 216)), 1e-6);
  EXPECT_EQ(o.prewarmed, after_last > 215.8 ? 11u : 10u);
  EXPECT_EQ(o.boots, 1 + o.prewarmed);
}

TEST_F(TimerCase, TemplateMakesEveryFurtherCallAClone) {
  // Memory so dear that nothing idle is kept for longer than it must; room for the one template.
  const Outcome o = run({.kind = PolicyKind::mayfly, .template_budget = 1, .memory_price = 1e9});
  EXPECT_EQ(o.boots, 1u);
  EXPECT_EQ(o.booted, 1);
  EXPECT_EQ(o.cloned, 11);
  EXPECT_EQ(o.templates_made, 1u);
  // The template stands from the first call on.
  EXPECT_NEAR(o.templates_gb_h * 3600, 0.1 * (3600 - first_s_), 1e-6);
  // Each clone stays for two seconds, with its own memory.
  EXPECT_NEAR(o.idle_gb_h * 3600, 12 * 2 * 0.008, 1e-6);
  // A clone: 0.5 ms, and 20 us for each of 100 MB; the first call waits for both.
  EXPECT_NEAR(o.function_slowdown_p50, 1 + (0.2025 + 11 * 0.0025) / 12, 1e-9);
  // Its own memory while it runs: 3 MB and a twentieth.
  EXPECT_NEAR(o.busy_gb_h * 3600, 0.008 * (12 + 0.2025 + 11 * 0.0025), 1e-6);
}

TEST_F(TimerCase, WithoutRoomForATemplateNoneIsMade) {
  const Outcome o = run({.kind = PolicyKind::mayfly, .template_budget = 0.99, .memory_price = 1e9});
  EXPECT_EQ(o.booted, 12);
  EXPECT_EQ(o.clones, 0u);
  EXPECT_NEAR(o.held_gb_h() * 3600, 12 * 2 * 0.1, 1e-6);
}

TEST_F(TimerCase, FreeMemoryIsKept) {
  const Outcome o = run({.kind = PolicyKind::mayfly, .template_budget = 0, .memory_price = 0});
  EXPECT_EQ(o.booted, 1);
  EXPECT_EQ(o.warm, 11);
}

TEST_F(TimerCase, LearntWindowIsShorterThanAFixedOne) {
  LoadOptions options = this->options();
  options.hours = 12;
  const Load load(options, {{0, 1, 288, 0}}, {function()});
  const Outcome ours = simulate(
      load, cluster_, {.kind = PolicyKind::mayfly, .template_budget = 0, .memory_price = 10});
  const Outcome theirs = simulate(load, cluster_, fixed(600));
  EXPECT_GT(ours.warm, 130);
  EXPECT_LT(ours.held_gb_h(), 0.15 * theirs.held_gb_h());
}

TEST_F(TimerCase, WarmUpIsNotCounted) {
  LoadOptions options = this->options();
  options.warmup_h = 1;
  const Load load(options, {{0, 1, 288, 0}}, {function()});
  const Outcome o = simulate(load, cluster_, fixed(600));
  EXPECT_EQ(o.calls, 12);
  EXPECT_EQ(o.booted, 0);
  EXPECT_NEAR(o.held_gb_h() * 3600, 0.1 * (3600 - 12), 1e-6);
}

TEST_F(TimerCase, NodeThatIsTooSmallRefuses) {
  cluster_.model.node_memory_gb = 0.05;
  const Outcome o = run(fixed(600));
  EXPECT_EQ(o.refused, 12);
  EXPECT_EQ(o.boots, 0u);
}

TEST(Simulator, RoomIsMadeFromIdleInstancesOfOthers) {
  LoadOptions options = load_of(2, 1);
  options.run_sigma = 0;
  const Function function{.memory_mb = 100, .run_mean_us = 1000, .init_us = 1000};
  // Two functions in turn, a call every minute; one instance fits.
  const Load load(options, {{0, 2, 1440, 0}}, {function, function});
  const PolicyOptions fixed{.kind = PolicyKind::fixed};
  Cluster cluster;
  cluster.model.node_memory_gb = 0.15;
  const Outcome tight = simulate(load, cluster, fixed);
  EXPECT_EQ(tight.boots, 60u);
  EXPECT_EQ(tight.instances_evicted, 59u);
  EXPECT_EQ(tight.refused, 0);
  options.warmup_h = 1;
  const Outcome later =
      simulate(Load(options, {{0, 2, 1440, 0}}, {function, function}), cluster, fixed);
  EXPECT_EQ(later.boots, 60u);
  EXPECT_EQ(later.instances_evicted, 60u) << "those of the warm-up are not counted";
  cluster.model.node_memory_gb = 0.25;
  const Outcome roomy = simulate(load, cluster, fixed);
  EXPECT_EQ(roomy.boots, 2u);
  EXPECT_EQ(roomy.instances_evicted, 0u);
  // Two nodes of the small size are as good.
  cluster.model.node_memory_gb = 0.15;
  cluster.nodes = 8;
  const Outcome spread = simulate(load, cluster, fixed);
  EXPECT_EQ(spread.boots, 2u);
}

TEST(Simulator, BudgetOfTemplatesIsKept) {
  const Load load(load_of(300, 3));
  double all = 0;
  for (const auto& function : load.functions()) all += function.memory_mb / 1000;
  for (const std::uint32_t nodes : {1u, 7u}) {
    Cluster cluster;
    cluster.nodes = nodes;
    cluster.sample_minutes = 1;
    const Outcome o = simulate(load, cluster, {.template_budget = 0.1, .memory_price = 30});
    EXPECT_GT(o.templates_evicted, 0u);
    for (const auto& sample : o.series) EXPECT_LE(sample.templates_gb, 0.1 * all + 1e-9);
  }
}

// Calls are neither lost nor invented, and memory never goes below nothing, whatever the policy.
TEST(Simulator, EveryCallIsAccountedFor) {
  const Load load(load_of(400, 4));
  double calls = 0, cut = 0;
  for_each_call(load, [&](const Call& call) {
    calls += load.functions()[call.function].weight;
    cut += 1;
  });
  for (const auto kind : {PolicyKind::fixed, PolicyKind::hybrid, PolicyKind::mayfly})
    for (const double gb : {0.0, 4.0}) {
      Cluster cluster;
      cluster.nodes = 3;
      cluster.model.node_memory_gb = gb;
      PolicyOptions policy{.kind = kind};
      policy.template_budget = 0.03;
      const Outcome o = simulate(load, cluster, policy);
      // Those that still wait at the end have met nothing yet.
      EXPECT_LE(o.simulated_calls, cut);
      EXPECT_GT(o.simulated_calls, cut * 0.98);
      EXPECT_NEAR(o.warm + o.queued + o.cloned + o.booted + o.refused, o.calls, o.calls * 1e-9);
      if (gb == 0) {
        EXPECT_EQ(o.refused, 0);
      }
      for (const auto& sample : o.series) {
        EXPECT_GE(sample.idle_gb, 0);
        EXPECT_GE(sample.busy_gb, 0);
        EXPECT_GE(sample.templates_gb, 0);
        const double held = sample.idle_gb + sample.busy_gb + sample.templates_gb;
        EXPECT_LE(held, gb > 0 ? 3 * gb : 1e9);
      }
    }
}

TEST(Simulator, SameSeedSameOutcome) {
  Experiment experiment;
  experiment.load.functions = 200;
  experiment.load.hours = 2;
  experiment.load.warmup_h = 1;
  const auto once = [&] {
    const Load load(experiment.load);
    return std::vector<Outcome>{simulate(load, experiment.cluster, {.kind = PolicyKind::fixed}),
                                simulate(load, experiment.cluster, {.kind = PolicyKind::mayfly})};
  };
  const auto first = once();
  const std::string json = report_json(experiment, first);
  EXPECT_EQ(json, report_json(experiment, once()));
  EXPECT_EQ(plot_svg(experiment, first), plot_svg(experiment, once()));
  EXPECT_NE(json.find("\"seed\":1,"), std::string::npos);
  EXPECT_NE(report_text(experiment, first).find("seed 1"), std::string::npos);
  experiment.load.seed = 2;
  EXPECT_NE(json, report_json(experiment, once()));
}

TEST(Report, PictureIsWellFormedForAnyOutcome) {
  const Experiment experiment;
  for (const auto& outcomes : {std::vector<Outcome>{}, std::vector<Outcome>(1)}) {
    const std::string svg = plot_svg(experiment, outcomes);
    EXPECT_EQ(svg.rfind("<svg", 0), 0u);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
    EXPECT_NE(svg.find("</svg>"), std::string::npos);
  }
}

}  // namespace
}  // namespace mayfly::simulation
