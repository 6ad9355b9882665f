#include "engine/policy/gap_history.h"

#include <gtest/gtest.h>

#include "engine/policy/felt_wait.h"

namespace mayfly::engine::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

// A GB costs a thousand microseconds of waiting each second: 10 ms of start against 0.1 GB is even
// after 100 s.
const KeepCosts kCosts{
    .cold_us = 10'000, .start_cpu_us = 0, .bytes = 1e8, .price_per_byte_s = 1e-6};

GapHistogram filled(microseconds gap, int times) {
  GapHistogram gaps;
  for (int i = 0; i < times; ++i) gaps.add(gap);
  return gaps;
}

TEST(GapHistogram, BinsCoverTheirRangeWithoutHoles) {
  EXPECT_EQ(GapHistogram::bin_of(microseconds(0)), 0);
  for (int bin = 1; bin < GapHistogram::kBins; ++bin) {
    const auto edge = GapHistogram::lower_edge(bin);
    EXPECT_EQ(GapHistogram::bin_of(edge), bin);
    EXPECT_EQ(GapHistogram::bin_of(edge - microseconds(1)), bin - 1);
    EXPECT_LT(double(GapHistogram::upper_edge(bin).count()) / double(edge.count()), 1.0906);
  }
  const auto last = GapHistogram::upper_edge(GapHistogram::kBins - 1);
  EXPECT_EQ(GapHistogram::bin_of(last), GapHistogram::kBins);
  EXPECT_GT(last, hours(4));
}

TEST(GapHistogram, CountsAndFades) {
  GapHistogram gaps = filled(seconds(60), 255);
  gaps.add(hours(10));
  const int bin = GapHistogram::bin_of(seconds(60));
  EXPECT_EQ(gaps.count(bin), 255);
  EXPECT_EQ(gaps.beyond(), 1u);
  EXPECT_EQ(gaps.total(), 256u);
  gaps.add(seconds(60));  // full: all are halved, then counted
  EXPECT_EQ(gaps.count(bin), 128);
  EXPECT_EQ(gaps.beyond(), 0u);
  EXPECT_EQ(gaps.total(), 128u);
}

TEST(GapHistogram, OldHabitsAreForgotten) {
  GapHistogram gaps = filled(minutes(30), 200);
  for (int i = 0; i < 3000; ++i) gaps.add(seconds(10));
  EXPECT_EQ(gaps.count(GapHistogram::bin_of(minutes(30))), 0);
}

TEST(BreakEven, IsWhereKeepingCostsAsMuchAsAStart) {
  EXPECT_EQ(break_even(kCosts), seconds(100));
  auto dear = kCosts;
  dear.start_cpu_us = 100'000;  // at a tenth: another 10 ms
  EXPECT_EQ(break_even(dear), seconds(200));
  auto free = kCosts;
  free.price_per_byte_s = 0;
  EXPECT_EQ(break_even(free), minutes(10));
  auto instant = kCosts;
  instant.cold_us = 0;
  EXPECT_EQ(break_even(instant), microseconds(0));
}

TEST(CheapestWindow, KeepsForShortGapsOnly) {
  // Kept to the end of the bin that holds them.
  const auto kept = cheapest_window(filled(seconds(3), 50), kCosts);
  EXPECT_EQ(kept.from, microseconds(0));
  EXPECT_GE(kept.until, seconds(3));
  EXPECT_LT(kept.until, milliseconds(3300));
  // Ten minutes cost six times the start: ends at once, and without processor costs another is
  // started for the one bin in which the calls come.
  const auto window = cheapest_window(filled(minutes(10), 50), kCosts);
  EXPECT_GT(window.from, minutes(9));
  EXPECT_LE(window.from, minutes(10));
  EXPECT_GT(window.until, minutes(10));
  EXPECT_LT(window.until, minutes(11));
  // A start ahead of need that costs more than it spares is not made.
  auto busy = kCosts;
  busy.start_cpu_us = 1e9;
  busy.cold_us = 0;
  EXPECT_EQ(cheapest_window(filled(minutes(10), 50), busy).from, microseconds(0));
}

TEST(CheapestWindow, NothingKeptWhenGapsAreAllOver) {
  GapHistogram gaps;
  for (int i = 0; i < 100; ++i) gaps.add(minutes(30) + i * minutes(3));
  EXPECT_EQ(cheapest_window(gaps, kCosts), KeepWindow{});
}

TEST(CheapestWindow, CutsTheLongTail) {
  GapHistogram gaps = filled(seconds(2), 95);
  for (int i = 0; i < 5; ++i) gaps.add(hours(2));
  const auto window = cheapest_window(gaps, kCosts);
  EXPECT_EQ(window.from, microseconds(0));
  EXPECT_GE(window.until, seconds(2));
  EXPECT_LT(window.until, seconds(3));
}

// Against every window that begins and ends at an edge: none is cheaper.
TEST(CheapestWindow, IsTheCheapest) {
  const auto cost_of = [](const GapHistogram& gaps, const KeepCosts& costs, KeepWindow window) {
    const double cold = costs.cold_us + kCpuPrice * costs.start_cpu_us;
    const double hold = costs.bytes * costs.price_per_byte_s / 1e6;
    const double from = double(window.from.count()), until = double(window.until.count());
    double cost = 0;
    const auto one = [&](double gap, bool inside, double count) {
      const bool late = gap < from;
      if (late || !inside) cost += count * cold;
      if (!late) cost += count * hold * ((inside ? gap : until) - from);
      if (!late && from > 0) cost += count * kCpuPrice * costs.start_cpu_us;
    };
    for (int bin = 0; bin < GapHistogram::kBins; ++bin) {
      const double low = double(GapHistogram::lower_edge(bin).count());
      const double high = double(GapHistogram::upper_edge(bin).count());
      if (gaps.count(bin) > 0) one((low + high) / 2, high <= until, gaps.count(bin));
    }
    one(1e18, false, gaps.beyond() + 1.0);
    return cost;
  };
  std::uint64_t state = 7;
  const auto random = [&] {
    return (state = state * 6364136223846793005ull + 1442695040888963407ull) >> 33;
  };
  for (int round = 0; round < 60; ++round) {
    GapHistogram gaps;
    for (int i = 0; i < 40; ++i)
      gaps.add(microseconds(std::int64_t(60'000) << (random() % 20)) +
               microseconds(random() % 99'999));
    KeepCosts costs = kCosts;
    costs.cold_us = double(random() % 1'000'000);
    costs.start_cpu_us = double(random() % 1'000'000);
    const KeepWindow chosen = cheapest_window(gaps, costs);
    const double least = cost_of(gaps, costs, chosen);
    for (int from = 0; from < GapHistogram::kBins; from += 3) {
      const auto begin = GapHistogram::lower_edge(from);
      if (from > 0 && begin < kPrewarmMin) continue;
      for (int until = from; until < GapHistogram::kBins; until += 2) {
        const KeepWindow other{begin, GapHistogram::upper_edge(until)};
        ASSERT_GE(cost_of(gaps, costs, other), least * (1 - 1e-9))
            << round << " " << from << " " << until;
      }
    }
  }
}

TEST(GapHistory, BeginsWithBreakEven) {
  GapHistory history;
  EXPECT_EQ(history.window(kCosts), (KeepWindow{microseconds(0), seconds(100)}));
  for (int i = 0; i < 3; ++i) history.on_reuse(seconds(1));
  EXPECT_EQ(history.window(kCosts).until, seconds(100));
  history.on_reuse(seconds(1));
  EXPECT_LT(history.window(kCosts).until, seconds(2));
}

TEST(GapHistory, LearnsGapsOfInstancesThatHadEnded) {
  GapHistory history;
  const SteadyTime start{};
  history.on_miss(start);  // nothing had ended: no gap
  EXPECT_EQ(history.gaps().total(), 0u);
  history.on_end(start);
  history.on_end(start + minutes(1));
  history.on_miss(start + minutes(5));  // would have used the one that was idle last
  EXPECT_EQ(history.gaps().count(GapHistogram::bin_of(minutes(4))), 1);
  history.on_miss(start + minutes(8));
  EXPECT_EQ(history.gaps().count(GapHistogram::bin_of(minutes(8))), 1);
  history.on_miss(start + minutes(9));
  EXPECT_EQ(history.gaps().total(), 2u);
}

TEST(GapHistory, OneStartedAgainCountsAsNeverEnded) {
  GapHistory history;
  history.on_end(SteadyTime{});
  history.on_restart();
  history.on_miss(SteadyTime{} + minutes(1));
  EXPECT_EQ(history.gaps().total(), 0u);
}

TEST(GapHistory, RemembersOnlyTheLastOnesThatEnded) {
  GapHistory history;
  for (int i = 0; i < 100; ++i) history.on_end(SteadyTime{} + seconds(i));
  for (int i = 0; i < 100; ++i) history.on_miss(SteadyTime{} + minutes(10));
  EXPECT_EQ(history.gaps().total(), 4u);
}

TEST(GapHistory, NewCostsChangeTheDecisionAtOnce) {
  GapHistory history;
  for (int i = 0; i < 100; ++i) history.on_reuse(seconds(20));
  EXPECT_GE(history.window(kCosts).until, seconds(20));
  auto clones = kCosts;  // a template was made: a start costs almost nothing
  clones.cold_us = 10;
  EXPECT_EQ(history.window(clones), KeepWindow{});
}

TEST(FeltWait, GrowsAsRunsShrink) {
  EXPECT_EQ(felt_wait(milliseconds(100), std::nullopt), milliseconds(100));
  EXPECT_EQ(felt_wait(milliseconds(100), milliseconds(200)), milliseconds(100));
  EXPECT_EQ(felt_wait(milliseconds(100), milliseconds(100)), milliseconds(200));
  EXPECT_EQ(felt_wait(milliseconds(100), microseconds(0)), seconds(2));
  EXPECT_EQ(felt_wait(milliseconds(100), hours(1)), milliseconds(2));
}

TEST(KeepPlan, StaysToTheEndOfItsWindow) {
  EXPECT_EQ(keep_plan({microseconds(0), seconds(90)}, microseconds(1'000), true),
            (KeepPlan{seconds(90)}));
  EXPECT_EQ(keep_plan({microseconds(0), seconds(90)}, microseconds(1'000), false),
            (KeepPlan{seconds(90)}));
}

TEST(KeepPlan, NeverEndsAtOnce) {
  EXPECT_EQ(keep_plan({}, microseconds(1'000), true), (KeepPlan{kKeepMin}));
  EXPECT_EQ(keep_plan({microseconds(0), milliseconds(70)}, microseconds(1'000), true),
            (KeepPlan{kKeepMin}));
}

TEST(KeepPlan, AWindowThatBeginsLaterIsAStartAheadOfIt) {
  const KeepWindow later{minutes(9), minutes(11)};
  EXPECT_EQ(keep_plan(later, seconds(1), true), (KeepPlan{kKeepMin, minutes(9), minutes(11)}));
  // Another instance is there in case a call comes.
  EXPECT_EQ(keep_plan(later, seconds(1), false), (KeepPlan{kKeepMin}));
  // The start would have to begin before this one has ended.
  EXPECT_EQ(keep_plan({seconds(6), seconds(9)}, seconds(5), true), (KeepPlan{seconds(9)}));
}

}  // namespace
}  // namespace mayfly::engine::policy
