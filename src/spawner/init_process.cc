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

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <variant>
#include <vector>

#include "os/ipc.h"
#include "spawner/skeleton.h"
#include "wire/spawner_messages.h"

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
  int keep[kHierarchiesMax + 2];
  int count = 0;
  auto add = [&](int fd) {
    if (fd < 0) return;
    int at = count++;
    for (; at > 0 && keep[at - 1] > fd; --at) keep[at] = keep[at - 1];
    keep[at] = fd;
  };
  add(plan.control);
  add(plan.root);
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
  check(plan, ::syscall(SYS_pivot_root, ".", "."), "pivot root");
  // The old root now lies over the new one at "."; detaching it uncovers ours.
  check(plan, ::umount2(".", MNT_DETACH), "detach old root");
  check(plan, ::chdir("/"), "enter /");
  ::close(plan.root);
}

// What the launch brings.
struct Order {
  wire::SpawnerLaunch launch;
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1, channel_fd = -1;
  std::vector<int> trees;
  std::vector<char*> argv, env;
};

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (auto& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

void receive_order(const InitPlan& plan, Order& order) {
  auto received = os::receive_message(plan.control, wire::kSpawnerMessageMax);
  if (received.has_error()) fail(plan, "receive launch", "", received.error().sys_errno);
  if (received.value().bytes.empty()) ::_exit(125);  // the spawner has no use for this one
  auto message = wire::decode_spawner_message(received.value().bytes);
  auto* launch = message.has_value() ? std::get_if<wire::SpawnerLaunch>(&message.value()) : nullptr;
  auto& fds = received.value().fds;
  std::size_t named = 3;
  if (launch != nullptr && launch->channel) ++named;
  if (launch == nullptr || fds.size() != named + launch->mounts.size()) {
    fail(plan, "receive launch", "", EBADMSG);
  }
  order.launch = std::move(*launch);
  order.stdin_fd = fds[0].release();
  order.stdout_fd = fds[1].release();
  order.stderr_fd = fds[2].release();
  if (order.launch.channel) order.channel_fd = fds[3].release();
  for (std::size_t i = named; i < fds.size(); ++i) order.trees.push_back(fds[i].release());
  order.argv = pointers(order.launch.argv);
  order.env = pointers(order.launch.env);
}

constexpr std::uint64_t kInodeBytes = 1024;  // one inode of /tmp for so many bytes of its size

void attach_mounts(const InitPlan& plan, const Order& order) {
  std::uint64_t bytes = order.launch.tmp_bytes;
  auto inodes = std::clamp<std::uint64_t>(bytes / kInodeBytes, 1024, 1 << 20);
  std::string options =
      "size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(inodes) + ",mode=1777";
  check(plan, ::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()),
        "mount /tmp");
  for (std::size_t i = 0; i < order.trees.size(); ++i) {
    const char* path = order.launch.mounts[i].sandbox_path.c_str();
    check(plan, ::move_mount(order.trees[i], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), "mount ",
          path);
    ::close(order.trees[i]);
  }
  const std::string& id = order.launch.id;
  check(plan, ::sethostname(id.data(), id.size()), "set hostname");
}

void set_limit(const InitPlan& plan, int resource, std::uint64_t value) {
  rlimit limit{};
  ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
  limit.rlim_cur = limit.rlim_max;
  check(plan, ::setrlimit(static_cast<__rlimit_resource>(resource), &limit), "set rlimit");
}

void set_limits(const InitPlan& plan, const wire::SpawnerLaunch& launch) {
  set_limit(plan, RLIMIT_NOFILE, launch.files_max);
  set_limit(plan, RLIMIT_CORE, 0);
  if (!plan.limit_by_rlimits) return;
  if (launch.memory_bytes != 0) set_limit(plan, RLIMIT_DATA, launch.memory_bytes);
  if (launch.pids_max != 0) set_limit(plan, RLIMIT_NPROC, launch.pids_max);
}

// What may go before the launch: it does not touch the capabilities that the mounts still need.
void drop_early(const InitPlan& plan) {
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

struct StartFailure {
  const char* step = nullptr;
  const char* what = "";
  int error = 0;
};

// In the vfork child: it shares memory with init until the exec, but not descriptors. No
// allocation.
[[noreturn]] void start_program(const Order& order, volatile StartFailure* failure) {
  auto give_up = [failure](const char* step, const char* what) {
    failure->error = errno;
    failure->what = what;
    failure->step = step;
    ::_exit(127);
  };
  if (::setsid() < 0) give_up("start session", "");
  // First out of the way of 0 to 3, then into place; dup2 clears CLOEXEC.
  int from[4] = {order.stdin_fd, order.stdout_fd, order.stderr_fd, order.channel_fd};
  int count = order.channel_fd >= 0 ? 4 : 3;
  for (int i = 0; i < count; ++i) {
    from[i] = ::fcntl(from[i], F_DUPFD_CLOEXEC, 10);
    if (from[i] < 0) give_up("pass descriptors", "");
  }
  for (int i = 0; i < count; ++i) {
    if (::dup2(from[i], i) < 0) give_up("pass descriptors", "");
  }
  ::close_range(static_cast<unsigned>(count), ~0u, 0);
  const char* cwd = order.launch.cwd.c_str();
  if (::chdir(cwd) != 0) give_up("enter ", cwd);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(order.argv[0], order.argv.data(), order.env.data());
  give_up("exec ", order.argv[0]);
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

namespace {

void tell(int control, InitReport::Kind kind) {
  InitReport report;
  report.kind = kind;
  ::send(control, &report, sizeof report, MSG_NOSIGNAL);
}

}  // namespace

void run_init(const InitPlan& plan) {
  close_foreign(plan);
  join_groups(plan);
  wait_for_go(plan);
  become_user(plan);
  build_root(plan);
  ::umask(022);
  drop_early(plan);
  if (int error = os::install_seccomp_filter(plan.filter->arguments); error != 0) {
    fail(plan, "install seccomp filter", "", error);
  }
  tell(plan.control, InitReport::prepared);

  Order order;
  receive_order(plan, order);
  attach_mounts(plan, order);
  set_limits(plan, order.launch);
  drop_capabilities(plan);
  // Last: it refuses most of what has been done above.
  if (int error = os::install_seccomp_filter(plan.filter->allow); error != 0) {
    fail(plan, "install seccomp filter", "", error);
  }
  volatile StartFailure failure;
  pid_t program = ::vfork();
  if (program == 0) start_program(order, &failure);
  if (program < 0) fail(plan, "start process", "", errno);
  if (failure.step != nullptr) fail(plan, failure.step, failure.what, failure.error);
  tell(plan.control, InitReport::started);
  auto control = static_cast<unsigned>(plan.control);
  if (control > 0) ::close_range(0, control - 1, 0);
  ::close_range(control + 1, ~0u, 0);
  reap(plan.control, program);
}

}  // namespace mayfly::spawner
