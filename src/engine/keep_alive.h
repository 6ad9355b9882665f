#pragma once
// How long the idle instances of one version stay, where its settings do not say: learnt from the
// gaps between its calls (policy/gap_history.h), what a start costs and what an instance holds.
// Also starts one ahead of calls that come in a rhythm. Private to the engine; on one loop only.

#include "engine/core.h"
#include "engine/policy/gap_history.h"

namespace mayfly::engine {

class KeepAlive {
 public:
  KeepAlive(Core& core, Pool& pool);

  // What came to pass, in the order in which it does.
  // Any call: none is expected any more.
  void on_call() {
    ahead_.disarm();
    start_asked_ = false;
  }
  // It found no instance with a free slot.
  void on_miss() { gaps_.on_miss(core_.now()); }
  // It got one that had been idle so long.
  void on_reuse(microseconds gap) { gaps_.on_reuse(gap); }
  // One was ended, idle.
  void on_end(SteadyTime idle_since) { gaps_.on_end(idle_since); }

  // An instance is idle from now on and holds so many bytes: how long it stays.
  milliseconds on_idle(std::uint64_t held_bytes);

  // The next start is the one ahead of need, if one was asked for.
  bool claim_start();
  // It is ready, and no call has come: since when it counts as idle, and until when it stays.
  SteadyTime ahead_since() const { return ahead_since_; }
  SteadyTime ahead_until() const { return ahead_until_; }

  // Another revision of the same function: its callers stay the same.
  void inherit(const KeepAlive& other) { gaps_ = other.gaps_; }

  KeepAliveStats stats() const;
  // As the settings say; nullopt: it is learnt.
  static std::optional<milliseconds> set_by(const functions::Version& version);

 private:
  void decide(std::uint64_t held_bytes, SteadyTime now);
  void plan_start(SteadyTime now);
  static void on_ahead(void* self);

  Core& core_;
  Pool& pool_;
  policy::GapHistory gaps_;
  policy::KeepPlan plan_;
  milliseconds stay_{-1};  // of plan_; -1: nothing was decided yet
  bool learnt_ = false;    // from enough gaps
  SteadyTime decided_at_{};
  SteadyTime ahead_since_{}, ahead_until_{};
  bool start_asked_ = false;
  TimerQueue::Entry ahead_;
};

}  // namespace mayfly::engine
