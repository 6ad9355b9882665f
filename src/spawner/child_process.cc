#include "spawner/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "os/ipc.h"

namespace mayfly::spawner {

namespace {

constexpr const char* kPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

[[noreturn]] void exec_child(const std::vector<char*>& argv,
                             const std::vector<std::pair<int, int>>& fds) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  std::vector<std::pair<int, int>> moved;
  for (auto [from, to] : fds) {
    int high = ::fcntl(from, F_DUPFD_CLOEXEC, 100);
    if (high < 0) ::_exit(126);
    moved.emplace_back(high, to);
  }
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, 0);
  ::dup2(null, 1);
  ::close_range(3, 99, CLOSE_RANGE_CLOEXEC);
  for (auto [from, to] : moved) ::dup2(from, to);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  char* env[] = {const_cast<char*>(kPath), nullptr};
  ::execve(argv[0], argv.data(), env);
  ::_exit(127);
}

}  // namespace

Result<Child> start_child(const ChildOptions& options) {
  std::vector<char*> argv;
  for (const auto& word : options.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  Child child;
  child.pid = ::fork();
  if (child.pid < 0) return errno_error("start " + options.argv[0], errno);
  if (child.pid == 0) exec_child(argv, options.fds);
  child.pidfd = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  return child;
}

Status run_child(std::vector<std::string> argv, std::string_view input) {
  auto pair = os::make_socket_pair(SOCK_STREAM);
  if (pair.has_error()) return std::move(pair).error();
  auto errors = os::make_pipe();
  if (errors.has_error()) return std::move(errors).error();
  auto& [ours, theirs] = pair.value();
  std::string name = argv[0];
  auto child =
      start_child({std::move(argv), {{theirs.get(), 0}, {errors.value().write_end.get(), 2}}});
  if (child.has_error()) return std::move(child).error();
  theirs.reset();
  errors.value().write_end.reset();
  while (!input.empty()) {
    ssize_t sent = ::send(ours.get(), input.data(), input.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    input.remove_prefix(static_cast<std::size_t>(sent));
  }
  ours.reset();
  std::string said;
  char buffer[1024];
  for (ssize_t size; (size = ::read(errors.value().read_end.get(), buffer, sizeof buffer)) > 0;) {
    if (said.size() < 4096) said.append(buffer, static_cast<std::size_t>(size));
  }
  int status = 0;
  while (::waitpid(child.value().pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return ok();
  return Error{Code::io_error, name + " failed: " + said.substr(0, said.find('\n')), "run " + name,
               0};
}

std::string find_program(const std::string& name) {
  for (const char* dir : {"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/local/bin/"}) {
    std::string path = dir + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

}  // namespace mayfly::spawner
