#include "engine/scaler.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "engine/median.h"
#include "engine/timer_queue.h"

namespace mayfly::engine {
namespace {

using namespace scaler;
using std::chrono::hours;

const SteadyTime kNow = SteadyTime{} + hours(1);

PoolView pool(std::uint32_t waiting, std::uint32_t ready, std::uint32_t starting) {
  PoolView view;
  view.waiting = waiting;
  view.ready = ready;
  view.starting = starting;
  view.cores = 2;
  view.line_since = kNow;
  return view;
}

PoolView known(PoolView view, microseconds start, microseconds run) {
  view.start_median = start;
  view.run_median = run;
  return view;
}

TEST(Scaler, NothingWaitsNothingStarts) {
  EXPECT_EQ(wanted_starts(pool(0, 0, 0), kNow), 0u);
}

TEST(Scaler, UnknownTimesStartByNeed) {
  EXPECT_EQ(wanted_starts(pool(1, 0, 0), kNow), 1u);
  EXPECT_EQ(wanted_starts(pool(100, 0, 0), kNow), 100u);
  EXPECT_EQ(wanted_starts(pool(100, 0, 40), kNow), 60u);
  EXPECT_EQ(wanted_starts(pool(3, 0, 5), kNow), 0u);
  auto many = pool(100, 0, 0);
  many.concurrency = 64;
  EXPECT_EQ(wanted_starts(many, kNow), 2u);
}

TEST(Scaler, FirstCallsShowWhatCallsTakeBeforeMoreIsStarted) {
  auto view = pool(31, 1, 0);
  view.start_median = milliseconds(80);
  view.running_for = milliseconds(19);
  EXPECT_EQ(wanted_starts(view, kNow), 0u);
  EXPECT_EQ(review_after(view), milliseconds(20));
  view.running_for = milliseconds(20);
  EXPECT_EQ(wanted_starts(view, kNow), 31u);
}

TEST(Scaler, CallsThatComputeGetWhatKeepsTheCoresBusy) {
  // On two cores: each call takes 100 us at the least, 60 of them CPU time.
  auto view = known(pool(200, 2, 0), milliseconds(1), milliseconds(2));
  EXPECT_GT(wanted_starts(view, kNow), 10u);
  view.run_least = microseconds(100);
  view.cpu_mean = microseconds(60);
  EXPECT_EQ(useful_instances(view), 4u);
  EXPECT_EQ(wanted_starts(view, kNow), 2u);
  view.starting = 2;
  EXPECT_EQ(wanted_starts(view, kNow), 0u);
  view.starting = 0;
  // Six run already, and each run takes more than three times what it needs.
  view.ready = 6;
  view.run_median = milliseconds(1);
  view.run_least = microseconds(300);
  view.cpu_mean = microseconds(20);
  EXPECT_EQ(useful_instances(view), 30u);  // 0.12 of two cores: that is not why
  view.cpu_mean = microseconds(40);
  EXPECT_EQ(useful_instances(view), 6u);
  view.ready = 2;
  view.run_median = milliseconds(2);
  view.cpu_mean = microseconds(60);
  // They wait for something else: more instances help.
  view.run_least = milliseconds(2);
  EXPECT_GT(wanted_starts(view, kNow), 10u);
  // Many at once in each of them.
  view.concurrency = 64;
  view.run_least = microseconds(400);
  EXPECT_EQ(useful_instances(view), 2u);
  // Long ones are not kept waiting for each other.
  view.concurrency = 1;
  view.run_least = view.cpu_mean = milliseconds(100);
  view.run_median = milliseconds(200);
  EXPECT_EQ(useful_instances(view), UINT32_MAX);
  view.instances_min = 9;
  view.run_median = milliseconds(2);
  view.run_least = view.cpu_mean = milliseconds(2);
  EXPECT_EQ(wanted_starts(view, kNow), 7u);
}

TEST(Scaler, TellsCallsThatComputeFromThoseThatWait) {
  auto view = known(pool(0, 4, 0), milliseconds(1), milliseconds(100));
  EXPECT_FALSE(takes_cpu(view)) << "nothing is known";
  view.cpu_mean = milliseconds(1);
  EXPECT_FALSE(takes_cpu(view));
  view.cpu_mean = milliseconds(10);  // four times a tenth of two cores
  EXPECT_TRUE(takes_cpu(view));
}

TEST(Scaler, SlowFunctionGetsAnInstanceForEachCall) {
  // Runs take ten times what a start takes: waiting is never quicker.
  const auto view = known(pool(100, 0, 0), milliseconds(100), seconds(1));
  EXPECT_EQ(wanted_starts(view, kNow), 100u);
}

TEST(Scaler, QuickFunctionStartsOnceForSimultaneousFirstCalls) {
  const auto view = known(pool(50, 0, 0), milliseconds(100), milliseconds(1));
  EXPECT_EQ(wanted_starts(view, kNow), 1u);
  EXPECT_EQ(wanted_starts(known(pool(50, 0, 1), milliseconds(100), milliseconds(1)), kNow), 0u);
  // 101 runs fit into the time that a second start would take: beyond, a second is worth it.
  EXPECT_EQ(wanted_starts(known(pool(101, 0, 0), milliseconds(100), milliseconds(1)), kNow), 1u);
  EXPECT_EQ(wanted_starts(known(pool(102, 0, 0), milliseconds(100), milliseconds(1)), kNow), 2u);
}

TEST(Scaler, PresentInstancesAreCountedOn) {
  // One instance serves 100 calls while another would start.
  EXPECT_EQ(wanted_starts(known(pool(100, 1, 0), milliseconds(100), milliseconds(1)), kNow), 0u);
  EXPECT_EQ(wanted_starts(known(pool(150, 1, 0), milliseconds(100), milliseconds(1)), kNow), 1u);
}

TEST(Scaler, LineThatLastsLongerThanAStartGetsOneMore) {
  auto view = known(pool(20, 1, 0), milliseconds(50), milliseconds(1));
  EXPECT_EQ(wanted_starts(view, kNow), 0u);
  EXPECT_EQ(wanted_starts(view, kNow + milliseconds(49)), 0u);
  EXPECT_EQ(wanted_starts(view, kNow + milliseconds(50)), 1u);
  view.starting = 1;
  EXPECT_EQ(wanted_starts(view, kNow + milliseconds(50)), 0u);
  // Beyond twice the cores the wait must be noticeable.
  auto wide = known(pool(6, 4, 0), milliseconds(50), microseconds(500));
  EXPECT_EQ(wanted_starts(wide, kNow + seconds(1)), 0u);
  wide.waiting = 40;
  EXPECT_EQ(wanted_starts(wide, kNow + seconds(1)), 1u);
}

TEST(Scaler, WhoHasWaitedTwoStartsGetsAnInstanceThoughEndsAreExpected) {
  // 99 calls of a second began together: by the medians one ends every 10 ms.
  auto view = known(pool(1, 99, 0), milliseconds(12), seconds(1));
  view.first_since = kNow;
  EXPECT_EQ(wanted_starts(view, kNow + milliseconds(23)), 0u);
  EXPECT_EQ(wanted_starts(view, kNow + milliseconds(24)), 1u);
  view.starting = 1;
  EXPECT_EQ(wanted_starts(view, kNow + milliseconds(24)), 0u);
  view.starting = 0;
  view.cpu_mean = milliseconds(20);  // 99 of them take the machine
  EXPECT_EQ(wanted_starts(view, kNow + milliseconds(24)), 0u);
  auto quick = known(pool(1, 4, 0), microseconds(300), microseconds(100));
  quick.first_since = kNow;
  EXPECT_EQ(wanted_starts(quick, kNow + microseconds(1'900)), 0u) << "not noticeable";
}

TEST(Scaler, CallsThatRunLongerThanAStartCorrectTheMedian) {
  auto view = known(pool(50, 1, 0), milliseconds(100), milliseconds(1));
  view.running = 1;
  view.running_for = milliseconds(99);  // a pause, perhaps
  EXPECT_EQ(wanted_starts(view, kNow), 0u);
  view.running_for = milliseconds(100);
  EXPECT_EQ(wanted_starts(view, kNow), 25u);
  view.running_for = milliseconds(1000);
  EXPECT_EQ(wanted_starts(view, kNow), 50u);
}

TEST(Scaler, MaximumIsHard) {
  auto view = pool(100, 1, 2);
  view.instances_max = 5;
  EXPECT_EQ(wanted_starts(view, kNow), 2u);
  view.instances_max = 3;
  EXPECT_EQ(wanted_starts(view, kNow), 0u);
  view.instances_max = 1;
  EXPECT_EQ(wanted_starts(view, kNow), 0u);
}

TEST(Scaler, MinimumIsKept) {
  auto view = pool(0, 1, 0);
  view.instances_min = 3;
  EXPECT_EQ(wanted_starts(view, kNow), 2u);
  view.starting = 2;
  EXPECT_EQ(wanted_starts(view, kNow), 0u);
  EXPECT_TRUE(may_end(pool(0, 2, 0), kNow - seconds(60), seconds(60), kNow));
  EXPECT_FALSE(may_end(pool(0, 2, 0), kNow - seconds(59), seconds(60), kNow));
  view = pool(0, 3, 0);
  view.instances_min = 3;
  EXPECT_FALSE(may_end(view, kNow - hours(1), seconds(60), kNow));
}

TEST(Scaler, ProcessForEachCall) {
  auto view = pool(7, 0, 3);
  view.per_call = true;
  EXPECT_EQ(wanted_starts(view, kNow), 7u);
  view.instances_max = 5;
  EXPECT_EQ(wanted_starts(view, kNow), 2u);
}

TEST(Scaler, LineIsBounded) {
  EXPECT_EQ(may_wait(pool(9, 1, 0), 10, seconds(1), true).line, Line::wait);
  EXPECT_EQ(may_wait(pool(10, 1, 0), 10, seconds(1), true).line, Line::refuse_full);
  // Full machine and nothing of its own: nobody would ever serve it.
  EXPECT_EQ(may_wait(pool(0, 0, 0), 10, seconds(1), false).line, Line::refuse_full);
  EXPECT_EQ(may_wait(pool(0, 0, 1), 10, seconds(1), false).line, Line::wait);
}

TEST(Scaler, HopelessWaitIsRefusedWithATime) {
  auto view = known(pool(50, 1, 0), milliseconds(50), seconds(1));
  EXPECT_EQ(may_wait(view, 1000, seconds(40), true).line, Line::wait);
  const auto full = may_wait(view, 1000, seconds(40), false);
  EXPECT_EQ(full.line, Line::refuse_slow);
  EXPECT_EQ(full.retry_after_s, 50u);
  view.waiting = 30;
  EXPECT_EQ(may_wait(view, 1000, seconds(40), false).line, Line::wait);
  view.instances_max = 1;
  view.waiting = 50;
  EXPECT_EQ(may_wait(view, 1000, seconds(40), true).line, Line::refuse_slow);
}

TEST(Scaler, RoomIsMadeFromTheLeastValuable) {
  const NodeView node{1000, 900, 10, 4};
  std::vector<Idle> idle{
      {kNow - seconds(10), 200, milliseconds(500)},   // dear to rebuild
      {kNow - seconds(10), 200, milliseconds(5)},     // cheap
      {kNow - seconds(100), 200, milliseconds(500)},  // dear, but long unused
  };
  EXPECT_EQ(make_room(node, 100, idle, kNow)->size(), 0u);
  EXPECT_EQ(*make_room(node, 200, idle, kNow), (std::vector<std::size_t>{1}));
  EXPECT_EQ(*make_room(node, 400, idle, kNow), (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(make_room(node, 800, idle, kNow), std::nullopt);
  EXPECT_EQ(make_room({1000, 0, 4, 4}, 1, idle, kNow)->size(), 1u);
  EXPECT_EQ(make_room({1000, 0, 4, 4}, 1, {}, kNow), std::nullopt);
}

TEST(Scaler, BackoffGrowsAndEnds) {
  EXPECT_EQ(backoff_after(0), milliseconds(0));
  EXPECT_EQ(backoff_after(1), milliseconds(100));
  EXPECT_EQ(backoff_after(2), milliseconds(200));
  EXPECT_EQ(backoff_after(60), milliseconds(5'000));
}

TEST(Scaler, ReviewsWithinReason) {
  EXPECT_EQ(review_after(known(pool(1, 1, 0), microseconds(10), microseconds(1))), milliseconds(5));
  EXPECT_EQ(review_after(known(pool(1, 1, 0), seconds(30), seconds(1))), milliseconds(1000));
}

TEST(RecentMedian, FollowsTheLastSamples) {
  RecentMedian median;
  EXPECT_EQ(median.value(), std::nullopt);
  for (int i = 0; i < 31; ++i) median.add(1'000'000);
  EXPECT_EQ(median.value(), seconds(1));
  for (int i = 0; i < 31; ++i) median.add(10 + i);
  EXPECT_EQ(median.value(), microseconds(25));
  median.add(-5);
  EXPECT_LE(median.value()->count(), 26);
}

TEST(RecentMean, EvensLumpsOut) {
  RecentMean mean;
  EXPECT_EQ(mean.value(), std::nullopt);
  for (int i = 0; i < 400; ++i) mean.add(i % 4 == 0 ? 400 : 0);
  EXPECT_NEAR(static_cast<double>(mean.value()->count()), 100, 10);
  for (int i = 0; i < 400; ++i) mean.add(10);
  EXPECT_LE(mean.value()->count(), 11);
}

TEST(SlowLeast, IsForgottenSlowly) {
  SlowLeast least;
  EXPECT_EQ(least.value(), std::nullopt);
  least.add(400, kNow);
  least.add(100, kNow);
  least.add(5'000, kNow);
  EXPECT_EQ(least.value(), microseconds(100));
  least.add(5'000, kNow + seconds(3));
  EXPECT_EQ(least.value(), microseconds(200));
  least.add(5'000, kNow + seconds(60));
  EXPECT_EQ(least.value(), microseconds(5'000));
  least.add(0, kNow + seconds(60));
  EXPECT_EQ(least.value(), microseconds(1));
}

struct ManualClock final : Clock {
  SteadyTime now = kNow;
  SteadyTime steady_now() const override { return now; }
  WallTime wall_now() const override { return WallTime{}; }
};

struct Fired {
  std::vector<int>* order;
  int number;
  static void fire(void* self) {
    auto* fired = static_cast<Fired*>(self);
    fired->order->push_back(fired->number);
  }
};

TEST(TimerQueue, FiresInOrderAndOnce) {
  boost::asio::io_context loop;
  ManualClock clock;
  TimerQueue queue(loop.get_executor(), clock);
  std::vector<int> order;
  Fired one{&order, 1}, two{&order, 2}, three{&order, 3};
  TimerQueue::Entry a(&Fired::fire, &one), b(&Fired::fire, &two), c(&Fired::fire, &three);
  queue.arm(a, milliseconds(100));
  queue.arm(b, milliseconds(50));
  queue.arm(c, milliseconds(100));
  clock.now += milliseconds(49);
  queue.run_due();
  EXPECT_TRUE(order.empty());
  clock.now += milliseconds(1);
  queue.run_due();
  EXPECT_EQ(order, std::vector<int>{2});
  a.disarm();
  EXPECT_FALSE(a.armed());
  clock.now += milliseconds(50);
  queue.run_due();
  EXPECT_EQ(order, (std::vector<int>{2, 3}));
  queue.run_due();
  EXPECT_EQ(order.size(), 2u);
}

TEST(TimerQueue, ArmingAgainMovesAnEntryBack) {
  boost::asio::io_context loop;
  ManualClock clock;
  TimerQueue queue(loop.get_executor(), clock);
  std::vector<int> order;
  Fired one{&order, 1};
  TimerQueue::Entry a(&Fired::fire, &one);
  for (int i = 0; i < 5; ++i) {
    queue.arm(a, milliseconds(10));
    clock.now += milliseconds(9);
    queue.run_due();
  }
  EXPECT_TRUE(order.empty());
  {
    Fired two{&order, 2};
    TimerQueue::Entry gone(&Fired::fire, &two);
    queue.arm(gone, milliseconds(1));
  }
  clock.now += milliseconds(10);
  queue.run_due();
  EXPECT_EQ(order, std::vector<int>{1});
}

TEST(TimerQueue, ManyDurationsKeepTheTableSmall) {
  boost::asio::io_context loop;
  ManualClock clock;
  TimerQueue queue(loop.get_executor(), clock);
  std::vector<int> order;
  Fired one{&order, 1};
  for (int i = 1; i < 500; ++i) {
    TimerQueue::Entry entry(&Fired::fire, &one);
    queue.arm(entry, milliseconds(i));
    clock.now += milliseconds(i);
    queue.run_due();
  }
  EXPECT_EQ(order.size(), 499u);
}

TEST(TimerQueue, WakesByTheRealClock) {
  boost::asio::io_context loop;
  SystemClock clock;
  TimerQueue queue(loop.get_executor(), clock);
  std::vector<int> order;
  Fired one{&order, 1}, two{&order, 2};
  TimerQueue::Entry late(&Fired::fire, &one), early(&Fired::fire, &two);
  queue.arm(late, milliseconds(20));
  queue.arm(early, milliseconds(2));
  const auto from = std::chrono::steady_clock::now();
  loop.run();
  EXPECT_EQ(order.size(), 2u);  // in which order, on a busy machine, is no matter
  EXPECT_GE(std::chrono::steady_clock::now() - from, milliseconds(20));
}

}  // namespace

}  // namespace mayfly::engine
