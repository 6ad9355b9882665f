#include "triggers/pace.h"

#include <gtest/gtest.h>

namespace mayfly::triggers {
namespace {

const SteadyTime kNow = SteadyTime(std::chrono::hours(1));

TEST(Window, OpensWhileCallsFindAnInstanceSoon) {
  Window window(100);
  EXPECT_EQ(window.room(0, kNow), 8u);
  EXPECT_EQ(window.room(8, kNow), 0u);
  for (int i = 0; i < 500; ++i) window.on_ran(microseconds(100), kNow);
  EXPECT_EQ(window.limit(), 100u);  // and not further
}

TEST(Window, ClosesOnceForWaitsOfOneMoment) {
  Window window(512);
  for (int i = 0; i < 200; ++i) window.on_ran(microseconds(100), kNow);
  const auto open = window.limit();
  for (int i = 0; i < 50; ++i) window.on_ran(milliseconds(500), kNow + milliseconds(i));
  EXPECT_LT(window.limit(), open);
  EXPECT_GT(window.limit(), open / 2);
  for (int i = 0; i < 200; ++i) window.on_ran(milliseconds(500), kNow + seconds(i + 1));
  EXPECT_EQ(window.limit(), 1u);  // never shut
}

TEST(Window, RefusedWaitsAsLongAsItWasTold) {
  Window window(512);
  window.on_refused(seconds(3), kNow);
  EXPECT_EQ(window.room(0, kNow + seconds(2)), 0u);
  EXPECT_EQ(window.paused_until(), kNow + seconds(3));
  EXPECT_EQ(window.room(0, kNow + seconds(3)), 4u);
  window.on_refused(seconds(100'000), kNow);
  EXPECT_LE(window.paused_until(), kNow + seconds(30));
}

TEST(GiveWay, FromNothingLeftToMuchLeft) {
  GiveWay way;
  EXPECT_FALSE(way.update(0.2, true));
  EXPECT_FALSE(way.update(0.0, false));
  EXPECT_TRUE(way.update(0.14, true));
  EXPECT_TRUE(way.update(0.3, true)) << "that is what giving way has freed";
  EXPECT_FALSE(way.update(0.4, true));
  EXPECT_FALSE(way.update(0.3, true));
  EXPECT_TRUE(way.update(0.0, true));
  EXPECT_FALSE(way.update(0.0, false)) << "nobody waits";
}

TEST(Backoff, DoublesUpToItsCapAndIsRandomBelow) {
  const auto most = [](std::uint32_t failed) {
    return backoff(failed, milliseconds(1000), milliseconds(300'000), 0.999999).count();
  };
  EXPECT_EQ(most(1), 1);
  EXPECT_EQ(most(2), 2);
  EXPECT_EQ(most(5), 16);
  EXPECT_EQ(most(9), 256);
  EXPECT_EQ(most(10), 300);
  EXPECT_EQ(most(4'000'000'000u), 300);
  EXPECT_EQ(backoff(9, milliseconds(1000), milliseconds(300'000), 0.0).count(), 0);
  EXPECT_EQ(backoff(3, milliseconds(0), milliseconds(0), 0.5).count(), 0);
}

}  // namespace
}  // namespace mayfly::triggers
