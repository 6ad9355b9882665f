#include "os/allocator.h"

#include <gtest/gtest.h>

#include <string>

namespace mayfly::os {
namespace {

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
