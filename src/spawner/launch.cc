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

namespace mayfly::spawner {

namespace {

constexpr std::size_t kPortsMax = 16;
constexpr std::uint64_t kInodeBytes = 1024;  // one inode of /tmp for so many bytes of its size
constexpr const char* kOomScore = "500";     // the host's own programs are spared first

Error invalid(std::string what) {
  return Error{Code::invalid_argument, std::move(what), "check launch", EINVAL};
}

std::string tmp_options(std::uint64_t bytes) {
  auto inodes = std::clamp<std::uint64_t>(bytes / kInodeBytes, 1024, 1 << 20);
  return "size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(inodes) + ",mode=1777";
}

std::vector<const char*> pointers(const std::vector<std::string>& words) {
  std::vector<const char*> list;
  for (const auto& word : words) list.push_back(word.c_str());
  list.push_back(nullptr);
  return list;
}

// Everything that init's plan points to; lives until the clone has copied it.
struct Prepared {
  os::Fd root, null;
  std::vector<os::Fd> trees;
  std::vector<const char*> argv, env;
  std::string tmp;
  os::Fd control_ours, control_theirs;
  InitPlan plan;
};

Status prepare_mounts(Host& host, const wire::SpawnerLaunch& request, Instance& instance,
                      Prepared& p) {
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
    MAYFLY_TRY(host.skeleton.prepare_mount_point(mount.sandbox_path, source.value().directory));
    p.plan.attach[p.plan.attach_count++] = {source.value().tree.get(), mount.sandbox_path.c_str()};
    p.trees.push_back(std::move(source.value().tree));
  }
  // After the mount points are there.
  auto root = host.skeleton.copy_root();
  if (root.has_error()) return std::move(root).error();
  p.root = std::move(root).value();
  p.plan.root = p.root.get();
  return ok();
}

Status prepare_descriptors(Host& host, const wire::SpawnerLaunch& request,
                           const std::vector<os::Fd>& fds, Instance& instance, Prepared& p) {
  std::size_t next = 0;
  p.plan.stdout_fd = fds[next++].get();
  p.plan.stderr_fd = fds[next++].get();
  if (request.channel) p.plan.channel_fd = fds[next++].get();
  if (request.stdin_pipe) {
    p.plan.stdin_fd = fds[next++].get();
  } else {
    p.null = os::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!p.null) return errno_error("open /dev/null", errno);
    p.plan.stdin_fd = p.null.get();
  }
  // So that programs can open /dev/stdout and the like again by name.
  if (host.privileged) {
    for (int fd : {p.plan.stdout_fd, p.plan.stderr_fd}) {
      if (::fchown(fd, instance.user, instance.user) != 0) {
        return errno_error("give output pipe to the sandbox", errno);
      }
    }
  }
  auto control = os::make_socket_pair(SOCK_SEQPACKET);
  if (control.has_error()) return std::move(control).error();
  p.control_ours = std::move(control.value().first);
  p.control_theirs = std::move(control.value().second);
  p.plan.control = p.control_theirs.get();
  return ok();
}

void prepare_rest(Host& host, const wire::SpawnerLaunch& request, const Instance& instance,
                  Prepared& p) {
  p.argv = pointers(request.argv);
  p.env = pointers(request.env);
  p.tmp = tmp_options(request.tmp_bytes);
  p.plan.inside_uid = kInsideUid;
  p.plan.tmp_options = p.tmp.c_str();
  p.plan.hostname = request.id.c_str();
  p.plan.argv = p.argv.data();
  p.plan.env = p.env.data();
  p.plan.cwd = request.cwd.c_str();
  p.plan.files_max = request.files_max;
  if (host.cgroups.kind() == os::UsageKind::process) {
    p.plan.data_bytes_max = request.memory_bytes;
    p.plan.processes_max = request.pids_max;
  }
  for (const auto& procs : instance.cgroup.procs) {
    if (p.plan.cgroup_count < kHierarchiesMax) {
      p.plan.cgroup_procs[p.plan.cgroup_count++] = procs.get();
    }
  }
  p.plan.filter = &host.filter;
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

Status write_maps(const Host& host, const Instance& instance) {
  os::Fd proc(
      ::open(("/proc/" + std::to_string(instance.pid)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return errno_error("open /proc of the sandbox", errno);
  std::string map =
      std::to_string(kInsideUid) + " " + std::to_string(host.privileged ? instance.user : 0) + " 1";
  // Best effort: a container may forbid it, and nothing depends on it.
  ignore(os::write_file_at(proc.get(), "oom_score_adj", kOomScore), "only a preference");
  MAYFLY_TRY(os::write_file_at(proc.get(), "setgroups", "deny"));
  MAYFLY_TRY(os::write_file_at(proc.get(), "gid_map", map));
  return os::write_file_at(proc.get(), "uid_map", map);
}

}  // namespace

Status check_launch(const wire::SpawnerLaunch& request, std::size_t fds) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (request.id.empty() || request.id.size() > 40 ||
      !std::all_of(request.id.begin(), request.id.end(), plain)) {
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
  if (request.listen_ports.size() > kPortsMax) return invalid("too many listen_ports");
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

Status launch(Host& host, const wire::SpawnerLaunch& request, const std::vector<os::Fd>& fds,
              Instance& instance) {
  MAYFLY_TRY(host.cgroups.set_limits(
      instance.cgroup, {request.memory_bytes, request.cpu_millis,
                        request.pids_max == 0 ? 0 : request.pids_max + 1}));  // + 1: init
  auto network = host.networks->take(request.nat);
  if (network.has_error()) return std::move(network).error();
  instance.network = std::move(network).value();
  auto listeners = host.networks->make_listeners(instance.network, request.listen_ports);
  if (listeners.has_error()) return std::move(listeners).error();
  instance.listeners = std::move(listeners).value();

  Prepared p;
  MAYFLY_TRY(prepare_mounts(host, request, instance, p));
  MAYFLY_TRY(prepare_descriptors(host, request, fds, instance, p));
  prepare_rest(host, request, instance, p);

  int pidfd = -1;
  instance.pid = clone_init(host, instance, p.plan, pidfd);
  if (instance.pid < 0) return errno_error("clone into new namespaces", errno);
  instance.pidfd = os::Fd(pidfd);
  instance.control = std::move(p.control_ours);
  auto mapped = write_maps(host, instance);
  if (mapped.has_value()) mapped = os::send_message(instance.control.get(), "g");
  if (mapped.has_error() && !instance.failed) {
    // Init is there and must be reaped: the failure takes the way of one that init tells.
    instance.failed = true;
    instance.failure = std::move(mapped).error();
    ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  }
  return ok();
}

}  // namespace mayfly::spawner
