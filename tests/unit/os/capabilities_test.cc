#include "os/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

#include <thread>

namespace mayfly::os {
namespace {

// In a thread of its own: capabilities belong to the thread, and what is given up is gone.
TEST(Capabilities, OnlyTheNamedOnesAreKept) {
  if (!has_capability(CAP_SYS_ADMIN) || !has_capability(CAP_FOWNER))
    GTEST_SKIP() << "only root can give up what only root has";
  std::thread([] {
    ASSERT_TRUE(keep_capabilities({CAP_FOWNER}).has_value());
    EXPECT_TRUE(has_capability(CAP_FOWNER));
    EXPECT_FALSE(has_capability(CAP_SYS_ADMIN));
    EXPECT_FALSE(has_capability(CAP_CHECKPOINT_RESTORE));  // of the second word
    // What is not there any more cannot be kept: no error, and no gain.
    ASSERT_TRUE(keep_capabilities({CAP_FOWNER, CAP_SYS_ADMIN}).has_value());
    EXPECT_FALSE(has_capability(CAP_SYS_ADMIN));
    EXPECT_TRUE(has_capability(CAP_FOWNER));
  }).join();
  EXPECT_TRUE(has_capability(CAP_SYS_ADMIN));
}

}  // namespace
}  // namespace mayfly::os
