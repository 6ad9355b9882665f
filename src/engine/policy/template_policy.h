#pragma once
// How many shells a template keeps prepared, and when it is built again: pure functions and values,
// thread-safe.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace mayfly::engine::policy {

// What is left at now of a value of since, when half of it goes in each half_life_s.
inline double faded(double value, SteadyTime since, SteadyTime now, double half_life_s) {
  const double age_s = double(std::max<std::int64_t>(0, to_us(now - since))) / 1e6;
  return value <= 0 ? 0 : value * std::exp2(-age_s / half_life_s);
}

// Clones made lately, for each second: a count that fades.
class CloneRate {
 public:
  static constexpr double kHalfLifeS = 5.0;

  void add(SteadyTime now) {
    count_ = faded(count_, last_, now, kHalfLifeS) + 1;
    last_ = now;
  }
  double per_second(SteadyTime now) const {
    return faded(count_, last_, now, kHalfLifeS) * 0.693147 / kHalfLifeS;
  }

 private:
  double count_ = 0;
  SteadyTime last_{};
};

// The most clones that came at once lately: as many will be wanted when the like comes again.
class BurstSize {
 public:
  static constexpr milliseconds kAtOnce{50};
  static constexpr double kHalfLifeS = 60;

  void add(SteadyTime now) {
    if (now - began_ > kAtOnce) {
      began_ = now;
      size_ = 0;
    }
    ++size_;
    if (size_ < expected(now)) return;
    peak_ = size_;
    peak_at_ = now;
  }
  double expected(SteadyTime now) const { return faded(peak_, peak_at_, now, kHalfLifeS); }

 private:
  SteadyTime began_{}, peak_at_{};
  double size_ = 0, peak_ = 0;
};

constexpr unsigned kShellsMax = 16;
// A shell costs a process and its namespaces: a version that is not called has none.
constexpr microseconds kShellsIdle{5 * 60 * 1'000'000ll};
// Taking the place of one that was used takes about so long on a busy machine.
constexpr double kShellRefillS = 0.1;

inline unsigned shells_wanted(double clones_per_second, double burst, microseconds unused_for) {
  if (unused_for >= kShellsIdle) return 0;
  const double used_meanwhile = std::ceil(std::max(0.0, clones_per_second) * kShellRefillS);
  const double wanted = std::max(1 + used_meanwhile, std::ceil(burst));
  return static_cast<unsigned>(std::min<double>(wanted, kShellsMax));
}

// Before the next template after so many that failed or died in a row. Instances start all the
// same.
inline milliseconds rebuild_after(unsigned failures) {
  if (failures == 0) return milliseconds(0);
  return std::min(milliseconds(250) * (1u << std::min(failures - 1, 12u)), milliseconds(300'000));
}

}  // namespace mayfly::engine::policy
