#include "spawner/entry.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "os/fd.h"
#include "os/ipc.h"
#include "os/time_slice.h"
#include "spawner/init_steps.h"
#include "spawner/watched.h"
#include "wire/zygote_order.h"

namespace mayfly::spawner {

namespace {

// From the invitation to the report: a fork and a few calls, on a machine with ten times the work
// that it can do. Then the program is started by exec.
constexpr std::int64_t kEntryMs = 1000;

template <class T>
void append_bytes(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string entry_message(const Entry& entry) {
  mayfly_zygote_entry head{};
  head.version = MAYFLY_ZYGOTE_VERSION;
  head.user = ::getuid();
  if (entry.launch->cloneable) {
    for (int capability : kTemplateCapabilities) head.capabilities |= 1ull << capability;
  }
  head.fds = static_cast<std::uint32_t>(entry.fds.size());
  static_assert(RLIM_NLIMITS == MAYFLY_ZYGOTE_LIMITS);
  for (unsigned i = 0; i < MAYFLY_ZYGOTE_LIMITS; ++i) {
    rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource>(i), &limit);
    head.limits[i] = {limit.rlim_cur, limit.rlim_max};
  }
  std::string env;
  for (const auto& word : entry.launch->env) env.append(word).push_back('\0');
  const auto& cwd = entry.launch->cwd;
  head.cwd_size = static_cast<std::uint32_t>(cwd.size() + 1);
  head.env_size = static_cast<std::uint32_t>(env.size());
  std::string message;
  if (entry.filter != nullptr) head.filter = static_cast<std::uint32_t>(entry.filter->size());
  append_bytes(message, head);
  if (entry.filter != nullptr) {
    for (const auto& instruction : *entry.filter) append_bytes(message, instruction);
  }
  return message.append(cwd).append(1, '\0').append(env);
}

// 0 or errno.
int invite(const Entry& entry) {
  static constexpr const char* kNames[] = {"ipc", "uts", "cgroup", "mnt"};
  std::vector<os::Fd> opened;
  std::vector<int> fds;
  for (const char* name : kNames) {
    std::string path = std::string("/proc/self/ns/") + name;
    opened.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened.back()) return errno;
    fds.push_back(opened.back().get());
  }
  fds.insert(fds.end(), entry.fds.begin(), entry.fds.end());
  std::string message = entry_message(entry);
  if (message.size() > MAYFLY_ZYGOTE_MESSAGE_MAX) return E2BIG;
  auto sent = os::send_message(entry.door, message, fds);
  return sent.has_error() ? sent.error().sys_errno : 0;
}

struct Came {
  pid_t pid = 0;
  mayfly_zygote_report report{};
};

// False: the door was closed from the other side, or what came is no report.
bool receive_report(int door, Came& came) {
  iovec io{&came.report, sizeof came.report};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = ::recvmsg(door, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); size > 0 && header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS) continue;
    ucred from{};
    std::memcpy(&from, CMSG_DATA(header), sizeof from);
    came.pid = from.pid;
  }
  came.report.step[sizeof came.report.step - 1] = '\0';
  return size == sizeof came.report && came.report.version == MAYFLY_ZYGOTE_VERSION;
}

bool await_report(int door, Came& came) {
  const std::int64_t until = monotonic_ms() + kEntryMs;
  for (;;) {
    std::int64_t left = until - monotonic_ms();
    pollfd wait{door, POLLIN, 0};
    int ready = left > 0 ? ::poll(&wait, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0 && receive_report(door, came);
  }
}

}  // namespace

pid_t let_in(const Entry& entry, std::string& why) {
  os::Fd door(entry.door);  // closed, it ends who has not been let in
  if (int error = invite(entry); error != 0) {
    why = std::string("invite: ") + std::strerror(error);
    return 0;
  }
  Came came;
  if (!await_report(door.get(), came)) {
    why = "the zygote has not sent its child";
    return 0;
  }
  if (came.report.error != 0) {
    why = std::string(came.report.step) + ": " + std::strerror(came.report.error);
    return 0;
  }
  if (came.pid <= 1) {
    why = "who reports is not inside";
    return 0;
  }
  ignore(os::set_time_slice(came.pid, os::kAwaitedSlice), "as for one that is started");
  if (::send(door.get(), "g", 1, MSG_NOSIGNAL) != 1) {
    why = "the program has ended before it was let in";
    return 0;
  }
  return came.pid;
}

}  // namespace mayfly::spawner
