#include "engine/policy/hybrid_histogram.h"

#include <gtest/gtest.h>

namespace mayfly::engine::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const KeepWindow kWholeRange{microseconds(0), hours(4)};

TEST(HybridHistogram, KeepsForTheWholeRangeWhileNothingIsKnown) {
  EXPECT_EQ(HybridHistogram().window(), kWholeRange);
}

TEST(HybridHistogram, StartsAtTheHeadAndKeepsToTheTail) {
  HybridHistogram histogram;
  for (int i = 0; i < 100; ++i) histogram.add(minutes(20) + seconds(30));
  ASSERT_TRUE(histogram.representative());
  // Bin 20: from 20 min less a tenth to 21 min and a tenth more.
  EXPECT_EQ(histogram.window(), (KeepWindow{minutes(18), seconds(1386)}));
}

TEST(HybridHistogram, PercentilesCutBothEnds) {
  HybridHistogram histogram;
  for (int i = 0; i < 4; ++i) histogram.add(seconds(1));
  for (int i = 0; i < 196; ++i) histogram.add(minutes(10));
  histogram.add(minutes(200));
  // 4 of 201 lie below the 5th percentile, 1 of 201 above the 99th.
  EXPECT_EQ(histogram.window(), (KeepWindow{minutes(9), seconds(726)}));
}

TEST(HybridHistogram, ShortIdleTimesAreNotUnloaded) {
  HybridHistogram histogram;
  for (int i = 0; i < 50; ++i) histogram.add(seconds(10));
  EXPECT_EQ(histogram.window(), (KeepWindow{microseconds(0), seconds(66)}));
}

TEST(HybridHistogram, SpreadOutOrBeyondIsNotRepresentative) {
  HybridHistogram even;
  for (int bin = 0; bin < 240; ++bin) even.add(minutes(bin));
  EXPECT_NEAR(even.bins_cv(), 0, 1e-9);
  EXPECT_EQ(even.window(), kWholeRange);
  HybridHistogram beyond;
  for (int i = 0; i < 10; ++i) beyond.add(minutes(5));
  EXPECT_TRUE(beyond.representative());
  for (int i = 0; i < 10; ++i) beyond.add(hours(5));
  EXPECT_EQ(beyond.beyond(), 10u);
  EXPECT_EQ(beyond.window(), kWholeRange);
}

TEST(HybridHistogram, VariationOfBins) {
  HybridHistogram histogram;
  for (int i = 0; i < 8; ++i) histogram.add(minutes(3));
  // One bin of 240 holds all: standard deviation over mean is sqrt(239).
  EXPECT_NEAR(histogram.bins_cv(), std::sqrt(239.0), 1e-9);
}

}  // namespace
}  // namespace mayfly::engine::policy
