#pragma once
// Which keys RocksDB keeps in a column family of their own, with memtables and tables of its own.
// Messages and calls come in the order of their keys: alone in a table they never overlap older
// ones, which then need not be merged, only moved. Among others each table would reach from the
// first prefix to the last, and every merge would write all that is kept once more.
//
// A family is a range of keys, so the order of all keys stays as it was. Pure.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::store {

struct Family {
  const char* name;
  std::string_view prefix;
  // Each key is put once and removed once: both vanish when they meet, also in a memtable.
  bool put_once;
  bool compressed;  // where it has become old
};

// In the order of their prefixes. A key that has none of them is of the default family, number 0;
// these are the next. Names are on the disk. To take a prefix off needs a migration; a new one is
// migrated when the store is opened.
inline constexpr std::array<Family, 2> kFamilies{
    {{"calls", "calls/r/", false, true}, {"messages", "qm", true, false}}};

std::size_t family_of(std::string_view key);

// The parts of a range [first, last) by family, in the order of the keys.
struct FamilyRange {
  std::size_t family;
  std::string first, last;
};
std::vector<FamilyRange> split_range(std::string_view first, std::string_view last);

}  // namespace mayfly::store
