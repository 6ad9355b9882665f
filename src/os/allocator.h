#pragma once
// The program's allocator where it is tcmalloc (docs/decisions/0012-warm-path.md); elsewhere, as
// under sanitizers, these do nothing. Thread-safe.

#include <cstdint>
#include <optional>

namespace mayfly::os {

// In bytes. What was freed and waits for the next request lies in one of the last three.
struct AllocatorUse {
  std::uint64_t in_use = 0;
  std::uint64_t thread_caches = 0;
  std::uint64_t free_lists = 0;  // of one size each, shared by the threads
  std::uint64_t free_pages = 0;  // those that the kernel has back do not count
};
std::optional<AllocatorUse> allocator_use();

// What all threads together may keep of freed memory for themselves.
void limit_allocator_caches(std::uint64_t bytes);

// Whole pages that are free go to the kernel, if there is over a megabyte of them. Takes up to some
// ms. What threads and lists keep of smaller pieces stays: given back, it only moves to lists of
// which each page has something in use.
void release_free_pages();

}  // namespace mayfly::os
