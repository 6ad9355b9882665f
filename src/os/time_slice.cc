#include "os/time_slice.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace mayfly::os {
namespace {

// struct sched_attr of linux/sched/types.h, which cannot be included beside sched.h.
struct Attributes {
  std::uint32_t size = sizeof(Attributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};
static_assert(sizeof(Attributes) == 48);

Result<Attributes> attributes_of(int thread) {
  Attributes attributes;
  if (::syscall(SYS_sched_getattr, thread, &attributes, sizeof(attributes), 0) != 0)
    return errno_error("read the scheduling of a thread", errno);
  return attributes;
}

bool is_fair(const Attributes& attributes) {
  return attributes.policy == SCHED_OTHER || attributes.policy == SCHED_BATCH;
}

}  // namespace

Status set_time_slice(int thread, std::chrono::microseconds slice) {
  auto attributes = attributes_of(thread);
  if (attributes.has_error()) return std::move(attributes).error();
  if (!is_fair(*attributes)) return ok();
  attributes->runtime_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(slice).count());
  if (::syscall(SYS_sched_setattr, thread, &*attributes, 0) != 0)
    return errno_error("set the time slice of a thread", errno);
  return ok();
}

Result<std::chrono::microseconds> time_slice_of(int thread) {
  auto attributes = attributes_of(thread);
  if (attributes.has_error()) return std::move(attributes).error();
  const std::chrono::nanoseconds runtime(attributes->runtime_ns);
  return is_fair(*attributes) ? std::chrono::duration_cast<std::chrono::microseconds>(runtime)
                              : std::chrono::microseconds(0);
}

}  // namespace mayfly::os
