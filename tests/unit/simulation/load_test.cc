#include "simulation/load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "simulation/azure_2019.h"

namespace mayfly::simulation {
namespace {

namespace azure = azure_2019;

// The figures published beside the distributions.
TEST(Azure2019, QuantilesAreThoseOfTheSource) {
  const auto near = [](std::span<const azure::CdfPoint> cdf, double u, double value) {
    EXPECT_NEAR(azure::quantile(cdf, u, 0.001) / value, 1, 0.08) << u << " " << value;
  };
  near(azure::calls_a_day(), 0.5, 74);
  near(azure::calls_a_day(), 0.75, 584);
  near(azure::calls_a_day(), 0.9, 4'504);
  near(azure::calls_a_day(), 0.99, 333'222);
  near(azure::run_ms(), 0.25, 125);
  near(azure::run_ms(), 0.5, 670);
  near(azure::run_ms(), 0.9, 16'555);
  near(azure::run_ms(), 0.99, 222'620);
  near(azure::memory_mb(), 0.5, 140);
  near(azure::memory_mb(), 0.99, 405);
  near(azure::gap_cv(), 0.5, 0.52);
  near(azure::gap_cv(), 0.9, 4.99);
  EXPECT_EQ(azure::quantile(azure::gap_cv(), 0.2, 0.001), 0);
}

TEST(Azure2019, DistributionsRiseToOne) {
  for (const auto cdf : {azure::calls_a_day(), azure::run_ms(), azure::memory_mb(),
                         azure::functions_of_an_app(), azure::gap_cv()}) {
    for (std::size_t i = 1; i < cdf.size(); ++i) {
      EXPECT_GT(cdf[i].value, cdf[i - 1].value);
      EXPECT_GT(cdf[i].share, cdf[i - 1].share);
    }
    EXPECT_EQ(cdf.back().share, 1);
  }
}

TEST(Azure2019, QuantileAndShareAreInverse) {
  for (const double u : {0.1, 0.3, 0.5, 0.77, 0.95, 0.999})
    EXPECT_NEAR(
        azure::share_below(azure::memory_mb(), azure::quantile(azure::memory_mb(), u, 1), 1), u,
        1e-9);
}

// Largest distance between what was drawn and the distribution.
double distance(std::vector<double> drawn, std::span<const azure::CdfPoint> cdf, double least) {
  std::sort(drawn.begin(), drawn.end());
  double worst = 0;
  for (std::size_t i = 0; i < drawn.size(); i += 7) {
    const auto above = std::upper_bound(drawn.begin(), drawn.end(), drawn[i]) - drawn.begin();
    const double share = double(above) / double(drawn.size());
    worst = std::max(worst, std::abs(share - azure::share_below(cdf, drawn[i], least)));
  }
  return worst;
}

TEST(Load, PopulationFollowsTheDistributions) {
  LoadOptions options;
  options.functions = 30'000;
  const Load load(options);
  ASSERT_EQ(load.functions().size(), 30'000u);
  std::vector<double> calls, cv, count, memory, run;
  for (const auto& application : load.applications()) {
    calls.push_back(application.calls_a_day);
    cv.push_back(application.cv);
    count.push_back(application.count);
    memory.push_back(load.functions()[application.first].memory_mb);
  }
  for (const auto& function : load.functions()) run.push_back(double(function.run_mean_us) / 1000);
  // Kolmogorov and Smirnov: 0.02 is over twice the 1 % bound for ten thousand applications.
  EXPECT_LT(distance(calls, azure::calls_a_day(), 1), 0.02);
  EXPECT_LT(distance(cv, azure::gap_cv(), 0.005), 0.02);
  EXPECT_LT(distance(memory, azure::memory_mb(), 30), 0.02);
  EXPECT_LT(distance(count, azure::functions_of_an_app(), 1), 0.02);
  // Cut at both ends: where the data have 0, and at the longest run.
  run.erase(
      std::remove_if(run.begin(), run.end(), [](double ms) { return ms < 2 || ms > 500'000; }),
      run.end());
  EXPECT_LT(distance(run, azure::run_ms(), 1), 0.05);
}

Load one_application(double calls_a_day, double cv, double hours, double peak = 1) {
  LoadOptions options;
  options.hours = hours;
  options.warmup_h = 0;
  options.peak = peak;
  options.rate_max = 100;
  options.run_sigma = 0;
  Function function;
  function.run_mean_us = 1000;
  return Load(options, {{0, 1, calls_a_day, cv}}, {function});
}

std::vector<double> times_of(const Load& load) {
  std::vector<double> times;
  for_each_call(load, [&](const Call& call) { times.push_back(double(call.at_us) / 1e6); });
  return times;
}

TEST(Load, GapsHaveTheirMeanAndVariation) {
  for (const double cv : {0.3, 1.0, 2.5}) {
    const auto times = times_of(one_application(86'400, cv, 24));
    const double count = double(times.size());
    EXPECT_NEAR(count, 86'400, 86'400 * 0.03) << cv;
    double sum = 0, squares = 0;
    for (std::size_t i = 1; i < times.size(); ++i) {
      const double gap = times[i] - times[i - 1];
      sum += gap;
      squares += gap * gap;
    }
    const double mean = sum / (count - 1);
    EXPECT_NEAR(std::sqrt(squares / (count - 1) - mean * mean) / mean / cv, 1, 0.05) << cv;
  }
}

TEST(Load, BurstsHaveTheSameMeanAndVariation) {
  LoadOptions options = one_application(1, 1, 24).options();
  options.burst_gap = 0.05;
  const Load load(options, {{0, 1, 86'400, 3}}, {Function{.run_mean_us = 1000}});
  const auto times = times_of(load);
  double squares = 0, shorter = 0;
  for (std::size_t i = 1; i < times.size(); ++i) {
    const double gap = times[i] - times[i - 1];
    squares += gap * gap;
    shorter += gap < 0.2;
  }
  EXPECT_NEAR(double(times.size()), 86'400, 86'400 * 0.04);
  EXPECT_NEAR(std::sqrt(squares / 86'400 - 1) / 3, 1, 0.06);
  EXPECT_GT(shorter / 86'400, 0.7);
}

TEST(Load, TimersKeepToTheirPeriod) {
  const auto times = times_of(one_application(288, 0, 24, 2));
  ASSERT_EQ(times.size(), 288u);
  EXPECT_LT(times[0], 300);
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_NEAR(times[i] - times[i - 1], 300, 1e-4);
}

TEST(Load, TimersOfAnApplicationTakeTurns) {
  LoadOptions options = one_application(1, 0, 1).options();
  const Load load(
      options, {{0, 3, 864, 0}},
      {Function{.run_mean_us = 1}, Function{.run_mean_us = 1}, Function{.run_mean_us = 1}});
  std::uint32_t next = 0;
  for_each_call(load, [&](const Call& call) { EXPECT_EQ(call.function, next++ % 3); });
  EXPECT_EQ(next, 36u);
}

TEST(Load, DaysHaveTheirPeak) {
  std::vector<double> hours(24);
  for (const double at : times_of(one_application(1'000'000, 1, 24, 2)))
    ++hours[static_cast<std::size_t>(at / 3600)];
  const double most = *std::max_element(hours.begin(), hours.end());
  const double least = *std::min_element(hours.begin(), hours.end());
  EXPECT_NEAR(most / least, 2, 0.1);
}

TEST(Load, HotApplicationsAreCutAndTheirCallsStandForMore) {
  LoadOptions options;
  options.functions = 2000;
  options.rate_max = 0.5;
  const Load load(options);
  for (const auto& application : load.applications()) {
    EXPECT_LE(load.simulated_rate(application), 0.5);
    EXPECT_NEAR(
        load.simulated_rate(application) * 86'400 * load.functions()[application.first].weight,
        application.calls_a_day, application.calls_a_day * 1e-9);
  }
}

TEST(Load, SameSeedSameCalls) {
  LoadOptions options;
  options.functions = 50;
  options.hours = 1;
  options.warmup_h = 0;
  const auto text = [](const LoadOptions& wanted) {
    std::ostringstream out;
    write_trace(Load(wanted), out);
    return out.str();
  };
  const std::string first = text(options);
  EXPECT_EQ(first, text(options));
  EXPECT_EQ(first.substr(0, first.find('\n')), "time_s,function,run_ms,memory_mb,stands_for");
  EXPECT_GT(std::count(first.begin(), first.end(), '\n'), 100);
  options.seed = 2;
  EXPECT_NE(first, text(options));
}

TEST(Load, CallsComeInOrder) {
  LoadOptions options;
  options.functions = 200;
  options.hours = 2;
  const Load load(options);
  std::int64_t last = 0;
  std::uint64_t calls = 0;
  for_each_call(load, [&](const Call& call) {
    EXPECT_GE(call.at_us, last);
    EXPECT_GE(call.run_us, 1);
    last = call.at_us;
    ++calls;
  });
  EXPECT_GT(calls, 1000u);
  EXPECT_LT(last, load.end_us());
}

}  // namespace
}  // namespace mayfly::simulation
