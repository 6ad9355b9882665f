#pragma once
// Whether the cores of the machine have anything left. Not thread-safe.

#include <string>

#include "base/clock.h"
#include "os/fd.h"

namespace mayfly::os {

class CpuMeter {
 public:
  explicit CpuMeter(std::string stat_file = "/proc/stat");

  // True when all cores together were idle for less than a twentieth of the last tenth of a second
  // or more; as long as nothing is known, and where /proc does not tell, false. Looks at most ten
  // times a second.
  bool saturated(SteadyTime now);

 private:
  Fd stat_;
  SteadyTime read_at_{};
  std::uint64_t idle_ = 0, total_ = 0;
  bool saturated_ = false;
};

}  // namespace mayfly::os
