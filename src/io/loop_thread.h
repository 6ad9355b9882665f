#pragma once
// An event loop on a thread of its own.

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <thread>

namespace mayfly::io {

// Made, started, stopped and destroyed by one other thread.
class LoopThread {
 public:
  // Before start() what belongs to the loop can be built.
  boost::asio::io_context& loop() { return loop_; }

  // first runs on the thread before anything else. poll_at_most: as run_polling().
  void start(std::function<void()> first, std::chrono::microseconds poll_at_most);
  // Ends the loop after the handler that runs, and waits for that. Total; again: does nothing.
  void stop();

  LoopThread() = default;
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  ~LoopThread() { stop(); }

 private:
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      loop_.get_executor()};
  std::thread thread_;
};

}  // namespace mayfly::io
