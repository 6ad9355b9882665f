#include "os/allocator.h"

#include <cstddef>

// gperftools, malloc_extension_c.h. Absent in programs that are not linked with it.
extern "C" {
[[gnu::weak]] int MallocExtension_GetNumericProperty(const char* property, std::size_t* value);
[[gnu::weak]] int MallocExtension_SetNumericProperty(const char* property, std::size_t value);
}

namespace mayfly::os {

std::optional<AllocatorUse> allocator_use() {
  if (MallocExtension_GetNumericProperty == nullptr) return std::nullopt;
  std::size_t in_use = 0, heap = 0, unmapped = 0;
  if (MallocExtension_GetNumericProperty("generic.current_allocated_bytes", &in_use) == 0 ||
      MallocExtension_GetNumericProperty("generic.heap_size", &heap) == 0 ||
      MallocExtension_GetNumericProperty("tcmalloc.pageheap_unmapped_bytes", &unmapped) == 0)
    return std::nullopt;
  const std::size_t gone = in_use + unmapped;
  return AllocatorUse{in_use, heap > gone ? heap - gone : 0};
}

void limit_allocator_caches(std::uint64_t bytes) {
  if (MallocExtension_SetNumericProperty == nullptr) return;
  MallocExtension_SetNumericProperty("tcmalloc.max_total_thread_cache_bytes", bytes);
}

}  // namespace mayfly::os
