#pragma once
// Roles as deployment tools make them: names with documents, kept and given back. Nothing here
// allows or forbids anything: an access key may do everything, and a function what its sandbox lets
// it.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/blocking.h"
#include "io/body.h"
#include "store/store.h"

namespace mayfly::identity {

struct Role {
  std::string name, id, path = "/";
  std::string trust;  // who may assume it, JSON
  std::string description;
  std::int64_t session_s = 3600;
  WallTime created;
  std::map<std::string, std::string> tags;
  std::map<std::string, std::string> attached;  // ARN of a policy, and its name
  std::map<std::string, std::string> policies;  // name of an inline policy, and its JSON
};
using RolePtr = std::shared_ptr<const Role>;

// Belongs to one loop; find() and list() never wait.
class Roles {
 public:
  struct Parts {
    store::Store& store;
    io::BlockingPool& pool;
    const Clock& clock;
  };
  explicit Roles(Parts parts) : parts_(parts) {}

  Status load();  // before the loop runs

  // All durable before they return. already_exists, resource_exhausted at kRolesMax.
  io::Task<Result<RolePtr>> create(Role role);
  // role in place of basis. not_found, conflict when it is not as it was in basis any more.
  io::Task<Status> change(RolePtr basis, Role role);
  io::Task<Status> remove(RolePtr role);  // the same

  RolePtr find(const std::string& name) const;  // null when there is none
  std::vector<RolePtr> list() const;            // by name

  static constexpr std::size_t kRolesMax = 5'000;

 private:
  Parts parts_;
  std::map<std::string, RolePtr> roles_;
};

}  // namespace mayfly::identity
