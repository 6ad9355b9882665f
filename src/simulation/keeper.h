#pragma once
// The three policies behind one face: what becomes of an instance that is idle. Each keeps what it
// learns for each pool. Private to the room.

#include <cstdint>
#include <memory>

#include "engine/policy/gap_history.h"
#include "simulation/model.h"

namespace mayfly::simulation {

class Keeper {
 public:
  virtual ~Keeper() = default;
  // A pool was made; its number is the next one.
  virtual void add_pool() = 0;
  // A call came; idle_for: since the pool's last call ended, 0 while calls run.
  virtual void on_call(std::uint32_t pool, microseconds idle_for) = 0;
  virtual void on_reuse(std::uint32_t pool, microseconds gap) = 0;
  virtual void on_end(std::uint32_t pool, SteadyTime idle_since) = 0;
  // A call found nothing idle.
  virtual void on_miss(std::uint32_t pool, SteadyTime now) = 0;
  // The instance that ended last is started again ahead of need.
  virtual void on_prewarm(std::uint32_t pool) = 0;
  // alone: no other instance of the pool is busy, idle or starting.
  // start: what a start takes.
  virtual engine::policy::KeepPlan plan(std::uint32_t pool, const engine::policy::KeepCosts& costs,
                                        microseconds start, bool alone) = 0;
};

std::unique_ptr<Keeper> make_keeper(const PolicyOptions& options);

}  // namespace mayfly::simulation
