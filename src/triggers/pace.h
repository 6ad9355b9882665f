#pragma once
// How fast calls that nobody waits for are run, and when failed ones come again. Pure functions of
// state and time, so that tests need no clock.

#include <cstdint>

#include "base/clock.h"

namespace mayfly::triggers {

// How many calls of one function may run or stand in the dispatcher's line at once. It opens while
// calls find an instance soon, so that the line shows the scaler there is work, and closes when
// they wait long: then instances are what is missing, and the line is needed for those who wait for
// their answers. Waiting calls stay in the queue. On one loop.
class Window {
 public:
  explicit Window(std::uint32_t limit_max) : limit_max_(limit_max == 0 ? 1 : limit_max) {}

  // How many more may begin now, with so many begun.
  std::uint32_t room(std::uint32_t begun, SteadyTime now) const;
  // A call reached an instance after it had waited so long in the dispatcher's line (not counting
  // the start of an instance).
  void on_ran(std::chrono::microseconds waited, SteadyTime now);
  // The dispatcher refused one (429), and said when to try again.
  void on_refused(std::chrono::seconds retry_after, SteadyTime now);

  std::uint32_t limit() const { return static_cast<std::uint32_t>(limit_); }
  // Nothing may begin before; min() when nothing holds it.
  SteadyTime paused_until() const { return paused_until_; }

 private:
  std::uint32_t limit_max_;
  double limit_ = 8;
  bool probing_ = true;  // doubles until it first had to close
  SteadyTime paused_until_ = SteadyTime::min();
  SteadyTime closed_at_{};  // the epoch: long ago, and no overflow when it is taken off
};

// Whether calls that nobody waits for give way to somebody who does: from when there is next to
// nothing left until there is much, so that what giving way frees does not end it.
class GiveWay {
 public:
  // left: the share of its time, lately, that what they compete for was idle (os/cpu_meter.h).
  bool update(double left, bool somebody_waits);

 private:
  bool gives_way_ = false;
};

// When attempt number `failed` (1 is the first) has failed: a random part of base * 2^(failed-1),
// which is capped ("full jitter"). random is uniform in [0, 1). Whole seconds are what queues know:
// rounded up.
std::chrono::seconds backoff(std::uint32_t failed, milliseconds base, milliseconds cap,
                             double random);

}  // namespace mayfly::triggers
