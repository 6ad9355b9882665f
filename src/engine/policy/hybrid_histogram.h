#pragma once
// The hybrid histogram policy of Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020), for
// comparison in `mayfly simulate`: idle times in bins of a minute over four hours; instances are
// started again at the 5th percentile (less a tenth) and kept to the 99th (and a tenth more). Where
// the histogram is not representative (few or spread-out bins, or most idle times beyond its
// range) instances are kept for its whole range. Left out: the forecast by ARIMA for versions whose
// idle times lie beyond the range. A pure value of a fixed size; thread-compatible.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "engine/policy/gap_history.h"

namespace mayfly::engine::policy {

class HybridHistogram {
 public:
  static constexpr int kBins = 240;
  static constexpr microseconds kBin = std::chrono::minutes(1);
  static constexpr double kHead = 0.05, kTail = 0.99, kMargin = 0.10;
  static constexpr double kCvMin = 2.0, kBeyondMax = 0.5;

  void add(microseconds idle) {
    const std::int64_t bin = std::max<std::int64_t>(0, idle.count()) / kBin.count();
    if (bin >= kBins) {
      ++beyond_;
      return;
    }
    auto& count = counts_[static_cast<std::size_t>(bin)];
    squares_ += 2.0 * count + 1.0;
    ++count;
    ++inside_;
  }

  std::uint64_t inside() const { return inside_; }
  std::uint64_t beyond() const { return beyond_; }

  // Coefficient of variation of the bins' counts: high when few bins hold most of them.
  double bins_cv() const {
    if (inside_ == 0) return 0;
    const double mean = double(inside_) / kBins;
    const double variance = std::max(0.0, squares_ / kBins - mean * mean);
    return std::sqrt(variance) / mean;
  }
  bool representative() const {
    if (inside_ == 0) return false;
    return double(beyond_) < kBeyondMax * double(inside_ + beyond_) && bins_cv() >= kCvMin;
  }

  KeepWindow window() const {
    if (!representative()) return {microseconds(0), kBins * kBin};
    // The head is rounded down to its bin's beginning, the tail up to its bin's end.
    const auto head = kBin * bin_at(kHead);
    const auto tail = kBin * (bin_at(kTail) + 1);
    return {microseconds(std::llround(double(head.count()) * (1.0 - kMargin))),
            microseconds(std::llround(double(tail.count()) * (1.0 + kMargin)))};
  }

 private:
  int bin_at(double share) const {
    const double wanted = share * double(inside_);
    double sum = 0;
    for (int bin = 0; bin < kBins; ++bin) {
      sum += counts_[static_cast<std::size_t>(bin)];
      if (sum >= wanted) return bin;
    }
    return kBins - 1;
  }

  std::array<std::uint32_t, kBins> counts_{};
  std::uint64_t inside_ = 0, beyond_ = 0;
  double squares_ = 0;
};

}  // namespace mayfly::engine::policy
