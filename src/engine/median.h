#pragma once
// Median of the last few samples: what a version usually takes. On one loop only.

#include <algorithm>
#include <array>
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
  std::optional<microseconds> least() const {
    if (count_ == 0) return std::nullopt;
    return microseconds(*std::min_element(samples_.begin(),
                                          samples_.begin() + static_cast<std::ptrdiff_t>(count_)));
  }

 private:
  std::array<std::uint32_t, 31> samples_{};
  std::size_t next_ = 0, count_ = 0;
  mutable bool dirty_ = false;
  mutable std::uint32_t median_ = 0;
};

}  // namespace mayfly::engine
