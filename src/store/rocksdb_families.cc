#include "store/rocksdb_families.h"

#include <algorithm>

#include "store/store.h"

namespace mayfly::store {

std::size_t family_of(std::string_view key) {
  for (std::size_t i = 0; i < kFamilies.size(); ++i)
    if (key.starts_with(kFamilies[i].prefix)) return i + 1;
  return 0;
}

std::vector<FamilyRange> split_range(std::string_view first, std::string_view last) {
  std::vector<FamilyRange> parts;
  const auto add = [&](std::size_t family, std::string_view from, std::string_view to) {
    const std::string_view low = std::max(first, from), high = std::min(last, to);
    if (low < high) parts.push_back({family, std::string(low), std::string(high)});
  };
  std::string from;  // of the default family
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    const std::string end = prefix_end(kFamilies[i].prefix);
    add(0, from, kFamilies[i].prefix);
    add(i + 1, kFamilies[i].prefix, end);
    from = end;
  }
  add(0, from, last);
  return parts;
}

}  // namespace mayfly::store
