// A template in C, honest or not: template KIND [MB of dirty memory].
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "first_instruction.h"
#include "mayfly_clone.h"
#include "template_hostile.h"
#include "template_loop.h"

static char* dirty;
static size_t dirty_size;

static int show_time(int argc, char** argv) {
  (void)argc, (void)argv;
  return tell_time();
}

static void show_file(const char* path) {
  char text[4096];
  int fd = open(path, O_RDONLY);
  ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text);
  if (size > 0) fwrite(text, 1, (size_t)size, stdout);
  close(fd);
}

// Where the process is: pid, namespaces, cgroups, hostname, descriptors, capabilities, /tmp.
static int show_place(int argc, char** argv) {
  (void)argc, (void)argv;
  char text[256];
  printf("pid %d\nsid %d\n", getpid(), getsid(0));
  const char* names[] = {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; ++i) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
    ssize_t size = readlink(path, text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    printf("%s\n", text);
  }
  gethostname(text, sizeof text);
  printf("host %s\n", text);
  printf("cwd %s\n", getcwd(text, sizeof text));
  int count = -1;  // the folder's own descriptor
  DIR* dir = opendir("/proc/self/fd");
  for (struct dirent* entry; (entry = readdir(dir)) != NULL;) count += entry->d_name[0] != '.';
  closedir(dir);
  printf("fds %d\n", count);
  dir = opendir("/tmp");
  for (struct dirent* entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] != '.') printf("tmp %s\n", entry->d_name);
  }
  closedir(dir);
  show_file("/proc/self/cgroup");
  show_file("/proc/self/status");
  printf("init %s\n", open("/proc/1/environ", O_RDONLY) < 0 ? strerrorname_np(errno) : "READ");
  fflush(stdout);
  char byte;
  while (read(3, &byte, 1) > 0) {  // its namespaces live until the test has seen those of others
  }
  return 0;
}

// All that a program can see of how it was started.
static int show_self(int argc, char** argv) {
  (void)argc, (void)argv;
  char text[256];
  printf("parent %d, leader %d %d\n", getppid(), getsid(0) == getpid(), getpgrp() == getpid());
  printf("users %d %d %d %d, groups %d\n", getuid(), geteuid(), getgid(), getegid(),
         getgroups(0, NULL));
  printf("dumpable %d, new privileges %d, securebits %d, death signal ", prctl(PR_GET_DUMPABLE),
         prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_SECUREBITS));
  int signal = -1;
  prctl(PR_GET_PDEATHSIG, &signal);
  mode_t mask = umask(0);
  printf("%d, umask %o, cwd %s\n", signal, mask, getcwd(text, sizeof text));
  for (int fd = 0; fd < 1024; ++fd) {
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) printf("fd %d: %d %x\n", fd, flags, fcntl(fd, F_GETFL));
  }
  for (int number = 1; number < 65; ++number) {
    unsigned long action[4] = {0};
    syscall(SYS_rt_sigaction, number, NULL, action, 8);
    if (action[0] != 0) printf("signal %d: %lx\n", number, action[0]);
  }
  for (char** at = environ; *at != NULL; ++at) printf("env %s\n", *at);
  printf("priority %d %d\n", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0));
  const char* files[] = {"status",  "limits",        "mounts",  "cgroup",
                         "cmdline", "oom_score_adj", "uid_map", "setgroups"};
  for (unsigned i = 0; i < sizeof files / sizeof *files; ++i) {
    snprintf(text, sizeof text, "/proc/self/%s", files[i]);
    printf("%s:\n", files[i]);
    show_file(text);
  }
  show_file("/proc/self/net/dev");
  return 0;
}

// Sends back what comes on the channel.
static int echo(int argc, char** argv) {
  (void)argc, (void)argv;
  char text[4096];
  for (ssize_t size; (size = read(3, text, sizeof text)) > 0;) {
    if (write(3, text, (size_t)size) != size) return 1;
  }
  return 0;
}

static int end_with(int argc, char** argv) {
  return argc > 1 ? atoi(argv[1]) : 0;
}
static int die_by(int argc, char** argv) {
  raise(argc > 1 ? atoi(argv[1]) : SIGSEGV);
  return 0;
}
static int stay(int argc, char** argv) {
  (void)argc, (void)argv;
  if (write(1, "up\n", 3) != 3) return 1;
  for (;;) pause();
}
static int use_memory(int argc, char** argv) {
  size_t size = (size_t)(argc > 1 ? atoi(argv[1]) : 1000) << 20;
  volatile char* bytes = malloc(size);
  for (size_t i = 0; bytes != NULL && i < size; i += 1024) bytes[i] = 1;
  puts("used");
  return 0;
}
static int touch_all(int argc, char** argv) {
  (void)argc, (void)argv;
  memset(dirty, 2, dirty_size);
  puts("touched");
  return 0;
}
static int fork_many(int argc, char** argv) {
  (void)argc, (void)argv;
  int made = 0;
  for (; made < 100000; ++made) {
    pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) {
      for (;;) pause();
    }
  }
  printf("%d %s\n", made, strerrorname_np(errno));
  return 0;
}
static int write_file(int argc, char** argv) {
  int fd = open(argc > 1 ? argv[1] : "/tmp/x", O_CREAT | O_WRONLY | O_EXCL, 0600);
  puts(fd < 0 ? strerrorname_np(errno) : "made");
  return 0;
}
// So many orphans in its own pid namespace; waits until init is rid of all of them.
static int orphans(int argc, char** argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1;
  for (int i = 0; i < count; ++i) {
    int ends[2];
    pid_t orphan = 0;
    if (pipe(ends) != 0) return 1;
    if (fork() == 0) {
      orphan = fork();
      if (orphan > 0 && write(ends[1], &orphan, sizeof orphan) != sizeof orphan) _exit(1);
      _exit(0);
    }
    wait(NULL);
    if (read(ends[0], &orphan, sizeof orphan) != sizeof orphan) return 1;
    close(ends[0]);
    close(ends[1]);
    while (kill(orphan, 0) == 0) sched_yield();
  }
  puts("collected");
  return 0;
}

// Says "hello" to the platform's services, or to what the words name.
static int dial(int argc, char** argv) {
  (void)argc, (void)argv;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
  inet_pton(AF_INET, "127.0.0.2", &at.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr*)&at, sizeof at) != 0) {
    puts(strerrorname_np(errno));
    return 0;
  }
  char text[64];
  ssize_t size = write(fd, "hello", 5) == 5 ? read(fd, text, sizeof text) : -1;
  printf("%.*s\n", size > 0 ? (int)size : 0, text);
  return 0;
}
// Takes the place of the services, or of what stands there already.
static int squat(int argc, char** argv) {
  (void)argc, (void)argv;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
  inet_pton(AF_INET, "127.0.0.2", &at.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  puts(bind(fd, (struct sockaddr*)&at, sizeof at) == 0 ? "bound" : strerrorname_np(errno));
  return 0;
}

static int run_clone(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*run)(int argc, char** argv);
  } actions[] = {{"time", show_time},    {"place", show_place}, {"echo", echo},
                 {"exit", end_with},     {"raise", die_by},     {"stay", stay},
                 {"memory", use_memory}, {"touch", touch_all},  {"forks", fork_many},
                 {"file", write_file},   {"orphans", orphans},  {"dial", dial},
                 {"squat", squat}};
  for (unsigned i = 0; argc > 0 && i < sizeof actions / sizeof *actions; ++i) {
    if (strcmp(argv[0], actions[i].name) == 0) return actions[i].run(argc, argv);
  }
  puts("unknown action");
  return 2;
}

int main(int argc, char** argv) {
  const char* kind = argc > 1 ? argv[1] : "honest";
  if (strcmp(kind, "sharing") == 0) {
    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    kind = "self";
  }
  come_from_zygote();
  dirty_size = (size_t)(argc > 2 ? atoi(argv[2]) : 1) << 20;
  dirty = mmap(NULL, dirty_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(dirty, 1, dirty_size);
  close(open("/tmp/of-the-template", O_CREAT | O_WRONLY, 0600));
  if (strcmp(kind, "self") == 0) return show_self(0, NULL);
  if (strcmp(kind, "place") == 0) return show_place(0, NULL);
  if (strcmp(kind, "honest") == 0) return serve_orders(run_clone);
  return be_hostile(kind, run_clone);
}
