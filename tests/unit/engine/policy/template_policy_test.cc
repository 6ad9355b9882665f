#include "engine/policy/template_policy.h"

#include <gtest/gtest.h>

namespace mayfly::engine::policy {
namespace {

const SteadyTime kNow = SteadyTime{} + std::chrono::hours(100);

TEST(Shells, OneForAVersionThatWasCalledLately) {
  EXPECT_EQ(shells_wanted(0, 0, seconds(0)), 1u);
  EXPECT_EQ(shells_wanted(0, 0, kShellsIdle - seconds(1)), 1u);
  EXPECT_EQ(shells_wanted(0, 0, kShellsIdle), 0u);
  EXPECT_EQ(shells_wanted(1'000, 0, kShellsIdle), 0u);
}

TEST(Shells, MoreForABurst) {
  EXPECT_EQ(shells_wanted(5, 0, seconds(0)), 2u);
  EXPECT_EQ(shells_wanted(40, 0, seconds(0)), 5u);
  EXPECT_EQ(shells_wanted(1e9, 0, seconds(0)), kShellsMax);
  EXPECT_EQ(shells_wanted(-1, 0, seconds(0)), 1u);
}

TEST(Shells, AsManyAsTheLastBurstTook) {
  EXPECT_EQ(shells_wanted(1, 7.2, seconds(0)), 8u);
  EXPECT_EQ(shells_wanted(1e9, 3, seconds(0)), kShellsMax);
  EXPECT_EQ(shells_wanted(0, 100, seconds(0)), kShellsMax);
  EXPECT_EQ(shells_wanted(0, 100, kShellsIdle), 0u);
}

TEST(BurstSize, IsTheLargestLatelyAndFades) {
  BurstSize burst;
  EXPECT_EQ(burst.expected(kNow), 0);
  for (int i = 0; i < 100; ++i) burst.add(kNow + milliseconds(200) * i);
  const auto later = kNow + seconds(100);
  EXPECT_NEAR(burst.expected(kNow + seconds(20)), 1, 0.01) << "one at a time";
  for (int i = 0; i < 12; ++i) burst.add(later + milliseconds(3) * i);
  EXPECT_NEAR(burst.expected(later), 12, 0.01);
  burst.add(later + seconds(10));
  EXPECT_NEAR(burst.expected(later + seconds(60)), 6, 0.1) << "a single one does not end it";
  EXPECT_LT(burst.expected(later + seconds(600)), 0.1);
}

TEST(CloneRate, FollowsAndFades) {
  CloneRate rate;
  EXPECT_EQ(rate.per_second(kNow), 0);
  for (int i = 0; i < 600; ++i) rate.add(kNow + milliseconds(100) * i);
  const auto end = kNow + seconds(60);
  EXPECT_NEAR(rate.per_second(end), 10, 1);
  EXPECT_NEAR(rate.per_second(end + seconds(5)), 5, 1);
  EXPECT_LT(rate.per_second(end + seconds(60)), 0.1);
  EXPECT_LE(rate.per_second(kNow), 15);  // a clock that was read earlier
}

TEST(Rebuild, WaitsLongerEachTime) {
  EXPECT_EQ(rebuild_after(0), milliseconds(0));
  EXPECT_EQ(rebuild_after(1), milliseconds(250));
  EXPECT_EQ(rebuild_after(2), milliseconds(500));
  EXPECT_EQ(rebuild_after(100), milliseconds(300'000));
}

}  // namespace
}  // namespace mayfly::engine::policy
