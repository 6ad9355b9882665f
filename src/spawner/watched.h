#pragma once
// Small things that the parts of the server share.

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>

#include "spawner/instance.h"

namespace mayfly::spawner {

// Several descriptors of an instance in one epoll tag.
enum class Watched : std::uint64_t { control = 0, death = 1, orders = 2 };
inline constexpr int kTagBits = 2;

inline std::uint64_t tag_of(std::uint64_t number, Watched what) {
  return (number << kTagBits) | static_cast<std::uint64_t>(what);
}

inline Watched watched_of(std::uint64_t tag) {
  return static_cast<Watched>(tag & ((1 << kTagBits) - 1));
}

inline void send_signal(const Instance& instance, int signal) {
  if (instance.pidfd) {
    ::syscall(SYS_pidfd_send_signal, instance.pidfd.get(), signal, nullptr, 0);
  }
}

inline std::int64_t monotonic_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace mayfly::spawner
