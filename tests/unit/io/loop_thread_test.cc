#include "io/loop_thread.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <future>

namespace mayfly::io {
namespace {

TEST(LoopThread, RunsWhatIsPostedOnAThreadOfItsOwn) {
  LoopThread thread;
  std::promise<std::thread::id> first, posted;
  boost::asio::post(thread.loop(), [&] { posted.set_value(std::this_thread::get_id()); });
  thread.start([&] { first.set_value(std::this_thread::get_id()); }, std::chrono::microseconds(0));
  const auto there = first.get_future().get();
  EXPECT_EQ(posted.get_future().get(), there);
  EXPECT_NE(there, std::this_thread::get_id());
}

TEST(LoopThread, StopsWithWorkLeftAndOnlyOnce) {
  LoopThread thread;
  thread.start([] {}, std::chrono::microseconds(20));
  const auto token = std::make_shared<int>(1);
  thread.stop();
  boost::asio::post(thread.loop(), [token] {});  // never runs, and goes with the loop
  thread.stop();
  EXPECT_EQ(token.use_count(), 2);
}

TEST(LoopThread, MayNeverHaveStarted) {
  LoopThread thread;
  thread.stop();
}

}  // namespace
}  // namespace mayfly::io
