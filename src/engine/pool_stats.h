#pragma once
// What the instances of one version are doing.

#include <cstdint>
#include <string>
#include <vector>

namespace mayfly::engine {

struct PoolStats {
  std::string function;
  std::uint64_t version = 0;
  std::string revision;
  std::uint32_t instances = 0, starting = 0, busy = 0, running = 0, waiting = 0;
  std::uint64_t memory_bytes = 0;    // committed limits
  std::uint32_t templates = 0;       // 1 when clones can be made
  std::uint64_t template_bytes = 0;  // what the template holds
  std::uint32_t shells = 0;          // kept prepared for clones
  std::uint64_t clones = 0;          // made since the server's start
  std::string start_failure;         // of the last start; empty when it went well
};

// The numbers of one and of another together.
void add(PoolStats& sum, const PoolStats& more);
// Adds each to what is known of the same version, or appends it.
void merge(std::vector<PoolStats>& all, const std::vector<PoolStats>& more);

}  // namespace mayfly::engine
