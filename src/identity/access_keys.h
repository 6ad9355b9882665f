#pragma once
// Access keys: pairs of an id and a secret with which clients of AWS-shaped services sign. Kept in
// the store; all of them are in memory as well, since every request looks one up.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/blocking.h"
#include "io/body.h"
#include "store/store.h"

namespace mayfly::identity {

struct AccessKey {
  std::string id;      // AKIA and 16 of A..Z 2..7
  std::string secret;  // 40 characters; it cannot be shown again but by who kept it
  std::string name;    // what for, in the user's words; may be empty
  WallTime created;
};
using AccessKeyPtr = std::shared_ptr<const AccessKey>;

// Belongs to one loop; find() and list() never wait.
class AccessKeys {
 public:
  struct Parts {
    store::Store& store;
    io::BlockingPool& pool;
    const Clock& clock;
  };
  explicit AccessKeys(Parts parts) : parts_(parts) {}

  Status load();  // before the loop runs

  // Durable before it returns. invalid_argument, resource_exhausted at kKeysMax.
  io::Task<Result<AccessKeyPtr>> create(std::string name);
  io::Task<Status> remove(std::string id);  // not_found

  AccessKeyPtr find(std::string_view id) const;  // null when there is none
  std::vector<AccessKeyPtr> list() const;        // oldest first

  static constexpr std::size_t kKeysMax = 10'000;
  static constexpr std::size_t kNameMax = 256;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  Parts parts_;
  std::unordered_map<std::string, AccessKeyPtr, Hash, std::equal_to<>> keys_;
};

}  // namespace mayfly::identity
