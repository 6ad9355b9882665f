// TLS for webhooks: the HTTP client speaks plainly into one end of a socket pair, and two tasks
// carry its bytes through a TLS stream.

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "triggers/webhook.h"

namespace mayfly::triggers {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

struct Bridge {
  Bridge(io::StreamSocket socket, io::StreamSocket plain_end)
      : tls(asio::ssl::context::tls_client),
        far(std::move(socket), tls),
        near(std::move(plain_end)) {}
  asio::ssl::context tls;
  asio::ssl::stream<io::StreamSocket> far;
  io::StreamSocket near;

  void close() {
    error_code ignored;
    near.close(ignored);
    far.next_layer().close(ignored);
  }
};
using BridgePtr = std::shared_ptr<Bridge>;

template <class From, class To>
io::Task<void> carry(BridgePtr bridge, From* from, To* to) {
  std::array<char, 16 * 1024> buffer;
  while (true) {
    error_code failed;
    auto token = asio::redirect_error(asio::use_awaitable, failed);
    const std::size_t got = co_await from->async_read_some(asio::buffer(buffer), token);
    if (failed) break;
    co_await asio::async_write(*to, asio::buffer(buffer.data(), got), token);
    if (failed) break;
  }
  bridge->close();  // ends the other direction too
}

Result<std::pair<io::StreamSocket, io::StreamSocket>> socket_pair(
    const asio::any_io_executor& executor) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
    return errno_error("socketpair", errno);
  const asio::generic::stream_protocol protocol(AF_UNIX, 0);
  io::StreamSocket one(executor), other(executor);
  error_code failed;
  one.assign(protocol, fds[0], failed);
  if (!failed) other.assign(protocol, fds[1], failed);
  if (failed) return errno_error("use a socket pair", failed.value());
  return std::make_pair(std::move(one), std::move(other));
}

}  // namespace

io::Task<Result<io::StreamSocket>> through_tls(asio::any_io_executor executor,
                                               io::StreamSocket socket, std::string host) {
  auto pair = socket_pair(executor);
  if (pair.has_error()) co_return pair.error();
  auto bridge = std::make_shared<Bridge>(std::move(socket), std::move(pair->second));
  error_code failed;
  bridge->tls.set_default_verify_paths(failed);
  bridge->far.set_verify_mode(asio::ssl::verify_peer, failed);
  bridge->far.set_verify_callback(asio::ssl::host_name_verification(host), failed);
  if (SSL_set_tlsext_host_name(bridge->far.native_handle(), host.c_str()) != 1)
    co_return Error{Code::invalid_argument, "The host name " + host + " cannot be asked for."};
  auto token = asio::redirect_error(asio::use_awaitable, failed);
  co_await bridge->far.async_handshake(asio::ssl::stream_base::client, token);
  if (failed == asio::error::operation_aborted)
    co_return Error{Code::cancelled, "Cancelled in the TLS handshake.", "connect"};
  if (failed)
    co_return Error{Code::unavailable, "TLS with " + host + " failed: " + failed.message() + ".",
                    "connect"};
  const auto ended = [bridge](std::exception_ptr broken) {
    if (broken) bridge->close();
  };
  asio::co_spawn(executor, carry(bridge, &bridge->near, &bridge->far), ended);
  asio::co_spawn(executor, carry(bridge, &bridge->far, &bridge->near), ended);
  co_return std::move(pair->first);
}

}  // namespace mayfly::triggers
