#pragma once
// When to start instances, when to end them, whom to refuse: pure functions of a state and a time,
// so that tests and the simulation run them on a virtual clock. Thread-safe: no state.
//
// The rule (docs/decisions/0005-engine.md): an instance is worth its cost when the line would wait
// longer than a start takes. Run and start times are medians of what this version was seen to do;
// before anything is known, every waiting call counts as a need.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace mayfly::engine::scaler {

// One version on this node.
struct PoolView {
  std::uint32_t waiting = 0;   // calls in line
  std::uint32_t ready = 0;     // instances that take calls or are busy with them
  std::uint32_t starting = 0;  // instances on their way
  std::uint32_t running = 0;   // calls in instances
  std::uint32_t concurrency = 1;
  std::uint32_t instances_min = 0;
  std::uint32_t instances_max = 0;  // 0: what the machine can take
  bool per_call = false;            // an instance serves one call and ends
  std::uint32_t cores = 1;
  std::optional<microseconds> start_median;  // sandbox and initialisation
  std::optional<microseconds> run_median;
  std::optional<microseconds> run_least;  // without contention
  std::optional<microseconds> cpu_mean;   // CPU time of a run
  // How long the calls that run now have been running (a median of some of them).
  std::optional<microseconds> running_for;
  // Since when the line has not been empty and no instance was added; counts when waiting > 0.
  SteadyTime line_since;
  SteadyTime first_since = SteadyTime::max();  // when the first call in line has joined it
};

// How many more instances are worth starting now (the machine's limits are not looked at).
std::uint32_t wanted_starts(const PoolView& pool, SteadyTime now);

// How many instances keep all cores busy, for calls that compute; more would only take time from
// each other. UINT32_MAX: not known, or calls are too long to stand in line for.
std::uint32_t useful_instances(const PoolView& pool);

// Do its calls take a notable part of the machine's CPU time, as they run now?
bool takes_cpu(const PoolView& pool);

// How long the last call in line would wait if nothing more were started; nullopt: not known.
std::optional<microseconds> expected_wait(const PoolView& pool);

// When to look again while calls wait, although nothing happens.
milliseconds review_after(const PoolView& pool);

enum class Line { wait, refuse_full, refuse_slow };
struct Queueing {
  Line line = Line::wait;
  std::uint32_t retry_after_s = 0;
};
// May one more call stand in line? can_grow: the machine has room for another instance of it.
Queueing may_wait(const PoolView& pool, std::uint32_t line_max, microseconds patience,
                  bool can_grow);

// May an instance that has been idle since then be ended? How long it is kept comes from the
// settings, or is learnt (policy/gap_history.h).
bool may_end(const PoolView& pool, SteadyTime idle_since, milliseconds keep_alive, SteadyTime now);

// An idle instance somewhere on the node that could make room.
struct Idle {
  SteadyTime since;
  std::uint64_t memory_bytes = 0;
  microseconds rebuild_cost{0};  // start and initialisation
};
struct NodeView {
  std::uint64_t memory_max = 0, memory_used = 0;  // committed limits, bytes
  std::uint32_t instances_max = 0, instances = 0;
};
bool fits(const NodeView& node, std::uint64_t memory_bytes);
// Indices of the idle instances to end so that memory_bytes more fit, the least valuable first;
// nullopt when even all of them would not do. Value: what a rebuild costs, for each byte it holds
// and the time since it was last of use.
std::optional<std::vector<std::size_t>> make_room(const NodeView& node, std::uint64_t memory_bytes,
                                                  const std::vector<Idle>& idle, SteadyTime now);

// How long to wait before the next start after so many failures in a row.
milliseconds backoff_after(std::uint32_t failures);

}  // namespace mayfly::engine::scaler
