#pragma once
// What a sandbox starts as: process 1 of its namespaces. In two parts, since the first is slow and
// needs to know nothing of the program: it joins the cgroup, builds the root and waits, as one of
// a few kept ready. The second, the launch, attaches the program's own mounts, gives up every
// privilege, starts it, and reaps. Runs in a fork of the spawner, which has one thread.

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "os/seccomp.h"
#include "wire/spawner_messages.h"

namespace mayfly::spawner {

inline constexpr int kMountsMax = 16;
inline constexpr int kHierarchiesMax = 8;

// Laid out by the spawner before the clone.
struct InitPlan {
  // SEQPACKET to the spawner. In: "g" when the user is mapped, then the launch, a
  // wire::SpawnerLaunch with descriptors: stdin, stdout, stderr, the channel when asked for, the
  // door when it names a zygote, and a detached tree for the root when the launch has one and for
  // each mount. Out: InitReport.
  int control = -1;
  int inside_uid = 1000;
  int cgroup_procs[kHierarchiesMax];
  int cgroup_count = 0;
  int root = -1;                  // detached copy of the skeleton
  bool limit_by_rlimits = false;  // in place of a cgroup
  const os::SeccompFilter* filter = nullptr;
  // For /proc; null: none. A zygote's shows other processes otherwise, for it has the host's pids.
  const char* proc_options = nullptr;
  // Of a shell: its end of the report socket, the template's launch and its mounts.
  int report = -1;
  const wire::SpawnerLaunch* launch = nullptr;
  std::vector<int> trees;
};

// In this order: prepared, then started, then ended; or failed in place of any. With a shell's
// `prepared` come its namespaces, in the order of mayfly_clone_fd; with its `started`, when there
// are no cgroups, what os::open_process_usage opens.
struct InitReport {
  enum Kind : std::uint32_t { prepared = 1, started = 2, ended = 3, failed = 4 };
  std::uint32_t kind = 0;
  std::int32_t sys_errno = 0;     // failed
  std::int32_t wait_status = 0;   // ended: of the program, as waitpid gives it
  std::uint32_t from_zygote = 0;  // started
  char step[100] = {};            // failed; started: why not from the zygote
};

[[noreturn]] void run_init(const InitPlan& plan);

// What a template's init does once its program runs: it outlives the program, because the clones'
// pid namespaces lie below its own. Obeys TemplateWord on the control socket.
[[noreturn]] void tend_template(const InitPlan& plan, pid_t program);

enum class TemplateWord : char {
  end = 'e',   // kill the program and whatever else of it is in this very pid namespace
  reap = 'r',  // the program has gone before: collect clones that have ended
};

// A shell's init: all of a sandbox but the program, which enters from the template. No
// wait for "g": its user namespace is the template's.
[[noreturn]] void run_shell(const InitPlan& plan);

}  // namespace mayfly::spawner
