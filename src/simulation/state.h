#pragma once
// What the simulated machines hold. Private to the room. Times are microseconds of the virtual
// clock.

#include <cstdint>
#include <vector>

#include "engine/median.h"
#include "engine/policy/template_value.h"
#include "engine/scaler.h"

namespace mayfly::simulation {

inline SteadyTime to_time(std::int64_t us) {
  return SteadyTime{} + microseconds(us);
}

struct IdleInstance {
  std::int64_t since = 0;  // idle; of one that was started ahead: since the call before
  std::int64_t until = 0;
  bool clone = false;
};

struct WaitingCall {
  std::int64_t at = 0, run = 0;
};

// Instances and line of one function on one node.
struct Pool {
  std::uint32_t function = 0, node = 0;
  std::vector<IdleInstance> idle;  // the last is the one used last
  std::vector<WaitingCall> line;   // from line_head on
  std::size_t line_head = 0;
  std::uint32_t busy = 0, starting = 0, clones = 0;  // clones: of all states
  engine::RecentMedian runs;
  std::int64_t line_since = 0, line_moved = 0;
  std::int64_t last_end = -1;  // when the last call ended; -1: none has
  std::int64_t timer_at = -1, review_at = -1;
  // Planned: start one at the event with this token, which stays until prewarm_until.
  std::uint32_t prewarm_token = 0;
  bool prewarm_planned = false;
  std::int64_t prewarm_since = 0, prewarm_until = 0;
  // Template: where it stands among those of the node.
  static constexpr std::uint32_t kNoTemplate = UINT32_MAX;
  std::uint32_t template_at = kNoTemplate;
  std::int64_t template_ready = 0;
  engine::policy::TemplateValue value;

  std::size_t waiting() const { return line.size() - line_head; }
  std::uint32_t ready() const { return busy + static_cast<std::uint32_t>(idle.size()); }
  bool has_template() const { return template_at != kNoTemplate; }
};

struct Node {
  engine::scaler::NodeView view;
  std::vector<std::uint32_t> pools;
  std::vector<engine::policy::TemplateHeld> templates;
  std::vector<std::uint32_t> template_pools;  // whose they are
  std::uint64_t template_bytes = 0;
  double floor = 0;
};

}  // namespace mayfly::simulation
