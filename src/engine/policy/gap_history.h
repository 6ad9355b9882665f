#pragma once
// How long an idle instance is kept: learnt from the gaps that the version's own instances saw. A
// gap is the time between an instance becoming idle and the next call that could have used it, also
// when the instance had ended by then. Pure values of a fixed size (under 400 bytes): no clock, no
// allocation; thread-compatible.

#include <array>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace mayfly::engine::policy {

// From the moment an instance becomes idle. from == 0: it stays until `until` (0: it ends at once).
// Else it ends at once, and another is started at `from` and stays until `until`, if no call came.
struct KeepWindow {
  microseconds from{0};
  microseconds until{0};
  bool operator==(const KeepWindow&) const = default;
};

// Counts of gaps in eight bins an octave, from 65 ms to 4.7 hours. Old gaps fade: when a bin is
// full, all counts are halved.
class GapHistogram {
 public:
  static constexpr int kPerOctave = 8, kOctaves = 18, kSmallestLog2 = 16;
  static constexpr int kBins = kPerOctave * kOctaves + 1;  // the first: shorter than all others

  void add(microseconds gap);
  std::uint32_t total() const { return total_; }  // with those beyond the last bin
  std::uint32_t beyond() const { return beyond_; }
  std::uint8_t count(int bin) const { return counts_[static_cast<std::size_t>(bin)]; }

  // kBins for a gap beyond all bins.
  static int bin_of(microseconds gap);
  static microseconds lower_edge(int bin);
  static microseconds upper_edge(int bin) { return lower_edge(bin + 1); }

 private:
  std::array<std::uint8_t, kBins> counts_{};
  std::uint8_t beyond_ = 0;
  std::uint32_t total_ = 0;
};

// What is weighed against what; all in microseconds of a caller's waiting.
struct KeepCosts {
  double cold_us = 0;           // what a call waits longer when nothing idle is there
  double start_cpu_us = 0;      // processor time of a start that no caller waits for
  double bytes = 0;             // what an idle instance holds
  double price_per_byte_s = 0;  // microseconds of waiting that a byte-second is worth
  bool operator==(const KeepCosts&) const = default;
};
// A microsecond of processor time off the path of a call, against one of waiting.
constexpr double kCpuPrice = 0.1;
// Starting ahead of need pays only for gaps of at least this length.
constexpr microseconds kPrewarmMin{5'000'000};
// Below so many gaps nothing is learnt.
constexpr std::uint32_t kGapsMin = 4;
// What a byte held for a second is worth: a GB 10 ms of a caller's waiting.
constexpr double kMemoryPrice = 10e3 / 1e9;
// However short the gaps were, an idle instance stays for so long: ending and starting it costs the
// machine more than the caller sees, and who called just now often calls again.
constexpr microseconds kKeepMin{2'000'000};

// What becomes of an instance that is idle now.
struct KeepPlan {
  microseconds stay{0};  // it ends after this
  // Counted from now as well; 0: no. If no call has come, another is started to be ready at
  // again_from, and stays until again_until.
  microseconds again_from{0}, again_until{0};
  bool operator==(const KeepPlan&) const = default;
};
// start: what a start takes. alone: the version has no other instance; else there is no need to
// start one ahead.
KeepPlan keep_plan(const KeepWindow& window, microseconds start, bool alone);

// While nothing is known: as long as keeping costs what a cold start costs, which is never worse
// than twice the best that hindsight could do; at most ten minutes.
microseconds break_even(const KeepCosts& costs);
// The window with the least expected cost; one more gap than seen is assumed to be missed, so that
// few gaps are not trusted too far.
KeepWindow cheapest_window(const GapHistogram& gaps, const KeepCosts& costs);

// The memory of one version: gaps, and the instances that ended without a call, whose gap is known
// only when the next call comes.
class GapHistory {
 public:
  // An idle instance got a call after this gap.
  void on_reuse(microseconds gap) { learn(gap); }
  // An idle instance ended by keep-alive (or was not kept at all).
  void on_end(SteadyTime idle_since);
  // A call found nothing idle and an instance was started for it: it could have used the one that
  // ended last.
  void on_miss(SteadyTime now);
  // The instance that ended last is started again ahead of need: it counts as never ended.
  void on_restart();

  // The decision for an instance that becomes idle; computed anew only when enough was learnt or
  // the costs have changed by more than a quarter.
  KeepWindow window(const KeepCosts& costs);
  const GapHistogram& gaps() const { return gaps_; }
  // Enough of them to decide by.
  bool known() const { return gaps_.total() >= kGapsMin; }

 private:
  static constexpr std::size_t kEndedMax = 4;
  void learn(microseconds gap);

  GapHistogram gaps_;
  std::array<SteadyTime, kEndedMax> ended_{};  // the last so many; a ring
  std::uint8_t ended_count_ = 0, ended_next_ = 0;
  std::uint32_t new_gaps_ = 0;
  std::optional<KeepWindow> window_;
  KeepCosts costs_;
};

}  // namespace mayfly::engine::policy
