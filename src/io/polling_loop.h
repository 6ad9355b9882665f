#pragma once
// Runs an event loop that looks for what comes next for a moment before it sleeps. To sleep and be
// woken costs 5 to 10 us of CPU and, on a busy machine, the wait for a turn; an answer of a warm
// function is often there sooner. Looking is worth nothing where events are far apart: then it is
// given up for a while.

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>

namespace mayfly::io {

// How long to look before the next sleep. Pure; of one loop.
class PollBudget {
 public:
  explicit PollBudget(std::chrono::microseconds most) : most_(most) {}
  // Zero: sleep at once.
  std::chrono::microseconds next() {
    if (pause_ == 0) return most_;
    --pause_;
    return std::chrono::microseconds(0);
  }
  // Whether something came while it looked. Looks that found nothing are followed by ever more
  // sleeps without one, kPauseMost at most.
  void looked(bool found) {
    in_vain_ = found ? 0 : std::min(in_vain_ + 1, kInVainMost);
    pause_ = found ? 0 : (1u << in_vain_) - 1;
  }

 private:
  static constexpr std::uint32_t kInVainMost = 6;
  const std::chrono::microseconds most_;
  std::uint32_t in_vain_ = 0, pause_ = 0;
};

// loop.run(), with looks of at most `most`; zero: without. When half a second passes in which
// nothing runs, free pages go back to the kernel. Returns when the loop is stopped or has no
// work left.
void run_polling(boost::asio::io_context& loop, std::chrono::microseconds most);

}  // namespace mayfly::io
