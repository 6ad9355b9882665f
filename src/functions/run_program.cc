#include "functions/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "os/fd.h"

namespace mayfly::functions {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const auto& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

Result<pid_t> spawn(const ProgramRun& run, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, output, 2);
  if (!run.cwd.empty()) posix_spawn_file_actions_addchdir_np(&actions, run.cwd.c_str());
  // A group of its own, so that the whole of it can be killed; default signals.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const auto argv = pointers(run.argv);
  const auto env = pointers(run.env);
  const int failed = posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return errno_error("start " + run.argv[0], failed);
  return pid;
}

}  // namespace

Result<ProgramResult> run_program(const ProgramRun& run) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno_error("make a pipe", errno);
  os::Fd read_end(ends[0]), write_end(ends[1]);
  const auto pid = spawn(run, write_end.get());
  if (pid.has_error()) return pid.error();
  write_end.reset();
  const os::Fd process(static_cast<int>(syscall(SYS_pidfd_open, *pid, 0)));

  ProgramResult result;
  const auto deadline = std::chrono::steady_clock::now() + run.limit;
  bool running = true, open = true;
  while (running || open) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      result.over_limit = true;
      break;
    }
    pollfd wanted[2] = {{open ? read_end.get() : -1, POLLIN, 0},
                        {running ? process.get() : -1, POLLIN, 0}};
    // Once the program has ended, what it left running gets no more than a moment to close the
    // pipe.
    const int wait_ms =
        running ? static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)) : 100;
    const int ready = poll(wanted, 2, wait_ms);
    if (ready == 0 && !running) break;
    if (ready < 0 && errno != EINTR) break;
    if (wanted[0].revents != 0) {
      char buffer[16 * 1024];
      const ssize_t got = read(read_end.get(), buffer, sizeof(buffer));
      if (got <= 0) {
        open = false;
      } else {
        result.output.append(buffer, static_cast<std::size_t>(got));
        if (result.output.size() > 2 * run.output_bytes_max)
          result.output.erase(0, result.output.size() - run.output_bytes_max);
      }
    }
    if (wanted[1].revents != 0) running = false;
  }
  ::kill(-*pid, SIGKILL);  // what is left of its group; it is not reaped yet, so the id is ours
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.exited = !result.over_limit && WIFEXITED(status);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  if (result.output.size() > run.output_bytes_max)
    result.output.erase(0, result.output.size() - run.output_bytes_max);
  return result;
}

}  // namespace mayfly::functions
