#pragma once
// The program's allocator where it is tcmalloc (docs/decisions/0012-warm-path.md); elsewhere, as
// under sanitizers, these do nothing. Thread-safe.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

namespace mayfly::os {

// In bytes. What was freed and waits for the next request lies in one of the last three.
struct AllocatorUse {
  std::uint64_t in_use = 0;
  std::uint64_t thread_caches = 0;
  std::uint64_t free_lists = 0;  // of one size each, shared by the threads
  std::uint64_t free_pages = 0;  // those that the kernel has back do not count
};
std::optional<AllocatorUse> allocator_use();

// What all threads together may keep of freed memory for themselves.
void limit_allocator_caches(std::uint64_t bytes);

// What this thread keeps of freed memory goes to the lists of all, and what is free in whole pages
// to the kernel. Takes 0.1 to some ms; what comes next takes its memory anew.
void give_back_free_memory();

// For a thread that waits for work: when to give back. Belongs to that thread.
class QuietMemory {
 public:
  // After so much silence a thread is quiet.
  static constexpr std::chrono::milliseconds kQuiet{500};
  void worked() { ++turns_; }
  // False: too little was done since the last time to be worth waking for.
  bool is_worth_it() const { return turns_ >= kTurnsMin; }
  void give_back() {
    turns_ = 0;
    give_back_free_memory();
  }
  // wake.wait(lock, called) after a turn of work. Gives back without the lock.
  template <class Called>
  void wait(std::condition_variable& wake, std::unique_lock<std::mutex>& lock, Called called) {
    worked();
    if (is_worth_it() && !wake.wait_for(lock, kQuiet, called)) {
      lock.unlock();
      give_back();
      lock.lock();
    }
    wake.wait(lock, called);
  }

 private:
  static constexpr std::uint32_t kTurnsMin = 256;
  std::uint32_t turns_ = 0;
};

}  // namespace mayfly::os
