#pragma once
// What functions keep between their calls: JSON values under ordered keys, in one namespace. A
// function reads it while it runs and stages its writes (docs/internals/frames.md, frame effects);
// they are done in one transaction with the messages that it sends and with "this event is done".
// People and scripts use the API (/v1/state).
//
// A value is kept as the JSON text that was sent. Whole numbers are what add() works on.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/blocking.h"
#include "store/committer.h"
#include "store/store.h"

namespace mayfly::tables {

inline constexpr std::size_t kKeyBytesMax = 1024;
inline constexpr std::size_t kValueBytesMax = 256 * 1024;
inline constexpr std::size_t kListMax = 1001;  // 1000, and one to see whether there are more

struct Item {
  std::string key;
  std::string value;  // JSON
};

// Stands for a value: equal texts have equal tags.
std::string etag_of(std::string_view value);

// Writes that happen together or not at all.
struct Changes {
  struct Require {
    std::string key;
    std::optional<std::string> etag;  // nullopt: there is no such key
  };
  std::vector<Require> require;
  std::vector<Item> puts;
  std::vector<std::string> deletes;
  std::vector<store::Transaction::Add> adds;  // with keys of here, not of the store

  bool empty() const { return require.empty() && puts.empty() && deletes.empty() && adds.empty(); }
};

// Keys take 1 to 1024 bytes of UTF-8, values are JSON of up to 256 KB; a key is written once. The
// errors name the key. Pure.
Status check_key(std::string_view key);
Status check_value(std::string_view key, std::string_view value);
Status check(const Changes& changes);

// Belongs to one loop.
class State {
 public:
  // All of them outlive this.
  State(store::Store& store, store::Committer& committer, io::BlockingPool& pool)
      : store_(store), committer_(committer), pool_(pool) {}

  io::Task<Result<std::optional<Item>>> get(std::string key);
  // Items whose key begins with prefix and is greater than after, in order, at most limit.
  io::Task<Result<std::vector<Item>>> list(std::string prefix, std::string after,
                                           std::size_t limit);
  // Durable when they resume. Of a key that is not there, remove() is not_found.
  io::Task<Status> put(std::string key, std::string value);
  io::Task<Status> remove(std::string key);

  // What makes the changes, to be part of a larger transaction. conflict, naming the key, when a
  // requirement does not hold by now; that it still holds then is in the transaction.
  io::Task<Result<store::Transaction>> prepare(Changes changes);

 private:
  store::Store& store_;
  store::Committer& committer_;
  io::BlockingPool& pool_;
};

}  // namespace mayfly::tables
