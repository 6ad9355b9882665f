#include "triggers/webhook.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>

#include "engine/park.h"

namespace mayfly::triggers {
namespace {

namespace asio = boost::asio;

Result<std::vector<io::SocketAddress>> resolve(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (failed != 0)
    return Error{Code::unavailable,
                 fmt::format("The name {} is not found: {}.", host, ::gai_strerror(failed))};
  std::vector<io::SocketAddress> addresses;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    io::SocketAddress address;
    std::memcpy(&address.storage, each->ai_addr, each->ai_addrlen);
    address.size = each->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(list);
  return addresses;
}

bool is_private_v4(std::uint32_t address) {  // host order
  const std::uint32_t first = address >> 24;
  return first == 127 || first == 0 || first >= 224 || (address >> 16) == 0xa9fe;
}

}  // namespace

bool is_private_to_host(const io::SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.storage, sizeof v4);
    return is_private_v4(ntohl(v4.sin_addr.s_addr));
  }
  if (address.storage.ss_family != AF_INET6) return true;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address.storage, sizeof v6);
  const in6_addr& ip = v6.sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&ip) || IN6_IS_ADDR_V4COMPAT(&ip)) {
    std::uint32_t v4 = 0;
    std::memcpy(&v4, ip.s6_addr + 12, sizeof v4);
    return is_private_v4(ntohl(v4));
  }
  return IN6_IS_ADDR_LOOPBACK(&ip) || IN6_IS_ADDR_UNSPECIFIED(&ip) || IN6_IS_ADDR_LINKLOCAL(&ip) ||
         IN6_IS_ADDR_MULTICAST(&ip);
}

Result<WebAddress> parse_web_address(std::string_view url) {
  const auto bad = [url](std::string_view why) {
    return Error{Code::invalid_argument,
                 fmt::format("\"{}\" is no web address: {}.", url.substr(0, 200), why)};
  };
  WebAddress address;
  if (url.starts_with("https://")) {
    address.tls = true;
    url.remove_prefix(8);
  } else if (url.starts_with("http://")) {
    url.remove_prefix(7);
  } else {
    return bad("it begins with neither http:// nor https://");
  }
  const auto end = url.find_first_of("/?#");
  const std::string_view authority = url.substr(0, end);
  if (end != std::string_view::npos) {
    const auto rest = url.substr(end, url.find('#') - end);
    address.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
  }
  if (address.target.empty()) address.target = "/";
  std::string_view host = authority;
  std::string_view port;
  if (host.starts_with('[')) {
    const auto close = host.find(']');
    if (close == std::string_view::npos) return bad("a bracket is open");
    port = host.substr(close + 1);
    host = host.substr(1, close - 1);
    if (!port.empty() && port.front() != ':') return bad("what follows the bracket is no port");
    if (!port.empty()) port.remove_prefix(1);
  } else if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    if (port.empty()) return bad("its port is empty");
  }
  if (port.empty()) port = address.tls ? "443" : "80";
  if (port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos)
    return bad("its port is no number");
  if (host.empty() || host.size() > 253) return bad("it names no host");
  for (const char c : host)
    if (c <= ' ' || c == 0x7f || c == '@')
      return bad("its host holds a character that hosts do not");
  address.host = std::string(host);
  address.port = std::string(port);
  address.authority = std::string(authority);
  return address;
}

// Shared by the delivery and the task that does it, which may be abandoned.
struct Webhooks::Exchange {
  Exchange(asio::io_context& l, io::BlockingPool& p) : loop(l), pool(p) {}
  asio::io_context& loop;
  io::BlockingPool& pool;
  WebAddress address;
  bool allow_loopback = false;
  io::HttpRequest request;
  std::size_t body_bytes_max = 0;  // of the answer; 0: it is not read
  std::string body;
  Status result = Error{Code::deadline_exceeded, "The address did not answer in time."};
  asio::cancellation_signal cancel;
  engine::Park over;
};

io::Task<Result<io::StreamSocket>> Webhooks::connect(std::shared_ptr<Exchange> exchange) {
  auto resolving =
      exchange->pool.run([host = exchange->address.host, port = exchange->address.port] {
        return resolve(host, port);
      });
  const Result<std::vector<io::SocketAddress>> addresses = co_await std::move(resolving);
  if (addresses.has_error()) co_return addresses.error();
  Error last{Code::permission_denied,
             fmt::format("The address {} is one of this host itself; the setting "
                         "webhooks.allow_loopback allows that.",
                         exchange->address.host)};
  for (const auto& address : *addresses) {
    if (!exchange->allow_loopback && is_private_to_host(address)) continue;
    io::Task<Result<io::StreamSocket>> connecting =
        io::connect_stream(exchange->loop.get_executor(), address, exchange->address.authority);
    Result<io::StreamSocket> socket = co_await std::move(connecting);
    if (socket.has_error()) {
      last = socket.error();
      last.code = last.code == Code::cancelled ? Code::cancelled : Code::unavailable;
      continue;
    }
    if (!exchange->address.tls) co_return std::move(*socket);
    io::Task<Result<io::StreamSocket>> securing =
        through_tls(exchange->loop.get_executor(), std::move(*socket), exchange->address.host);
    Result<io::StreamSocket> secured = co_await std::move(securing);
    if (secured.has_value()) co_return std::move(*secured);
    last = secured.error();
  }
  co_return last;
}

io::Task<void> Webhooks::perform(std::shared_ptr<Exchange> exchange) {
  io::HttpClient client(exchange->loop.get_executor(), [exchange] { return connect(exchange); });
  io::Task<Result<io::HttpResponse>> sending = client.send(std::move(exchange->request));
  Result<io::HttpResponse> response = co_await std::move(sending);
  if (response.has_error()) {
    exchange->result = response.error();
    co_return;
  }
  const int status = response->head.status;
  if (status >= 200 && status < 300) {
    exchange->result = ok();
    if (exchange->body_bytes_max == 0) co_return;
    io::Task<Result<std::string>> reading =
        io::read_all(std::move(response->body), std::move(response->more), exchange->body_bytes_max,
                     "limit of such answers");
    Result<std::string> body = co_await std::move(reading);
    if (body.has_error())
      exchange->result = body.error();
    else
      exchange->body = std::move(*body);
    co_return;
  }
  const bool again = status >= 500 || status == 429 || status == 408;
  exchange->result =
      Error{again ? Code::unavailable : Code::function_error,
            fmt::format("{} answered with HTTP status {}.", exchange->address.authority, status)};
}

io::Task<Status> Webhooks::deliver(Target target, Delivery delivery) {
  auto address = parse_web_address(target.name);
  if (address.has_error()) co_return address.error();
  auto exchange = std::make_shared<Exchange>(loop_, pool_);
  exchange->address = std::move(*address);
  exchange->allow_loopback = settings_.allow_loopback;
  auto& head = exchange->request.head;
  head.method = "POST";
  head.target = exchange->address.target;
  head.headers.add("Host", exchange->address.authority);
  head.headers.add("User-Agent", "mayfly");
  head.headers.add("Content-Type", delivery.content_type);
  if (!delivery.trace_id.empty()) head.headers.add("X-Amzn-Trace-Id", delivery.trace_id);
  if (!delivery.id.empty()) head.headers.add("X-Mayfly-Event-Id", delivery.id);
  for (const auto& [name, value] : delivery.headers)
    if (wire::is_token(name) && wire::is_field_value(value)) head.headers.set(name, value);
  exchange->request.body = std::move(delivery.body);
  io::Task<Status> running = run(exchange);
  Status status = co_await std::move(running);
  co_return status;
}

io::Task<Result<std::string>> Webhooks::get(std::string url, std::size_t body_bytes_max) {
  auto address = parse_web_address(url);
  if (address.has_error()) co_return address.error();
  auto exchange = std::make_shared<Exchange>(loop_, pool_);
  exchange->address = std::move(*address);
  exchange->allow_loopback = settings_.allow_loopback;
  exchange->body_bytes_max = body_bytes_max;
  auto& head = exchange->request.head;
  head.method = "GET";
  head.target = exchange->address.target;
  head.headers.add("Host", exchange->address.authority);
  head.headers.add("User-Agent", "mayfly");
  head.headers.add("Accept", "application/json");
  io::Task<Status> running = run(exchange);
  const Status status = co_await std::move(running);
  if (status.has_error()) co_return status.error();
  co_return std::move(exchange->body);
}

io::Task<Status> Webhooks::run(std::shared_ptr<Exchange> exchange) {
  asio::steady_timer timer(loop_);
  timer.expires_after(milliseconds(settings_.timeout_ms));
  timer.async_wait([exchange](const boost::system::error_code& failed) {
    if (!failed) exchange->cancel.emit(asio::cancellation_type::terminal);
  });
  const auto slot = exchange->cancel.slot();
  asio::co_spawn(loop_, perform(exchange),
                 asio::bind_cancellation_slot(slot, [exchange](std::exception_ptr failed) {
                   if (failed)  // cancelled
                     exchange->result = Error{Code::deadline_exceeded,
                                              "The address did not answer in time (setting "
                                              "webhooks.timeout_ms)."};
                   exchange->over.wake();
                 }));
  const bool waited = co_await exchange->over.wait();
  timer.cancel();
  if (!waited) {
    exchange->cancel.emit(asio::cancellation_type::terminal);
    co_return Error{Code::cancelled, "The delivery was cancelled."};
  }
  if (exchange->result.has_error() && exchange->result.error().code == Code::cancelled)
    co_return Error{Code::deadline_exceeded,
                    "The address did not answer in time (setting webhooks.timeout_ms)."};
  co_return exchange->result;
}

}  // namespace mayfly::triggers
