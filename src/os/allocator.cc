#include "os/allocator.h"

#include <cstddef>

// gperftools, malloc_extension_c.h. Absent in programs that are not linked with it.
extern "C" {
[[gnu::weak]] int MallocExtension_GetNumericProperty(const char* property, std::size_t* value);
[[gnu::weak]] int MallocExtension_SetNumericProperty(const char* property, std::size_t value);
[[gnu::weak]] void MallocExtension_ReleaseFreeMemory();
}

namespace mayfly::os {

namespace {

constexpr std::uint64_t kFreePagesMin = 1u << 20;  // less is not worth the faults that follow

std::uint64_t property(const char* name) {
  std::size_t value = 0;
  return MallocExtension_GetNumericProperty(name, &value) != 0 ? value : 0;
}

}  // namespace

std::optional<AllocatorUse> allocator_use() {
  if (MallocExtension_GetNumericProperty == nullptr) return std::nullopt;
  AllocatorUse use;
  use.in_use = property("generic.current_allocated_bytes");
  use.thread_caches = property("tcmalloc.current_total_thread_cache_bytes");
  use.free_lists = property("tcmalloc.central_cache_free_bytes") +
                   property("tcmalloc.transfer_cache_free_bytes");
  use.free_pages = property("tcmalloc.pageheap_free_bytes");
  return use;
}

void limit_allocator_caches(std::uint64_t bytes) {
  if (MallocExtension_SetNumericProperty == nullptr) return;
  MallocExtension_SetNumericProperty("tcmalloc.max_total_thread_cache_bytes", bytes);
}

void release_free_pages() {
  if (MallocExtension_ReleaseFreeMemory == nullptr) return;
  if (property("tcmalloc.pageheap_free_bytes") > kFreePagesMin) MallocExtension_ReleaseFreeMemory();
}

}  // namespace mayfly::os
