#include "base/clock.h"

#include <fmt/chrono.h>

namespace mayfly {

std::string to_rfc3339(WallTime time) {
  const auto ms = to_epoch_ms(time);
  std::int64_t secs = ms / 1000;
  std::int64_t rest = ms % 1000;
  if (rest < 0) {
    rest += 1000;
    --secs;
  }
  const std::tm utc = fmt::gmtime(static_cast<std::time_t>(secs));
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", utc, rest);
}

}  // namespace mayfly
