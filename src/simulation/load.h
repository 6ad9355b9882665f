#pragma once
// A load shaped like the published distributions (azure_2019.h): which functions there are, and
// when each is called for how long. The same options give the same calls, whatever is done with
// them. Thread-compatible.

#include <cstdint>
#include <functional>
#include <ostream>
#include <vector>

#include "simulation/random.h"

namespace mayfly::simulation {

struct LoadOptions {
  std::uint32_t functions = 10'000;
  double hours = 24;    // that are measured
  double warmup_h = 6;  // before them, so that policies have learnt
  std::uint64_t seed = 1;
  // Applications called more often are simulated at this rate (calls a second), and each of their
  // calls stands for several: at such rates more calls only mean more of the same.
  double rate_max = 1.0;
  double run_sigma = 0.5;   // of the logarithm of one function's run times around its mean
  double run_min_ms = 1.0;  // the data have 0 for runs below their resolution
  double run_max_s = 600;   // Azure's own limit then
  double init_ms = 200;     // median of the initialisations: modules loaded, clients made
  double init_sigma = 1.0;  // of their logarithm
  double peak = 2.0;  // busiest hour of a day against the quietest; timers keep to their period
  // Calls above CV 1 come in bursts whose gaps are this part of the mean gap; 0: the usual
  // hyper-exponential fit with balanced means.
  double burst_gap = 0;
};

struct Function {
  std::uint32_t application = 0;
  double memory_mb = 0;
  std::int64_t run_mean_us = 0, init_us = 0;
  double weight = 1;  // calls that one simulated call stands for
};

struct Application {
  std::uint32_t first = 0, count = 0;  // its functions
  double calls_a_day = 0;              // as drawn
  double cv = 0;                       // of the gaps between its calls; 0: a timer
};

struct Call {
  std::int64_t at_us = 0;
  std::uint32_t function = 0;
  std::int64_t run_us = 0;
};

class Load {
 public:
  explicit Load(const LoadOptions& options);
  // Applications and functions that are given, instead of drawn ones.
  Load(const LoadOptions& options, std::vector<Application> applications,
       std::vector<Function> functions);

  const LoadOptions& options() const { return options_; }
  const std::vector<Function>& functions() const { return functions_; }
  const std::vector<Application>& applications() const { return applications_; }
  std::int64_t warmup_us() const;
  std::int64_t end_us() const;                                  // of warm-up and measured hours
  double simulated_rate(const Application& application) const;  // calls a second

 private:
  void draw_population();
  LoadOptions options_;
  std::vector<Application> applications_;
  std::vector<Function> functions_;
};

// The calls of a load, one application at a time.
class Arrivals {
 public:
  explicit Arrivals(const Load& load);
  // When the application is called next; the first time for the first call. May lie beyond the end.
  std::int64_t next_at(std::uint32_t application);
  // The call that comes then.
  Call draw(std::uint32_t application, std::int64_t at_us);

 private:
  struct State {
    Random random;
    double at_s = 0;
    std::uint64_t calls = 0;
    bool begun = false;
  };
  double gap(const Application& application, Random& random) const;  // mean 1
  double to_real(double from_s, double operational_s) const;

  const Load& load_;
  std::vector<State> states_;
};

// Every call in the order of time.
void for_each_call(const Load& load, const std::function<void(const Call&)>& visit);
// The same as CSV with a title line: time in seconds, function, run in milliseconds, memory in MB
// and how many calls this one stands for. For other simulators and for load generators.
void write_trace(const Load& load, std::ostream& out);

}  // namespace mayfly::simulation
