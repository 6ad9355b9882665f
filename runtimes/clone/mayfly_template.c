#define _GNU_SOURCE
#include "mayfly_template.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mayfly_engines.h"
#include "mayfly_libraries.h"

enum {
  OPEN_MAX_KEPT = 1024, /* descriptors above that are taken for the user's */
  THREADS_MAX = 256,
  LOWEST_FD = 5,        /* those below are the instance's own */
  THREAD_WAIT_MS = 4000 /* Ruby keeps a thread that has ended for 3 s, for the next one */
};
static const char kAdvice[] = "open it in a hook for after the restore or in the handler";

int mayfly_template_result;
const char* mayfly_template_text = "";

static struct {
  int control;
  int (*next)(int);
  void (*forked)(int);
  int (*enter)(void);
  int (*enter_program)(int); /* a zygote's; else NULL */
  int forking;               /* the next fork is the one that a zygote's order is for */
  const char* (*environment)(void);
  struct {
    dev_t dev;
    ino_t ino;
  } open[OPEN_MAX_KEPT]; /* by number; 0, 0: not open */
  pid_t threads[THREADS_MAX];
  int thread_count;
  int connections[OPEN_MAX_KEPT];
  int connection_count;
  struct sigaction child_signals; /* as the clones are to have it */
  int child_signals_taken;
  char text[65536];
  size_t text_size;
} state; /* zero at first: it takes no room in the file */

/* ---- text */

static void begin_text(void) {
  state.text_size = 0;
  state.text[0] = '\0';
  mayfly_template_text = state.text;
}

/* Adds a string; what does not fit is left out. */
__attribute__((format(printf, 1, 2))) static void add_text(const char* format, ...) {
  size_t room = sizeof state.text - 1 - state.text_size;
  va_list list;
  va_start(list, format);
  int size = vsnprintf(state.text + state.text_size, room, format, list);
  va_end(list);
  if (size > 0 && (size_t)size < room) state.text_size += (size_t)size + 1;
  state.text[state.text_size] = '\0';
}

/* ---- before the user's code */

/* kind: clone or zygote, whose functions are called alike. */
static void* symbol_of(void* library, const char* kind, const char* name) {
  char symbol[64];
  snprintf(symbol, sizeof symbol, "mayfly_%s_%s", kind, name);
  void* found = dlsym(library, symbol);
  if (found == NULL) add_text("Mayfly's clone library cannot be used: it has no %s", symbol);
  return found;
}

static void* load_clone_library(const char* variable, const char* kind) {
  const char* control = getenv(variable);
  const char* path = getenv("MAYFLY_CLONE_LIB");
  state.control = control == NULL ? -1 : atoi(control);
  if (state.control < 0 || fcntl(state.control, F_SETFD, FD_CLOEXEC) != 0) {
    add_text("there is no control socket");
    return NULL;
  }
  void* library = dlopen(path == NULL || *path == '\0' ? "/nonexistent" : path, RTLD_NOW);
  if (library == NULL) {
    add_text("Mayfly's clone library cannot be used: %s", dlerror());
    return NULL;
  }
  *(void**)&state.next = symbol_of(library, kind, "next");
  *(void**)&state.forked = symbol_of(library, kind, "forked");
  *(void**)&state.environment = symbol_of(library, kind, "environment");
  return library;
}

/* The numbers that a folder of /proc has as names. */
static int numbers_in(const char* path, int* numbers, int max) {
  int count = 0;
  DIR* folder = opendir(path);
  if (folder == NULL) return 0;
  for (struct dirent* entry; count < max && (entry = readdir(folder)) != NULL;) {
    if (isdigit((unsigned char)entry->d_name[0])) numbers[count++] = atoi(entry->d_name);
  }
  closedir(folder);
  return count;
}

const char* mayfly_template_open(void) {
  begin_text();
  void* library = load_clone_library("MAYFLY_TEMPLATE_FD", "clone");
  if (library != NULL) *(void**)&state.enter = symbol_of(library, "clone", "enter");
  if (state.text_size > 0) return mayfly_template_text;
  int numbers[OPEN_MAX_KEPT];
  int count = numbers_in("/proc/self/fd", numbers, OPEN_MAX_KEPT);
  for (int i = 0; i < count; ++i) {
    struct stat info;
    if (numbers[i] >= OPEN_MAX_KEPT || fstat(numbers[i], &info) != 0) continue;
    state.open[numbers[i]].dev = info.st_dev;
    state.open[numbers[i]].ino = info.st_ino;
  }
  state.thread_count = numbers_in("/proc/self/task", state.threads, THREADS_MAX);
  mayfly_libraries_know();
  mayfly_engines_watch();
  return mayfly_template_text;
}

/* ---- threads */

void mayfly_template_known(int thread) {
  if (state.thread_count < THREADS_MAX) state.threads[state.thread_count++] = thread;
}

/* Threads that were not there before the user's code. */
static int new_threads(pid_t* found) {
  pid_t now[THREADS_MAX];
  int count = 0, all = numbers_in("/proc/self/task", now, THREADS_MAX);
  for (int i = 0; i < all; ++i) {
    int known = 0;
    for (int k = 0; k < state.thread_count; ++k) known |= state.threads[k] == now[i];
    if (!known) found[count++] = now[i];
  }
  return count;
}

static long long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (long long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void look_for_threads(void) {
  pid_t ids[THREADS_MAX];
  int count = new_threads(ids);
  if (count > 0) {
    /* Some libraries (OpenBLAS) end their threads before a fork. */
    pid_t child = fork();
    if (child == 0) _exit(0);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
    const struct timespec pause = {.tv_nsec = 5000000};
    for (long long until = now_ms() + THREAD_WAIT_MS;
         (count = new_threads(ids)) > 0 && now_ms() < until;) {
      nanosleep(&pause, NULL);
    }
  }
  if (count == 0) return;
  char names[512] = "";
  for (int i = 0; i < count; ++i) {
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)ids[i]);
    FILE* file = fopen(path, "re");
    if (file != NULL) {
      if (fgets(name, sizeof name, file) == NULL) name[0] = '\0';
      name[strcspn(name, "\n")] = '\0';
      fclose(file);
    }
    size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s'%s'", i == 0 ? "" : ", ", name);
  }
  add_text(
      "!initialisation has started threads that still run: %s. A process with threads cannot be "
      "cloned; start them in the handler, or end them in a hook for before the snapshot",
      names);
}

/* ---- descriptors */

static void write_address(const struct sockaddr_storage* address, socklen_t size, char* text,
                          size_t room) {
  char host[INET6_ADDRSTRLEN] = "";
  if (address->ss_family == AF_INET) {
    const struct sockaddr_in* in = (const struct sockaddr_in*)address;
    inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    snprintf(text, room, "%s:%u", host, ntohs(in->sin_port));
  } else if (address->ss_family == AF_INET6) {
    const struct sockaddr_in6* in = (const struct sockaddr_in6*)address;
    const int mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
    inet_ntop(mapped ? AF_INET : AF_INET6, in->sin6_addr.s6_addr + (mapped ? 12 : 0), host,
              sizeof host);
    snprintf(text, room, mapped ? "%s:%u" : "[%s]:%u", host, ntohs(in->sin6_port));
  } else if (address->ss_family == AF_UNIX && size > offsetof(struct sockaddr_un, sun_path)) {
    const char* path = ((const struct sockaddr_un*)address)->sun_path;
    const int abstract = path[0] == '\0'; /* and then not ended by a NUL */
    const int length = (int)(size - offsetof(struct sockaddr_un, sun_path)) - abstract;
    snprintf(text, room, "%s%.*s", abstract ? "@" : "", length, path + abstract);
  } else {
    snprintf(text, room, "without a name");
  }
}

static int option_of(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

static void look_at_socket(int fd) {
  struct sockaddr_storage own = {0}, peer = {0};
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  if (getsockname(fd, (struct sockaddr*)&own, &own_size) != 0) return;
  const int connected = getpeername(fd, (struct sockaddr*)&peer, &peer_size) == 0;
  const int family = option_of(fd, SO_DOMAIN), type = option_of(fd, SO_TYPE);
  const int internet = family == AF_INET || family == AF_INET6;
  const int listening = option_of(fd, SO_ACCEPTCONN);
  char address[160], words[256];
  if (listening || !connected) {
    write_address(&own, own_size, address, sizeof address);
  } else {
    write_address(&peer, peer_size, address, sizeof address);
  }
  const char* kind = !internet             ? (family == AF_UNIX ? "unix socket" : "another kind")
                     : type == SOCK_STREAM ? "TCP"
                                           : "UDP";
  snprintf(words, sizeof words, "%s %s (%s)", connected && !listening ? "to" : "on", address, kind);
  if (listening || type == SOCK_DGRAM || type == SOCK_RAW) {
    add_text("-initialisation has left %s open %s: all instances share it; %s",
             listening ? "a listening socket" : "a socket", words, kAdvice);
    return;
  }
  add_text("-initialisation has left a connection open %s: instances find it closed; %s", words,
           kAdvice);
  if (state.connection_count < OPEN_MAX_KEPT) {
    state.connections[state.connection_count++] = fd;
  }
}

static void look_at_file(int fd) {
  char link[64], path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  const int flags = fcntl(fd, F_GETFL);
  if (size <= 0 || flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return;
  path[size] = '\0';
  if (path[0] != '/' || strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0 ||
      strncmp(path, "/memfd:", 7) == 0) {
    return;
  }
  add_text("-initialisation has left %s open for writing: all instances share its position; %s",
           path, kAdvice);
}

static void look_for_descriptors(void) {
  int numbers[OPEN_MAX_KEPT];
  const int count = numbers_in("/proc/self/fd", numbers, OPEN_MAX_KEPT);
  state.connection_count = 0;
  for (int i = 0; i < count; ++i) {
    const int fd = numbers[i];
    struct stat info;
    if (fd < LOWEST_FD || fstat(fd, &info) != 0) continue; /* as that of opendir is by now */
    if (fd < OPEN_MAX_KEPT && state.open[fd].dev == info.st_dev &&
        state.open[fd].ino == info.st_ino) {
      continue;
    }
    if (S_ISSOCK(info.st_mode)) {
      look_at_socket(fd);
    } else if (S_ISREG(info.st_mode)) {
      look_at_file(fd);
    }
  }
}

/* ---- what C libraries keep */

static void add_note(void* unused, const char* sentence) {
  (void)unused;
  add_text("-%s", sentence);
}

static void add_sentence(void* unused, const char* sentence) {
  (void)unused;
  add_text("%s", sentence);
}

void mayfly_template_know(void) {
  mayfly_libraries_know();
}

const char* mayfly_template_libraries(void) {
  begin_text();
  mayfly_libraries_look(0, add_sentence, NULL);
  return mayfly_template_text;
}

void mayfly_template_renew(void) {
  mayfly_libraries_renew();
}

static void look_at_engines(void) {
  const int lost = mayfly_engines_lost();
  if (lost == 0) return;
  add_text(
      "-initialisation has made so many objects of Random\\Engine without a seed that %d of them "
      "give "
      "all instances the same numbers; make them in a hook for after the restore or in the handler",
      lost);
}

const char* mayfly_template_look(void) {
  begin_text();
  look_for_threads();
  if (state.text_size > 0) {
    mayfly_engines_stop();
    return mayfly_template_text;
  }
  look_for_descriptors();
  mayfly_libraries_look(0, add_note, NULL);
  look_at_engines();
  return mayfly_template_text;
}

/* ---- cloning */

/* Clones that end are no affair of the language or of the user's handlers: Ruby, told by a signal
   while it waits here, sets a timer that goes off twenty times a second until it is back. */
static void take_child_signals(void) {
  static const struct sigaction plain = {.sa_handler = SIG_DFL};
  if (state.child_signals_taken) return;
  state.child_signals_taken = sigaction(SIGCHLD, &plain, &state.child_signals) == 0;
}

static void give_back_child_signals(void) {
  if (state.child_signals_taken) (void)sigaction(SIGCHLD, &state.child_signals, NULL);
  state.child_signals_taken = 0;
}

int mayfly_template_next(void) {
  take_child_signals();
  mayfly_template_result = state.next(state.control);
  state.forking = state.enter_program != NULL && mayfly_template_result == 1;
  return mayfly_template_result;
}

void mayfly_template_forked(int pid) {
  state.forking = 0;
  state.forked(pid);
}

void mayfly_template_forked_env(void) {
  const char* pid = getenv("MAYFLY_TEMPLATE_PID");
  mayfly_template_forked(pid == NULL ? -EINVAL : atoi(pid));
}

/* Bytes of two clones must never mix on one connection; and a pool connects anew. */
static void cut_connections(void) {
  int pair[2];
  if (state.connection_count == 0) return;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) _exit(1);
  close(pair[1]);
  for (int i = 0; i < state.connection_count; ++i) {
    if (dup3(pair[0], state.connections[i], O_CLOEXEC) < 0) _exit(1);
  }
  close(pair[0]);
}

const char* mayfly_template_enter(void) {
  if (state.enter() != 0) _exit(1);
  give_back_child_signals();
  (void)fcntl(3, F_SETFD, FD_CLOEXEC);
  cut_connections();
  mayfly_libraries_renew();
  mayfly_engines_renew();
  return mayfly_template_text = state.environment();
}

/* ---- zygotes */

/* In the child, before the language's fork returns: what the language then does in a child (Ruby
   makes its wake-up descriptors and its timer anew), it does in the program and not in the one
   between. Ruby, PHP and libraries close descriptors that they remember, so those keep their
   numbers. */
static void become_program(void) {
  if (!state.forking) return; /* also in the second fork, inside of this */
  state.forking = 0;
  state.enter_program(1);
  state.enter_program = NULL;
  give_back_child_signals();
}

const char* mayfly_template_zygote(void) {
  int threads[2];
  begin_text();
  if (numbers_in("/proc/self/task", threads, 2) != 1) add_text("the interpreter has threads");
  void* library = load_clone_library("MAYFLY_ZYGOTE_FD", "zygote");
  if (library != NULL) *(void**)&state.enter_program = symbol_of(library, "zygote", "enter");
  if (pthread_atfork(NULL, NULL, become_program) != 0) add_text("no memory for a handler of forks");
  return mayfly_template_text;
}

const char* mayfly_template_environment(void) {
  return mayfly_template_text = state.environment();
}

void mayfly_template_exit(void) {
  _exit(0);
}
