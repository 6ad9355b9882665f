#pragma once
// What runs between clone and exec, and then stays as process 1 of the sandbox: it builds the root
// out of prepared pieces, gives up every privilege, starts the program and reaps. No allocation, no
// exceptions, no locks: only system calls on what the spawner laid out before the clone.

#include <linux/filter.h>
#include <sys/types.h>

#include <cstdint>

#include "os/seccomp.h"

namespace mayfly::spawner {

inline constexpr int kMountsMax = 16;
inline constexpr int kHierarchiesMax = 8;

struct InitPlan {
  int control = -1;  // SEQPACKET to the spawner: "go" in, InitReport out
  int inside_uid = 1000;
  bool keep_user = false;  // unprivileged: the user cannot be changed, it is already the right one

  int cgroup_procs[kHierarchiesMax];
  int cgroup_count = 0;

  int root = -1;  // detached copy of the skeleton
  struct Attach {
    int tree;
    const char* path;  // inside the new root, with a leading slash
  } attach[kMountsMax];
  int attach_count = 0;
  const char* tmp_options = "";
  const char* hostname = "";

  const char* const* argv = nullptr;
  const char* const* env = nullptr;
  const char* cwd = "/";
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;
  int channel_fd = -1;  // becomes 3; -1: none

  std::uint64_t files_max = 1024;
  std::uint64_t data_bytes_max = 0;  // rlimits in place of a cgroup; 0: not used
  std::uint64_t processes_max = 0;

  const os::SeccompFilter* filter = nullptr;
};

// Sent by init on the control socket, in this order: started or failed; then ended.
struct InitReport {
  enum Kind : std::uint32_t { started = 1, failed = 2, ended = 3 };
  std::uint32_t kind = 0;
  std::int32_t sys_errno = 0;    // failed
  std::int32_t wait_status = 0;  // ended: of the program, as waitpid gives it
  char step[100] = {};           // failed
};

[[noreturn]] void run_init(const InitPlan& plan);

}  // namespace mayfly::spawner
