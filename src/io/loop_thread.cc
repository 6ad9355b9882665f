#include "io/loop_thread.h"

#include <utility>

#include "io/polling_loop.h"

namespace mayfly::io {

void LoopThread::start(std::function<void()> first, std::chrono::microseconds poll_at_most) {
  thread_ = std::thread([this, first = std::move(first), poll_at_most] {
    first();
    run_polling(loop_, poll_at_most);
  });
}

void LoopThread::stop() {
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace mayfly::io
