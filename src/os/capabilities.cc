#include "os/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace mayfly::os {

namespace {

constexpr int kWordBits = 32;

// The kernel takes sets of 64 bits as two structs of one word each.
struct Sets {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};
};

}  // namespace

Status keep_capabilities(std::initializer_list<int> kept) {
  Sets now;
  if (::syscall(SYS_capget, &now.header, now.words) != 0)
    return errno_error("read capabilities", errno);
  std::uint32_t masks[_LINUX_CAPABILITY_U32S_3] = {};
  for (const int capability : kept) masks[capability / kWordBits] |= 1u << (capability % kWordBits);
  Sets wanted;
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    wanted.words[i].effective = now.words[i].effective & masks[i];
    wanted.words[i].permitted = now.words[i].permitted & masks[i];
  }
  if (::syscall(SYS_capset, &wanted.header, wanted.words) != 0)
    return errno_error("give up capabilities", errno);
  return ok();
}

bool has_capability(int capability) {
  Sets now;
  if (::syscall(SYS_capget, &now.header, now.words) != 0) return false;
  return (now.words[capability / kWordBits].effective >> (capability % kWordBits) & 1u) != 0;
}

}  // namespace mayfly::os
