// A stand-in for libmayfly_clone.so (src/clone): the same functions by a plain fork, without
// sandboxes, for the tests of the runtimes. The order comes as one message on the control socket:
// the environment as its bytes, and four descriptors for 0 to 3. The answer, from the parent, is
// the clone's pid; from the clone, the nanoseconds from the order to the end of enter().
//   cc -shared -fPIC -o libmayfly_clone.so standin_clone.c
// MAYFLY_STANDIN_PIDNS=1: each clone is pid 1 of a new pid namespace (needs root).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char environment[65536];
static int fds[4], control, own_pidns = -1, new_pidns = -1;
static uint64_t begin;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void answer(char kind, uint64_t value) {
  struct {
    uint64_t kind, value;
  } message = {kind, value};
  send(control, &message, sizeof message, MSG_NOSIGNAL);
}

static void reap(void) {
  const int error = errno;
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    answer('x', (uint64_t)pid << 32 | (uint32_t)status);
  errno = error;
}

int mayfly_clone_next(int fd) {
  control = fd;
  char buffer[CMSG_SPACE(sizeof fds)];
  struct timeval patience = {.tv_usec = 20000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ssize_t size;
  struct msghdr message;
  for (;;) {
    struct iovec io = {environment, sizeof environment - 2};
    message = (struct msghdr){
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = buffer, .msg_controllen = sizeof buffer};
    size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    reap();
    if (size >= 0) break;
    if (errno != EAGAIN && errno != EINTR) return 0;
  }
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (size == 0 || header == NULL) return 0;
  begin = now();
  memcpy(fds, CMSG_DATA(header), sizeof fds);
  environment[size] = environment[size + 1] = '\0';
  if (getenv("MAYFLY_STANDIN_PIDNS") != NULL) {
    if (own_pidns < 0) own_pidns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWPID) != 0) return 0;
    new_pidns = 1;
  }
  return 1;
}

void mayfly_clone_forked(int pid) {
  for (int i = 0; i < 4; i++) close(fds[i]);
  if (new_pidns > 0) setns(own_pidns, CLONE_NEWPID);
  answer('p', (uint64_t)(int64_t)pid);
}

int mayfly_clone_enter(void) {
  int high[4];
  for (int i = 0; i < 4; i++) high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 1000);
  for (int i = 0; i < 4; i++) {
    close(fds[i]);
    if (dup2(high[i], i) < 0) return -1;
    close(high[i]);
  }
  setsid();
  answer('e', now() - begin);
  close(control);
  return 0;
}

const char* mayfly_clone_environment(void) {
  return environment;
}

// A zygote with one program: the process waits for it and ends as it does, so that whoever has
// started the zygote has started the program. Descriptors stay where they are.

static char start_environment[262144];
static size_t start_size;
static int asked;
static pid_t program;

// The program's, of which the zygote's has nothing.
static void keep_environment(void) {
  static char all[sizeof start_environment];
  const char* path = getenv("MAYFLY_STANDIN_ENVIRONMENT");
  const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) abort();
  size_t size = 0;
  for (ssize_t got; (got = read(fd, all + size, sizeof all - 1 - size)) > 0;) size += (size_t)got;
  close(fd);
  for (char* at = all; at < all + size; at += strlen(at) + 1) {
    memcpy(start_environment + start_size, at, strlen(at) + 1);
    start_size += strlen(at) + 1;
  }
}

static void pass_on(int signal) {
  kill(program, signal);
}

int mayfly_zygote_next(int fd) {
  (void)fd;
  if (asked++ > 0) return 0;
  keep_environment();
  return 1;
}

static void end_as(pid_t pid) {
  int status = 0;
  program = pid;
  signal(SIGTERM, pass_on);
  signal(SIGINT, pass_on);
  for (int fd = 0; fd < 1024; fd++) close(fd);  // whoever reads from the program sees its end
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) _exit(1);
  }
  if (WIFSIGNALED(status)) {
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
  }
  _exit(WEXITSTATUS(status));
}

void mayfly_zygote_forked(int pid) {
  if (pid < 0) _exit(1);
  end_as(pid);
}

// As the real one: who returns is a fork of the fork.
int mayfly_zygote_enter(int keep_numbers) {
  (void)keep_numbers;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const pid_t pid = fork();
  if (pid < 0) _exit(1);
  if (pid > 0) end_as(pid);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return 0;
}

void mayfly_zygote_close_kept(void) {}

const char* mayfly_zygote_environment(void) {
  return start_environment;
}
