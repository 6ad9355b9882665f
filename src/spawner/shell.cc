#include "spawner/shell.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "os/files.h"
#include "os/ipc.h"
#include "spawner/init_process.h"
#include "wire/clone_order.h"

namespace mayfly::spawner {

namespace {

constexpr const char* kShellOomScore = "500";

// What a helper tells of the process it has made.
struct Handoff {
  std::int32_t pid = 0;  // in the helper's own namespace
  std::int32_t sys_errno = 0;
  char step[60] = {};
};

[[noreturn]] void hand_off(int socket, const char* step, int pid, int pidfd) {
  Handoff handoff;
  handoff.sys_errno = pid < 0 ? errno : 0;
  handoff.pid = pid;
  std::strncpy(handoff.step, step, sizeof handoff.step - 1);
  std::string_view bytes(reinterpret_cast<const char*>(&handoff), sizeof handoff);
  std::vector<int> fds;
  if (pid > 0 && pidfd >= 0) fds.push_back(pidfd);
  ignore(os::send_message(socket, bytes, fds), "the spawner sees the end of file");
  ::_exit(0);
}

// Makes the init of a new pid namespace, which must be done from inside the one above it.
[[noreturn]] void make_init(const InitPlan& plan, int socket) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PARENT |
               CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  int pid = static_cast<int>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) run_shell(plan);
  hand_off(socket, "clone a shell into new namespaces", pid, pidfd);
}

// Of the first helper, whose memory is the spawner's own: nothing may be left in it.
[[noreturn]] void end_helper(int socket, const char* step, int pid) {
  Handoff handoff;
  handoff.sys_errno = pid < 0 ? errno : 0;
  handoff.pid = pid;
  std::strncpy(handoff.step, step, sizeof handoff.step - 1);
  ::send(socket, &handoff, sizeof handoff, MSG_NOSIGNAL);
  ::_exit(0);
}

// In a vfork of the spawner: only whoever is inside a user namespace can make namespaces that
// belong to it, and there is no way back. Two processes, since entering a pid namespace takes a
// fork. CLONE_PARENT makes both the second and the init children of the spawner. Nobody in the
// template's pid namespace may look into the copies of the spawner's memory that these are: the
// spawner is not dumpable while they are made. The first shares that memory, but is in nobody's pid
// namespace but the spawner's. No allocation.
[[noreturn]] void enter_family(const Host& host, const Family& family, const InitPlan& plan,
                               int socket) {
  if (::setns(host.skeleton.launch_namespace(), CLONE_NEWNS) != 0) {
    end_helper(socket, "enter launch namespace", -1);
  }
  const int birthplace = host.networks->birthplace();
  if (birthplace >= 0 && ::setns(birthplace, CLONE_NEWNET) != 0) {
    end_helper(socket, "enter birthplace of network namespaces", -1);
  }
  if (::setns(family.user_ns.get(), CLONE_NEWUSER) != 0) {
    end_helper(socket, "enter the template's user namespace", -1);
  }
  if (::setns(family.pid_ns.get(), CLONE_NEWPID) != 0) {
    end_helper(socket, "enter the template's pid namespace", -1);
  }
  clone_args args{};
  args.flags = CLONE_PARENT | CLONE_VFORK;  // this one ends, and tells of it, after the other
  int pid = static_cast<int>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) make_init(plan, socket);
  end_helper(socket, "enter the template's pid namespace by a fork", pid);
}

void reap_helper(int pid) {
  while (::waitpid(pid, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

Result<Handoff> receive_handoff(const os::Fd& socket, os::Fd& pidfd) {
  auto received = os::receive_message(socket.get(), sizeof(Handoff));
  if (received.has_error()) return std::move(received).error();
  if (received.value().bytes.size() != sizeof(Handoff)) {
    return Error{Code::io_error, "a helper died", "clone a shell", 0};
  }
  Handoff handoff;
  std::memcpy(&handoff, received.value().bytes.data(), sizeof handoff);
  if (!received.value().fds.empty()) pidfd = std::move(received.value().fds[0]);
  return handoff;
}

// The pid by which this process knows it.
int pid_of(const os::Fd& pidfd) {
  auto info = os::read_file("/proc/self/fdinfo/" + std::to_string(pidfd.get()));
  auto pid = info.has_value() ? os::find_number(info.value(), "Pid:") : std::nullopt;
  return pid ? static_cast<int>(*pid) : 0;
}

// The pid of the first helper, once it and the second have ended.
Result<pid_t> make_helpers(const Host& host, const Family& family, const InitPlan& plan,
                           int socket) {
  const bool dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error("become non-dumpable", errno);
  const pid_t helper = ::vfork();
  if (helper == 0) enter_family(host, family, plan, socket);
  const int error = errno;
  if (dumpable) ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  if (helper < 0) return errno_error("fork", error);
  return helper;
}

Status start_init(const Host& host, const Instance& parent, const InitPlan& plan, Instance& shell) {
  auto pair = os::make_socket_pair(SOCK_SEQPACKET);
  if (pair.has_error()) return std::move(pair).error();
  auto& [ours, theirs] = pair.value();
  auto helper = make_helpers(host, *parent.family, plan, theirs.get());
  if (helper.has_error()) return std::move(helper).error();
  theirs.reset();
  // First the second helper tells of the init; then the first, which has waited for its end, of the
  // second. When the template's init is dying the second may be killed before it says anything.
  auto made = receive_handoff(ours, shell.pidfd);
  if (made.has_value() && (shell.pidfd || made.value().pid < 0)) {
    os::Fd none;
    auto second = receive_handoff(ours, none);
    if (second.has_value() && second.value().pid > 0) reap_helper(second.value().pid);
  } else if (made.has_value() && made.value().pid > 0) {
    reap_helper(made.value().pid);
    made = Error{Code::unavailable, "the template is ending", "clone a shell", ESRCH};
  }
  reap_helper(helper.value());
  if (made.has_error()) return std::move(made).error();
  if (!shell.pidfd) return errno_error(made.value().step, made.value().sys_errno);
  shell.pid = pid_of(shell.pidfd);
  if (shell.pid == 0) {
    ::syscall(SYS_pidfd_send_signal, shell.pidfd.get(), SIGKILL, nullptr, 0);
    while (::waitid(P_PIDFD, static_cast<id_t>(shell.pidfd.get()), nullptr, WEXITED | __WALL) < 0 &&
           errno == EINTR) {
    }
    return Error{Code::io_error, "the pid of a shell cannot be read", "clone a shell", 0};
  }
  ignore(os::write_file("/proc/" + std::to_string(shell.pid) + "/oom_score_adj", kShellOomScore),
         "only a preference");
  return ok();
}

os::CgroupLimits limits_of(std::uint64_t memory, std::uint32_t cpu, std::uint32_t pids) {
  return {memory, cpu, pids == 0 ? 0 : pids + 1};  // + 1: init
}

// A hostname is the namespace's: set from outside, where the power over it is.
Status name_host(const Host& host, int uts, const std::string& name) {
  if (::setns(uts, CLONE_NEWUTS) != 0) return errno_error("enter uts namespace", errno);
  int named = ::sethostname(name.data(), name.size());
  int error = errno;
  if (::setns(host.home_uts.get(), CLONE_NEWUTS) != 0) ::abort();  // as for networks
  if (named != 0) return errno_error("set hostname", error);
  return ok();
}

std::string order_bytes(const Instance& shell, const wire::SpawnerClone& message) {
  std::string env;
  for (const auto& word : message.env) env.append(word).push_back('\0');
  mayfly_clone_message order{};
  order.version = MAYFLY_CLONE_VERSION;
  order.kind = MAYFLY_CLONE_ORDER;
  order.order = shell.number;
  order.env_size = static_cast<std::uint32_t>(env.size());
  order.groups = static_cast<std::uint32_t>(shell.cgroup.procs.size());
  order.has_channel = message.channel ? 1 : 0;
  std::string bytes(reinterpret_cast<const char*>(&order), sizeof order);
  return bytes + env;
}

}  // namespace

Status check_clone(const CloneRequest& request) {
  const auto& message = request.message;
  auto invalid = [](std::string what) {
    return Error{Code::invalid_argument, std::move(what), "check clone", EINVAL};
  };
  if (!plain_id(message.id)) {
    return invalid("sandbox id '" + message.id + "' must be 1 to 40 of a-z, 0-9 and '-'");
  }
  std::size_t size = sizeof(mayfly_clone_message);
  for (const auto& word : message.env) {
    size += word.size() + 1;
    if (word.empty() || word.find('\0') != std::string::npos) {
      return invalid("NUL byte or empty word in env");
    }
  }
  if (size > MAYFLY_CLONE_MESSAGE_MAX) return invalid("the environment is too large");
  if (request.fds.size() != 2u + (message.channel ? 1 : 0)) {
    return invalid("descriptors do not fit the request");
  }
  return ok();
}

Status prepare_shell(Host& host, const Instance& parent, Instance& shell) {
  auto root = host.skeleton.copy_root();
  if (root.has_error()) return std::move(root).error();
  std::vector<os::Fd> trees;
  InitPlan plan;
  for (const auto& mount : parent.family->launch.mounts) {
    auto source = host.skeleton.copy_source(mount.host_path, false);
    if (source.has_error()) return std::move(source).error();
    trees.push_back(std::move(source.value().tree));
    plan.trees.push_back(trees.back().get());
  }
  auto control = os::make_socket_pair(SOCK_SEQPACKET);
  if (control.has_error()) return std::move(control).error();
  auto report = os::make_socket_pair(SOCK_SEQPACKET);
  if (report.has_error()) return std::move(report).error();
  int on = 1;
  if (::setsockopt(report.value().second.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return errno_error("ask for senders", errno);
  }
  plan.inside_uid = kInsideUid;
  plan.control = control.value().second.get();
  plan.report = report.value().second.get();
  plan.root = root.value().get();
  plan.limit_by_rlimits = host.cgroups.kind() == os::UsageKind::process;
  plan.filter = &host.filter;
  plan.launch = &parent.family->launch;
  for (const auto& procs : shell.cgroup.procs) {
    if (plan.cgroup_count < kHierarchiesMax) plan.cgroup_procs[plan.cgroup_count++] = procs.get();
  }
  MAYFLY_TRY(start_init(host, parent, plan, shell));
  shell.control = std::move(control.value().first);
  shell.report = std::move(report.value().first);
  return ok();
}

Status finish_shell(Host& host, const Instance& parent, Instance& shell,
                    std::vector<os::Fd> namespaces) {
  if (namespaces.size() != MAYFLY_CLONE_FD_REPORT) {
    return Error{Code::corrupt, "its namespaces are missing", "prepare shell", EPROTO};
  }
  shell.namespaces = std::move(namespaces);
  const auto& launch = parent.family->launch;
  MAYFLY_TRY(host.cgroups.set_limits(
      shell.cgroup, limits_of(launch.memory_bytes, launch.cpu_millis, launch.pids_max)));
  os::Fd copy(::fcntl(shell.namespaces[MAYFLY_CLONE_FD_NET].get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return errno_error("keep network namespace", errno);
  auto network = host.networks->adopt(std::move(copy), parent.network.nat);
  if (network.has_error()) return std::move(network).error();
  shell.network = std::move(network).value();
  if (launch.services) {
    auto listener = host.networks->make_services_listener(shell.network);
    if (listener.has_error()) return std::move(listener).error();
    shell.services = std::move(listener).value();
  }
  host.cgroups.reset_usage(shell.cgroup);
  return ok();
}

Status send_clone_order(Host& host, const Instance& parent, Instance& shell,
                        const CloneRequest& request) {
  const auto& message = request.message;
  const auto& launch = parent.family->launch;
  if (message.memory_bytes != launch.memory_bytes || message.cpu_millis != launch.cpu_millis ||
      message.pids_max != launch.pids_max) {
    MAYFLY_TRY(host.cgroups.set_limits(
        shell.cgroup, limits_of(message.memory_bytes, message.cpu_millis, message.pids_max)));
  }
  MAYFLY_TRY(name_host(host, shell.namespaces[MAYFLY_CLONE_FD_UTS].get(), message.id));
  int out = request.fds[0].get(), err = request.fds[1].get();
  MAYFLY_TRY(give_output(host, shell, out, err));
  std::vector<int> fds;
  for (const auto& fd : shell.namespaces) fds.push_back(fd.get());
  fds.insert(fds.end(), {shell.report.get(), host.null.get(), out, err});
  if (message.channel) fds.push_back(request.fds[2].get());
  for (const auto& procs : shell.cgroup.procs) fds.push_back(procs.get());
  auto sent = os::send_message(parent.family->orders.get(), order_bytes(shell, message), fds);
  if (sent.has_error()) {
    Error error = std::move(sent).error();
    error.code = error.sys_errno == EAGAIN ? Code::resource_exhausted : Code::unavailable;
    error.message = error.sys_errno == EAGAIN ? "the template does not take its orders"
                                              : "the template has closed its control socket";
    return error;
  }
  shell.namespaces.clear();
  shell.report.reset();
  shell.cgroup.procs.clear();
  return ok();
}

}  // namespace mayfly::spawner
