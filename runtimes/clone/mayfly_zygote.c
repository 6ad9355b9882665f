#define _GNU_SOURCE
#include "mayfly_zygote.h"

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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wire/zygote_order.h"

enum {
  PASSED_MAX = MAYFLY_ZYGOTE_FD_GROUPS + MAYFLY_ZYGOTE_GROUPS_MAX,
  CHILDREN_MAX = 256, /* on their way; more orders wait */
  PROGRAM_FDS = 5,    /* 0 to 4 */
  LOWEST_FD = 300,    /* descriptors of an order stay clear of those that a runtime remembers */
  KEPT_MAX = 256,
  REAP_MS = 5,
  PARENT_NS = 50 * 1000
};

/* All state is static: nothing here may allocate, and a fork hands all of it to the child. */
static struct {
  int control;
  int own_pid_namespace;
  int null;
  int fds[PASSED_MAX];
  int fd_count;
  struct mayfly_zygote_order order;
  int door; /* in the child */
  const char* environment;
  pid_t children[CHILDREN_MAX];
  int child_count;
  unsigned char kept[KEPT_MAX];
  _Alignas(16) char buffer[MAYFLY_ZYGOTE_MESSAGE_MAX + 1];
} state = {.control = -1, .own_pid_namespace = -1, .null = -1, .door = -1, .environment = ""};

static void close_order(void) {
  for (int i = 0; i < state.fd_count; ++i) {
    if (state.fds[i] >= 0) close(state.fds[i]);
  }
  state.fd_count = 0;
}

/* Out of the way of the numbers that the program's descriptors get, and those of the runtime. */
static int lift(int fd) {
  int lifted = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
  int error = errno;
  close(fd);
  errno = error;
  return lifted;
}

/* The size of the message; 0: the other end is closed, or it is not one that fits. Interrupted
   waits go on. */
static ssize_t receive(int socket, void* bytes, size_t size, int* fds, int fds_max, int* count) {
  struct iovec io = {bytes, size};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * PASSED_MAX)];
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return 0;
  int bad = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  *count = 0;
  for (struct cmsghdr* header = CMSG_FIRSTHDR(&message); header != NULL;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t passed = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < passed; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fd = lift(fd);
      if (fd < 0 || *count == fds_max) {
        if (fd >= 0) close(fd);
        bad = 1;
      } else {
        fds[(*count)++] = fd;
      }
    }
  }
  errno = EBADMSG;
  return bad ? 0 : got;
}

/* Children live for as long as it takes to enter, and leave the sandbox's program behind. */
static void reap(void) {
  for (int i = 0; i < state.child_count;) {
    pid_t ended = waitpid(state.children[i], NULL, WNOHANG | __WALL);
    if (ended > 0 || (ended < 0 && errno == ECHILD)) {
      state.children[i] = state.children[--state.child_count];
    } else {
      ++i;
    }
  }
}

/* Whether one program could write to what another reads: caches of compiled code are kept so. */
static uint32_t shares_memory(void) {
  char bytes[4096], permissions[4];
  int field = 0, at = 0;
  uint32_t found = 0;
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 1;
  for (ssize_t got; !found && (got = read(fd, bytes, sizeof bytes)) > 0;) {
    for (ssize_t i = 0; i < got; ++i) { /* START-END rwxs ..., a line each */
      if (bytes[i] == '\n') {
        field = at = 0;
      } else if (bytes[i] == ' ') {
        if (field++ == 1 && permissions[1] == 'w' && permissions[3] == 's') found = 1;
      } else if (field == 1 && at < 4) {
        permissions[at++] = bytes[i];
      }
    }
  }
  close(fd);
  return found;
}

static int begin(int control_fd) {
  state.control = control_fd;
  int fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  state.own_pid_namespace = fd < 0 ? -1 : lift(fd);
  fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  state.null = fd < 0 ? -1 : lift(fd);
  if (state.own_pid_namespace < 0 || state.null < 0) return 0;
  struct mayfly_zygote_ready ready = {.version = MAYFLY_ZYGOTE_VERSION, .refused = shares_memory()};
  /* Its forks are for a moment where programs of the user's will run. */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return 0;
  if (fcntl(control_fd, F_SETFD, FD_CLOEXEC) != 0) return 0;
  return send(control_fd, &ready, sizeof ready, MSG_NOSIGNAL) == sizeof ready && !ready.refused;
}

int mayfly_zygote_next(int control_fd) {
  if (state.control < 0 && !begin(control_fd)) return 0;
  for (;;) {
    reap();
    struct pollfd wait = {.fd = control_fd, .events = POLLIN};
    int full = state.child_count == CHILDREN_MAX;
    if (poll(&wait, full ? 0 : 1, state.child_count > 0 ? REAP_MS : -1) <= 0) continue;
    ssize_t size = receive(control_fd, &state.order, sizeof state.order, state.fds, PASSED_MAX,
                           &state.fd_count);
    if (size == 0) return 0;
    int usable = size == sizeof state.order && state.order.version == MAYFLY_ZYGOTE_VERSION &&
                 state.order.groups <= MAYFLY_ZYGOTE_GROUPS_MAX &&
                 state.fd_count == MAYFLY_ZYGOTE_FD_GROUPS + (int)state.order.groups;
    if (usable && syscall(SYS_setns, state.fds[MAYFLY_ZYGOTE_FD_PID], CLONE_NEWPID) == 0) return 1;
    close_order(); /* the init sees its door close, and starts the program itself */
  }
}

void mayfly_zygote_forked(int pid) {
  if (syscall(SYS_setns, state.own_pid_namespace, CLONE_NEWPID) != 0) abort();
  close_order();
  if (pid > 0) state.children[state.child_count++] = pid;
}

__attribute__((noreturn)) static void give_up(const char* step) {
  int error = errno != 0 ? errno : EPROTO;
  struct mayfly_zygote_report report = {.version = MAYFLY_ZYGOTE_VERSION, .error = error};
  strncpy(report.step, step, sizeof report.step - 1);
  (void)!send(state.door, &report, sizeof report, MSG_NOSIGNAL);
  _exit(125);
}

/* The network namespace belongs to the spawner's user namespace: before the change of that. */
static void leave_home(void) {
  for (int i = MAYFLY_ZYGOTE_FD_GROUPS; i < state.fd_count; ++i) {
    if (write(state.fds[i], "0", 1) != 1) give_up("join cgroup");
  }
  if (syscall(SYS_setns, state.fds[MAYFLY_ZYGOTE_FD_NET], CLONE_NEWNET) != 0) {
    give_up("enter network namespace");
  }
  if (syscall(SYS_setns, state.fds[MAYFLY_ZYGOTE_FD_USER], CLONE_NEWUSER) != 0) {
    give_up("enter user namespace");
  }
  close(state.control);
  close(state.own_pid_namespace);
  state.door = state.fds[MAYFLY_ZYGOTE_FD_DOOR];
  for (int i = 0; i < state.fd_count; ++i) {
    if (i != MAYFLY_ZYGOTE_FD_DOOR) close(state.fds[i]);
  }
  state.fd_count = 0;
}

static int well_formed(const struct mayfly_zygote_entry* entry, size_t size, int fds) {
  size_t filter = (size_t)entry->filter * sizeof(struct sock_filter);
  return size >= sizeof *entry && entry->version == MAYFLY_ZYGOTE_VERSION && entry->fds >= 3 &&
         entry->fds <= PROGRAM_FDS && entry->filter <= 65535 && entry->cwd_size > 0 &&
         entry->cwd_size <= size && entry->env_size <= size &&
         size == sizeof *entry + filter + entry->cwd_size + entry->env_size &&
         fds == MAYFLY_ZYGOTE_ENTRY_STDIN + (int)entry->fds;
}

static void enter_namespaces(const int* fds) {
  static const struct {
    int fd, flag;
    const char* step;
  } kinds[] = {{MAYFLY_ZYGOTE_ENTRY_IPC, CLONE_NEWIPC, "enter ipc namespace"},
               {MAYFLY_ZYGOTE_ENTRY_UTS, CLONE_NEWUTS, "enter uts namespace"},
               {MAYFLY_ZYGOTE_ENTRY_CGROUP, CLONE_NEWCGROUP, "enter cgroup namespace"},
               {MAYFLY_ZYGOTE_ENTRY_MNT, CLONE_NEWNS, "enter mount namespace"}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    if (syscall(SYS_setns, fds[kinds[i].fd], kinds[i].flag) != 0) give_up(kinds[i].step);
    close(fds[kinds[i].fd]);
  }
}

/* Entering the user namespace has given all capabilities over it; what the program keeps is as
   after an exec with them in its ambient set. */
static void become_user(const struct mayfly_zygote_entry* entry) {
  gid_t group = entry->user;
  uid_t user = entry->user;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}, {0}};
  if (syscall(SYS_capget, &header, data) != 0) give_up("read capabilities");
  for (int i = 0; i < 2; ++i) data[i].inheritable = (uint32_t)(entry->capabilities >> (32 * i));
  /* Before the bounding set goes. */
  if (syscall(SYS_capset, &header, data) != 0) give_up("make capabilities inheritable");
  for (int i = 0; i < 64; ++i) {
    if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0) break; /* past the last one */
  }
  if (syscall(SYS_setresgid, group, group, group) != 0) give_up("set group");
  if (syscall(SYS_setresuid, user, user, user) != 0) give_up("set user");
  for (int i = 0; i < 2; ++i) {
    uint32_t bits = (uint32_t)(entry->capabilities >> (32 * i));
    data[i].effective = data[i].permitted = data[i].inheritable = bits;
  }
  if (syscall(SYS_capset, &header, data) != 0) give_up("drop capabilities");
  for (int i = 0; i < 64; ++i) {
    if ((entry->capabilities >> i & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0) give_up("keep capabilities");
  }
}

static void set_limits(const struct mayfly_zygote_entry* entry) {
  for (int i = 0; i < (int)MAYFLY_ZYGOTE_LIMITS; ++i) {
    struct rlimit limit = {entry->limits[i].now, entry->limits[i].most};
    if (syscall(SYS_prlimit64, 0, i, &limit, NULL) != 0) give_up("set rlimit");
  }
}

static void place_descriptors(const int* fds, int count, int keep_numbers) {
  for (int i = 0; i < PROGRAM_FDS; ++i) {
    if (i < count ? dup2(fds[i], i) < 0 : close(i) != 0 && errno != EBADF) {
      give_up("place descriptors");
    }
  }
  memset(state.kept, 0, sizeof state.kept);
  for (int fd = PROGRAM_FDS; keep_numbers && fd < KEPT_MAX; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) continue;
    if (dup3(state.null, fd, O_CLOEXEC) < 0) give_up("let go of descriptors");
    state.kept[fd] = 1;
  }
  unsigned from = keep_numbers ? KEPT_MAX : PROGRAM_FDS, door = (unsigned)state.door;
  if (close_range(from, door - 1, 0) != 0 || close_range(door + 1, ~0u, 0) != 0) {
    give_up("close descriptors");
  }
  state.null = -1;
}

static void install(const void* bytes, unsigned count) {
  if (count == 0) return;
  struct sock_fprog filter = {(unsigned short)count, (struct sock_filter*)bytes};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) give_up("install filter");
}

/* The one who goes on is a child of the sandbox's init: its parent, who has done everything in the
   pid namespace, has ended. */
static void become_program(void) {
  pid_t pid = fork();
  if (pid < 0) give_up("fork");
  if (pid > 0) _exit(0);
  struct timespec pause = {0, PARENT_NS};
  while (getppid() != 1) nanosleep(&pause, NULL);
  if (setsid() < 0) give_up("start session");
  struct mayfly_zygote_report report = {.version = MAYFLY_ZYGOTE_VERSION};
  if (send(state.door, &report, sizeof report, MSG_NOSIGNAL) != sizeof report) _exit(125);
  char byte;
  ssize_t got;
  do {
    got = recv(state.door, &byte, 1, 0);
  } while (got < 0 && errno == EINTR);
  if (got != 1) _exit(125); /* init has started the program itself, or is gone */
  close(state.door);
  state.door = -1;
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) _exit(125);
}

int mayfly_zygote_enter(int keep_numbers) {
  state.door = state.fds[MAYFLY_ZYGOTE_FD_DOOR];
  leave_home();
  int fds[MAYFLY_ZYGOTE_ENTRY_COUNT], count = 0;
  ssize_t size = receive(state.door, state.buffer, MAYFLY_ZYGOTE_MESSAGE_MAX, fds,
                         MAYFLY_ZYGOTE_ENTRY_COUNT, &count);
  const struct mayfly_zygote_entry* entry = (const void*)state.buffer;
  if (size == 0 || !well_formed(entry, (size_t)size, count)) give_up("receive entry");
  const char* filter = state.buffer + sizeof *entry;
  const char* cwd = filter + entry->filter * sizeof(struct sock_filter);
  state.environment = cwd + entry->cwd_size;
  state.buffer[size] = '\0';
  enter_namespaces(fds);
  umask(022);
  place_descriptors(fds + MAYFLY_ZYGOTE_ENTRY_STDIN, (int)entry->fds, keep_numbers);
  set_limits(entry);
  become_user(entry);
  if (cwd[entry->cwd_size - 1] != '\0' || chdir(cwd) != 0) give_up("enter folder");
  install(filter, entry->filter);
  become_program();
  return 0;
}

void mayfly_zygote_close_kept(void) {
  for (int fd = 0; fd < KEPT_MAX; ++fd) {
    struct stat info;
    if (!state.kept[fd]) continue;
    state.kept[fd] = 0;
    int null = fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
    if (null) close(fd);
  }
}

const char* mayfly_zygote_environment(void) {
  return state.environment;
}
