#include "spawner/init_steps.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "os/ipc.h"
#include "os/time_slice.h"
#include "spawner/image_root.h"
#include "spawner/skeleton.h"

namespace mayfly::spawner {

namespace {

void copy_text(char* to, std::size_t size, const char* first, const char* second) {
  std::size_t used = 0;
  for (const char* part : {first, second}) {
    for (; *part != '\0' && used + 1 < size; ++part) to[used++] = *part;
  }
  to[used] = '\0';
}

}  // namespace

void fail(const InitPlan& plan, const char* step, const char* what, int error) {
  InitReport report;
  report.kind = InitReport::failed;
  report.sys_errno = error;
  copy_text(report.step, sizeof report.step, step, what);
  ::send(plan.control, &report, sizeof report, MSG_NOSIGNAL);
  ::_exit(125);
}

void check(const InitPlan& plan, long status, const char* step, const char* what) {
  if (status < 0) fail(plan, step, what, errno);
}

// Init never execs, so CLOEXEC does nothing for it: every descriptor of the spawner that the
// launch does not need goes first of all. Above all the engine's socket, whose end-of-file tells
// the engine that the spawner has died.
void close_foreign(const InitPlan& plan) {
  int keep[kHierarchiesMax + kMountsMax + 3];
  int count = 0;
  auto add = [&](int fd) {
    if (fd < 0) return;
    int at = count++;
    for (; at > 0 && keep[at - 1] > fd; --at) keep[at] = keep[at - 1];
    keep[at] = fd;
  };
  add(plan.control);
  add(plan.root);
  add(plan.report);
  for (int tree : plan.trees) add(tree);
  for (int i = 0; i < plan.cgroup_count; ++i) add(plan.cgroup_procs[i]);
  unsigned next = 0;
  for (int i = 0; i < count; ++i) {
    auto fd = static_cast<unsigned>(keep[i]);
    if (fd > next) ::close_range(next, fd - 1, 0);
    next = fd + 1;
  }
  ::close_range(next, ~0u, 0);
}

void join_groups(const InitPlan& plan) {
  for (int i = 0; i < plan.cgroup_count; ++i) {
    check(plan, ::write(plan.cgroup_procs[i], "0", 1), "join cgroup");
    ::close(plan.cgroup_procs[i]);
  }
  // From here on /proc/self/cgroup shows "/", not where the host keeps it.
  check(plan, ::unshare(CLONE_NEWCGROUP), "make cgroup namespace");
}

void become_user(const InitPlan& plan) {
  check(plan, ::syscall(SYS_setresgid, plan.inside_uid, plan.inside_uid, plan.inside_uid),
        "set group");
  check(plan, ::syscall(SYS_setresuid, plan.inside_uid, plan.inside_uid, plan.inside_uid),
        "set user");
}

void build_root(const InitPlan& plan) {
  check(plan, ::move_mount(plan.root, "", AT_FDCWD, kNewRoot, MOVE_MOUNT_F_EMPTY_PATH),
        "attach root");
  check(plan, ::chdir(kNewRoot), "enter root");
  check(plan, ::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, plan.proc_options),
        "mount /proc");
  check(plan, ::syscall(SYS_pivot_root, ".", "."), "pivot root");
  // The old root now lies over the new one at "."; detaching it uncovers ours.
  check(plan, ::umount2(".", MNT_DETACH), "detach old root");
  check(plan, ::chdir("/"), "enter /");
  ::close(plan.root);
}

namespace {

constexpr std::uint64_t kInodeBytes = 1024;  // one inode of /tmp for so many bytes of its size

}  // namespace

void attach_mounts(const InitPlan& plan, const wire::SpawnerLaunch& launch,
                   const std::vector<int>& trees) {
  std::uint64_t bytes = launch.tmp_bytes;
  auto inodes = std::clamp<std::uint64_t>(bytes / kInodeBytes, 1024, 1 << 20);
  std::string options =
      "size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(inodes) + ",mode=1777";
  check(plan, ::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()),
        "mount /tmp");
  const bool image = !launch.rootfs.empty();
  if (image) enter_image_root(plan, trees[0]);
  for (std::size_t i = 0; i < launch.mounts.size(); ++i) {
    const char* path = launch.mounts[i].sandbox_path.c_str();
    const int tree = trees[image ? i + 1 : i];
    if (image)
      attach_beneath(plan, trees[0], path, tree);
    else
      check(plan, ::move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), "mount ", path);
  }
  for (const int tree : trees) ::close(tree);
}

void set_hostname(const InitPlan& plan, const std::string& name) {
  check(plan, ::sethostname(name.data(), name.size()), "set hostname");
}

namespace {

void set_limit(const InitPlan& plan, int resource, std::uint64_t value) {
  rlimit limit{};
  ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
  limit.rlim_cur = limit.rlim_max;
  check(plan, ::setrlimit(static_cast<__rlimit_resource>(resource), &limit), "set rlimit");
}

}  // namespace

void set_limits(const InitPlan& plan, const wire::SpawnerLaunch& launch) {
  set_limit(plan, RLIMIT_NOFILE, launch.files_max);
  set_limit(plan, RLIMIT_CORE, 0);
  ignore(os::set_time_slice(0, os::kAwaitedSlice), "an answer takes longer beside busy functions");
  if (!plan.limit_by_rlimits) return;
  if (launch.memory_bytes != 0) set_limit(plan, RLIMIT_DATA, launch.memory_bytes);
  if (launch.pids_max != 0) set_limit(plan, RLIMIT_NPROC, launch.pids_max);
}

void drop_early(const InitPlan& plan) {
  // What a template's program will be left with must be inheritable before the bounding set goes.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  check(plan, ::syscall(SYS_capget, &header, data), "read capabilities");
  for (int capability : kTemplateCapabilities) data[0].inheritable |= 1u << capability;
  check(plan, ::syscall(SYS_capset, &header, data), "make capabilities inheritable");
  for (int capability = 0; capability < 64; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) break;  // past the last one
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  check(plan, ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  // The program has the same user: it must not be able to look into or trace this process, whose
  // memory is a copy of the spawner's.
  check(plan, ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "set non-dumpable");
  // Changing the user has cleared this. If the spawner has died before, the wait for the launch
  // finds its socket closed.
  check(plan, ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "set death signal");
}

void drop_capabilities(const InitPlan& plan) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  check(plan, ::syscall(SYS_capset, &header, none), "drop capabilities");
}

void install_filter(const InitPlan& plan, const std::vector<sock_filter>& program) {
  if (int error = os::install_seccomp_filter(program); error != 0) {
    fail(plan, "install seccomp filter", "", error);
  }
}

void tell(int control, InitReport::Kind kind, const std::vector<int>& fds) {
  InitReport report;
  report.kind = kind;
  std::string_view bytes(reinterpret_cast<const char*>(&report), sizeof report);
  ignore(os::send_message(control, bytes, fds), "the spawner is gone, which ends this process");
}

void tell_end(int control, int wait_status) {
  InitReport report;
  report.kind = InitReport::ended;
  report.wait_status = wait_status;
  ::send(control, &report, sizeof report, MSG_NOSIGNAL);
}

os::Fd open_signals(const InitPlan& plan) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGCHLD);
  ::sigaddset(&signals, SIGTERM);
  os::Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  check(plan, fd.get(), "open signals");
  return fd;
}

int take_signal(const os::Fd& signals) {
  signalfd_siginfo info{};
  return ::read(signals.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo)
                                                                  : 0;
}

}  // namespace mayfly::spawner
