#pragma once
// Tells when a program or clone runs its first instruction, which tests and benchmarks read.

#include <stdio.h>
#include <time.h>
#include <unistd.h>

// Writes the monotonic time in microseconds to standard output; 0, or 1 when it cannot.
static inline int tell_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  char text[32];
  int size =
      snprintf(text, sizeof text, "%lld\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
  return write(1, text, (size_t)size) == size ? 0 : 1;
}
