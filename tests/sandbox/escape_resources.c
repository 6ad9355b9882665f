// More than one's share: processes, memory, disk, descriptors, and things that stay behind.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "escape.h"

static void fork_bomb(char** a) {
  (void)a;
  for (int i = 0; i < 5000; ++i) {
    pid_t child = fork();
    if (child < 0) return told(-1);
    if (child == 0) {
      pause();
      _exit(0);
    }
  }
  say("ESCAPED");
}
static void memory_bomb(char** a) {
  (void)a;
  for (int i = 0; i < 4096; ++i) {
    char* chunk = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) return told(-1);
    memset(chunk, 1, 1 << 20);
  }
  say("ESCAPED");
}
static void fill(const char* path, long megabytes) {
  int fd = open(path, O_CREAT | O_WRONLY, 0644);
  static char block[1 << 20];
  for (long i = 0; i < megabytes; ++i) {
    if (write(fd, block, sizeof block) != sizeof block) {
      if (errno == 0) errno = ENOSPC;
      told(-1);
      unlink(path);
      return;
    }
  }
  say("ESCAPED");
}
static void fill_tmp(char** a) {
  (void)a;
  fill("/tmp/fill", 4096);
}
static void fill_shm(char** a) {
  (void)a;
  fill("/dev/shm/fill", 4096);
}
static void fill_inodes(char** a) {
  (void)a;
  char path[64];
  for (int i = 0; i < 3000000; ++i) {
    snprintf(path, sizeof path, "/tmp/i%d", i);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    if (fd < 0) return told(-1);
    close(fd);
  }
  say("ESCAPED");
}
static void many_files(char** a) {
  (void)a;
  for (int i = 0; i < 100000; ++i) {
    if (open("/dev/null", O_RDONLY) < 0) return told(-1);
  }
  say("ESCAPED");
}
// A daemon of the old school: it must be gone when the program is.
static void daemon_stays(char** a) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return say("no pipe");
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    for (int signal = 1; signal < 65; ++signal) {
      if (signal != SIGKILL && signal != SIGSTOP) sigignore(signal);
    }
    execl("/usr/bin/sleep", "sleep", a[0], (char*)NULL);
    _exit(1);
  }
  wait(NULL);
  close(ends[1]);
  char byte;
  (void)!read(ends[0], &byte, 1);  // its end: the daemon runs its program
  say("left");
}
static void ignores_term(char** a) {
  (void)a;
  for (int signal = 1; signal < 65; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) sigignore(signal);
  }
  say("ignoring");
  for (;;) pause();
}
static void stops_itself(char** a) {
  (void)a;
  say("stopping");
  kill(-1, SIGSTOP);
  raise(SIGSTOP);
  for (;;) pause();
}

#define A(name) \
  { #name, name }
const struct attempt resource_attempts[] = {
    A(fork_bomb),  A(memory_bomb),  A(fill_tmp),     A(fill_shm),     A(fill_inodes),
    A(many_files), A(daemon_stays), A(ignores_term), A(stops_itself), {NULL, NULL}};
