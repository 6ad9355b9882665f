#include "engine/policy/gap_history.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mayfly::engine::policy {
namespace {

constexpr microseconds kUnknownMax = std::chrono::minutes(10);

// Edges within an octave, as 2^(k/8); integers below keep every machine at the same bins.
const std::array<double, GapHistogram::kPerOctave + 1> kSteps = [] {
  std::array<double, GapHistogram::kPerOctave + 1> steps{};
  for (std::size_t k = 0; k < steps.size(); ++k)
    steps[k] = std::exp2(double(k) / GapHistogram::kPerOctave);
  return steps;
}();

bool differ(double a, double b) {
  return std::abs(a - b) > 0.25 * std::max(std::abs(a), std::abs(b));
}
bool differ(const KeepCosts& a, const KeepCosts& b) {
  return differ(a.cold_us, b.cold_us) || differ(a.start_cpu_us, b.start_cpu_us) ||
         differ(a.bytes * a.price_per_byte_s, b.bytes * b.price_per_byte_s);
}

}  // namespace

microseconds GapHistogram::lower_edge(int bin) {
  if (bin <= 0) return microseconds(0);
  const int octave = (bin - 1) / kPerOctave, step = (bin - 1) % kPerOctave;
  const double base = double(std::int64_t{1} << (kSmallestLog2 + octave));
  return microseconds(std::llround(base * kSteps[static_cast<std::size_t>(step)]));
}

int GapHistogram::bin_of(microseconds gap) {
  const std::int64_t us = gap.count();
  if (us < (std::int64_t{1} << kSmallestLog2)) return 0;
  const int octave = std::bit_width(static_cast<std::uint64_t>(us)) - 1 - kSmallestLog2;
  if (octave >= kOctaves) return kBins;
  int bin = 1 + octave * kPerOctave;
  while (bin + 1 <= (octave + 1) * kPerOctave && us >= lower_edge(bin + 1).count()) ++bin;
  return bin;
}

void GapHistogram::add(microseconds gap) {
  const int bin = bin_of(gap);
  auto& count = bin >= kBins ? beyond_ : counts_[static_cast<std::size_t>(bin)];
  if (count == UINT8_MAX) {
    total_ = 0;
    for (auto& each : counts_) total_ += each /= 2;
    total_ += beyond_ /= 2;
  }
  ++count;
  ++total_;
}

microseconds break_even(const KeepCosts& costs) {
  const double per_us = costs.bytes * costs.price_per_byte_s / 1e6;
  const double cold = costs.cold_us + kCpuPrice * costs.start_cpu_us;
  if (cold <= 0) return microseconds(0);
  if (per_us <= 0 || cold / per_us >= double(kUnknownMax.count())) return kUnknownMax;
  return microseconds(static_cast<std::int64_t>(cold / per_us));
}

KeepWindow cheapest_window(const GapHistogram& gaps, const KeepCosts& costs) {
  struct Bin {
    double from_us, until_us, count;
  };
  std::array<Bin, GapHistogram::kBins> bins;
  std::size_t used = 0;
  for (int i = 0; i < GapHistogram::kBins; ++i)
    if (gaps.count(i) > 0)
      bins[used++] = {double(GapHistogram::lower_edge(i).count()),
                      double(GapHistogram::upper_edge(i).count()), double(gaps.count(i))};

  const double all = double(gaps.total()) + 1;
  const double hold = costs.bytes * costs.price_per_byte_s / 1e6;  // for each microsecond
  const double restart = kCpuPrice * costs.start_cpu_us;
  const double cold = costs.cold_us + restart;
  double least = all * cold;  // ends at once
  KeepWindow best;
  // Windows begin at 0 or where a bin begins, and end where one ends.
  for (std::size_t first = 0; first <= used; ++first) {
    const bool prewarm = first > 0;
    const std::size_t begin = prewarm ? first - 1 : 0;
    const double from = prewarm ? bins[begin].from_us : 0;
    if (prewarm && from < double(kPrewarmMin.count())) continue;
    double before = 0;  // calls that come before the window
    for (std::size_t i = 0; i < begin; ++i) before += bins[i].count;
    double warm = 0, held = 0;
    for (std::size_t last = begin; last < used; ++last) {
      warm += bins[last].count;
      held += bins[last].count * (0.5 * (bins[last].from_us + bins[last].until_us) - from);
      const double later = all - before - warm;
      const double until = bins[last].until_us;
      double cost = hold * (held + later * (until - from)) + (before + later) * cold;
      if (prewarm) cost += (warm + later) * restart;
      if (cost < least) {
        least = cost;
        best = {microseconds(static_cast<std::int64_t>(from)),
                microseconds(static_cast<std::int64_t>(until))};
      }
    }
  }
  return best;
}

KeepPlan keep_plan(const KeepWindow& window, microseconds start, bool alone) {
  if (window.from.count() == 0) return {std::max(window.until, kKeepMin)};
  if (!alone) return {kKeepMin};
  // Not worth an end in between.
  if (window.from - start <= kKeepMin) return {window.until};
  return {kKeepMin, window.from, window.until};
}

void GapHistory::learn(microseconds gap) {
  gaps_.add(std::max(gap, microseconds(0)));
  ++new_gaps_;
}

void GapHistory::on_end(SteadyTime idle_since) {
  ended_[ended_next_] = idle_since;
  ended_next_ = static_cast<std::uint8_t>((ended_next_ + 1) % kEndedMax);
  ended_count_ = static_cast<std::uint8_t>(std::min<std::size_t>(kEndedMax, ended_count_ + 1u));
}

void GapHistory::on_restart() {
  if (ended_count_ == 0) return;
  ended_next_ = static_cast<std::uint8_t>((ended_next_ + kEndedMax - 1) % kEndedMax);
  --ended_count_;
}

void GapHistory::on_miss(SteadyTime now) {
  if (ended_count_ == 0) return;
  on_restart();
  learn(std::chrono::duration_cast<microseconds>(now - ended_[ended_next_]));
}

KeepWindow GapHistory::window(const KeepCosts& costs) {
  if (!known()) return {microseconds(0), break_even(costs)};
  if (!window_ || new_gaps_ * 8 >= gaps_.total() || differ(costs, costs_)) {
    window_ = cheapest_window(gaps_, costs);
    costs_ = costs;
    new_gaps_ = 0;
  }
  return *window_;
}

}  // namespace mayfly::engine::policy
