#pragma once
// Measures one run of a simulation. What happens before the warm-up is over changes the memory that
// is held, and counts for nothing else. Times are microseconds of the virtual clock, memory is in
// bytes. Thread-compatible.

#include <cstdint>
#include <vector>

#include "simulation/load.h"
#include "simulation/measures.h"
#include "simulation/model.h"

namespace mayfly::simulation {

// A quantity and its integral over time.
class Gauge {
 public:
  void add(std::int64_t change, std::int64_t now) {
    settle(now);
    current_ += change;
  }
  void restart(std::int64_t now) {
    integral_ = 0;
    last_ = now;
  }
  void settle(std::int64_t now) {
    integral_ += double(current_) * double(now - last_);
    last_ = now;
  }
  double gigabytes() const { return double(current_) / 1e9; }
  double gigabyte_hours() const { return integral_ / 1e9 / 3600e6; }

 private:
  std::int64_t current_ = 0, last_ = 0;
  double integral_ = 0;
};

// What a call met: an idle instance, one that another call let go, or a start.
enum class Met { warm, queued, clone, boot };

class Recorder {
 public:
  Recorder(const Load& load, const PolicyOptions& options);

  void begun(std::uint32_t function, std::int64_t arrived, std::int64_t run, Met met,
             std::int64_t now);
  void refused(std::uint32_t function, std::int64_t now);
  // One more of a number of the outcome.
  void count(std::uint64_t Outcome::*number, std::int64_t now);
  void booted(std::int64_t boot_us, std::int64_t now);
  // A point of the series; the one at the end of the warm-up begins the measured time.
  void sample(std::int64_t now);
  // At the end of the load, once.
  Outcome finish();

  Gauge idle, templates, busy;  // memory that is held

 private:
  bool measured(std::int64_t at) const { return at >= load_.warmup_us(); }

  const Load& load_;
  Outcome outcome_;
  WeightedHistogram delays_, slowdowns_, slowdowns_capped_;
  struct PerFunction {
    double calls = 0, excess = 0, cold = 0;
  };
  std::vector<PerFunction> per_function_;
};

}  // namespace mayfly::simulation
