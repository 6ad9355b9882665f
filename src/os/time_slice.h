#pragma once
// How a thread shares the CPU in time (sched_setattr(2), EEVDF). A thread that wakes up takes the
// CPU at once from one with a longer slice, and waits for the next tick of the kernel, 4 ms away,
// when the other one's is as short or shorter. What either gets in all stays as it is.

#include <chrono>

#include "base/result.h"

namespace mayfly::os {

// thread: its id, 0 for the calling one, whose threads and children to come have the same. slice:
// 100 us to 100 ms; 0: the kernel's own, about 3 ms. Kernels before Linux 6.12 take it and do
// nothing. Threads of real-time and deadline policies are left alone.
Status set_time_slice(int thread, std::chrono::microseconds slice);

// As the kernel tells it; 0 where it does not (before Linux 6.12).
Result<std::chrono::microseconds> time_slice_of(int thread);

// Of the threads that people wait for, whoever else runs: the server's, the spawner's.
inline constexpr std::chrono::microseconds kPlatformSlice{100};
// Of functions whose callers wait.
inline constexpr std::chrono::microseconds kAwaitedSlice{500};

}  // namespace mayfly::os
