#pragma once
// A sandbox in two steps: prepare clones an init that waits, start makes it the program's.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/cgroup.h"
#include "os/fd.h"
#include "os/seccomp.h"
#include "spawner/networks.h"
#include "spawner/skeleton.h"
#include "wire/spawner_messages.h"

namespace mayfly::spawner {

// What all launches share.
struct Host {
  Skeleton skeleton;
  std::unique_ptr<Networks> networks;
  os::CgroupTree cgroups;
  os::SeccompFilter filter;
  // Unprivileged: every sandbox has the server's own user.
  bool privileged = false;
  uid_t first_user = 0;
};

// A sandbox from its clone to the end of everything inside.
struct Instance {
  std::uint64_t number = 0;  // the spawner's own, never used twice
  std::uint64_t handle = 0;  // the engine's
  uid_t user = 0;
  int pid = 0;  // of init
  os::Fd pidfd, control;
  os::Cgroup cgroup;
  NetworkSpace network;
  std::vector<os::Fd> listeners;
  std::vector<std::string> lent;  // writable mounts, owned by user for now

  bool assigned = false;  // to a launch; before, it is one of those kept ready
  bool prepared = false;
  bool started = false;
  bool failed = false;
  Error failure;
  bool ended = false;
  int wait_status = 0;
};

// invalid_argument says what is wrong with the request.
Status check_launch(const wire::SpawnerLaunch& request, std::size_t fds);

// Clones an init into new namespaces and lets it build its root. instance has number, user and
// cgroup; on an error the caller takes those back, and nothing else is left.
Status prepare(Host& host, bool nat, Instance& instance);

// Sends a launch to the instance's init. fds as SpawnerLaunch says. After an error the instance is
// as it was.
Status start(Host& host, const wire::SpawnerLaunch& request, const std::vector<os::Fd>& fds,
             Instance& instance);

// Gives writable mounts back to their owner.
void take_back(Instance& instance);

}  // namespace mayfly::spawner
