#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>

#include "os/files.h"
#include "spawner/init_process.h"
#include "spawner/init_steps.h"

namespace mayfly::spawner {

namespace {

constexpr int kSweeps = 300, kSweepPauseMs = 1;

// Whether the process lives in this pid namespace itself and not in one below, which is a clone's:
// then it has one pid only.
bool lives_here(const std::string& status) {
  auto at = status.find("\nNSpid:\t");
  if (at == std::string::npos) return false;
  at += 8;
  auto end = status.find('\n', at);
  return status.find('\t', at) >= end && status.find("\nState:\tZ") == std::string::npos;
}

// True when there was something to kill.
bool kill_own() {
  bool found = false;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/proc"), &::closedir);
  if (!dir) return false;
  while (dirent* entry = ::readdir(dir.get())) {
    auto pid = os::parse_number(entry->d_name);
    if (!pid || *pid <= 1) continue;
    auto status = os::read_file("/proc/" + std::string(entry->d_name) + "/status");
    if (status.has_error() || !lives_here(status.value())) continue;
    if (::kill(static_cast<pid_t>(*pid), SIGKILL) == 0) found = true;
  }
  return found;
}

// More than once: what is being forked while the list is read is in the next one.
void kill_program() {
  for (int i = 0; i < kSweeps && kill_own(); ++i) ::poll(nullptr, 0, kSweepPauseMs);
}

// Its clones are children of the program and so come to this process only when it has gone.
// Those that have ended then wait until their own init has read how.
bool reap_until(pid_t program, int& status) {
  pid_t ended;
  while ((ended = ::waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
    if (ended == program) return true;
  }
  return false;
}

void reap_all() {
  while (::waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {
  }
}

}  // namespace

void tend_template(const InitPlan& plan, pid_t program) {
  os::Fd signals = open_signals(plan);
  bool running = true;
  for (;;) {
    int status = 0;
    if (running && reap_until(program, status)) {
      running = false;
      kill_program();
      tell_end(plan.control, status);
    }
    std::array<pollfd, 2> waits = {{{signals.get(), POLLIN, 0}, {plan.control, POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    int signal = take_signal(signals);
    if (signal == SIGTERM && running) ::kill(program, SIGTERM);
    if (waits[1].revents != 0) {
      char word = 0;
      ssize_t size = ::recv(plan.control, &word, 1, MSG_DONTWAIT);
      if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) ::_exit(0);
      if (size == 1 && word == static_cast<char>(TemplateWord::end)) kill_program();
      if (size == 1 && word == static_cast<char>(TemplateWord::reap) && !running) reap_all();
    }
  }
}

}  // namespace mayfly::spawner
