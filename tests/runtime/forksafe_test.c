// Condition variables and threads across a fork, with libmayfly_forksafe.so preloaded: exits with 0
// when all is well. Without the library the child hangs, and an alarm ends it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT 3000  // more than a table of a thousand would hold

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t conditions[COUNT];
static pthread_cond_t monotonic, old_style;
static pthread_cond_t private_ones[2];
static int waiting, released;
static int (*wait_old)(pthread_cond_t*, pthread_mutex_t*);
static int (*broadcast_old)(pthread_cond_t*);

static void check(int good, const char* what) {
  if (good) return;
  printf("failed: %s\n", what);
  fflush(stdout);
  _exit(1);
}

static void* waiter(void* argument) {
  pthread_mutex_lock(&mutex);
  waiting++;
  while (!released) pthread_cond_wait(argument, &mutex);
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static void* old_waiter(void* argument) {
  pthread_mutex_lock(&mutex);
  waiting++;
  while (!released) wait_old(argument, &mutex);
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static void* short_waiter(void* argument) {
  struct timespec soon = {0, 0};
  pthread_mutex_lock(&mutex);
  pthread_cond_timedwait(argument, &mutex, &soon);
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

// Signals often enough that glibc would wait for the dead waiters, then waits with a live one.
static void use(pthread_cond_t* condition) {
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, short_waiter, condition);
    pthread_join(thread, NULL);
    pthread_cond_signal(condition);
    pthread_cond_broadcast(condition);
  }
}

static void child(pthread_t dead, unsigned limit_s) {
  alarm(limit_s);
  use(&private_ones[0]);
  use(&monotonic);
  for (int i = 0; i < COUNT; i += 100) pthread_cond_broadcast(&conditions[i]);
  if (broadcast_old != NULL) broadcast_old(&old_style);
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += 100000000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  const double begin = now(CLOCK_MONOTONIC);
  pthread_mutex_lock(&mutex);
  const int result = pthread_cond_timedwait(&monotonic, &mutex, &until);
  pthread_mutex_unlock(&mutex);
  const double took = now(CLOCK_MONOTONIC) - begin;
  check(result == ETIMEDOUT && took > 0.09, "the condition variable has kept its clock");
  void* value = &value;
  check(pthread_join(dead, &value) == 0 && value == NULL, "joining a thread of the parent");
  check(pthread_cond_destroy(&private_ones[0]) == 0, "destroying");
  _exit(0);
}

// forksafe_test SECONDS: how long a child may take, which hangs without the library.
int main(int argc, char** argv) {
  const unsigned limit_s = argc > 1 ? (unsigned)atoi(argv[1]) : 20;
  alarm(5 * limit_s);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&monotonic, &attributes);
#ifdef __x86_64__
  wait_old = (int (*)(pthread_cond_t*, pthread_mutex_t*))dlvsym(RTLD_DEFAULT, "pthread_cond_wait",
                                                                "GLIBC_2.2.5");
  broadcast_old =
      (int (*)(pthread_cond_t*))dlvsym(RTLD_DEFAULT, "pthread_cond_broadcast", "GLIBC_2.2.5");
#endif
  check(getenv("LD_PRELOAD") == NULL, "the library leaves the environment");
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 << 10);
  pthread_t thread, first;
  int expected = 0;
  for (int i = 0; i < 300; i++) {  // one each on many, and several on one
    check(pthread_create(&thread, &small, waiter, &conditions[i * 10]) == 0, "a thread");
    expected++;
  }
  first = thread;
  for (int i = 0; i < 4; i++) {
    pthread_create(&thread, &small, waiter, &private_ones[0]);
    pthread_create(&thread, &small, waiter, &monotonic);
    expected += 2;
    if (wait_old != NULL) {
      pthread_create(&thread, &small, old_waiter, &old_style);
      expected++;
    }
  }
  for (;;) {
    pthread_mutex_lock(&mutex);
    const int all = waiting == expected;
    pthread_mutex_unlock(&mutex);
    if (all) break;
    usleep(1000);
  }
  for (int round = 0; round < 5; round++) {
    const pid_t pid = fork();
    if (pid == 0) child(first, limit_s);
    int status;
    waitpid(pid, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child");
  }
  // The parent's own waiters are still there and can be woken.
  pthread_mutex_lock(&mutex);
  released = 1;
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < COUNT; i++) pthread_cond_broadcast(&conditions[i]);
  pthread_cond_broadcast(&private_ones[0]);
  pthread_cond_broadcast(&monotonic);
  check(pthread_join(first, NULL) == 0, "the parent's threads");
  _exit(0);
}
