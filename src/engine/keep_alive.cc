#include "engine/keep_alive.h"

#include <algorithm>
#include <cmath>

#include "engine/policy/felt_wait.h"
#include "engine/pool.h"

namespace mayfly::engine {
namespace {

// A busy instance is idle thousands of times a second: what was decided holds for a while, once
// one gap more does not say much.
constexpr milliseconds kDecideEvery{100};
constexpr std::uint32_t kGapsMany = 32;
constexpr std::uint64_t kHeldMin = 1u << 20;

// Four steps an octave from the least on, so that the timers of ten thousand functions stand in a
// few lists.
milliseconds in_steps(microseconds stay, bool up) {
  const double least = double(policy::kKeepMin.count());
  const double steps = 4 * std::log2(std::max(1.0, double(stay.count()) / least));
  const double whole = up ? std::ceil(steps) : std::floor(steps);
  return milliseconds(std::llround(std::exp2(whole / 4) * least / 1e3));
}

}  // namespace

KeepAlive::KeepAlive(Core& core, Pool& pool)
    : core_(core), pool_(pool), ahead_(&KeepAlive::on_ahead, this) {}

milliseconds KeepAlive::on_idle(std::uint64_t held_bytes) {
  if (pool_.retired()) return milliseconds(0);
  if (const auto set = set_by(*pool_.version())) return *set;
  const auto now = core_.now();
  const bool fresh = gaps_.gaps().total() >= kGapsMany && now - decided_at_ < kDecideEvery;
  if (!fresh || plan_.again_from.count() > 0) {
    decide(held_bytes, now);
    plan_start(now);
  }
  return stay_;
}

void KeepAlive::decide(std::uint64_t held_bytes, SteadyTime now) {
  const auto start = pool_.rebuild_cost();
  policy::KeepCosts costs;
  costs.cold_us = double(policy::felt_wait(start, pool_.run_median()).count());
  costs.start_cpu_us = double(start.count());
  // Without a cgroup nobody knows: as much as it may.
  costs.bytes = double(held_bytes != 0 ? std::max(held_bytes, kHeldMin) : pool_.memory_bytes());
  costs.price_per_byte_s = policy::kMemoryPrice;
  const bool alone = pool_.ready_count() + pool_.starting_count() <= 1;
  plan_ = policy::keep_plan(gaps_.window(costs), start, alone);
  learnt_ = gaps_.known();
  stay_ = in_steps(plan_.stay, learnt_);
  decided_at_ = now;
}

void KeepAlive::plan_start(SteadyTime now) {
  ahead_.disarm();
  if (plan_.again_from.count() == 0 || core_.stopping) return;
  ahead_since_ = now;
  ahead_until_ = now + plan_.again_until;
  const auto after = std::chrono::ceil<milliseconds>(plan_.again_from - pool_.rebuild_cost());
  core_.timers.arm(ahead_, std::max(after, milliseconds(1)));
}

void KeepAlive::on_ahead(void* self) {
  auto& keep = *static_cast<KeepAlive*>(self);
  auto& pool = keep.pool_;
  if (pool.retired() || keep.core_.stopping || pool.ready_count() + pool.starting_count() > 0)
    return;
  // Nobody else has to go for a call that may not come.
  if (!keep.core_.fits(pool.memory_bytes())) return;
  keep.start_asked_ = true;
  pool.start_ahead();
}

bool KeepAlive::claim_start() {
  if (!std::exchange(start_asked_, false)) return false;
  gaps_.on_restart();
  return true;
}

std::optional<milliseconds> KeepAlive::set_by(const functions::Version& version) {
  if (version.settings.keep_alive_ms < 0) return std::nullopt;
  return milliseconds(version.settings.keep_alive_ms);
}

KeepAliveStats KeepAlive::stats() const {
  KeepAliveStats stats;
  stats.gaps = gaps_.gaps().total();
  stats.why = learnt_ ? KeepAliveStats::Why::learnt : KeepAliveStats::Why::break_even;
  stats.stay = stay_;
  stats.again_from = std::chrono::ceil<milliseconds>(plan_.again_from);
  return stats;
}

}  // namespace mayfly::engine
