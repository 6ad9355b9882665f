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
  memory.release();
  EXPECT_FALSE(memory.is_worth_it());
}

TEST(AllocatorTest, ReleasingLosesNothing) {
  std::string text(1u << 20, 'x');
  limit_allocator_caches(1u << 20);
  release_free_pages();
  EXPECT_EQ(text, std::string(1u << 20, 'x'));
  if (const auto use = allocator_use()) {
    EXPECT_GE(use->in_use, text.size());
  }
}

}  // namespace
}  // namespace mayfly::os
