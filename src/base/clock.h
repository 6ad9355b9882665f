#pragma once
// Time behind an interface, so that policies and tests run on a virtual clock.

#include <chrono>
#include <cstdint>
#include <string>

namespace mayfly {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime steady_now() const = 0;
  virtual WallTime wall_now() const = 0;
};

class SystemClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall_now() const override { return std::chrono::system_clock::now(); }
};

inline std::int64_t to_epoch_us(WallTime time) {
  return std::chrono::duration_cast<microseconds>(time.time_since_epoch()).count();
}
inline std::int64_t to_epoch_ms(WallTime time) {
  return to_epoch_us(time) / 1000;
}
inline WallTime from_epoch_us(std::int64_t us) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(microseconds(us)));
}
inline std::int64_t to_us(SteadyTime::duration d) {
  return std::chrono::duration_cast<microseconds>(d).count();
}

// RFC 3339 in UTC with milliseconds: 2026-11-21T08:30:00.123Z.
std::string to_rfc3339(WallTime time);

}  // namespace mayfly
