#pragma once
// What the cores of the machine have left. Not thread-safe.

#include <string>

#include "base/clock.h"
#include "os/fd.h"

namespace mayfly::os {

class CpuMeter {
 public:
  explicit CpuMeter(std::string stat_file = "/proc/stat");

  // The share of the last tenth of a second or more that all cores together were idle; as long as
  // nothing is known, and where /proc does not tell, 1. Looks at most ten times a second.
  double idle_share(SteadyTime now);
  // Less than a twentieth.
  bool saturated(SteadyTime now) { return idle_share(now) < 0.05; }

 private:
  Fd stat_;
  SteadyTime read_at_{};
  std::uint64_t idle_ = 0, total_ = 0;
  double idle_share_ = 1;
};

// What one thread has left of its core: that which calls it, always the same.
class ThreadMeter {
 public:
  // The share of the last tenth of a second or more in which it did not run; 1 as long as nothing
  // is known. Looks at most ten times a second.
  double idle_share(SteadyTime now);

 private:
  SteadyTime read_at_{};
  std::int64_t used_us_ = -1;
  double idle_share_ = 1;
};

}  // namespace mayfly::os
