#pragma once
// How many shells a template keeps prepared, and when it is built again: pure functions and values,
// thread-safe.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace mayfly::engine::policy {

// Clones made lately, for each second: a count that fades.
class CloneRate {
 public:
  static constexpr double kHalfLifeS = 5.0;

  void add(SteadyTime now) {
    count_ = faded(now) + 1;
    last_ = now;
  }
  double per_second(SteadyTime now) const { return faded(now) * 0.693147 / kHalfLifeS; }

 private:
  double faded(SteadyTime now) const {
    const double age_s = double(std::max<std::int64_t>(0, to_us(now - last_))) / 1e6;
    return count_ <= 0 ? 0 : count_ * std::exp2(-age_s / kHalfLifeS);
  }
  double count_ = 0;
  SteadyTime last_{};
};

constexpr unsigned kShellsMax = 16;
// A shell costs a process and its namespaces: a version that is not called has none.
constexpr microseconds kShellsIdle{5 * 60 * 1'000'000ll};
// Taking the place of one that was used takes about so long on a busy machine.
constexpr double kShellRefillS = 0.1;

inline unsigned shells_wanted(double clones_per_second, microseconds unused_for) {
  if (unused_for >= kShellsIdle) return 0;
  const double used_meanwhile = std::ceil(std::max(0.0, clones_per_second) * kShellRefillS);
  return 1 + static_cast<unsigned>(std::min<double>(used_meanwhile, kShellsMax - 1));
}

// Before the next template after so many that failed or died in a row. Instances start all the
// same.
inline milliseconds rebuild_after(unsigned failures) {
  if (failures == 0) return milliseconds(0);
  return std::min(milliseconds(250) * (1u << std::min(failures - 1, 12u)), milliseconds(300'000));
}

}  // namespace mayfly::engine::policy
