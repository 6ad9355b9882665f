#pragma once
// The program's allocator where it is tcmalloc (docs/decisions/0012-warm-path.md); elsewhere, as
// under sanitizers, these do nothing. Thread-safe.

#include <cstdint>
#include <optional>

namespace mayfly::os {

struct AllocatorUse {
  std::uint64_t in_use = 0;  // bytes that the program holds
  std::uint64_t kept = 0;    // bytes that were freed and wait for the next request
};
std::optional<AllocatorUse> allocator_use();

// What all threads together may keep of freed memory for themselves.
void limit_allocator_caches(std::uint64_t bytes);

}  // namespace mayfly::os
