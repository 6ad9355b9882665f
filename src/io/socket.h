#pragma once
// Sockets that are CLOEXEC and non-blocking from birth; Asio's own constructors set neither.

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/result.h"
#include "io/body.h"
#include "io/http_client.h"
#include "os/fd.h"

namespace mayfly::io {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// "127.0.0.1:80", "[::1]:80", "localhost:80" (127.0.0.1). No name service is asked.
Result<SocketAddress> parse_address(const std::string& text);
// "ADDR:PORT", IPv6 in brackets.
std::string format_address(const SocketAddress& address);
// The IP alone and the port; "" and 0 for other families.
std::string ip_of(const SocketAddress& address, std::uint16_t& port);

// A listening TCP socket. option_hint names the setting in the error, for example "--gateway".
Result<os::Fd> listen_tcp(const SocketAddress& address, const std::string& option_hint);
Result<SocketAddress> local_address(int fd);

// Connects a stream socket of the address' family. Cancellable.
Task<Result<StreamSocket>> connect_stream(boost::asio::any_io_executor executor,
                                          SocketAddress address, std::string peer_name);

// For programs in a sandbox that listen on a unix socket.
Result<SocketAddress> unix_address(const std::string& path);

}  // namespace mayfly::io
