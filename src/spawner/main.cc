// mayfly-spawner: makes sandboxes for the mayfly server, which starts it and talks to it over the
// socket at descriptor 3. Not meant to be run by hand.

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "os/files.h"
#include "os/ipc.h"
#include "os/time_slice.h"
#include "spawner/server.h"

namespace mayfly::spawner {
namespace {

constexpr int kEngineFd = 3;

struct Options {
  std::string state_dir;
  bool nat = true;
};

// Without privilege the spawner becomes root of a user namespace of its own, where it may do
// nearly all it does as root; every sandbox then has the server's user.
Status become_namespace_root() {
  std::string user = std::to_string(::geteuid()), group = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER) != 0) {
    Error error = errno_error("make user namespace", errno);
    error.message =
        "sandboxes need namespaces, and this user may not make them (" + error.message +
        "). Run the server as root, in a container as --privileged, or allow unprivileged user "
        "namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0)";
    error.code = Code::unsupported;
    return error;
  }
  MAYFLY_TRY(os::write_file("/proc/self/setgroups", "deny"));
  MAYFLY_TRY(os::write_file("/proc/self/gid_map", "0 " + group + " 1"));
  MAYFLY_TRY(os::write_file("/proc/self/uid_map", "0 " + user + " 1"));
  // The host's network namespace could be left but not entered again, which launches must.
  if (::unshare(CLONE_NEWNET) != 0) return errno_error("make network namespace", errno);
  return ok();
}

bool may_make_namespaces() {
  // In a child, which ends at once: unshare cannot be undone.
  pid_t child = ::fork();
  if (child == 0) {
    bool can = ::geteuid() == 0 && ::unshare(CLONE_NEWNS) == 0 && ::unshare(CLONE_NEWNET) == 0;
    ::_exit(can ? 0 : 1);
  }
  int status = 1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0;
}

// Real-time priority of whoever started the server is not for functions; and v1's cpu controller
// takes no real-time process into a new group.
void use_normal_scheduling() {
  sched_param parameter{};
  ::sched_setscheduler(0, SCHED_OTHER, &parameter);
}

void block_signals() {
  // The engine's socket decides when this program ends: a Ctrl-C or a stop of the whole service
  // must leave it time to drain.
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void report_failure(const Error& error) {
  wire::SpawnerFailed failed;
  failed.step = error.step;
  failed.sys_errno = error.sys_errno;
  failed.text = error.message;
  failed.code = static_cast<std::uint16_t>(error.code);
  ignore(os::send_message(kEngineFd, wire::encode_spawner_message(failed)), "the engine is gone");
}

// A uts namespace of its own: into that of a sandbox, to name it, and back. The host's could be
// left but, without privilege, not entered again.
Status open_own(Host& host) {
  if (::unshare(CLONE_NEWUTS) != 0) return errno_error("make uts namespace", errno);
  auto uts = os::open_file("/proc/self/ns/uts", O_RDONLY);
  if (uts.has_error()) return std::move(uts).error();
  host.home_uts = std::move(uts).value();
  auto null = os::open_file("/dev/null", O_RDONLY);
  if (null.has_error()) return std::move(null).error();
  host.null = std::move(null).value();
  return ok();
}

// A clone takes a dozen descriptors; a thousand of them are to fit.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Status serve(const Options& options) {
  ignore(os::set_time_slice(0, os::kPlatformSlice), "starts are slower then beside busy functions");
  auto state = StateDir::lock(options.state_dir);
  if (state.has_error()) return std::move(state).error();
  std::vector<std::string> missing;
  Host host;
  host.privileged = may_make_namespaces();
  host.first_user = state.value().first_user();
  state.value().remove_leftovers(host.privileged);
  if (host.privileged) {
    if (::setgroups(0, nullptr) != 0) return errno_error("drop groups", errno);
  }
  // Before a user namespace takes the right to make folders there away.
  host.cgroups = os::CgroupTree::open(state.value().tag(), missing);
  MAYFLY_TRY(state.value().record(host.cgroups.folders()));
  if (!host.privileged) {
    MAYFLY_TRY(become_namespace_root());
    missing.push_back(
        "Not root: all sandboxes run as the server's own user, kept apart by namespaces only, and "
        "functions with network 'nat' run as with 'none'. Run the server as root to give each a "
        "user of its own and a way out.");
  }
  MAYFLY_TRY(open_own(host));
  auto filter = os::compile_seccomp_filter();
  if (filter.has_error()) return std::move(filter).error();
  host.filter = std::move(filter).value();
  auto skeleton = Skeleton::build(state.value().path());
  if (skeleton.has_error()) return std::move(skeleton).error();
  host.skeleton = std::move(skeleton).value();
  host.networks = Networks::start(options.nat && host.privileged, missing);

  wire::SpawnerReady ready;
  ready.namespaces = true;
  ready.cgroup = host.cgroups.kind_name();
  ready.network_nat = host.networks->nat_available();
  ready.missing = std::move(missing);
  Server server(std::move(state).value(), std::move(host), os::Fd(kEngineFd));
  MAYFLY_TRY(server.try_out());
  // A server that has stopped meanwhile hears nothing any more.
  const Status told = os::send_message(kEngineFd, wire::encode_spawner_message(ready));
  if (told.has_error()) {
    server.end();
    return told;
  }
  server.run();
  return ok();
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--state-dir" && i + 1 < argc) {
      options.state_dir = argv[++i];
    } else if (word == "--no-nat") {
      options.nat = false;
    } else {
      options.state_dir.clear();
      break;
    }
  }
  int type = 0;
  socklen_t size = sizeof type;
  if (options.state_dir.empty() ||
      ::getsockopt(kEngineFd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    ::fprintf(stderr,
              "mayfly-spawner is started by 'mayfly serve' and not by hand.\n"
              "usage: mayfly-spawner --state-dir DIR [--no-nat]   (socket at descriptor 3)\n");
    return 2;
  }
  block_signals();
  use_normal_scheduling();
  // Of a zygote that has been killed, what it had forked for a sandbox comes here to be reaped.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  raise_descriptor_limit();
  // Descriptor 3 came without CLOEXEC, of necessity; from here on nothing may inherit it.
  ::close_range(kEngineFd, ~0u, CLOSE_RANGE_CLOEXEC);
  ::umask(077);
  auto served = serve(options);
  if (served.has_error()) {
    report_failure(served.error());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace mayfly::spawner

int main(int argc, char** argv) {
  return mayfly::spawner::run(argc, argv);
}
