#include "os/time_slice.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <thread>

namespace mayfly::os {
namespace {

using std::chrono::microseconds;

// In a thread of its own: what it sets, others in this process must not have.
template <class Body>
void in_a_thread(Body body) {
  std::thread(body).join();
}

TEST(TimeSlice, IsSetInheritedAndTakenBack) {
  in_a_thread([] {
    const auto before = time_slice_of(0);
    ASSERT_TRUE(before.has_value()) << before.error().describe();
    if (before->count() == 0) GTEST_SKIP() << "this kernel has no slices of a thread's own";
    ASSERT_TRUE(set_time_slice(0, kPlatformSlice).has_value());
    EXPECT_EQ(*time_slice_of(0), kPlatformSlice);
    in_a_thread([] { EXPECT_EQ(*time_slice_of(0), kPlatformSlice); });
    ASSERT_TRUE(set_time_slice(0, microseconds(0)).has_value());
    EXPECT_EQ(*time_slice_of(0), *before);
  });
}

TEST(TimeSlice, LeavesThePriorityAlone) {
  in_a_thread([] {
    ASSERT_EQ(setpriority(PRIO_PROCESS, 0, 7), 0);
    ASSERT_TRUE(set_time_slice(0, kAwaitedSlice).has_value());
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 7);
  });
}

TEST(TimeSlice, OfAThreadThatIsNotThereIsAnError) {
  EXPECT_EQ(set_time_slice(0x7ffffff0, kPlatformSlice).error().sys_errno, ESRCH);
}

}  // namespace
}  // namespace mayfly::os
