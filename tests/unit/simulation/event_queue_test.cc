#include "simulation/event_queue.h"

#include <gtest/gtest.h>

#include "simulation/measures.h"
#include "simulation/random.h"

namespace mayfly::simulation {
namespace {

TEST(EventQueue, GivesTheEarliestAndOfEqualsTheFirst) {
  EventQueue queue;
  Random random(3);
  for (std::uint32_t i = 0; i < 10'000; ++i)
    queue.push({std::int64_t(random.next() % 500), 0, i, i});
  EXPECT_EQ(queue.size(), 10'000u);
  std::int64_t at = -1;
  std::uint32_t id = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint32_t top = queue.top().id;
    const auto event = queue.pop();
    ASSERT_EQ(event.id, top);
    ASSERT_EQ(event.detail, event.id);
    if (event.at_us == at) {
      ASSERT_GT(event.id, id);
    } else {
      ASSERT_GT(event.at_us, at);
    }
    at = event.at_us;
    id = event.id;
  }
  EXPECT_TRUE(queue.empty());
}

TEST(EventQueue, TakesWhileItGives) {
  EventQueue queue;
  queue.push({5, 1, 0});
  queue.push({1, 2, 0});
  EXPECT_EQ(queue.pop().kind, 2u);
  queue.push({5, 3, 0});
  queue.push({4, 4, 0});
  EXPECT_EQ(queue.pop().kind, 4u);
  EXPECT_EQ(queue.pop().kind, 1u);
  EXPECT_EQ(queue.pop().kind, 3u);
}

TEST(WeightedHistogram, PercentilesWithinABin) {
  WeightedHistogram histogram;
  EXPECT_EQ(histogram.at(0.5), 0);
  for (int i = 1; i <= 1000; ++i) histogram.add(i, 1);
  EXPECT_NEAR(histogram.at(0.5), 500, 500 * 0.016);
  EXPECT_NEAR(histogram.at(0.99), 990, 990 * 0.016);
  histogram.add(0, 9000);
  EXPECT_EQ(histogram.at(0.9), 0);
  EXPECT_NEAR(histogram.at(0.99), 900, 900 * 0.016);
  histogram.add(1e-3, 1e6);
  EXPECT_NEAR(histogram.at(0.5), 1e-3, 2e-5);
  histogram.add(1e300, 1e9);  // beyond its range: the last bin
  EXPECT_GT(histogram.at(0.99), 1e12);
}

TEST(Percentile, IsTheNearestRank) {
  EXPECT_EQ(percentile({}, 0.5), 0);
  EXPECT_EQ(percentile({3}, 0.99), 3);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 0.5), 2);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 1), 4);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 0), 1);
}

TEST(Random, DistributionsHaveTheirMoments) {
  Random random(1);
  const auto moments = [&](auto draw) {
    double sum = 0, squares = 0;
    for (int i = 0; i < 200'000; ++i) {
      const double x = draw();
      sum += x;
      squares += x * x;
    }
    const double mean = sum / 200'000;
    return std::pair(mean, std::sqrt(squares / 200'000 - mean * mean));
  };
  const auto near = [](std::pair<double, double> seen, double mean, double deviation) {
    EXPECT_NEAR(seen.first, mean, 0.02);
    EXPECT_NEAR(seen.second, deviation, 0.03);
  };
  near(moments([&] { return random.uniform(); }), 0.5, std::sqrt(1 / 12.0));
  near(moments([&] { return random.exponential(); }), 1, 1);
  near(moments([&] { return random.normal(); }), 0, 1);
  near(moments([&] { return random.gamma(4); }), 1, 0.5);
  near(moments([&] { return random.gamma(0.5); }), 1, std::sqrt(2.0));
  near(moments([&] { return random.lognormal(1, 0.5); }), 1, std::sqrt(std::exp(0.25) - 1));
}

TEST(Random, StreamsOfASeedDiffer) {
  EXPECT_EQ(Random(1, 2).next(), Random(1, 2).next());
  EXPECT_NE(Random(1, 2).next(), Random(1, 3).next());
  EXPECT_NE(Random(1, 2).next(), Random(2, 2).next());
  EXPECT_NE(Random(1, 2).next(), Random(2, 1).next());
}

}  // namespace
}  // namespace mayfly::simulation
