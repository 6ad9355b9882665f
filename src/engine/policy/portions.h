#pragma once
// How the requests that one turn of the loop produces are handed to an instance: in one write at
// the end of the turn, which costs least, or in portions, so that the instance runs the first while
// the loop still reads the rest. In one write, loop and instance take turns and neither fills a
// core. Portions pay where a call takes the instance long (docs/decisions/0012-warm-path.md). A
// value on one loop.

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace mayfly::engine::policy {

class Portions {
 public:
  static constexpr std::uint32_t kSize = 8;
  // What a call takes an instance, from where on the overlap is worth more than the writes.
  static constexpr double kWorthUs = 8;

  // A request joined those that wait for the write. True: write them now.
  bool add() { return ++waiting_ >= kSize && call_us_ >= kWorthUs; }

  // All that waited has been written. True: began() wants to know when.
  bool written() {
    const bool measure = running_ == 0 && waiting_ >= kSize;
    if (measure) measured_ = left_ = waiting_;
    running_ += waiting_;
    waiting_ = 0;
    return measure;
  }
  void began(SteadyTime now) { since_ = now; }

  // The instance has ended a call. True: measured() wants to know when.
  bool ended() {
    if (running_ > 0) --running_;
    return left_ > 0 && --left_ == 0;
  }

  // As many calls have ended as an instance with nothing to do was given when they began(). Its
  // waking up and what else the loop did meanwhile are in it, so the least of late counts.
  void measured(SteadyTime now) {
    const double us = static_cast<double>(to_us(now - since_)) / measured_;
    call_us_ = call_us_ == 0 ? us : std::min(call_us_ * kFade, us);
  }

  // The estimate; 0: none yet.
  double call_us() const { return call_us_; }

 private:
  static constexpr double kFade = 1.02;

  std::uint32_t waiting_ = 0, running_ = 0;
  std::uint32_t measured_ = 0, left_ = 0;
  SteadyTime since_{};
  double call_us_ = 0;
};

}  // namespace mayfly::engine::policy
