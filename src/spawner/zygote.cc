#include "spawner/zygote.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "os/files.h"
#include "os/ipc.h"
#include "os/time_slice.h"
#include "spawner/init_process.h"
#include "spawner/init_steps.h"
#include "spawner/watched.h"
#include "wire/zygote_order.h"

namespace mayfly::spawner {

namespace {

constexpr int kControlFd = 4;  // 3 is the program's channel
constexpr const char* kControlVariable = "MAYFLY_ZYGOTE_FD=4";
constexpr std::uint64_t kMemoryMax = 512u << 20, kTmpBytes = 1 << 20;
constexpr std::uint32_t kProcessesMax = 512;
constexpr const char* kZygoteOomScore = "500";

// All that a zygote may do outside its own namespaces is to enter those that it is given. With a
// user of its own it owns none of the sandboxes' user namespaces; the capability counts for them
// because they are below the spawner's.
void become_zygote_user(const InitPlan& plan, uid_t user) {
  // Inheritable before the bounding set goes.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  check(plan, ::syscall(SYS_capget, &header, data), "read capabilities");
  data[0].inheritable |= 1u << CAP_SYS_ADMIN;
  check(plan, ::syscall(SYS_capset, &header, data), "make capability inheritable");
  for (int capability = 0; capability < 64; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) break;  // past the last one
  }
  check(plan, ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities");
  check(plan, ::syscall(SYS_setresgid, user, user, user), "set group");
  check(plan, ::syscall(SYS_setresuid, user, user, user), "set user");
  data[0] = data[1] = {};
  data[0].effective = data[0].permitted = data[0].inheritable = 1u << CAP_SYS_ADMIN;
  check(plan, ::syscall(SYS_capset, &header, data), "drop capabilities");
  check(plan, ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0),
        "keep capability");
  check(plan, ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  check(plan, ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "set death signal");
}

void place_descriptors(const InitPlan& plan) {
  int control = ::fcntl(plan.control, F_DUPFD_CLOEXEC, 10);
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  check(plan, std::min(control, null), "open descriptors");
  null = ::fcntl(null, F_DUPFD_CLOEXEC, 10);
  // Number 3 is taken, so that nothing of the runtime's own is where a channel will be.
  for (int fd = 0; fd < kControlFd; ++fd) check(plan, ::dup2(null, fd), "pass descriptors");
  check(plan, ::dup2(control, kControlFd), "pass descriptors");
}

[[noreturn]] void run_zygote(const InitPlan& plan, uid_t user, const wire::SpawnerLaunch& launch) {
  close_foreign(plan);
  join_groups(plan);
  build_root(plan);
  attach_mounts(plan, launch, plan.trees);
  ::umask(022);
  set_hostname(plan, "zygote");
  rlimit none{0, 0};
  check(plan, ::setrlimit(RLIMIT_CORE, &none), "set rlimit");
  ignore(os::set_time_slice(0, std::chrono::microseconds(0)), "only a preference");
  become_zygote_user(plan, user);
  place_descriptors(plan);
  InitPlan plain = plan;
  plain.control = kControlFd;
  ::close_range(kControlFd + 1, ~0u, 0);
  std::vector<char*> argv, env;
  for (const auto& word : launch.argv) argv.push_back(const_cast<char*>(word.c_str()));
  for (const auto& word : launch.env) env.push_back(const_cast<char*>(word.c_str()));
  env.push_back(const_cast<char*>(kControlVariable));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  install_filter(plain, plan.filter->arguments);
  const std::array<unsigned long, 4> action = {};  // the kernel's struct sigaction: the default
  for (int signal = 1; signal <= 64; ++signal) {
    ::syscall(SYS_rt_sigaction, signal, action.data(), nullptr, 8);
  }
  sigset_t unblocked;
  ::sigemptyset(&unblocked);
  ::sigprocmask(SIG_SETMASK, &unblocked, nullptr);
  install_filter(plain, plan.filter->allow_template);
  ::execve(argv[0], argv.data(), env.data());
  fail(plain, "exec ", argv[0], errno);
}

// As an init's, but in the spawner's own user and pid namespace: only from above can it enter those
// of any sandbox.
int clone_zygote(Host& host, const InitPlan& plan, uid_t user, const wire::SpawnerLaunch& launch,
                 int& pidfd) {
  clone_args args{};
  args.flags =
      CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (::setns(host.skeleton.launch_namespace(), CLONE_NEWNS) != 0) return -1;
  int pid = static_cast<int>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) run_zygote(plan, user, launch);
  int error = errno;
  if (::setns(host.skeleton.home_namespace(), CLONE_NEWNS) != 0) ::abort();  // as in launch.cc
  errno = error;
  return pid;
}

Error invalid_zygote(std::string what) {
  return Error{Code::invalid_argument, "zygote: " + std::move(what), "check launch", EINVAL};
}

}  // namespace

std::string zygote_key(const wire::SpawnerZygote& spec) {
  std::string key;
  for (const auto* list : {&spec.argv, &spec.env}) {
    for (const auto& word : *list) key.append(word).push_back('\0');
    key.push_back('\0');
  }
  for (const auto& mount : spec.mounts) {
    key.append(mount.host_path).append(1, '\0').append(mount.sandbox_path).push_back('\0');
  }
  return key;
}

Status check_zygote(const wire::SpawnerZygote& spec) {
  if (spec.argv.empty() || !spec.argv[0].starts_with("/")) {
    return invalid_zygote("argv[0] must be an absolute path inside the sandbox");
  }
  for (const auto* list : {&spec.argv, &spec.env}) {
    for (const auto& word : *list) {
      if (word.find('\0') != std::string::npos) return invalid_zygote("NUL byte in argv or env");
    }
  }
  if (spec.mounts.size() > kMountsMax) return invalid_zygote("too many mounts");
  for (const auto& mount : spec.mounts) {
    MAYFLY_TRY(check_mount_path(mount.sandbox_path));
    if (mount.writable || !mount.host_path.starts_with("/")) {
      return invalid_zygote("mounts are read-only, from absolute paths");
    }
  }
  return ok();
}

Status start_zygote(Host& host, const wire::SpawnerZygote& spec, Zygote& zygote) {
  os::CgroupLimits limits;
  limits.memory_bytes = kMemoryMax;
  limits.pids_max = kProcessesMax;
  MAYFLY_TRY(host.cgroups.set_limits(zygote.cgroup, limits));
  auto root = host.skeleton.copy_root();
  if (root.has_error()) return std::move(root).error();
  auto control = os::make_socket_pair(SOCK_SEQPACKET);
  if (control.has_error()) return std::move(control).error();
  MAYFLY_TRY(os::set_nonblocking(control.value().first.get()));

  wire::SpawnerLaunch launch;
  launch.argv = spec.argv;
  launch.env = spec.env;
  launch.mounts = spec.mounts;
  launch.tmp_bytes = kTmpBytes;
  InitPlan plan;
  std::vector<os::Fd> trees;
  for (const auto& mount : launch.mounts) {
    auto source = host.skeleton.copy_source(mount.host_path, false);
    if (source.has_error()) return std::move(source).error();
    MAYFLY_TRY(host.skeleton.prepare_mount_point(mount.sandbox_path, source.value().directory));
    trees.push_back(std::move(source.value().tree));
    plan.trees.push_back(trees.back().get());
  }
  plan.control = control.value().second.get();
  plan.root = root.value().get();
  plan.proc_options = "hidepid=2";
  plan.filter = &host.filter;
  for (const auto& procs : zygote.cgroup.procs) {
    if (plan.cgroup_count < kHierarchiesMax) plan.cgroup_procs[plan.cgroup_count++] = procs.get();
  }
  int pidfd = -1;
  zygote.pid = clone_zygote(host, plan, zygote.user, launch, pidfd);
  if (zygote.pid < 0) return errno_error("clone a zygote", errno);
  zygote.pidfd = os::Fd(pidfd);
  zygote.control = std::move(control.value().first);
  zygote.born_ms = zygote.used_ms = monotonic_ms();
  ignore(os::write_file("/proc/" + std::to_string(zygote.pid) + "/oom_score_adj", kZygoteOomScore),
         "only a preference");
  return ok();
}

Result<os::Fd> order_program(const Zygote& zygote, const Instance& instance) {
  auto door = os::make_socket_pair(SOCK_SEQPACKET);
  if (door.has_error()) return std::move(door).error();
  int on = 1;
  if (::setsockopt(door.value().first.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return errno_error("ask for senders", errno);
  }
  mayfly_zygote_order order{};
  order.version = MAYFLY_ZYGOTE_VERSION;
  order.groups = static_cast<std::uint32_t>(instance.cgroup.procs.size());
  std::vector<int> fds = {instance.pid_ns.get(), instance.network.netns.get(),
                          instance.user_ns.get(), door.value().second.get()};
  for (const auto& procs : instance.cgroup.procs) fds.push_back(procs.get());
  if (order.groups > MAYFLY_ZYGOTE_GROUPS_MAX ||
      std::any_of(fds.begin(), fds.end(), [](int fd) { return fd < 0; })) {
    return Error{Code::unsupported, "the sandbox cannot be entered", "ask the zygote", 0};
  }
  std::string_view bytes(reinterpret_cast<const char*>(&order), sizeof order);
  auto sent = os::send_message(zygote.control.get(), bytes, fds);
  if (sent.has_error()) return std::move(sent).error();
  return std::move(door.value().first);
}

}  // namespace mayfly::spawner
