#include "io/polling_loop.h"

#include "os/allocator.h"

namespace mayfly::io {
namespace {

constexpr std::chrono::milliseconds kQuiet{500};

// True: something ran.
bool look(boost::asio::io_context& loop, std::chrono::microseconds at_most) {
  const auto until = std::chrono::steady_clock::now() + at_most;
  do {
    if (loop.poll() > 0) return true;
  } while (!loop.stopped() && std::chrono::steady_clock::now() < until);
  return false;
}

// loop.run_one(). When nothing runs for a while, free pages are released before it sleeps on.
std::size_t turn(boost::asio::io_context& loop) {
  const std::size_t ran = loop.run_one_for(kQuiet);
  if (ran > 0 || loop.stopped()) return ran;
  os::release_free_pages();
  return loop.run_one();
}

}  // namespace

void run_polling(boost::asio::io_context& loop, std::chrono::microseconds most) {
  PollBudget budget(most);
  while (turn(loop) > 0) {
    loop.poll();
    for (auto time = budget.next(); time.count() > 0 && !loop.stopped(); time = budget.next()) {
      const bool found = look(loop, time);
      budget.looked(found);
      if (!found) break;
    }
  }
}

}  // namespace mayfly::io
