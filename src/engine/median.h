#pragma once
// What a version usually takes: median or mean of the last samples; and what it takes at
// the least, with a long memory. On one loop only.

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/clock.h"

namespace mayfly::engine {

class RecentMedian {
 public:
  void add(std::int64_t us) {
    samples_[next_] = static_cast<std::uint32_t>(std::clamp<std::int64_t>(us, 0, UINT32_MAX));
    next_ = (next_ + 1) % samples_.size();
    if (count_ < samples_.size()) ++count_;
    dirty_ = true;
  }
  std::optional<microseconds> value() const {
    if (count_ == 0) return std::nullopt;
    if (dirty_) {
      auto sorted = samples_;
      const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(count_ / 2);
      std::nth_element(sorted.begin(), middle,
                       sorted.begin() + static_cast<std::ptrdiff_t>(count_));
      median_ = *middle;
      dirty_ = false;
    }
    return microseconds(median_);
  }

 private:
  std::array<std::uint32_t, 31> samples_{};
  std::size_t next_ = 0, count_ = 0;
  mutable bool dirty_ = false;
  mutable std::uint32_t median_ = 0;
};

// The mean of the last few dozen samples, for what is measured in lumps.
class RecentMean {
 public:
  void add(std::int64_t us) {
    if (count_ < kCountMax) ++count_;
    mean_ += (static_cast<double>(us) - mean_) / count_;
  }
  std::optional<microseconds> value() const {
    if (count_ == 0) return std::nullopt;
    return microseconds(static_cast<std::int64_t>(mean_));
  }

 private:
  static constexpr int kCountMax = 64;
  double mean_ = 0;
  int count_ = 0;
};

// The least sample so far. It is forgotten slowly, and so tells a call that computes apart from one
// that waits, even while so many run that each of them takes long.
class SlowLeast {
 public:
  static constexpr double kDoublesAfterUs = 3e6;

  void add(std::int64_t us, SteadyTime now) {
    const auto sample = static_cast<double>(std::max<std::int64_t>(us, 1));
    if (least_ > 0) least_ *= std::exp2(double(to_us(now - since_)) / kDoublesAfterUs);
    if (least_ <= 0 || sample < least_) least_ = sample;
    since_ = now;
  }
  std::optional<microseconds> value() const {
    if (least_ <= 0) return std::nullopt;
    return microseconds(static_cast<std::int64_t>(least_));
  }

 private:
  double least_ = 0;
  SteadyTime since_;
};

}  // namespace mayfly::engine
