#include "os/allocator.h"

#include <gtest/gtest.h>

#include <string>

namespace mayfly::os {
namespace {

void work(QuietMemory& memory, int turns) {
  for (int i = 0; i < turns; ++i) memory.worked();
}

TEST(QuietMemoryTest, LittleWorkIsNotWorthIt) {
  QuietMemory memory;
  EXPECT_FALSE(memory.is_worth_it());
  work(memory, 200);
  EXPECT_FALSE(memory.is_worth_it());
  work(memory, 100);
  EXPECT_TRUE(memory.is_worth_it());
  memory.give_back();
  EXPECT_FALSE(memory.is_worth_it());
}

TEST(QuietMemoryTest, AWaitThatIsCalledAtOnceGivesNothingBack) {
  QuietMemory memory;
  work(memory, 1000);
  std::mutex mutex;
  std::condition_variable wake;
  std::unique_lock lock(mutex);
  memory.wait(wake, lock, [] { return true; });
  EXPECT_TRUE(lock.owns_lock());
  EXPECT_TRUE(memory.is_worth_it());
}

TEST(QuietMemoryTest, ASilentWaitGivesBackWithoutTheLock) {
  QuietMemory memory;
  work(memory, 1000);
  std::mutex mutex;
  std::condition_variable wake;
  std::unique_lock lock(mutex);
  int asked = 0;
  // Asked before and after the silence, and again with the lock taken anew.
  memory.wait(wake, lock, [&asked] { return ++asked == 3; });
  EXPECT_TRUE(lock.owns_lock());
  EXPECT_FALSE(memory.is_worth_it());
}

TEST(AllocatorTest, GivingBackLosesNothing) {
  std::string text(1u << 20, 'x');
  limit_allocator_caches(1u << 20);
  give_back_free_memory();
  EXPECT_EQ(text, std::string(1u << 20, 'x'));
  if (const auto use = allocator_use()) {
    EXPECT_GE(use->in_use, text.size());
  }
}

}  // namespace
}  // namespace mayfly::os
