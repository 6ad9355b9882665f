#pragma once
// The ordered, transactional key-value store under everything that must last. Keys are bytes in
// lexicographic order; what they mean belongs to the rooms above. RocksDB embedded; etcd in a
// cluster implements the same contract and runs the same test file.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::store {

struct Entry {
  std::string key;
  std::string value;
};

// A set of writes that happen together or not at all, if every condition holds.
struct Transaction {
  struct Condition {
    std::string key;
    std::optional<std::string> expected;  // nullopt: the key must be absent
  };
  // A whole number kept as decimal text, absent = 0, is changed by delta. conflict when the result
  // would be below at_least or overflow, or when the value is no whole number. It sees what stood
  // before this transaction, and earlier adds of it; a key has adds or other writes, not both.
  struct Add {
    std::string key;
    std::int64_t delta = 0;
    std::optional<std::int64_t> at_least;
  };
  std::vector<Condition> conditions;
  std::vector<Entry> puts;
  std::vector<std::string> deletes;
  std::vector<std::pair<std::string, std::string>> delete_ranges;  // [first, second)
  std::vector<Add> adds;

  Transaction& require(std::string key, std::optional<std::string> expected);
  Transaction& put(std::string key, std::string value);
  Transaction& remove(std::string key);
  Transaction& add(std::string key, std::int64_t delta,
                   std::optional<std::int64_t> at_least = std::nullopt);
  bool empty() const {
    return conditions.empty() && puts.empty() && deletes.empty() && delete_ranges.empty() &&
           adds.empty();
  }
};

// synced: on disk before commit() returns (group commit shares the fsync).
// buffered: survives a kill of the process, not a power cut. Only for what nobody was promised.
enum class Durability { synced, buffered };

// Thread-safe. All calls block; loops go through io::BlockingPool.
class Store {
 public:
  virtual ~Store() = default;

  // not_found when absent.
  virtual Result<std::string> get(std::string_view key) = 0;

  // Entries with first <= key < last in order, at most limit; reverse: from the end.
  struct Scan {
    std::string first;
    std::string last;
    std::size_t limit = SIZE_MAX;
    bool reverse = false;
  };
  // Calls visit for each entry (views valid during the call) until it returns false.
  virtual Status scan(const Scan& range,
                      const std::function<bool(std::string_view, std::string_view)>& visit) = 0;

  // conflict when a condition does not hold; nothing is written then.
  virtual Status commit(const Transaction& transaction, Durability durability) = 0;

  // One transaction of a group, and what became of it.
  struct Change {
    const Transaction* transaction = nullptr;
    Durability durability = Durability::synced;
    Status status;
  };
  // Commits each of them in order, each by its own conditions, which see what earlier ones of the
  // group write; those that are accepted share one write, synced if one of them asks for it. When
  // that write fails, all of them carry the error.
  virtual void commit_group(std::span<Change> group);
};

// Opens (making it if absent) the embedded store in directory. A directory that another server has
// open is an error that says so.
Result<std::unique_ptr<Store>> open_rocksdb(const std::string& directory);

// In memory, for tests.
std::unique_ptr<Store> make_memory_store();

// The smallest key that is greater than every key with this prefix: scan end for a prefix.
std::string prefix_end(std::string_view prefix);

}  // namespace mayfly::store
