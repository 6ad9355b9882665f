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
#include "spawner/instance.h"
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
  os::Fd home_uts;  // the spawner's own uts namespace
  os::Fd null;      // /dev/null, for reading
};

// Whether it may be the id, and so the hostname, of a sandbox.
bool plain_id(const std::string& id);

// invalid_argument says what is wrong with the request.
Status check_launch(const wire::SpawnerLaunch& request, std::size_t fds);

// Clones an init into new namespaces and lets it build its root. instance has number, user and
// cgroup; on an error the caller takes those back, and nothing else is left.
Status prepare(Host& host, bool nat, Instance& instance);

// Sends a launch to the instance's init. fds as SpawnerLaunch says; door: by which the program
// comes when the request names a zygote. After an error the instance is as it was.
Status start(Host& host, const wire::SpawnerLaunch& request, const std::vector<os::Fd>& fds,
             const os::Fd& door, Instance& instance);

// So that programs can open /dev/stdout and the like again by name.
Status give_output(const Host& host, const Instance& instance, int out, int err);

// Gives writable mounts back to their owner.
void take_back(Instance& instance);

}  // namespace mayfly::spawner
