#pragma once
// Log groups that clients made by name, as deployment tools do before a function: kept with their
// retention and tags, which say nothing about how long lines stay.

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "io/blocking.h"
#include "io/body.h"
#include "store/store.h"

namespace mayfly::dialects::logs {

struct Group {
  std::int64_t created_us = 0;
  std::int64_t retention_days = 0;  // 0: for ever
  std::map<std::string, std::string> tags;
};

// Belongs to one loop.
class Groups {
 public:
  struct Parts {
    store::Store& store;
    io::BlockingPool& pool;
  };
  explicit Groups(Parts parts) : parts_(parts) {}

  Status load();  // before the loop runs

  const Group* find(const std::string& name) const;
  const std::map<std::string, Group>& all() const { return groups_; }
  // Made or changed; durable before it returns. resource_exhausted at kGroupsMax.
  io::Task<Status> put(std::string name, Group group);
  io::Task<Status> remove(std::string name);

  static constexpr std::size_t kGroupsMax = 10'000;

 private:
  Parts parts_;
  std::map<std::string, Group> groups_;
};

}  // namespace mayfly::dialects::logs
