#include "spawner/init_process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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

[[noreturn]] void fail(const InitPlan& plan, const char* step, const char* what, int error) {
  InitReport report;
  report.kind = InitReport::failed;
  report.sys_errno = error;
  copy_text(report.step, sizeof report.step, step, what);
  ::send(plan.control, &report, sizeof report, MSG_NOSIGNAL);
  ::_exit(125);
}

void check(const InitPlan& plan, long status, const char* step, const char* what = "") {
  if (status < 0) fail(plan, step, what, errno);
}

// Init never execs, so CLOEXEC does nothing for it: every descriptor of the spawner that the
// launch does not need goes first of all. Above all the engine's socket, whose end-of-file tells
// the engine that the spawner has died.
void close_foreign(const InitPlan& plan) {
  int keep[kMountsMax + kHierarchiesMax + 8];
  int count = 0;
  auto add = [&](int fd) {
    if (fd < 0) return;
    int at = count++;
    for (; at > 0 && keep[at - 1] > fd; --at) keep[at] = keep[at - 1];
    keep[at] = fd;
  };
  for (int fd :
       {plan.control, plan.root, plan.stdin_fd, plan.stdout_fd, plan.stderr_fd, plan.channel_fd}) {
    add(fd);
  }
  for (int i = 0; i < plan.cgroup_count; ++i) add(plan.cgroup_procs[i]);
  for (int i = 0; i < plan.attach_count; ++i) add(plan.attach[i].tree);
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

void wait_for_go(const InitPlan& plan) {
  char byte;
  ssize_t got;
  do {
    got = ::recv(plan.control, &byte, 1, 0);
  } while (got < 0 && errno == EINTR);
  if (got != 1) ::_exit(125);  // the spawner is gone
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
  check(plan, ::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr),
        "mount /proc");
  check(plan, ::mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, plan.tmp_options),
        "mount /tmp");
  for (int i = 0; i < plan.attach_count; ++i) {
    const auto& attach = plan.attach[i];
    check(plan, ::move_mount(attach.tree, "", AT_FDCWD, attach.path + 1, MOVE_MOUNT_F_EMPTY_PATH),
          "mount ", attach.path);
    ::close(attach.tree);
  }
  check(plan, ::syscall(SYS_pivot_root, ".", "."), "pivot root");
  // The old root now lies over the new one at "."; detaching it uncovers ours.
  check(plan, ::umount2(".", MNT_DETACH), "detach old root");
  check(plan, ::chdir("/"), "enter /");
  ::close(plan.root);
}

void set_limit(const InitPlan& plan, int resource, std::uint64_t value) {
  rlimit limit{};
  ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
  limit.rlim_cur = limit.rlim_max;
  check(plan, ::setrlimit(static_cast<__rlimit_resource>(resource), &limit), "set rlimit");
}

void set_limits(const InitPlan& plan) {
  set_limit(plan, RLIMIT_NOFILE, plan.files_max);
  set_limit(plan, RLIMIT_CORE, 0);
  if (plan.data_bytes_max != 0) set_limit(plan, RLIMIT_DATA, plan.data_bytes_max);
  if (plan.processes_max != 0) set_limit(plan, RLIMIT_NPROC, plan.processes_max);
}

void drop_privileges(const InitPlan& plan) {
  for (int capability = 0; capability < 64; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) break;  // past the last one
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  check(plan, ::syscall(SYS_capset, &header, none), "drop capabilities");
  check(plan, ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  // The program has the same user: it must not be able to look into or trace this process, whose
  // memory is a copy of the spawner's.
  check(plan, ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "set non-dumpable");
  // Changing the user has cleared this; so it is set here, and then the spawner checked.
  check(plan, ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "set death signal");
  pollfd poll{plan.control, POLLIN, 0};
  if (::poll(&poll, 1, 0) > 0 && (poll.revents & (POLLHUP | POLLIN)) != 0) ::_exit(125);
}

struct StartFailure {
  const char* step = nullptr;
  const char* what = "";
  int error = 0;
};

// In the vfork child: it shares memory with init until the exec, but not descriptors.
[[noreturn]] void start_program(const InitPlan& plan, volatile StartFailure* failure) {
  auto give_up = [failure](const char* step, const char* what) {
    failure->error = errno;
    failure->what = what;
    failure->step = step;
    ::_exit(127);
  };
  if (::setsid() < 0) give_up("start session", "");
  // First out of the way of 0 to 3, then into place; dup2 clears CLOEXEC.
  int from[4] = {plan.stdin_fd, plan.stdout_fd, plan.stderr_fd, plan.channel_fd};
  int count = plan.channel_fd >= 0 ? 4 : 3;
  for (int i = 0; i < count; ++i) {
    from[i] = ::fcntl(from[i], F_DUPFD_CLOEXEC, 10);
    if (from[i] < 0) give_up("pass descriptors", "");
  }
  for (int i = 0; i < count; ++i) {
    if (::dup2(from[i], i) < 0) give_up("pass descriptors", "");
  }
  ::close_range(static_cast<unsigned>(count), ~0u, 0);
  if (::chdir(plan.cwd) != 0) give_up("enter ", plan.cwd);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.argv[0], const_cast<char**>(plan.argv), const_cast<char**>(plan.env));
  give_up("exec ", plan.argv[0]);
  ::_exit(127);
}

// Reaps until the program ends, then reports; the kernel kills whatever else is still inside when
// this process goes.
[[noreturn]] void reap(int control, pid_t program) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGCHLD);
  ::sigaddset(&signals, SIGTERM);
  for (;;) {
    int status;
    pid_t ended;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended != program) continue;
      InitReport report;
      report.kind = InitReport::ended;
      report.wait_status = status;
      ::send(control, &report, sizeof report, MSG_NOSIGNAL);
      ::_exit(0);
    }
    siginfo_t info;
    if (::sigwaitinfo(&signals, &info) == SIGTERM) ::kill(program, SIGTERM);
  }
}

}  // namespace

void run_init(const InitPlan& plan) {
  close_foreign(plan);
  join_groups(plan);
  wait_for_go(plan);
  if (!plan.keep_user) become_user(plan);
  build_root(plan);
  check(plan, ::sethostname(plan.hostname, std::strlen(plan.hostname)), "set hostname");
  ::umask(022);
  set_limits(plan);
  drop_privileges(plan);
  if (int error = os::install_seccomp_filter(*plan.filter); error != 0) {
    fail(plan, "install seccomp filter", "", error);
  }
  volatile StartFailure failure;
  pid_t program = ::vfork();
  if (program == 0) start_program(plan, &failure);
  if (program < 0) fail(plan, "start process", "", errno);
  if (failure.step != nullptr) fail(plan, failure.step, failure.what, failure.error);
  InitReport report;
  report.kind = InitReport::started;
  ::send(plan.control, &report, sizeof report, MSG_NOSIGNAL);
  auto control = static_cast<unsigned>(plan.control);
  if (control > 0) ::close_range(0, control - 1, 0);
  ::close_range(control + 1, ~0u, 0);
  reap(plan.control, program);
}

}  // namespace mayfly::spawner
