#include "store/store.h"

namespace mayfly::store {

Transaction& Transaction::require(std::string key, std::optional<std::string> expected) {
  conditions.push_back({std::move(key), std::move(expected)});
  return *this;
}

Transaction& Transaction::put(std::string key, std::string value) {
  puts.push_back({std::move(key), std::move(value)});
  return *this;
}

Transaction& Transaction::remove(std::string key) {
  deletes.push_back(std::move(key));
  return *this;
}

Transaction& Transaction::add(std::string key, std::int64_t delta,
                              std::optional<std::int64_t> at_least) {
  adds.push_back({std::move(key), delta, at_least});
  return *this;
}

void Store::commit_group(std::span<Change> group) {
  for (auto& change : group) change.status = commit(*change.transaction, change.durability);
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    const auto last = static_cast<unsigned char>(end.back());
    if (last != 0xff) {
      end.back() = static_cast<char>(last + 1);
      return end;
    }
    end.pop_back();  // 0xff cannot be raised: the byte before it decides
  }
  // Only prefixes of nothing but 0xff come here; longer than any key in use.
  return std::string(64, '\xff');
}

}  // namespace mayfly::store
