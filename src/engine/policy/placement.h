#pragma once
// On which node a call or a start goes: pure functions of what the candidates are seen to offer. A
// version has home nodes by hash, so that its instances and its template meet without anybody
// keeping a table; more of them are tried while the first are full. Thread-safe: no state.

#include <cstdint>
#include <optional>
#include <span>

namespace mayfly::engine::policy {

// The attempt-th home of a version among so many nodes.
inline std::uint32_t home_node(std::uint64_t version_hash, std::uint32_t attempt,
                               std::uint32_t nodes) {
  std::uint64_t x = version_hash + 0x9e3779b97f4a7c15ull * (attempt + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  x ^= x >> 31;
  return nodes == 0 ? 0 : static_cast<std::uint32_t>(x % nodes);
}

// One candidate node, as seen for one version.
struct NodeOffer {
  bool idle = false;          // an idle instance of the version
  bool has_template = false;  // its template
  bool fits = false;          // room for another instance
  bool has_pool = false;      // instances that are busy or starting
  std::uint32_t waiting = 0;  // calls of the version that wait there
  std::uint64_t memory_used = 0;
};

// The best candidate; nullopt: none can take the call now. In this order: an idle instance; a
// template and room; room; a line behind busy instances, the shortest. Ties: shorter line, less
// memory in use, and then the order given.
inline std::optional<std::size_t> place(std::span<const NodeOffer> offers) {
  const auto rank = [](const NodeOffer& offer) {
    if (offer.idle) return 3;
    if (offer.fits) return offer.has_template ? 2 : 1;
    return offer.has_pool ? 0 : -1;
  };
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    if (rank(offers[i]) < 0) continue;
    if (!best) {
      best = i;
      continue;
    }
    const NodeOffer &a = offers[i], &b = offers[*best];
    if (rank(a) != rank(b)) {
      if (rank(a) > rank(b)) best = i;
    } else if (a.waiting != b.waiting) {
      if (a.waiting < b.waiting) best = i;
    } else if (a.memory_used < b.memory_used) {
      best = i;
    }
  }
  return best;
}

}  // namespace mayfly::engine::policy
