#pragma once
// Pipes, socket pairs and descriptor passing; everything CLOEXEC from birth.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::os {

struct Pipe {
  Fd read_end, write_end;
};
Result<Pipe> make_pipe();

// AF_UNIX pair of the type given (SOCK_STREAM, SOCK_SEQPACKET).
Result<std::pair<Fd, Fd>> make_socket_pair(int type);

Status set_nonblocking(int fd);

// At most this many descriptors travel with one message.
inline constexpr std::size_t kPassedFdsMax = 64;

// Sends one message with descriptors (the caller keeps its own). sys_errno is EAGAIN when a
// non-blocking socket is full; nothing was sent then. Never raises SIGPIPE.
Status send_message(int socket, std::string_view bytes, const std::vector<int>& fds = {});

struct Received {
  std::string bytes;  // empty: the peer has closed
  std::vector<Fd> fds;
};
// Receives one message (of a SEQPACKET socket) of at most size_max bytes; corrupt when it was
// longer or carried too many descriptors. EAGAIN as above, and when nothing is there and wait is
// false.
Result<Received> receive_message(int socket, std::size_t size_max, bool wait = true);

}  // namespace mayfly::os
