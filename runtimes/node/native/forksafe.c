// Preloaded into a Node template, so that a fork of it is as good as a process that was started.
//
// Condition variables. The threads that waited in the parent do not exist in the child, yet glibc's
// condition variables still count them, and a later signal waits for them without end. So each
// waiter is listed while it waits (on its own stack: nothing is allocated, and no table can fill),
// and in the child the condition variables of the list begin anew, with the clock that they had.
//
// Threads. Who has started which thread, to say what keeps a process from being cloned; and in the
// child pthread_join() of a thread that only the parent has returns at once (Node joins V8's
// workers when it ends).
//
// Memory. V8 marks its heap MADV_DONTFORK, so that child processes start faster; a clone needs it.
#define _GNU_SOURCE
#include "forksafe.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef int (*WaitFunction)(pthread_cond_t*, pthread_mutex_t*);
typedef int (*TimedWaitFunction)(pthread_cond_t*, pthread_mutex_t*, const struct timespec*);
typedef int (*ClockWaitFunction)(pthread_cond_t*, pthread_mutex_t*, clockid_t,
                                 const struct timespec*);

static struct {
  WaitFunction wait, wait_old;
  TimedWaitFunction timedwait, timedwait_old;
  ClockWaitFunction clockwait;
  int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  int (*join)(pthread_t, void**);
  int (*madvise)(void*, size_t, int);
} real;

struct Thread {
  struct Thread *next, *previous;
  pthread_t handle;
  const void* owner;
  int tid;
  int waiting;
};

struct Waiter {
  struct Waiter *next, *previous;
  void* condition;
  int old;  // of the ABI before glibc 2.3.2: a pointer to the condition variable proper
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // of both lists and of the dead
static struct Thread* threads;
static struct Waiter* waiters;
static __thread struct Thread* self __attribute__((tls_model("initial-exec")));

// In a clone: threads that only the process has that it was cloned from.
static pthread_t* dead;
static size_t dead_count;

static int usable;
static ElfW(Addr) node_begin[2], node_end[2];  // the program, and libnode where there is one

static void* function(const char* name, const char* version) {
  void* found = version == NULL ? NULL : dlvsym(RTLD_NEXT, name, version);
  return found != NULL ? found : dlsym(RTLD_NEXT, name);
}

static void resolve(void) {
#ifdef __x86_64__
  const char* version = "GLIBC_2.3.2";  // dlsym alone may find the older one
  real.wait_old = (WaitFunction)function("pthread_cond_wait", "GLIBC_2.2.5");
  real.timedwait_old = (TimedWaitFunction)function("pthread_cond_timedwait", "GLIBC_2.2.5");
#else
  const char* version = NULL;
#endif
  real.clockwait = (ClockWaitFunction)function("pthread_cond_clockwait", NULL);
  real.create = function("pthread_create", NULL);
  real.join = function("pthread_join", NULL);
  real.madvise = function("madvise", NULL);
  real.timedwait = (TimedWaitFunction)function("pthread_cond_timedwait", version);
  real.wait = (WaitFunction)function("pthread_cond_wait", version);
}

// ---- condition variables

// Leaves the list; also when the waiting thread is cancelled.
static void unlist_waiter(void* argument) {
  struct Waiter* waiter = argument;
  pthread_mutex_lock(&lock);
  if (waiter->previous != NULL) {
    waiter->previous->next = waiter->next;
  } else {
    waiters = waiter->next;
  }
  if (waiter->next != NULL) waiter->next->previous = waiter->previous;
  if (self != NULL) self->waiting = 0;
  pthread_mutex_unlock(&lock);
}

static void list_waiter(struct Waiter* waiter, void* condition, int old) {
  if (real.wait == NULL) resolve();
  waiter->condition = condition;
  waiter->old = old;
  pthread_mutex_lock(&lock);
  waiter->previous = NULL;
  waiter->next = waiters;
  if (waiters != NULL) waiters->previous = waiter;
  waiters = waiter;
  if (self != NULL) self->waiting = 1;
  pthread_mutex_unlock(&lock);
}

#define LISTED(condition, old, call)            \
  struct Waiter waiter;                         \
  int result;                                   \
  list_waiter(&waiter, condition, old);         \
  pthread_cleanup_push(unlist_waiter, &waiter); \
  result = call;                                \
  pthread_cleanup_pop(1);                       \
  return result

EXPORT int mayfly_cond_wait(pthread_cond_t* c, pthread_mutex_t* m) {
  LISTED(c, 0, real.wait(c, m));
}

EXPORT int mayfly_cond_timedwait(pthread_cond_t* c, pthread_mutex_t* m, const struct timespec* t) {
  LISTED(c, 0, real.timedwait(c, m, t));
}

EXPORT int pthread_cond_clockwait(pthread_cond_t* c, pthread_mutex_t* m, clockid_t clock,
                                  const struct timespec* t) {
  LISTED(c, 0, real.clockwait(c, m, clock, t));
}

#ifdef __x86_64__
EXPORT int mayfly_cond_wait_old(pthread_cond_t* c, pthread_mutex_t* m) {
  LISTED(c, 1, real.wait_old(c, m));
}

EXPORT int mayfly_cond_timedwait_old(pthread_cond_t* c, pthread_mutex_t* m,
                                     const struct timespec* t) {
  LISTED(c, 1, real.timedwait_old(c, m, t));
}

__asm__(".symver mayfly_cond_wait, pthread_cond_wait@@GLIBC_2.3.2");
__asm__(".symver mayfly_cond_timedwait, pthread_cond_timedwait@@GLIBC_2.3.2");
__asm__(".symver mayfly_cond_wait_old, pthread_cond_wait@GLIBC_2.2.5");
__asm__(".symver mayfly_cond_timedwait_old, pthread_cond_timedwait@GLIBC_2.2.5");
#else
EXPORT int pthread_cond_wait(pthread_cond_t* c, pthread_mutex_t* m)
    __attribute__((alias("mayfly_cond_wait")));
EXPORT int pthread_cond_timedwait(pthread_cond_t* c, pthread_mutex_t* m, const struct timespec* t)
    __attribute__((alias("mayfly_cond_timedwait")));
#endif

enum { kShared = 1, kMonotonic = 2 };  // glibc's bits in __wrefs; check_layout() makes sure

static void renew(pthread_cond_t* condition) {
  const unsigned kind = condition->__data.__wrefs & (kShared | kMonotonic);
  if (kind & kShared) return;  // its waiters may live in other processes
  memset(condition, 0, sizeof *condition);
  condition->__data.__wrefs = kind;
}

static int made_as(int shared, clockid_t clock) {
  pthread_condattr_t attributes;
  pthread_cond_t made, expected;
  memset(&made, 0, sizeof made);
  memset(&expected, 0, sizeof expected);
  pthread_condattr_init(&attributes);
  pthread_condattr_setpshared(&attributes, shared);
  pthread_condattr_setclock(&attributes, clock);
  pthread_cond_init(&made, &attributes);
  pthread_condattr_destroy(&attributes);
  expected.__data.__wrefs = (shared == PTHREAD_PROCESS_SHARED ? kShared : 0u) |
                            (clock == CLOCK_MONOTONIC ? kMonotonic : 0u);
  return memcmp(&made, &expected, sizeof made) == 0;
}

// That a condition variable begins as zeros and the bits of its kind is not promised by glibc.
static int check_layout(void) {
  return made_as(PTHREAD_PROCESS_PRIVATE, CLOCK_REALTIME) &&
         made_as(PTHREAD_PROCESS_PRIVATE, CLOCK_MONOTONIC) &&
         made_as(PTHREAD_PROCESS_SHARED, CLOCK_REALTIME) &&
         made_as(PTHREAD_PROCESS_SHARED, CLOCK_MONOTONIC);
}

// ---- threads

struct Start {
  void* (*routine)(void*);
  void* argument;
  const void* owner;
};

static void unlist_thread(void* argument) {
  struct Thread* thread = argument;
  self = NULL;
  pthread_mutex_lock(&lock);
  if (thread->previous != NULL) {
    thread->previous->next = thread->next;
  } else {
    threads = thread->next;
  }
  if (thread->next != NULL) thread->next->previous = thread->previous;
  pthread_mutex_unlock(&lock);
}

static void* run_thread(void* argument) {
  struct Start start = *(struct Start*)argument;
  struct Thread thread = {.handle = pthread_self(), .owner = start.owner, .tid = gettid()};
  void* result;
  free(argument);
  pthread_mutex_lock(&lock);
  thread.next = threads;
  if (threads != NULL) threads->previous = &thread;
  threads = &thread;
  pthread_mutex_unlock(&lock);
  self = &thread;
  pthread_cleanup_push(unlist_thread, &thread);
  result = start.routine(start.argument);
  pthread_cleanup_pop(1);
  return result;
}

// Whose thread it is. Those of std::thread all begin in libstdc++; there the argument is an object
// whose class is the owner's.
static const void* owner_of(void* (*routine)(void*), void* argument) {
  Dl_info where;
  if (dladdr((void*)routine, &where) != 0 && where.dli_fname != NULL && argument != NULL &&
      strstr(where.dli_fname, "libstdc++") != NULL) {
    return *(const void* const*)argument;
  }
  return (const void*)routine;
}

static int forget_dead(pthread_t thread) {
  int found = 0;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < dead_count && !found; i++) {
    if (!pthread_equal(dead[i], thread)) continue;
    dead[i] = dead[--dead_count];
    found = 1;
  }
  pthread_mutex_unlock(&lock);
  return found;
}

EXPORT int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                          void* (*routine)(void*), void* argument) {
  if (real.create == NULL) resolve();
  struct Start* start = malloc(sizeof *start);
  if (start == NULL) return EAGAIN;
  *start = (struct Start){routine, argument, owner_of(routine, argument)};
  const int result = real.create(thread, attributes, run_thread, start);
  if (result != 0) {
    free(start);
  } else {
    forget_dead(*thread);  // the stack of a dead one, and with it its handle, is used again
  }
  return result;
}

EXPORT int pthread_join(pthread_t thread, void** value) {
  if (real.join == NULL) resolve();
  if (!forget_dead(thread)) return real.join(thread, value);
  if (value != NULL) *value = NULL;
  return 0;
}

EXPORT int mayfly_forksafe_threads(struct mayfly_thread* out, int max) {
  int count = 0;
  pthread_mutex_lock(&lock);
  for (struct Thread* thread = threads; thread != NULL; thread = thread->next, count++) {
    if (count < max)
      out[count] = (struct mayfly_thread){thread->tid, thread->waiting, thread->owner};
  }
  pthread_mutex_unlock(&lock);
  return count;
}

EXPORT int mayfly_forksafe_usable(void) {
  return usable;
}

// ---- memory

EXPORT int madvise(void* address, size_t size, int advice) {
  if (real.madvise == NULL) resolve();
  if (advice == MADV_DONTFORK && usable) {
    const ElfW(Addr) caller = (ElfW(Addr))__builtin_return_address(0);
    for (int i = 0; i < 2; i++) {
      if (caller >= node_begin[i] && caller < node_end[i]) return 0;
    }
  }
  return real.madvise(address, size, advice);
}

static int find_node(struct dl_phdr_info* info, size_t size, void* seen) {
  (void)size;
  const int program = (*(int*)seen)++ == 0;
  if (!program && strstr(info->dlpi_name, "/libnode.so") == NULL) return 0;
  const int slot = program ? 0 : 1;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)* header = &info->dlpi_phdr[i];
    if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
    const ElfW(Addr) begin = info->dlpi_addr + header->p_vaddr;
    if (node_end[slot] == 0 || begin < node_begin[slot]) node_begin[slot] = begin;
    if (begin + header->p_memsz > node_end[slot]) node_end[slot] = begin + header->p_memsz;
  }
  return 0;
}

// ---- the fork

static void before_fork(void) {
  pthread_mutex_lock(&lock);
}

static void in_parent(void) {
  pthread_mutex_unlock(&lock);
}

// The lists are on the stacks of threads that are gone; the stacks are still there.
static void in_child(void) {
  for (struct Waiter* waiter = waiters; waiter != NULL; waiter = waiter->next) {
    pthread_cond_t* condition = waiter->condition;
    if (waiter->old) condition = *(pthread_cond_t**)waiter->condition;
    if (condition != NULL) renew(condition);
  }
  waiters = NULL;
  size_t count = dead_count;
  for (struct Thread* thread = threads; thread != NULL; thread = thread->next) count++;
  if (count > dead_count) {
    // Not malloc: an allocator may set itself right in a handler of its own that comes after this.
    pthread_t* all =
        mmap(NULL, count * sizeof *all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all != MAP_FAILED) {
      if (dead_count > 0) memcpy(all, dead, dead_count * sizeof *all);
      for (struct Thread* thread = threads; thread != NULL; thread = thread->next) {
        if (thread != self) all[dead_count++] = thread->handle;
      }
      dead = all;
    }
  }
  threads = self;
  if (self != NULL) self->next = self->previous = NULL;
  pthread_mutex_unlock(&lock);
}

// Child processes of the function must not get this library.
static void leave_environment(void) {
  const char* value = getenv("LD_PRELOAD");
  if (value == NULL) return;
  char* rest = malloc(strlen(value) + 1);
  if (rest == NULL) return;
  size_t used = 0;
  for (const char* at = value; *at != '\0';) {
    const size_t size = strcspn(at, ": ");
    static const char kOwn[] = "libmayfly_forksafe.so";
    const size_t own = sizeof kOwn - 1;
    if (size > 0 && (size < own || strncmp(at + size - own, kOwn, own) != 0)) {
      if (used > 0) rest[used++] = ':';
      memcpy(rest + used, at, size);
      used += size;
    }
    at += size + (at[size] != '\0');
  }
  rest[used] = '\0';
  if (used > 0) {
    setenv("LD_PRELOAD", rest, 1);
  } else {
    unsetenv("LD_PRELOAD");
  }
  free(rest);
}

__attribute__((constructor)) static void start(void) {
  int seen = 0;
  resolve();
  dl_iterate_phdr(find_node, &seen);
  leave_environment();
  usable = check_layout() && pthread_atfork(before_fork, in_parent, in_child) == 0;
}
