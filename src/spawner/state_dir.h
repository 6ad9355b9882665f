#pragma once
// The spawner's state directory: one spawner at a time holds it, and the next one removes what a
// killed one left behind.

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::spawner {

class StateDir {
 public:
  // Makes it if need be, waits a few seconds for a dying owner, and locks it.
  static Result<StateDir> lock(const std::string& path);

  const std::string& path() const { return path_; }
  // A short name that differs between state directories; for cgroups.
  std::string tag() const;
  // The users of this spawner's sandboxes: kUsersMax from here on. Above every range that systemd
  // or shadow's subuid hand out; each state directory has a block of its own, by its name.
  uid_t first_user() const;

  // Kills the processes and removes the cgroups of an earlier spawner.
  void remove_leftovers(bool own_users) const;
  // Notes the cgroup folders in use, for remove_leftovers of the next start.
  Status record(const std::vector<std::string>& cgroup_folders) const;
  // After a clean stop there is nothing to remove.
  void clear_record() const;

 private:
  std::string path_;
  os::Fd lock_;
};

inline constexpr uid_t kUsersMax = 65536;

}  // namespace mayfly::spawner
