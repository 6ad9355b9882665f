// The contract of Store without a disk. Durability has no meaning here.

#include <map>
#include <shared_mutex>

#include "store/evaluate.h"
#include "store/store.h"

namespace mayfly::store {
namespace {

class MemoryStore final : public Store {
 public:
  Result<std::string> get(std::string_view key) override {
    std::shared_lock lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return Error{Code::not_found, "The key is not in the store."};
    return found->second;
  }

  Status scan(const Scan& range,
              const std::function<bool(std::string_view, std::string_view)>& visit) override {
    // A copy, so that visit may call the store again, as it may with a RocksDB snapshot.
    std::vector<Entry> seen;
    {
      std::shared_lock lock(mutex_);
      if (range.first >= range.last) return ok();
      const auto first = entries_.lower_bound(range.first);
      const auto last = entries_.lower_bound(range.last);
      if (range.reverse) {
        for (auto at = last; at != first && seen.size() < range.limit;) {
          --at;
          seen.push_back({at->first, at->second});
        }
      } else {
        for (auto at = first; at != last && seen.size() < range.limit; ++at)
          seen.push_back({at->first, at->second});
      }
    }
    for (const auto& entry : seen)
      if (!visit(entry.key, entry.value)) break;
    return ok();
  }

  Status commit(const Transaction& transaction, Durability) override {
    std::unique_lock lock(mutex_);
    std::vector<Entry> sums;
    const auto read = [this](std::string_view key) -> Result<std::optional<std::string>> {
      const auto found = entries_.find(key);
      if (found == entries_.end()) return std::optional<std::string>();
      return std::optional<std::string>(found->second);
    };
    MAYFLY_TRY(evaluate(transaction, read, sums));
    // The order is part of the contract: ranges, keys, then puts, so that one transaction can
    // replace everything under a prefix.
    for (const auto& [first, last] : transaction.delete_ranges)
      if (first < last) entries_.erase(entries_.lower_bound(first), entries_.lower_bound(last));
    for (const auto& key : transaction.deletes) entries_.erase(key);
    for (const auto& entry : transaction.puts) entries_.insert_or_assign(entry.key, entry.value);
    for (auto& entry : sums)
      entries_.insert_or_assign(std::move(entry.key), std::move(entry.value));
    return ok();
  }

 private:
  std::shared_mutex mutex_;
  std::map<std::string, std::string, std::less<>> entries_;  // protected by mutex_
};

}  // namespace

std::unique_ptr<Store> make_memory_store() {
  return std::make_unique<MemoryStore>();
}

}  // namespace mayfly::store
