#include "os/cpu_meter.h"

#include <gtest/gtest.h>
#include <time.h>

#include <fstream>

#include "store/temp_dir.h"

namespace mayfly::os {
namespace {

struct CpuMeterTest : ::testing::Test {
  void put(const std::string& line) { std::ofstream(file) << line << "\ncpu0 1 2 3\n"; }

  test::TempDir dir;
  const std::string file = dir.path() + "/stat";
  SteadyTime now = SteadyTime(seconds(100));
};

TEST_F(CpuMeterTest, TellsWhenNothingIsIdle) {
  put("cpu  1000 0 0 1000 0 0 0 0 0 0");
  CpuMeter meter(file);
  EXPECT_FALSE(meter.saturated(now)) << "nothing is known";
  put("cpu  1010 0 8 1001 0 0 1 0 0 0");
  EXPECT_FALSE(meter.saturated(now + milliseconds(99))) << "too soon";
  EXPECT_FALSE(meter.saturated(now + milliseconds(100))) << "one of twenty ticks";
  put("cpu  1030 0 8 1001 0 0 1 0 0 0");
  EXPECT_TRUE(meter.saturated(now + milliseconds(200)));
  put("cpu  1030 0 8 1011 10 0 1 0 0 0");
  EXPECT_TRUE(meter.saturated(now + milliseconds(299)));
  EXPECT_FALSE(meter.saturated(now + milliseconds(300))) << "waiting for a disk is idle";
  EXPECT_DOUBLE_EQ(meter.idle_share(now + milliseconds(301)), 1);
  put("cpu  1060 0 8 1011 20 0 1 0 0 0");
  EXPECT_DOUBLE_EQ(meter.idle_share(now + milliseconds(400)), 0.25);
}

TEST_F(CpuMeterTest, KnowsNothingWithoutItsFile) {
  CpuMeter meter(dir.path() + "/missing");
  EXPECT_FALSE(meter.saturated(now));
  put("no such line");
  CpuMeter other(file);
  EXPECT_FALSE(other.saturated(now));
}

TEST_F(CpuMeterTest, ReadsThisMachine) {
  CpuMeter meter;
  (void)meter.saturated(now);
  (void)meter.saturated(now + seconds(1));
}

TEST(ThreadMeterTest, SeesWhatItsThreadHasUsed) {
  ThreadMeter meter;
  const SteadyTime began(seconds(100));
  EXPECT_DOUBLE_EQ(meter.idle_share(began), 1);
  timespec used{};
  const auto past = [&] {
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * 1000 + used.tv_nsec / 1'000'000;
  };
  for (const auto until = past() + 30; past() < until;) {
  }
  EXPECT_DOUBLE_EQ(meter.idle_share(began + milliseconds(99)), 1) << "too soon";
  EXPECT_LE(meter.idle_share(began + milliseconds(100)), 0.71) << "30 of 100 ms";
  EXPECT_GT(meter.idle_share(began + seconds(100)), 0.71);
}

}  // namespace
}  // namespace mayfly::os
