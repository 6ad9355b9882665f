#pragma once
// What the spawner knows of one sandbox, from the clone of its init to the end of everything
// inside. Three kinds: one launched, a template (launched too, with a family), and a shell, which
// belongs to a template and becomes a clone when the template's process has forked into it.

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/cgroup.h"
#include "os/fd.h"
#include "spawner/networks.h"
#include "wire/spawner_messages.h"

namespace mayfly::spawner {

// A clone that waits for a shell.
struct CloneRequest {
  wire::SpawnerClone message;
  std::vector<os::Fd> fds;
  std::int64_t deadline_ms = 0;  // of the monotonic clock
};

// What a template and its shells share; owned by the template's Instance, which is the last of them
// to go: its init is an ancestor of all their pid namespaces.
struct Family {
  os::Fd user_ns, pid_ns;  // in which shells are made
  os::Fd orders;           // non-blocking; the program's control socket is the other end
  wire::SpawnerLaunch launch;
  unsigned wanted = 0;     // shells to be kept prepared
  unsigned preparing = 0;  // on their way
  unsigned failures = 0;   // of preparing, in a row; after a few only waiting clones make new tries
  std::deque<std::uint64_t> ready;   // numbers of prepared shells, oldest first
  std::set<std::uint64_t> members;   // numbers of all shells and clones
  std::deque<CloneRequest> waiting;  // oldest first
  std::size_t room = 0;              // members that the memory limit allows for
  bool ended = false;                // the program has; no more clones
  std::uint64_t sent = 0;            // orders
  std::uint64_t refused = 0;         // of them, by the template
};

struct Instance {
  std::uint64_t number = 0;  // the spawner's own, never used twice
  std::uint64_t handle = 0;  // the engine's
  uid_t user = 0;
  int pid = 0;  // of init
  os::Fd pidfd, control;
  os::Fd user_ns, pid_ns;
  os::Cgroup cgroup;
  NetworkSpace network;
  std::vector<os::Fd> listeners;
  os::Fd services;  // the listener for the platform's services, until the engine has it
  std::vector<std::string> lent;  // writable mounts: user owns them until the sandbox ends

  bool assigned = false;  // to a launch or clone; before, it is one of those kept ready
  bool prepared = false;
  bool started = false;
  bool failed = false;
  Error failure;
  bool ended = false;
  int wait_status = 0;
  bool told = false;         // the engine knows of the end
  std::uint64_t zygote = 0;  // that was asked for the program
  bool from_zygote = false;  // it came
  std::string no_zygote;     // why it did not

  std::unique_ptr<Family> family;  // of a template
  std::uint64_t parent = 0;        // of a shell: the number of its template; 0: not a shell
  os::Fd report;                   // of a shell: the clone's end of its report socket
  std::vector<os::Fd> namespaces;  // of a shell, by mayfly_clone_fd, until its order is sent
  std::vector<os::Fd> process_usage;
  std::int64_t deadline_ms = 0;  // to be inside by; 0: none
  std::int64_t dying_since_ms = 0;
  bool reap_sent = false;
};

}  // namespace mayfly::spawner
