#pragma once
// What a run shows: weighted histograms and sums. Thread-compatible.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace mayfly::simulation {

// Non-negative values in 32 bins an octave, from 2^-20 to 2^43: percentiles within 1.1 %. Zero has
// a bin of its own.
class WeightedHistogram {
 public:
  void add(double value, double weight);
  double total() const { return total_; }
  // The value at this share of [0, 1]; 0 when nothing was added.
  double at(double share) const;

 private:
  static constexpr int kPerOctave = 32, kLeastLog2 = -20, kOctaves = 63;
  double zero_ = 0, total_ = 0;
  std::array<double, kPerOctave * kOctaves> bins_{};
};

// At this share of sorted values.
double percentile(std::vector<double> values, double share);

struct Sample {
  double hour = 0;  // since the measured time began
  double idle_gb = 0, templates_gb = 0, busy_gb = 0;
};

// Of the measured time. "Calls" are weighted: a simulated call of a very hot function stands for
// several.
struct Outcome {
  std::string policy, label;
  double hours = 0;
  double calls = 0, simulated_calls = 0, refused = 0;
  double warm = 0, queued = 0, cloned = 0, booted = 0;  // calls by what they met
  std::uint64_t clones = 0, boots = 0;                  // starts, also those ahead of need
  std::uint64_t prewarmed = 0;                          // of them ahead of need
  std::uint64_t templates_made = 0, templates_evicted = 0, instances_evicted = 0;
  double boot_cpu_h = 0;  // processor hours of boots, initialisation included
  double idle_gb_h = 0, templates_gb_h = 0, busy_gb_h = 0;
  // Of calls: until the run begins, and response time / run time.
  double delay_p50_ms = 0, delay_p99_ms = 0, delay_p999_ms = 0;
  double slowdown_p50 = 0, slowdown_p99 = 0, slowdown_p999 = 0;
  // The same p99 with every simulated call counted once: hot functions count for less.
  double slowdown_p99_capped = 0;
  // Of functions that were called: the mean slowdown and the cold share of each.
  double function_slowdown_p50 = 0, function_slowdown_p90 = 0, function_slowdown_p99 = 0;
  double function_cold_p50 = 0, function_cold_p75 = 0;
  std::vector<Sample> series;

  double held_gb_h() const { return idle_gb_h + templates_gb_h; }
  double held_gb() const { return hours > 0 ? held_gb_h() / hours : 0; }
  double share(double part) const { return calls > 0 ? part / calls : 0; }
};

}  // namespace mayfly::simulation
