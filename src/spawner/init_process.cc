#include "spawner/init_process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <variant>
#include <vector>

#include "os/ipc.h"
#include "spawner/entry.h"
#include "spawner/init_steps.h"
#include "wire/spawner_messages.h"

namespace mayfly::spawner {

namespace {

void wait_for_go(const InitPlan& plan) {
  char byte;
  ssize_t got;
  do {
    got = ::recv(plan.control, &byte, 1, 0);
  } while (got < 0 && errno == EINTR);
  if (got != 1) ::_exit(125);  // the spawner is gone
}

// What the launch brings.
struct Order {
  wire::SpawnerLaunch launch;
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1, channel_fd = -1, orders_fd = -1, door_fd = -1;
  std::vector<int> trees;
  std::vector<char*> argv, env;
};

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (auto& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

std::size_t trees_of(const wire::SpawnerLaunch& launch) {
  return launch.mounts.size() + (launch.rootfs.empty() ? 0 : 1);
}

void receive_order(const InitPlan& plan, Order& order) {
  auto received = os::receive_message(plan.control, wire::kSpawnerMessageMax);
  if (received.has_error()) fail(plan, "receive launch", "", received.error().sys_errno);
  if (received.value().bytes.empty()) ::_exit(125);  // the spawner has no use for this one
  auto message = wire::decode_spawner_message(received.value().bytes);
  auto* launch = message.has_value() ? std::get_if<wire::SpawnerLaunch>(&message.value()) : nullptr;
  auto& fds = received.value().fds;
  std::size_t named = 3;
  if (launch != nullptr) {
    named += (launch->channel ? 1u : 0u) + (launch->cloneable ? 1u : 0u) + launch->zygote.size();
  }
  if (launch == nullptr || fds.size() != named + trees_of(*launch)) {
    fail(plan, "receive launch", "", EBADMSG);
  }
  order.launch = std::move(*launch);
  order.stdin_fd = fds[0].release();
  order.stdout_fd = fds[1].release();
  order.stderr_fd = fds[2].release();
  if (order.launch.channel) order.channel_fd = fds[3].release();
  if (!order.launch.zygote.empty()) order.door_fd = fds[named - 1].release();
  if (order.launch.cloneable) {
    order.orders_fd = fds[named - 1 - order.launch.zygote.size()].release();
  }
  for (std::size_t i = named; i < fds.size(); ++i) order.trees.push_back(fds[i].release());
  order.argv = pointers(order.launch.argv);
  order.env = pointers(order.launch.env);
}

struct StartFailure {
  const char* step = nullptr;
  const char* what = "";
  int error = 0;
};

// The program of a template keeps two capabilities over its own namespaces, and over those of its
// shells, through the exec: without them setns is refused. 0 or errno.
int keep_cloning_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int capability : kTemplateCapabilities) data[0].permitted |= 1u << capability;
  data[0].effective = data[0].inheritable = data[0].permitted;
  if (::syscall(SYS_capset, &header, data) != 0) return errno;
  for (int capability : kTemplateCapabilities) {
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) return errno;
  }
  return 0;
}

// What the spawner ignores, SIGPIPE above all, is not for the program to inherit. By the call
// itself: glibc's leaves out those that it keeps for threads.
void use_default_signals() {
  const std::array<unsigned long, 4> plain = {};  // the kernel's struct sigaction
  for (int signal = 1; signal <= 64; ++signal) {
    ::syscall(SYS_rt_sigaction, signal, plain.data(), nullptr, 8);
  }
}

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
  int from[5] = {order.stdin_fd, order.stdout_fd, order.stderr_fd, order.channel_fd,
                 order.orders_fd};
  int count = order.orders_fd >= 0 ? 5 : order.channel_fd >= 0 ? 4 : 3;
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
  if (order.launch.cloneable) {
    errno = keep_cloning_capabilities();
    if (errno != 0) give_up("keep capabilities", "");
  }
  use_default_signals();
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
      tell_end(control, status);
      ::_exit(0);
    }
    siginfo_t info;
    if (::sigwaitinfo(&signals, &info) == SIGTERM) ::kill(program, SIGTERM);
  }
}

// The first process after init is a clone, in its own namespace. A template is a later one:
// libraries that remember their pid, to notice a fork, would not notice that they have been cloned.
void leave_out_first_pid(const InitPlan& plan) {
  pid_t nobody = ::vfork();
  if (nobody == 0) ::_exit(0);
  check(plan, nobody, "leave out a pid");
  while (::waitpid(nobody, nullptr, 0) < 0 && errno == EINTR) {
  }
}

pid_t start_ordered(const InitPlan& plan, const Order& order) {
  volatile StartFailure failure;
  pid_t program = ::vfork();
  if (program == 0) start_program(order, &failure);
  if (program < 0) fail(plan, "start process", "", errno);
  if (failure.step != nullptr) fail(plan, failure.step, failure.what, failure.error);
  return program;
}

Entry entry_of(const InitPlan& plan, const Order& order) {
  Entry entry;
  entry.door = order.door_fd;
  entry.launch = &order.launch;
  entry.fds = {order.stdin_fd, order.stdout_fd, order.stderr_fd};
  if (order.channel_fd >= 0) entry.fds.push_back(order.channel_fd);
  if (order.orders_fd >= 0) entry.fds.push_back(order.orders_fd);
  // What the zygote has is a template's filter.
  if (!order.launch.cloneable) entry.filter = &plan.filter->allow;
  return entry;
}

void keep_only(int fd) {
  auto kept = static_cast<unsigned>(fd);
  if (kept > 0) ::close_range(0, kept - 1, 0);
  ::close_range(kept + 1, ~0u, 0);
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
  install_filter(plan, plan.filter->arguments);
  tell(plan.control, InitReport::prepared);

  Order order;
  receive_order(plan, order);
  bool cloneable = order.launch.cloneable;
  attach_mounts(plan, order.launch, order.trees);
  set_hostname(plan, order.launch.id);
  set_limits(plan, order.launch);
  if (!cloneable) drop_capabilities(plan);
  // Last: it refuses most of what has been done above.
  install_filter(plan, cloneable ? plan.filter->allow_template : plan.filter->allow);
  if (cloneable) leave_out_first_pid(plan);
  std::string why_not;
  pid_t program = order.door_fd < 0 ? 0 : let_in(entry_of(plan, order), why_not);
  InitReport report;
  report.kind = InitReport::started;
  report.from_zygote = program != 0 ? 1 : 0;
  why_not.copy(report.step, sizeof report.step - 1);
  if (program == 0) program = start_ordered(plan, order);
  if (cloneable) drop_capabilities(plan);
  ::send(plan.control, &report, sizeof report, MSG_NOSIGNAL);
  keep_only(plan.control);
  if (cloneable) tend_template(plan, program);
  reap(plan.control, program);
}

}  // namespace mayfly::spawner
