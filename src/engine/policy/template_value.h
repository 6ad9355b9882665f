#pragma once
// Which templates stay when memory is short: greedy-dual with size and frequency (Cherkasova 1998).
// A template's priority is the floor at its last use plus what it saves, for each byte that it
// holds; the least goes first and lifts the floor to its own priority, so that whatever is not used
// sinks without anybody walking over it. Pure values and functions: thread-safe.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"

namespace mayfly::engine::policy {

// A use counts half as much after this long: a busy day is forgotten within the next.
constexpr seconds kTemplateUseHalfLife{4 * 3600};

struct TemplateCost {
  std::uint64_t bytes = 0;  // what is free again when it goes: its private memory
  microseconds rebuild{0};  // what a call waits longer without it: a boot less a clone
};

// What is remembered of one template; worth keeping after its end, for when it is made again.
struct TemplateValue {
  double priority = 0;  // microseconds saved for each byte, above the floor of its last use
  double uses = 0;      // clones made of it lately
  SteadyTime used_at{};
};

// Uses that still count at this time.
inline double recent_uses(const TemplateValue& value, SteadyTime now) {
  if (value.uses <= 0) return 0;
  const double age = double(std::max<std::int64_t>(0, to_us(now - value.used_at)));
  return value.uses * std::exp2(-age / double(microseconds(kTemplateUseHalfLife).count()));
}

// The value after one more use (a clone made of it; the making of it counts as one too).
inline TemplateValue after_use(const TemplateValue& value, const TemplateCost& cost, double floor,
                               SteadyTime now) {
  TemplateValue next;
  next.uses = recent_uses(value, now) + 1;
  next.used_at = std::max(now, value.used_at);
  const double saved_us = double(std::max<std::int64_t>(0, cost.rebuild.count()));
  next.priority = floor + next.uses * saved_us / double(std::max<std::uint64_t>(1, cost.bytes));
  return next;
}

// A template that stands in memory.
struct TemplateHeld {
  double priority = 0;
  std::uint64_t bytes = 0;
  bool pinned = false;  // must not go now: a clone is being made of it, or it is kept by a setting
};
struct TemplateEviction {
  std::vector<std::size_t> victims;  // indices, the least valuable first
  double floor = 0;                  // the floor from now on
};
// Which to end so that this many bytes come free; nullopt when even all of them would not do. Equal
// priorities go in the order in which they are given.
inline std::optional<TemplateEviction> evict_templates(std::span<const TemplateHeld> held,
                                                       std::uint64_t bytes_to_free, double floor) {
  if (bytes_to_free == 0) return TemplateEviction{{}, floor};
  // Mostly one is enough, and then nothing has to be ordered.
  std::size_t least = held.size();
  for (std::size_t i = 0; i < held.size(); ++i)
    if (!held[i].pinned && (least == held.size() || held[i].priority < held[least].priority))
      least = i;
  if (least == held.size()) return std::nullopt;
  if (held[least].bytes >= bytes_to_free)
    return TemplateEviction{{least}, std::max(floor, held[least].priority)};

  std::vector<std::size_t> order(held.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](std::size_t i) { return held[i].pinned; });
  const auto later = [&](std::size_t a, std::size_t b) {
    return held[a].priority != held[b].priority ? held[a].priority > held[b].priority : a > b;
  };
  std::make_heap(order.begin(), order.end(), later);
  TemplateEviction eviction{{}, floor};
  for (std::uint64_t freed = 0; freed < bytes_to_free;) {
    if (order.empty()) return std::nullopt;
    std::pop_heap(order.begin(), order.end(), later);
    const std::size_t victim = order.back();
    order.pop_back();
    eviction.victims.push_back(victim);
    eviction.floor = std::max(eviction.floor, held[victim].priority);
    freed += held[victim].bytes;
  }
  return eviction;
}

// May a newcomer stand beside them when this many bytes must come free for it? It must be worth
// more than each that would have to go; one that is not is the least of all, so it lifts the floor
// and goes itself. A newcomer's priority is that of after_use() with the present floor.
struct TemplateAdmission {
  bool admitted = false;
  std::vector<std::size_t> victims;  // to end first, when admitted
  double floor = 0;                  // the floor from now on, admitted or not
};
inline TemplateAdmission admit_template(std::span<const TemplateHeld> held,
                                        std::uint64_t bytes_to_free, double priority,
                                        double floor) {
  auto eviction = evict_templates(held, bytes_to_free, floor);
  if (!eviction) return {false, {}, floor};
  for (const std::size_t victim : eviction->victims)
    if (held[victim].priority > priority) return {false, {}, std::max(floor, priority)};
  return {true, std::move(eviction->victims), eviction->floor};
}

}  // namespace mayfly::engine::policy
