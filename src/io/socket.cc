#include "io/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace mayfly::io {
namespace {

Error bad_address(const std::string& text) {
  return Error{Code::invalid_argument,
               "'" + text +
                   "' is not an address: write ADDR:PORT, for example 127.0.0.1:8080 or "
                   "[::1]:8080.",
               "parse address"};
}

}  // namespace

Result<SocketAddress> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return bad_address(text);
  std::string host = text.substr(0, colon);
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return bad_address(text);
  if (host == "localhost") host = "127.0.0.1";

  SocketAddress address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    host = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) return bad_address(text);
    address.size = sizeof(*v6);
    return address;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) != 1) return bad_address(text);
  address.size = sizeof(*v4);
  return address;
}

std::string ip_of(const SocketAddress& address, std::uint16_t& port) {
  char text[INET6_ADDRSTRLEN] = "";
  port = 0;
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    port = ntohs(v4->sin_port);
  } else if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
    port = ntohs(v6->sin6_port);
  }
  return text;
}

std::string format_address(const SocketAddress& address) {
  std::uint16_t port = 0;
  const std::string ip = ip_of(address, port);
  if (address.storage.ss_family == AF_INET6) return "[" + ip + "]:" + std::to_string(port);
  return ip + ":" + std::to_string(port);
}

Result<os::Fd> listen_tcp(const SocketAddress& address, const std::string& option_hint) {
  const std::string name = format_address(address);
  os::Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error("make a socket for " + name, errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(fd.get(), address.get(), address.size) != 0 || ::listen(fd.get(), 4096) != 0) {
    const int problem = errno;
    if (problem == EADDRINUSE)
      return Error{Code::already_exists,
                   "Cannot listen on " + name +
                       ": another program uses this port; choose another "
                       "with " +
                       option_hint + " ADDR:PORT (port 0 takes a free one)",
                   "listen", problem};
    if (problem == EACCES)
      return Error{Code::permission_denied,
                   "Cannot listen on " + name +
                       ": ports below 1024 need root; choose another with " + option_hint +
                       " ADDR:PORT.",
                   "listen", problem};
    if (problem == EADDRNOTAVAIL)
      return Error{Code::invalid_argument,
                   "Cannot listen on " + name + ": this machine does not have that address; set " +
                       option_hint + " ADDR:PORT.",
                   "listen", problem};
    return errno_error("listen on " + name, problem);
  }
  return fd;
}

Result<SocketAddress> local_address(int fd) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0)
    return errno_error("getsockname", errno);
  return address;
}

Result<SocketAddress> unix_address(const std::string& path) {
  SocketAddress address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  un->sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(un->sun_path))
    return Error{Code::invalid_argument,
                 "The socket path '" + path + "' is empty or longer than 107 bytes.",
                 "parse address"};
  std::memcpy(un->sun_path, path.c_str(), path.size() + 1);
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

Task<Result<StreamSocket>> connect_stream(boost::asio::any_io_executor executor,
                                          SocketAddress address, std::string peer_name) {
  const int family = address.storage.ss_family;
  os::Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) co_return errno_error("make a socket for " + peer_name, errno);
  if (family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  StreamSocket socket(executor);
  boost::system::error_code problem;
  const boost::asio::generic::stream_protocol protocol(family, family == AF_UNIX ? 0 : IPPROTO_TCP);
  socket.assign(protocol, fd.get(), problem);
  if (problem) co_return errno_error("use a socket for " + peer_name, problem.value());
  (void)fd.release();  // the socket owns it now
  if (::connect(socket.native_handle(), address.get(), address.size) != 0) {
    if (errno != EINPROGRESS)  // EAGAIN: the backlog of a unix socket is full
      co_return errno_error("connect to " + peer_name, errno);
    auto token = boost::asio::redirect_error(boost::asio::use_awaitable, problem);
    co_await socket.async_wait(StreamSocket::wait_write, token);
    if (problem == boost::asio::error::operation_aborted)
      co_return Error{Code::cancelled, "Cancelled while connecting to " + peer_name + ".",
                      "connect"};
    int outcome = 0;
    socklen_t size = sizeof(outcome);
    ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &outcome, &size);
    if (outcome != 0) co_return errno_error("connect to " + peer_name, outcome);
  }
  co_return Result<StreamSocket>(std::move(socket));
}

}  // namespace mayfly::io
