#pragma once
// Deliveries to web addresses: one POST each, answered 2xx in time or failed. Addresses of this
// host itself are refused, so that nobody reaches through Mayfly what listens on its loopback.

#include <boost/asio/io_context.hpp>

#include "io/blocking.h"
#include "io/http_client.h"
#include "io/socket.h"
#include "triggers/targets.h"

namespace mayfly::triggers {

struct WebhookSettings {
  std::uint32_t timeout_ms =
      30'000;                   // from the look-up of the name to the end of the answer's head
  bool allow_loopback = false;  // loopback, link-local and unspecified addresses
};

// "https://host:8443/path?x=1", apart.
struct WebAddress {
  bool tls = false;
  std::string host;  // without brackets
  std::string port;
  std::string authority;  // for Host
  std::string target;     // path and query
};
Result<WebAddress> parse_web_address(std::string_view url);

// An address that a webhook must not reach: loopback, link-local, unspecified, multicast; also
// when it is mapped into IPv6.
bool is_private_to_host(const io::SocketAddress& address);

// Belongs to one loop; outlives its deliveries.
class Webhooks {
 public:
  Webhooks(boost::asio::io_context& loop, io::BlockingPool& pool, WebhookSettings settings)
      : loop_(loop), pool_(pool), settings_(settings) {}

  // unavailable: no answer, or one of 408, 429 and 5xx; deadline_exceeded; permission_denied: an
  // address that is not allowed; function_error: any other answer but 2xx.
  io::Task<Status> deliver(Target target, Delivery delivery);
  // The body of a 2xx answer to GET; too_large over body_bytes_max, else errors as above.
  io::Task<Result<std::string>> get(std::string url, std::size_t body_bytes_max);

 private:
  struct Exchange;
  io::Task<Status> run(std::shared_ptr<Exchange> exchange);
  static io::Task<void> perform(std::shared_ptr<Exchange> exchange);
  static io::Task<Result<io::StreamSocket>> connect(std::shared_ptr<Exchange> exchange);

  boost::asio::io_context& loop_;
  io::BlockingPool& pool_;
  WebhookSettings settings_;
};

// A socket that speaks plainly for what goes through TLS on the given one. host is verified against
// the peer's certificate, which the system's authorities must have signed (or SSL_CERT_FILE's).
io::Task<Result<io::StreamSocket>> through_tls(boost::asio::any_io_executor executor,
                                               io::StreamSocket socket, std::string host);

}  // namespace mayfly::triggers
