#include "io/polling_loop.h"

#include "os/allocator.h"

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

// loop.run_one(). A loop that has worked and has had nothing to do since gives back free pages
// first.
std::size_t turn(boost::asio::io_context& loop, os::QuietMemory& memory) {
  memory.worked();
  if (memory.is_worth_it()) {
    const std::size_t ran = loop.run_one_for(os::QuietMemory::kQuiet);
    if (ran > 0 || loop.stopped()) return ran;
    memory.release();
  }
  return loop.run_one();
}

}  // namespace

void run_polling(boost::asio::io_context& loop, std::chrono::microseconds most) {
  os::QuietMemory memory;
  PollBudget budget(most);
  while (turn(loop, memory) > 0) {
    loop.poll();
    for (auto time = budget.next(); time.count() > 0 && !loop.stopped(); time = budget.next()) {
      const bool found = look(loop, time);
      budget.looked(found);
      if (!found) break;
    }
  }
}

}  // namespace mayfly::io
