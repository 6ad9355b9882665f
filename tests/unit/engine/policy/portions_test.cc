#include "engine/policy/portions.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace mayfly::engine::policy {
namespace {

const SteadyTime kStart = SteadyTime{} + std::chrono::hours(100);

void write(Portions& portions, SteadyTime now) {
  if (portions.written()) portions.began(now);
}

// calls reach an instance at once, each of which takes it so long.
void turn(Portions& portions, int calls, microseconds each, SteadyTime& now) {
  for (int n = 0; n < calls; ++n)
    if (portions.add()) write(portions, now);
  write(portions, now);
  for (int n = 0; n < calls; ++n) {
    now += each;
    if (portions.ended()) portions.measured(now);
  }
}

// After how many requests of one turn each write came.
std::vector<int> writes(Portions& portions, int calls, SteadyTime now) {
  std::vector<int> sizes;
  int waiting = 0;
  for (int n = 0; n < calls; ++n) {
    ++waiting;
    if (!portions.add()) continue;
    write(portions, now);
    sizes.push_back(std::exchange(waiting, 0));
  }
  write(portions, now);
  if (waiting > 0) sizes.push_back(waiting);
  return sizes;
}

TEST(Portions, OneWriteWhileNothingIsKnown) {
  Portions portions;
  EXPECT_EQ(writes(portions, 64, kStart), std::vector<int>{64});
}

TEST(Portions, OneWriteForAnInstanceThatIsQuick) {
  Portions portions;
  auto now = kStart;
  for (int n = 0; n < 10; ++n) turn(portions, 32, microseconds(2), now);
  EXPECT_NEAR(portions.call_us(), 2, 0.1);
  EXPECT_EQ(writes(portions, 32, now), std::vector<int>{32});
}

TEST(Portions, EightAtATimeWhereACallTakesLong) {
  Portions portions;
  auto now = kStart;
  turn(portions, 32, microseconds(20), now);
  EXPECT_EQ(writes(portions, 30, now), (std::vector<int>{8, 8, 8, 6}));
}

TEST(Portions, FewCallsAreOneWrite) {
  Portions portions;
  auto now = kStart;
  turn(portions, 32, microseconds(20), now);
  EXPECT_EQ(writes(portions, 7, now), std::vector<int>{7});
}

TEST(Portions, WhatTheLoopDidMeanwhileDoesNotCount) {
  Portions portions;
  auto now = kStart;
  turn(portions, 32, microseconds(2), now);
  turn(portions, 32, microseconds(300), now);  // it looked late
  EXPECT_LT(portions.call_us(), Portions::kWorthUs);
}

TEST(Portions, AnInstanceThatBecameSlowIsSeen) {
  Portions portions;
  auto now = kStart;
  turn(portions, 32, microseconds(2), now);
  for (int n = 0; n < 200; ++n) turn(portions, 32, microseconds(20), now);
  EXPECT_GE(portions.call_us(), Portions::kWorthUs);
}

TEST(Portions, ABusyInstanceIsNotMeasured) {
  Portions portions;
  auto now = kStart;
  portions.add();
  write(portions, now);  // one that takes an hour
  turn(portions, 32, microseconds(2), now);
  EXPECT_EQ(portions.call_us(), 0);
}

TEST(Portions, EndsOfWhatWasNeverWrittenDoNoHarm) {
  Portions portions;
  EXPECT_FALSE(portions.ended());
  auto now = kStart;
  turn(portions, 32, microseconds(20), now);
  EXPECT_NEAR(portions.call_us(), 20, 0.1);
}

}  // namespace
}  // namespace mayfly::engine::policy
