#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "os/cgroup.h"
#include "os/files.h"
#include "os/ipc.h"
#include "spawner/init_process.h"
#include "spawner/init_steps.h"
#include "wire/clone_order.h"

namespace mayfly::spawner {

namespace {

constexpr int kStatusUnknown = 255 << 8;  // as waitpid gives "exited with status 255"

// This process's own: nobody else need be able to look into it.
void tell_prepared(const InitPlan& plan) {
  static constexpr const char* kNames[] = {"pid", "net", "ipc", "uts", "cgroup", "mnt"};
  std::vector<os::Fd> opened;
  std::vector<int> fds;
  for (const char* name : kNames) {
    std::string path = std::string("/proc/self/ns/") + name;
    opened.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    check(plan, opened.back().get(), "open ", path.c_str());
    fds.push_back(opened.back().get());
  }
  tell(plan.control, InitReport::prepared, fds);
}

// The pid of who sent it, in this namespace; 0 when it is not in here. -1: no report yet.
int receive_report(const InitPlan& plan, mayfly_clone_report& report) {
  iovec io{&report, sizeof report};
  alignas(cmsghdr) char control[256];
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = ::recvmsg(plan.report, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
  if (size <= 0) fail(plan, "enter: the clone has ended before it was inside", "", ESRCH);
  int sender = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred from{};
      std::memcpy(&from, CMSG_DATA(header), sizeof from);
      sender = from.pid;
    } else if (header->cmsg_type == SCM_RIGHTS) {
      std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        ::close(fd);
      }
    }
  }
  if (size != sizeof report || report.version != MAYFLY_CLONE_VERSION) {
    fail(plan, "enter: the clone's report is not one", "", EPROTO);
  }
  return sender;
}

// A pidfd of the clone once it has said that it is inside. What it says is believed as far as it
// harms nobody but its own version: a process that stayed outside has the template's limits and
// sees what the template sees.
os::Fd await_clone(const InitPlan& plan, const os::Fd& signals, int& pid) {
  for (;;) {
    std::array<pollfd, 3> waits = {
        {{plan.control, POLLIN, 0}, {plan.report, POLLIN, 0}, {signals.get(), POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[0].revents != 0) ::_exit(0);  // nothing is sent to a shell: the spawner is gone
    take_signal(signals);
    if (waits[1].revents == 0) continue;
    mayfly_clone_report report{};
    int sender = receive_report(plan, report);
    if (sender < 0) continue;
    report.step[sizeof report.step - 1] = '\0';
    if (report.error != 0) fail(plan, "enter: ", report.step, report.error);
    os::Fd clone(sender > 1 ? static_cast<int>(::syscall(SYS_pidfd_open, sender, 0)) : -1);
    if (!clone) fail(plan, "enter: who reports is not inside", "", ESRCH);
    pid = sender;
    return clone;
  }
}

// How a process that is not a child has ended, while nobody has reaped it: the last field of its
// stat.
int read_status(int pid) {
  auto text = os::read_file("/proc/" + std::to_string(pid) + "/stat");
  if (text.has_error()) return kStatusUnknown;
  std::string_view stat = text.value();
  while (!stat.empty() && (stat.back() == '\n' || stat.back() == ' ')) stat.remove_suffix(1);
  auto space = stat.rfind(' ');
  auto bracket = stat.rfind(')');
  if (space == std::string_view::npos || bracket == std::string_view::npos) return kStatusUnknown;
  bool dead = stat.substr(bracket).starts_with(") Z") || stat.substr(bracket).starts_with(") X");
  auto status = os::parse_number(stat.substr(space + 1));
  return dead && status ? static_cast<int>(*status) : kStatusUnknown;
}

[[noreturn]] void tend_clone(const InitPlan& plan, const os::Fd& signals, const os::Fd& clone,
                             int pid) {
  for (;;) {
    // Before the wait: the signal of an orphan that ended early may have been taken already.
    while (::waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {
    }
    std::array<pollfd, 3> waits = {
        {{plan.control, POLLIN, 0}, {clone.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[0].revents != 0) ::_exit(0);
    if (waits[1].revents != 0) {
      tell_end(plan.control, read_status(pid));
      ::_exit(0);
    }
    if (take_signal(signals) == SIGTERM) ::kill(pid, SIGTERM);
  }
}

}  // namespace

void run_shell(const InitPlan& plan) {
  close_foreign(plan);
  join_groups(plan);
  become_user(plan);
  check(plan, ::unshare(CLONE_NEWNET), "make network namespace");
  build_root(plan);
  attach_mounts(plan, *plan.launch, plan.trees);
  ::umask(022);
  drop_early(plan);
  os::Fd signals = open_signals(plan);
  drop_capabilities(plan);
  install_filter(plan, plan.filter->wait);
  tell_prepared(plan);

  int pid = 0;
  os::Fd clone = await_clone(plan, signals, pid);
  ::close(plan.report);
  // Without cgroups the usage is the process's own.
  auto usage = plan.limit_by_rlimits ? os::open_process_usage(pid) : std::vector<os::Fd>();
  std::vector<int> fds;
  for (const auto& fd : usage) fds.push_back(fd.get());
  tell(plan.control, InitReport::started, fds);
  usage.clear();
  tend_clone(plan, signals, clone, pid);
}

}  // namespace mayfly::spawner
