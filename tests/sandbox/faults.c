// Preloaded into mayfly-spawner: counts the calls by which it, its helpers and its inits make a
// sandbox, and fails one of them. The count lies in a file that the test maps too.
#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static struct fault_page* page;

__attribute__((constructor)) static void map_page(void) {
  const char* path = getenv("MAYFLY_FAULTS");
  int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED) page = mapped;
  close(fd);
}

static int fails(const char* name) {
  if (page == NULL || page->countdown < 1) return 0;
  if (__atomic_sub_fetch(&page->countdown, 1, __ATOMIC_SEQ_CST) != 0) return 0;
  strncpy(page->name, name, sizeof page->name - 1);
  errno = ENOMEM;
  return 1;
}

// Resolved at the first use, always before an init's filter is installed or as early as that.
#define NEXT(name)               \
  static __typeof__(&name) next; \
  if (next == NULL) next = dlsym(RTLD_NEXT, #name)

#define FAULT(type, name, parameters, ...) \
  type name parameters {                   \
    NEXT(name);                            \
    if (fails(#name)) return (type)-1;     \
    return next(__VA_ARGS__);              \
  }

int setns(int fd, int kind);
int unshare(int flags);
int mount(const char*, const char*, const char*, unsigned long, const void*);
int umount2(const char*, int);
int move_mount(int, const char*, int, const char*, unsigned);
int open_tree(int, const char*, unsigned);
int socketpair(int, int, int, int*);
int setsockopt(int, int, int, const void*, unsigned);
int sethostname(const char*, size_t);
int mkdir(const char*, mode_t);
int fchown(int, uid_t, gid_t);
int setrlimit(int, const void*);
int signalfd(int, const void*, int);
int epoll_ctl(int, int, int, void*);

FAULT(int, unshare, (int flags), flags)
FAULT(int, mount,
      (const char* from, const char* to, const char* type, unsigned long flags, const void* data),
      from, to, type, flags, data)
FAULT(int, umount2, (const char* path, int flags), path, flags)
FAULT(int, move_mount, (int from, const char* a, int to, const char* b, unsigned flags), from, a,
      to, b, flags)
FAULT(int, open_tree, (int fd, const char* path, unsigned flags), fd, path, flags)
FAULT(int, socketpair, (int family, int type, int protocol, int* ends), family, type, protocol,
      ends)
FAULT(int, setsockopt, (int fd, int level, int name, const void* value, unsigned size), fd, level,
      name, value, size)
FAULT(int, sethostname, (const char* name, size_t size), name, size)
FAULT(int, mkdir, (const char* path, mode_t mode), path, mode)
FAULT(int, fchown, (int fd, uid_t user, gid_t group), fd, user, group)
FAULT(int, setrlimit, (int kind, const void* limit), kind, limit)
FAULT(int, signalfd, (int fd, const void* set, int flags), fd, set, flags)
FAULT(int, epoll_ctl, (int fd, int what, int other, void* event), fd, what, other, event)
FAULT(int, chdir, (const char* path), path)
FAULT(int, dup2, (int from, int to), from, to)
FAULT(pid_t, fork, (void))
FAULT(ssize_t, write, (int fd, const void* data, size_t size), fd, data, size)

// The way home out of a namespace ends the spawner by abort when it fails, as it must; only what
// leads into one is failed here. The spawner's own namespaces are entered by the lowest
// descriptors.
int setns(int fd, int kind) {
  NEXT(setns);
  static int lowest[3] = {-1, -1, -1};
  int at = kind == 0x40000000 ? 0 : kind == 0x04000000 ? 1 : 2;
  if (lowest[at] < 0 || fd < lowest[at]) lowest[at] = fd;
  if (fd > lowest[at] && fails("setns")) return -1;
  return next(fd, kind);
}

int open(const char* path, int flags, ...) {
  NEXT(open);
  va_list list;
  va_start(list, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (fails("open")) return -1;
  return next(path, flags, mode);
}

int openat(int fd, const char* path, int flags, ...) {
  NEXT(openat);
  va_list list;
  va_start(list, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (fails("openat")) return -1;
  return next(fd, path, flags, mode);
}

int fcntl(int fd, int what, ...) {
  NEXT(fcntl);
  va_list list;
  va_start(list, what);
  long argument = va_arg(list, long);
  va_end(list);
  if (what == F_DUPFD_CLOEXEC && fails("fcntl")) return -1;
  return next(fd, what, argument);
}

int prctl(int what, ...) {
  NEXT(prctl);
  va_list list;
  va_start(list, what);
  unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long);
  unsigned long c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
  va_end(list);
  if (fails("prctl")) return -1;
  return next(what, a, b, c, d);
}

long syscall(long number, ...) {
  NEXT(syscall);
  va_list list;
  va_start(list, number);
  long a[6];
  for (int i = 0; i < 6; ++i) a[i] = va_arg(list, long);
  va_end(list);
  // Signals by pidfd are how it cleans up.
  if (number != SYS_pidfd_send_signal && fails("syscall")) return -1;
  return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
