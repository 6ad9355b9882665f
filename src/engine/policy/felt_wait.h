#pragma once
// What a wait means to a caller: half a second before a run of ten milliseconds is felt, before a
// run of a minute it is not. Policies that weigh waiting against memory count it in these units.
// Thread-safe: no state.

#include <algorithm>
#include <optional>

#include "base/clock.h"

namespace mayfly::engine::policy {

// A wait counts as it is before a run of this length.
constexpr microseconds kUsualRun{200'000};

// The wait, times usual run / own run; the factor is kept between 1/50 and 20, and is 1 while the
// run time is not known.
inline microseconds felt_wait(microseconds wait, std::optional<microseconds> run_median) {
  if (!run_median) return wait;
  const double run = std::max(1.0, double(run_median->count()));
  const double factor = std::clamp(double(kUsualRun.count()) / run, 0.02, 20.0);
  return microseconds(static_cast<std::int64_t>(double(wait.count()) * factor));
}

}  // namespace mayfly::engine::policy
