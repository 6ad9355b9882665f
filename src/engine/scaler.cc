#include "engine/scaler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mayfly::engine::scaler {
namespace {

// A line shorter than this is noise of the scheduler, whatever the medians say.
constexpr microseconds kWaitNoticeable{2'000};
constexpr microseconds kStartUnknown{200'000};
// Calls that run for longer share the cores rather than wait for each other.
constexpr microseconds kShortRun{20'000};
// Runs that take so much longer than they need stand in each other's way ...
constexpr double kContended = 2.0;
// ... and the cause is CPU time when the version uses so much of the machine.
constexpr double kNotable = 0.1;

// The first calls that run get so long to show what calls take: a part of what a start costs.
microseconds first_look(const PoolView& pool) {
  return std::clamp(pool.start_median.value_or(kStartUnknown) / 4, microseconds(2'000),
                    microseconds(50'000));
}

std::uint32_t room_under_max(const PoolView& pool) {
  const std::uint32_t now = pool.ready + pool.starting;
  if (pool.instances_max == 0) return UINT32_MAX;
  return pool.instances_max > now ? pool.instances_max - now : 0;
}

std::uint32_t ceil_div(double amount, double each) {
  if (amount <= 0) return 0;
  return static_cast<std::uint32_t>(std::min(std::ceil(amount / each), 1e9));
}

// Calls that one instance takes off the line until the last of them has waited a start's time,
// counted from the moment it is ready.
double served_while_starting(const PoolView& pool, double run_us, double start_us) {
  return pool.concurrency * (1.0 + std::floor(start_us / run_us));
}

// A line that has lasted a whole start would be shorter now had one more instance been started.
// Up to twice the cores that is reason enough; beyond, only a wait that can be noticed is.
bool lasting_line(const PoolView& pool, double run_us, double start_us, SteadyTime now) {
  if (pool.starting > 0 || to_us(now - pool.line_since) < start_us) return false;
  // The ends that were counted on have not come, as when all calls began together: a wait of two
  // starts is longer than one for an instance of its own.
  const double waited_us = pool.first_since < now ? double(to_us(now - pool.first_since)) : 0;
  if (waited_us >= std::max(2 * start_us, double(kWaitNoticeable.count())) && !takes_cpu(pool))
    return true;
  const double wait_us = pool.waiting * run_us / (double(pool.ready) * pool.concurrency);
  if (wait_us <= run_us) return false;
  return pool.ready < 2 * pool.cores || wait_us > double(kWaitNoticeable.count());
}

std::uint32_t demand(const PoolView& pool, SteadyTime now) {
  if (pool.waiting == 0) return 0;
  // Calls with a process of their own have left the line when their process starts.
  if (pool.per_call) return pool.waiting;
  const double coming = double(pool.starting) * pool.concurrency;
  if (!pool.run_median) {
    if (pool.ready > 0 && pool.running_for && *pool.running_for < first_look(pool)) return 0;
    return ceil_div(pool.waiting - coming, pool.concurrency);
  }

  const double start_us =
      std::max<double>(1.0, double(pool.start_median.value_or(kStartUnknown).count()));
  double run_us = std::max<double>(1.0, double(pool.run_median->count()));
  // Calls that run for longer than a start already tell more than what earlier calls took.
  if (pool.running_for && double(pool.running_for->count()) >= start_us)
    run_us = std::max(run_us, double(pool.running_for->count()));
  // What the present instances get done while a new one would be starting needs none.
  const double present = double(pool.ready) * pool.concurrency * start_us / run_us;
  const double excess = pool.waiting - present;
  const double each = served_while_starting(pool, run_us, start_us);
  const std::uint32_t needed = ceil_div(excess, each);
  if (needed > pool.starting) return needed - pool.starting;
  if (pool.ready > 0 && lasting_line(pool, run_us, start_us, now)) return 1;
  return 0;
}

}  // namespace

std::uint32_t useful_instances(const PoolView& pool) {
  if (pool.per_call || !pool.run_median || !pool.run_least || !pool.cpu_mean) return UINT32_MAX;
  if (*pool.run_median > kShortRun || pool.cpu_mean->count() <= 0) return UINT32_MAX;
  const double cpu_us = pool.concurrency * double(pool.cpu_mean->count());
  const double least_us = std::max<double>(1.0, double(pool.run_least->count()));
  const double run_us = std::max<double>(1.0, double(pool.run_median->count()));
  const auto useful = std::max(1u, ceil_div(pool.cores, std::min(1.0, cpu_us / least_us)));
  // They are in each other's way already, and it is the cores that they want.
  const bool contended = run_us > kContended * least_us && takes_cpu(pool);
  return contended ? std::min(useful, std::max(pool.cores, pool.ready)) : useful;
}

bool takes_cpu(const PoolView& pool) {
  if (!pool.run_median || !pool.cpu_mean) return false;
  const double run_us = std::max<double>(1.0, double(pool.run_median->count()));
  return pool.ready * pool.concurrency * double(pool.cpu_mean->count()) / run_us >
         kNotable * double(pool.cores);
}

std::uint32_t wanted_starts(const PoolView& pool, SteadyTime now) {
  std::uint32_t wanted = demand(pool, now);
  const std::uint32_t have = pool.ready + pool.starting;
  const std::uint32_t useful = useful_instances(pool);
  wanted = std::min(wanted, useful > have ? useful - have : 0);
  if (!pool.per_call && pool.instances_min > have)
    wanted = std::max(wanted, pool.instances_min - have);
  return std::min(wanted, room_under_max(pool));
}

std::optional<microseconds> expected_wait(const PoolView& pool) {
  const double slots = (double(pool.ready) + pool.starting) * pool.concurrency;
  if (!pool.run_median || slots <= 0) return std::nullopt;
  return microseconds(
      static_cast<std::int64_t>(pool.waiting * double(pool.run_median->count()) / slots));
}

milliseconds review_after(const PoolView& pool) {
  if (!pool.run_median) return std::chrono::ceil<milliseconds>(first_look(pool));
  const auto start = pool.start_median.value_or(kStartUnknown);
  const auto after = std::chrono::ceil<milliseconds>(start);
  return std::clamp(after, milliseconds(5), milliseconds(1000));
}

Queueing may_wait(const PoolView& pool, std::uint32_t line_max, microseconds patience,
                  bool can_grow) {
  const auto wait = expected_wait(pool);
  const auto retry = [&] {
    const double us = wait ? double(wait->count()) : 1e6;
    return static_cast<std::uint32_t>(std::clamp(std::ceil(us / 1e6), 1.0, 60.0));
  };
  if (pool.waiting >= line_max) return {Line::refuse_full, retry()};
  const bool at_max = !can_grow || room_under_max(pool) == 0;
  if (!at_max) return {};
  if (pool.ready + pool.starting == 0) return {Line::refuse_full, 1};
  if (wait && *wait > patience) return {Line::refuse_slow, retry()};
  return {};
}

bool may_end(const PoolView& pool, SteadyTime idle_since, milliseconds keep_alive, SteadyTime now) {
  return pool.ready + pool.starting > pool.instances_min && now - idle_since >= keep_alive;
}

bool fits(const NodeView& node, std::uint64_t memory_bytes) {
  return node.instances < node.instances_max && node.memory_used + memory_bytes <= node.memory_max;
}

std::optional<std::vector<std::size_t>> make_room(const NodeView& node, std::uint64_t memory_bytes,
                                                  const std::vector<Idle>& idle, SteadyTime now) {
  std::vector<std::size_t> order(idle.size());
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](std::size_t i) {
    const double age = 1.0 + double(std::max<std::int64_t>(0, to_us(now - idle[i].since)));
    return (1.0 + double(idle[i].rebuild_cost.count())) /
           (double(std::max<std::uint64_t>(1, idle[i].memory_bytes)) * age);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return value(a) < value(b); });
  NodeView after = node;
  std::vector<std::size_t> chosen;
  for (const std::size_t i : order) {
    if (fits(after, memory_bytes)) break;
    chosen.push_back(i);
    after.memory_used -= std::min(after.memory_used, idle[i].memory_bytes);
    after.instances -= std::min(after.instances, 1u);
  }
  if (!fits(after, memory_bytes)) return std::nullopt;
  return chosen;
}

milliseconds backoff_after(std::uint32_t failures) {
  if (failures == 0) return milliseconds(0);
  return std::min(milliseconds(100) * (1u << std::min(failures - 1, 6u)), milliseconds(5'000));
}

}  // namespace mayfly::engine::scaler
