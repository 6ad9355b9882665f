#include "io/polling_loop.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <thread>
#include <vector>

namespace mayfly::io {
namespace {

using std::chrono::microseconds;

// Sleeps before it looks again.
int sleeps(PollBudget& budget) {
  int count = 0;
  while (budget.next().count() == 0) ++count;
  return count;
}

TEST(PollBudgetTest, LooksWhileThatFindsSomething) {
  PollBudget budget(microseconds(20));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(budget.next(), microseconds(20));
    budget.looked(true);
  }
}

TEST(PollBudgetTest, LooksInVainAreFollowedByMoreAndMoreSleeps) {
  PollBudget budget(microseconds(20));
  std::vector<int> seen;
  for (int i = 0; i < 8; ++i) {
    seen.push_back(sleeps(budget));
    budget.looked(false);
  }
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 3, 7, 15, 31, 63, 63}));
  sleeps(budget);
  budget.looked(true);
  EXPECT_EQ(sleeps(budget), 0);
}

TEST(PollingLoopTest, RunsAllAndReturnsWhenNothingIsLeft) {
  for (const int most : {0, 50}) {
    boost::asio::io_context loop;
    int ran = 0;
    boost::asio::post(loop, [&] {
      ++ran;
      boost::asio::post(loop, [&] { ++ran; });
    });
    run_polling(loop, microseconds(most));
    EXPECT_EQ(ran, 2);
  }
}

TEST(PollingLoopTest, StopsWhenItIsToldTo) {
  for (const int most : {0, 50}) {
    boost::asio::io_context loop;
    const auto work = boost::asio::make_work_guard(loop);
    boost::asio::post(loop, [&] { loop.stop(); });
    run_polling(loop, microseconds(most));
    EXPECT_TRUE(loop.stopped());
    loop.restart();
    std::thread other([&] { boost::asio::post(loop, [&] { loop.stop(); }); });
    run_polling(loop, microseconds(most));
    other.join();
    EXPECT_TRUE(loop.stopped());
  }
}

TEST(PollingLoopTest, RunsOnAfterItWasQuiet) {
  boost::asio::io_context loop;
  int turns = 0;
  std::function<void()> again = [&] {
    if (++turns < 1000) boost::asio::post(loop, again);
  };
  again();
  boost::asio::steady_timer later(loop, std::chrono::milliseconds(700));
  bool ran = false;
  later.async_wait([&](const boost::system::error_code&) { ran = true; });
  run_polling(loop, microseconds(0));
  EXPECT_EQ(turns, 1000);
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace mayfly::io
