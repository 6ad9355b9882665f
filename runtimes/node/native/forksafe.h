// What libmayfly_forksafe.so, which is preloaded into a Node template, offers to the addon.
#ifndef MAYFLY_FORKSAFE_H
#define MAYFLY_FORKSAFE_H

#ifdef __cplusplus
extern "C" {
#endif

struct mayfly_thread {
  int tid;
  int waiting;        // it waits on a condition variable: it has nothing to do
  const void* owner;  // an address inside the program or library whose thread it is
};

// 1: the library works with this C library. 0: it does not, and the process must not be cloned.
int mayfly_forksafe_usable(void);

// Fills in at most max threads that were started by pthread_create and still run. Returns how many
// there are. Thread-safe.
int mayfly_forksafe_threads(struct mayfly_thread* threads, int max);

#ifdef __cplusplus
}
#endif

#endif
