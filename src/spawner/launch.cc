#include "spawner/launch.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "os/files.h"
#include "os/ipc.h"
#include "spawner/init_process.h"
#include "spawner/writable.h"
#include "spawner/zygote.h"

namespace mayfly::spawner {

namespace {

constexpr std::size_t kPortsMax = 16;
constexpr const char* kOomScore = "500";  // the host's own programs are spared first

Error invalid(std::string what) {
  return Error{Code::invalid_argument, std::move(what), "check launch", EINVAL};
}

// Detached trees: the root when the request names one, then in the order of its mounts.
Status open_mounts(Host& host, const wire::SpawnerLaunch& request, Instance& instance,
                   std::vector<os::Fd>& trees) {
  const bool image = !request.rootfs.empty();
  if (image) {
    auto root = host.skeleton.copy_source(request.rootfs, false);
    if (root.has_error()) return std::move(root).error();
    if (!root.value().directory) return invalid("rootfs must be a directory");
    trees.push_back(std::move(root.value().tree));
  }
  for (const auto& mount : request.mounts) {
    if (mount.writable && host.privileged) {
      struct stat info {};
      if (::stat(mount.host_path.c_str(), &info) != 0) {
        return errno_error("open writable mount " + mount.host_path, errno);
      }
      instance.lent.push_back(mount.host_path);
      MAYFLY_TRY(change_owner(mount.host_path, instance.user, instance.user));
    }
    auto source = host.skeleton.copy_source(mount.host_path, mount.writable);
    if (source.has_error()) return std::move(source).error();
    // An image's tree is as it is: what it has no place for is not mounted.
    if (!image)
      MAYFLY_TRY(host.skeleton.prepare_mount_point(mount.sandbox_path, source.value().directory));
    trees.push_back(std::move(source.value().tree));
  }
  return ok();
}

Status send_order(Host& host, const wire::SpawnerLaunch& request, const std::vector<os::Fd>& fds,
                  const std::vector<os::Fd>& trees, const os::Fd& door, Instance& instance) {
  int out = fds[0].get(), err = fds[1].get();
  MAYFLY_TRY(give_output(host, instance, out, err));
  std::vector<int> order = {request.stdin_pipe ? fds.back().get() : host.null.get(), out, err};
  if (request.channel) order.push_back(fds[2].get());
  os::Fd orders;
  if (request.cloneable) {
    auto pair = os::make_socket_pair(SOCK_SEQPACKET);
    if (pair.has_error()) return std::move(pair).error();
    MAYFLY_TRY(os::set_nonblocking(pair.value().first.get()));
    instance.family->orders = std::move(pair.value().first);
    orders = std::move(pair.value().second);
    order.push_back(orders.get());
  }
  if (!request.zygote.empty()) order.push_back(door.get());
  for (const auto& tree : trees) order.push_back(tree.get());
  return os::send_message(instance.control.get(), wire::encode_spawner_message(request), order);
}

// In the sandbox's network namespace and the nearly empty mount namespace, so that init starts
// with copies of those; back home whatever happens.
int clone_init(Host& host, const Instance& instance, const InitPlan& plan, int& pidfd) {
  clone_args args{};
  args.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
               CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (host.cgroups.kind() == os::UsageKind::v2) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<std::uint64_t>(instance.cgroup.dirs[0].get());
  }
  int pid = -1, error = 0;
  if (::setns(instance.network.netns.get(), CLONE_NEWNET) != 0 ||
      ::setns(host.skeleton.launch_namespace(), CLONE_NEWNS) != 0) {
    error = errno;
  } else {
    pid = static_cast<int>(::syscall(SYS_clone3, &args, sizeof args));
    if (pid == 0) run_init(plan);
    error = errno;
  }
  if (::setns(host.skeleton.home_namespace(), CLONE_NEWNS) != 0 ||
      ::setns(host.networks->home(), CLONE_NEWNET) != 0) {
    ::abort();  // nothing may go on in a namespace that is not our own
  }
  errno = error;
  return pid;
}

Result<os::Fd> open_at(const os::Fd& folder, const char* name) {
  os::Fd fd(::openat(folder.get(), name, O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(std::string("open ") + name + " of the sandbox", errno);
  return fd;
}

// Maps the user, and opens the namespaces while init may still be looked into without privilege.
Status write_maps(const Host& host, Instance& instance) {
  os::Fd proc(
      ::open(("/proc/" + std::to_string(instance.pid)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return errno_error("open /proc of the sandbox", errno);
  std::string map =
      std::to_string(kInsideUid) + " " + std::to_string(host.privileged ? instance.user : 0) + " 1";
  auto user_ns = open_at(proc, "ns/user");
  if (user_ns.has_error()) return std::move(user_ns).error();
  instance.user_ns = std::move(user_ns).value();
  auto pid_ns = open_at(proc, "ns/pid");
  if (pid_ns.has_error()) return std::move(pid_ns).error();
  instance.pid_ns = std::move(pid_ns).value();
  // Best effort: a container may forbid it, and nothing depends on it.
  ignore(os::write_file_at(proc.get(), "oom_score_adj", kOomScore), "only a preference");
  MAYFLY_TRY(os::write_file_at(proc.get(), "setgroups", "deny"));
  MAYFLY_TRY(os::write_file_at(proc.get(), "gid_map", map));
  return os::write_file_at(proc.get(), "uid_map", map);
}

}  // namespace

Status give_output(const Host& host, const Instance& instance, int out, int err) {
  if (host.privileged && (::fchown(out, instance.user, instance.user) != 0 ||
                          ::fchown(err, instance.user, instance.user) != 0)) {
    return errno_error("give output pipes to the sandbox", errno);
  }
  return ok();
}

bool plain_id(const std::string& id) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !id.empty() && id.size() <= 40 && std::all_of(id.begin(), id.end(), plain);
}

Status check_launch(const wire::SpawnerLaunch& request, std::size_t fds) {
  if (!plain_id(request.id)) {
    return invalid("sandbox id '" + request.id + "' must be 1 to 40 of a-z, 0-9 and '-'");
  }
  if (request.argv.empty() || !request.argv[0].starts_with("/")) {
    return invalid("argv[0] must be an absolute path inside the sandbox");
  }
  if (!request.cwd.starts_with("/")) return invalid("cwd must be an absolute path");
  for (const auto* list : {&request.argv, &request.env}) {
    for (const auto& word : *list) {
      if (word.find('\0') != std::string::npos) return invalid("NUL byte in argv or env");
    }
  }
  if (request.mounts.size() > kMountsMax) {
    return invalid("more than " + std::to_string(kMountsMax) + " mounts");
  }
  for (const auto& mount : request.mounts) {
    MAYFLY_TRY(check_mount_path(mount.sandbox_path));
    if (!mount.host_path.starts_with("/")) {
      return invalid("mount source '" + mount.host_path + "' must be an absolute path");
    }
  }
  if (!request.rootfs.empty()) {
    if (!request.rootfs.starts_with("/") || request.rootfs.find('\0') != std::string::npos) {
      return invalid("rootfs '" + request.rootfs + "' must be an absolute path");
    }
    if (request.cloneable) return invalid("what has a rootfs of its own cannot be cloned");
    if (!request.zygote.empty()) return invalid("what has a rootfs has no zygote");
  }
  if (request.cloneable) {
    bool writable = std::any_of(request.mounts.begin(), request.mounts.end(),
                                [](const auto& mount) { return mount.writable; });
    if (writable || !request.listen_ports.empty() || !request.channel) {
      return invalid("what can be cloned has a channel, no listen_ports and no writable mounts");
    }
  }
  if (request.listen_ports.size() > kPortsMax) return invalid("too many listen_ports");
  if (request.zygote.size() > 1) return invalid("more than one zygote");
  for (const auto& zygote : request.zygote) {
    MAYFLY_TRY(check_zygote(zygote));
    if (zygote.argv != request.argv) return invalid("the zygote runs another program");
  }
  if (request.tmp_bytes == 0) return invalid("tmp_bytes must be positive");
  if (fds != 2u + (request.channel ? 1 : 0) + (request.stdin_pipe ? 1 : 0)) {
    return invalid("descriptors do not fit the request");
  }
  return ok();
}

void take_back(Instance& instance) {
  for (const auto& path : instance.lent) {
    ignore(change_owner(path, ::geteuid(), ::getegid()),
           "the owner's own access needs no ownership: it is root");
  }
  instance.lent.clear();
}

Status prepare(Host& host, bool nat, Instance& instance) {
  auto network = host.networks->make(nat);
  if (network.has_error()) return std::move(network).error();
  instance.network = std::move(network).value();
  auto root = host.skeleton.copy_root();
  if (root.has_error()) return std::move(root).error();
  auto control = os::make_socket_pair(SOCK_SEQPACKET);
  if (control.has_error()) return std::move(control).error();

  InitPlan plan;
  plan.inside_uid = kInsideUid;
  plan.control = control.value().second.get();
  plan.root = root.value().get();
  plan.limit_by_rlimits = host.cgroups.kind() == os::UsageKind::process;
  plan.filter = &host.filter;
  // Version 2: clone3 puts it there.
  bool joins = host.cgroups.kind() == os::UsageKind::v1;
  for (const auto& procs : instance.cgroup.procs) {
    if (joins && plan.cgroup_count < kHierarchiesMax)
      plan.cgroup_procs[plan.cgroup_count++] = procs.get();
  }
  int pidfd = -1;
  instance.pid = clone_init(host, instance, plan, pidfd);
  if (instance.pid < 0) return errno_error("clone into new namespaces", errno);
  instance.pidfd = os::Fd(pidfd);
  instance.control = std::move(control.value().first);
  auto mapped = write_maps(host, instance);
  if (mapped.has_value()) mapped = os::send_message(instance.control.get(), "g");
  if (mapped.has_error()) {
    // Init is there and must be reaped: the failure takes the way of one that init tells.
    instance.failed = true;
    instance.failure = std::move(mapped).error();
    ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  }
  return ok();
}

Status start(Host& host, const wire::SpawnerLaunch& request, const std::vector<os::Fd>& fds,
             const os::Fd& door, Instance& instance) {
  MAYFLY_TRY(host.cgroups.set_limits(
      instance.cgroup, {request.memory_bytes, request.cpu_millis,
                        request.pids_max == 0 ? 0 : request.pids_max + 1}));  // + 1: init
  host.cgroups.reset_usage(instance.cgroup);
  auto listeners = host.networks->make_listeners(instance.network, request.listen_ports);
  if (listeners.has_error()) return std::move(listeners).error();
  os::Fd services;
  if (request.services) {
    auto listener = host.networks->make_services_listener(instance.network);
    if (listener.has_error()) return std::move(listener).error();
    services = std::move(listener).value();
  }
  if (request.cloneable) {
    instance.family = std::make_unique<Family>();
    instance.family->launch = request;
  }
  std::vector<os::Fd> trees;
  auto status = open_mounts(host, request, instance, trees);
  if (status.has_value()) status = send_order(host, request, fds, trees, door, instance);
  if (status.has_error()) {
    take_back(instance);
    instance.family.reset();
    return status;
  }
  if (instance.family) {
    instance.family->user_ns = std::move(instance.user_ns);
    instance.family->pid_ns = std::move(instance.pid_ns);
  }
  instance.user_ns.reset();
  instance.pid_ns.reset();
  instance.listeners = std::move(listeners).value();
  instance.services = std::move(services);
  return ok();
}

}  // namespace mayfly::spawner
