#include "io/polling_loop.h"

namespace mayfly::io {
namespace {

// True: something ran.
bool look(boost::asio::io_context& loop, std::chrono::microseconds at_most) {
  const auto until = std::chrono::steady_clock::now() + at_most;
  do {
    if (loop.poll() > 0) return true;
  } while (!loop.stopped() && std::chrono::steady_clock::now() < until);
  return false;
}

}  // namespace

void run_polling(boost::asio::io_context& loop, std::chrono::microseconds most) {
  if (most.count() <= 0) {
    loop.run();
    return;
  }
  PollBudget budget(most);
  while (loop.run_one() > 0) {
    loop.poll();
    for (auto time = budget.next(); time.count() > 0 && !loop.stopped(); time = budget.next()) {
      const bool found = look(loop, time);
      budget.looked(found);
      if (!found) break;
    }
  }
}

}  // namespace mayfly::io
