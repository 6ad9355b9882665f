#define _GNU_SOURCE
#include "template_hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mayfly_clone.h"
#include "template_loop.h"
#include "wire/clone_order.h"

static int (*run_clone)(int argc, char** argv);

static void say_ready(void) {
  if (write(3, "R", 1) != 1) _exit(1);
}

// One order as it comes, without the library.
struct raw_order {
  struct mayfly_clone_message message;
  int fds[MAYFLY_CLONE_FD_COUNT];
  int fd_count;
};

static int receive_raw(struct raw_order* order) {
  static char bytes[MAYFLY_CLONE_MESSAGE_MAX];
  struct iovec io = {bytes, sizeof bytes};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof order->fds)];
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  order->fd_count = 0;
  if (recvmsg(4, &message, 0) < (ssize_t)sizeof order->message) return 0;
  memcpy(&order->message, bytes, sizeof order->message);
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != NULL) {
    order->fd_count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(order->fds, CMSG_DATA(header), (size_t)order->fd_count * sizeof(int));
  }
  return 1;
}

// The next that is to make a clone; 0 when there are no more.
static int receive_order(struct raw_order* order) {
  while (receive_raw(order)) {
    if (order->message.kind == MAYFLY_CLONE_ORDER) return 1;
  }
  return 0;
}

static void report_inside(const struct raw_order* order) {
  struct mayfly_clone_report report = {.version = MAYFLY_CLONE_VERSION};
  (void)!send(order->fds[MAYFLY_CLONE_FD_REPORT], &report, sizeof report, MSG_NOSIGNAL);
}

static void wait_forever(void) {
  for (;;) pause();
}

// Processes of its own that nobody has ordered, before and between the orders.
static int forks_itself(void) {
  for (int i = 0; i < 5; ++i) {
    if (fork() == 0) wait_forever();
  }
  say_ready();
  while (mayfly_clone_next(4) == 1) {
    // Two into the shell in place of one.
    pid_t extra = fork();
    if (extra == 0) wait_forever();
    pid_t pid = fork();
    if (pid == 0) be_clone(run_clone);
    mayfly_clone_forked(pid < 0 ? -errno : pid);
    waitpid(extra, NULL, WNOHANG);
  }
  return 0;
}

// Says that a clone is inside when none is.
static int forges_report(void) {
  say_ready();
  struct raw_order order;
  while (receive_order(&order)) report_inside(&order);
  return 0;
}

// Sends as if it were pid 1, or another process: it may, with its capability.
static int forges_sender(void) {
  say_ready();
  struct raw_order order;
  while (receive_order(&order)) {
    struct mayfly_clone_report report = {.version = MAYFLY_CLONE_VERSION};
    struct iovec io = {&report, sizeof report};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))] = {0};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control};
    message.msg_controllen = sizeof control;
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_CREDENTIALS;
    header->cmsg_len = CMSG_LEN(sizeof(struct ucred));
    // The shell's init as this namespace knows it: the newest process there is.
    struct ucred from = {.uid = getuid(), .gid = getgid()};
    for (int pid = 2; pid < 4096; ++pid) {
      if (pid != getpid() && kill(pid, 0) == 0) from.pid = pid;
    }
    memcpy(CMSG_DATA(header), &from, sizeof from);
    (void)!sendmsg(order.fds[MAYFLY_CLONE_FD_REPORT], &message, MSG_NOSIGNAL);
  }
  return 0;
}

static int forges_replies(void) {
  say_ready();
  struct mayfly_clone_reply reply = {.version = MAYFLY_CLONE_VERSION, .order = 17, .error = EPERM};
  for (;;) {
    if (send(4, &reply, sizeof reply, MSG_NOSIGNAL) < 0) return 0;
  }
}

static int sends_nonsense(void) {
  say_ready();
  for (;;) {
    if (send(4, "nonsense", 8, MSG_NOSIGNAL) < 0) return 0;
  }
}

// Holds on to everything it was sent, and tries to move other processes with it.
static int keeps_descriptors(void) {
  say_ready();
  struct raw_order order;
  while (receive_order(&order)) {
    syscall(SYS_setns, order.fds[MAYFLY_CLONE_FD_PID], CLONE_NEWPID);
    pid_t pid = fork();
    if (pid == 0) {
      for (int i = 0; i < order.fd_count; ++i) {
        if (i >= order.fd_count - (int)order.message.groups) (void)!write(order.fds[i], "0", 1);
      }
      report_inside(&order);
      _exit(0);
    }
    // Into the cgroup of the shell go the template itself, its init, and the spawner's first pids.
    for (int i = order.fd_count - (int)order.message.groups; i < order.fd_count; ++i) {
      (void)!write(order.fds[i], "0", 1);
      (void)!write(order.fds[i], "1", 1);
    }
  }
  return 0;
}

static int never_answers(void) {
  say_ready();
  wait_forever();
  return 0;
}

static int answers_late(void) {
  say_ready();
  while (mayfly_clone_next(4) == 1) {
    sleep(10);  // it may take 2 s
    pid_t pid = fork();
    if (pid == 0) be_clone(run_clone);
    mayfly_clone_forked(pid < 0 ? -errno : pid);
  }
  return 0;
}

static int dies_when_ordered(void) {
  say_ready();
  if (mayfly_clone_next(4) == 1) _exit(9);
  return 0;
}

// After the fork of its first clone, which lives on.
static int dies_after_fork(void) {
  say_ready();
  if (mayfly_clone_next(4) == 1) {
    if (fork() == 0) be_clone(run_clone);
    _exit(9);
  }
  return 0;
}

static int clone_dies_outside(void) {
  say_ready();
  while (mayfly_clone_next(4) == 1) {
    pid_t pid = fork();
    if (pid == 0) _exit(3);
    mayfly_clone_forked(pid < 0 ? -errno : pid);
  }
  return 0;
}

// Enters, keeps its capabilities, and looks at what they are good for inside.
static int clone_keeps_capabilities(void) {
  say_ready();
  struct raw_order order;
  while (receive_order(&order)) {
    syscall(SYS_setns, order.fds[MAYFLY_CLONE_FD_PID], CLONE_NEWPID);
    if (fork() != 0) continue;
    const int kinds[][2] = {{MAYFLY_CLONE_FD_NET, CLONE_NEWNET},
                            {MAYFLY_CLONE_FD_MNT, CLONE_NEWNS}};
    for (int i = 0; i < 2; ++i) syscall(SYS_setns, order.fds[kinds[i][0]], kinds[i][1]);
    dup2(order.fds[MAYFLY_CLONE_FD_STDIN + 1], 1);
    report_inside(&order);
    const char* paths[] = {"/proc/1/ns/mnt", "/proc/1/ns/user", "/proc/1/root/etc/shadow",
                           "/proc/1/mem"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; ++i) {
      printf("%s %s\n", paths[i], open(paths[i], O_RDONLY) < 0 ? strerrorname_np(errno) : "OPEN");
    }
    printf("mount %s\n",
           syscall(SYS_mount, "x", "/tmp", "tmpfs", 0, "") < 0 ? strerrorname_np(errno) : "DONE");
    fflush(stdout);
    _exit(0);
  }
  return 0;
}

// Never collects a clone that has ended, and so keeps its pid namespace.
static int never_reaps(void) {
  say_ready();
  struct raw_order order;
  int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  while (receive_order(&order)) {
    syscall(SYS_setns, order.fds[MAYFLY_CLONE_FD_PID], CLONE_NEWPID);
    if (fork() == 0) {
      report_inside(&order);
      _exit(7);
    }
    syscall(SYS_setns, own, CLONE_NEWPID);
    for (int i = 0; i < order.fd_count; ++i) close(order.fds[i]);
  }
  return 0;
}

static int closes_control(void) {
  close(4);
  say_ready();
  wait_forever();
  return 0;
}

static int kills_everything(void) {
  say_ready();
  while (mayfly_clone_next(4) == 1) {
    kill(-1, SIGKILL);
    mayfly_clone_forked(-ECANCELED);
  }
  return 0;
}

int be_hostile(const char* kind, int (*run)(int argc, char** argv)) {
  static const struct {
    const char* name;
    int (*be)(void);
  } kinds[] = {{"forks-itself", forks_itself},
               {"forges-report", forges_report},
               {"forges-sender", forges_sender},
               {"forges-replies", forges_replies},
               {"sends-nonsense", sends_nonsense},
               {"keeps-descriptors", keeps_descriptors},
               {"never-answers", never_answers},
               {"answers-late", answers_late},
               {"dies-when-ordered", dies_when_ordered},
               {"dies-after-fork", dies_after_fork},
               {"clone-dies-outside", clone_dies_outside},
               {"clone-keeps-capabilities", clone_keeps_capabilities},
               {"never-reaps", never_reaps},
               {"closes-control", closes_control},
               {"kills-everything", kills_everything}};
  run_clone = run;
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    if (strcmp(kind, kinds[i].name) == 0) return kinds[i].be();
  }
  return 2;
}
