#define _GNU_SOURCE
#include "mayfly_clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/clone_order.h"

enum {
  CLONES_MAX = 8192, /* alive at a time; more are refused */
  LOWEST_FD = 16,    /* descriptors of an order stay clear of 0 to 4 */
  REAP_FIRST_MS = 1, /* how often an ending clone is looked for, doubled each time */
  REAP_LAST_MS = 64
};

struct clone {
  uint64_t order;
  int32_t pid;
  int32_t ending;
};

/* All state is static: nothing here may allocate, and a fork hands all of it to the child. */
static struct {
  int control;
  int own_pid_namespace; /* -1: not yet opened */
  int fds[MAYFLY_CLONE_FD_COUNT];
  int fd_count;
  struct mayfly_clone_message order;
  const char* environment;
  int clone_count;
  int reap_ms;
  struct clone clones[CLONES_MAX];
  /* The order as it came; aligned for the struct at its start, with an empty string behind. */
  _Alignas(16) char buffer[MAYFLY_CLONE_MESSAGE_MAX + 2];
} state = {.control = -1, .own_pid_namespace = -1, .environment = ""};

static void close_order(void) {
  for (int i = 0; i < state.fd_count; ++i) {
    if (state.fds[i] >= 0) close(state.fds[i]);
  }
  state.fd_count = 0;
}

static void refuse(uint64_t order, const char* step, int error) {
  struct mayfly_clone_reply reply = {.version = MAYFLY_CLONE_VERSION, .error = error};
  reply.order = order;
  strncpy(reply.step, step, sizeof reply.step - 1);
  (void)!send(state.control, &reply, sizeof reply, MSG_NOSIGNAL);
}

static void note_ending(uint64_t order) {
  for (int i = 0; i < state.clone_count; ++i) {
    if (state.clones[i].order != order) continue;
    state.clones[i].ending = 1;
    state.reap_ms = REAP_FIRST_MS;
  }
}

/* Only processes that were ordered are waited for: others are the runtime's own business. */
static int reap_ending(void) {
  int left = 0;
  for (int i = 0; i < state.clone_count;) {
    struct clone* clone = &state.clones[i];
    pid_t ended = clone->ending ? waitpid(clone->pid, NULL, WNOHANG | __WALL) : 0;
    if (ended > 0 || (ended < 0 && errno == ECHILD)) {
      *clone = state.clones[--state.clone_count];
      continue;
    }
    left += clone->ending;
    ++i;
  }
  return left;
}

/* Collects the descriptors of a received message; 0 or errno. */
static int take_descriptors(struct msghdr* message) {
  int error = (message->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? EMFILE : 0;
  for (struct cmsghdr* header = CMSG_FIRSTHDR(message); header != NULL;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      if (fd < LOWEST_FD) {
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
        if (moved < 0) error = errno;
        close(fd);
        fd = moved;
      }
      if (state.fd_count < MAYFLY_CLONE_FD_COUNT) {
        state.fds[state.fd_count++] = fd;
      } else if (fd >= 0) {
        close(fd);
        error = EMFILE;
      }
    }
  }
  return error;
}

/* The size of the message in the buffer; 0: the other end is closed; -1: nothing usable. */
static ssize_t receive(int* error) {
  struct iovec io = {state.buffer, MAYFLY_CLONE_MESSAGE_MAX};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MAYFLY_CLONE_FD_COUNT)];
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  state.fd_count = 0;
  ssize_t size = recvmsg(state.control, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0) return errno == EINTR || errno == EAGAIN ? -1 : 0;
  if (size == 0) return 0;
  *error = take_descriptors(&message);
  return size;
}

static int well_formed(ssize_t size) {
  const struct mayfly_clone_message* order = &state.order;
  unsigned named = MAYFLY_CLONE_FD_STDIN + 3u + (order->has_channel ? 1u : 0u);
  return order->version == MAYFLY_CLONE_VERSION && order->groups <= MAYFLY_CLONE_GROUPS_MAX &&
         (size_t)size == sizeof *order + order->env_size &&
         state.fd_count == (int)(named + order->groups);
}

/* True when the thread is set to fork a clone. */
static int begin_order(ssize_t size, int error) {
  const char* step = "receive order";
  if (error == 0 && !well_formed(size)) error = EBADMSG;
  if (error == 0 && state.clone_count == CLONES_MAX) {
    step = "count clones";
    error = EAGAIN;
  }
  if (error == 0 && syscall(SYS_setns, state.fds[MAYFLY_CLONE_FD_PID], CLONE_NEWPID) != 0) {
    step = "enter pid namespace";
    error = errno;
  }
  if (error != 0) {
    close_order();
    refuse(state.order.order, step, error);
    return 0;
  }
  state.buffer[size] = '\0';
  state.buffer[size + 1] = '\0';
  state.environment = state.buffer + sizeof state.order;
  return 1;
}

int mayfly_clone_next(int control_fd) {
  state.control = control_fd;
  if (state.own_pid_namespace < 0) {
    int fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    state.own_pid_namespace = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
    close(fd);
    if (state.own_pid_namespace < 0) return 0;
  }
  for (;;) {
    int ending = reap_ending();
    struct pollfd wait = {.fd = control_fd, .events = POLLIN};
    if (poll(&wait, 1, ending > 0 ? state.reap_ms : -1) <= 0) {
      if (ending > 0 && state.reap_ms < REAP_LAST_MS) state.reap_ms *= 2;
      continue;
    }
    int error = 0;
    ssize_t size = receive(&error);
    if (size == 0) return 0;
    if (size < (ssize_t)sizeof state.order) {
      close_order();
      continue;
    }
    memcpy(&state.order, state.buffer, sizeof state.order);
    if (state.order.kind == MAYFLY_CLONE_REAP) {
      close_order();
      note_ending(state.order.order);
    } else if (begin_order(size, error)) {
      return 1;
    }
  }
}

void mayfly_clone_forked(int pid) {
  if (syscall(SYS_setns, state.own_pid_namespace, CLONE_NEWPID) != 0) abort();
  close_order();
  if (pid > 0) {
    struct clone clone = {.order = state.order.order, .pid = pid};
    state.clones[state.clone_count++] = clone;
  } else {
    refuse(state.order.order, "fork", pid < 0 ? -pid : EINVAL);
  }
}

__attribute__((noreturn)) static void give_up(const char* step) {
  struct mayfly_clone_report report = {.version = MAYFLY_CLONE_VERSION, .error = errno};
  strncpy(report.step, step, sizeof report.step - 1);
  (void)!send(state.fds[MAYFLY_CLONE_FD_REPORT], &report, sizeof report, MSG_NOSIGNAL);
  _exit(125);
}

static void enter_groups(void) {
  int first = state.fd_count - (int)state.order.groups;
  for (int i = first; i < state.fd_count; ++i) {
    if (write(state.fds[i], "0", 1) != 1) give_up("join cgroup");
  }
}

static void enter_namespaces(void) {
  static const struct {
    int fd, flag;
    const char* step;
  } kinds[] = {{MAYFLY_CLONE_FD_NET, CLONE_NEWNET, "enter network namespace"},
               {MAYFLY_CLONE_FD_IPC, CLONE_NEWIPC, "enter ipc namespace"},
               {MAYFLY_CLONE_FD_UTS, CLONE_NEWUTS, "enter uts namespace"},
               {MAYFLY_CLONE_FD_CGROUP, CLONE_NEWCGROUP, "enter cgroup namespace"},
               {MAYFLY_CLONE_FD_MNT, CLONE_NEWNS, "enter mount namespace"}};
  static char folder[4096];
  if (syscall(SYS_getcwd, folder, sizeof folder) < 0) folder[0] = '\0';
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    if (syscall(SYS_setns, state.fds[kinds[i].fd], kinds[i].flag) != 0) give_up(kinds[i].step);
  }
  /* The kernel has put the process at the new root. A folder that only the template had is gone. */
  if (folder[0] == '/' && chdir(folder) != 0 && errno != ENOENT) give_up("enter folder");
}

static void place_descriptors(void) {
  int count = state.order.has_channel ? 4 : 3;
  for (int i = 0; i < count; ++i) {
    if (dup2(state.fds[MAYFLY_CLONE_FD_STDIN + i], i) < 0) give_up("place descriptors");
  }
  if (count == 3) close(3);
  for (int i = 0; i < state.fd_count; ++i) {
    if (i != MAYFLY_CLONE_FD_REPORT) close(state.fds[i]);
  }
  close(state.control);
  close(state.own_pid_namespace);
  state.control = state.own_pid_namespace = -1;
}

static void drop_privileges(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0}, {0}};
  if (syscall(SYS_capset, &header, none) != 0) give_up("drop capabilities");
  /* Without capabilities setns gets nowhere; with this it is not even asked. Only the template's
     profile lets a filter be added, and this one takes that away too. */
  static const struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setns, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog filter = {sizeof program / sizeof *program, (struct sock_filter*)program};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) give_up("install filter");
}

int mayfly_clone_enter(void) {
  enter_groups();
  enter_namespaces();
  if (setsid() < 0) give_up("start session");
  int report_fd = state.fds[MAYFLY_CLONE_FD_REPORT];
  place_descriptors();
  drop_privileges();
  struct mayfly_clone_report report = {.version = MAYFLY_CLONE_VERSION};
  (void)!send(report_fd, &report, sizeof report, MSG_NOSIGNAL);
  close(report_fd);
  state.fd_count = 0;
  state.clone_count = 0;
  return 0;
}

const char* mayfly_clone_environment(void) {
  return state.environment;
}
