#include "huge_text.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace mayfly_node {

namespace {

constexpr std::uintptr_t kHuge = 2u << 20;

struct Region {
  std::uintptr_t begin = 0, end = 0;
  std::size_t size() const { return end - begin; }
};

// The largest part of the program's code that whole huge pages can hold. The program is the first.
int find_text(dl_phdr_info* info, std::size_t, void* out) {
  auto& found = *static_cast<Region*>(out);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& part = info->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0 || (part.p_flags & PF_W) != 0)
      continue;
    const std::uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    Region region{(begin + kHuge - 1) & ~(kHuge - 1), (begin + part.p_memsz) & ~(kHuge - 1)};
    if (region.end > region.begin && region.size() > found.size()) found = region;
  }
  return 1;
}

// Whether all of it has become huge. Small pages would be worse than those of the file: a fork
// copies the table of them.
bool is_huge(const Region& region) {
  std::FILE* maps = std::fopen("/proc/self/smaps", "re");
  if (maps == nullptr) return false;
  char line[512];
  bool inside = false;
  std::size_t kilobytes = 0;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    std::uintptr_t begin = 0, end = 0;
    std::size_t huge = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2) {
      inside = begin < region.end && end > region.begin;
    } else if (inside && std::sscanf(line, "AnonHugePages: %zu kB", &huge) == 1) {
      kilobytes += huge;
    }
  }
  std::fclose(maps);
  return kilobytes * 1024 >= region.size();
}

}  // namespace

std::size_t move_text_to_huge_pages() {
  Region text;
  dl_iterate_phdr(find_text, &text);
  if (text.size() == 0) return 0;
  const std::size_t room = text.size() + kHuge;
  void* mapped = mmap(nullptr, room, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return 0;
  const auto start = reinterpret_cast<std::uintptr_t>(mapped);
  const Region copy{(start + kHuge - 1) & ~(kHuge - 1),
                    ((start + kHuge - 1) & ~(kHuge - 1)) + text.size()};
  void* const to = reinterpret_cast<void*>(copy.begin);
  void* const from = reinterpret_cast<void*>(text.begin);
  bool moved = madvise(to, copy.size(), MADV_HUGEPAGE) == 0;
  if (moved) std::memcpy(to, from, copy.size());
  moved = moved && is_huge(copy) && mprotect(to, copy.size(), PROT_READ | PROT_EXEC) == 0 &&
          mremap(to, copy.size(), copy.size(), MREMAP_MAYMOVE | MREMAP_FIXED, from) == from;
  if (!moved) {
    munmap(mapped, room);
    return 0;
  }
  // What is left on both sides of where the copy was.
  if (copy.begin > start) munmap(mapped, copy.begin - start);
  if (start + room > copy.end) munmap(reinterpret_cast<void*>(copy.end), start + room - copy.end);
  return text.size();
}

}  // namespace mayfly_node
