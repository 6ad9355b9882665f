#pragma once
// HTTP/1.1 server (RFC 9112). Keep-alive, pipelining, Expect: 100-continue, HEAD, chunked both
// ways, limits on head and body, and a deadline for every wait on the client.
// docs/decisions/0003-http.md.

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/http.h"
#include "os/fd.h"

namespace mayfly::io {

struct HttpServerOptions {
  std::string name = "gateway";              // for log lines
  std::size_t head_bytes_max = 64 * 1024;    // setting http.head_bytes_max, else 431
  std::size_t target_bytes_max = 16 * 1024;  // setting http.target_bytes_max, else 414
  std::size_t fields_max = 256;              // setting http.fields_max, else 431
  std::size_t body_bytes_max = 64u << 20;    // setting http.body_bytes_max, else 413
  std::size_t buffer_body_max = 256 * 1024;  // a body up to this is read before the handler runs
  // A time of 0 is no limit.
  std::chrono::milliseconds head_timeout{10'000};   // first byte to end of head, else 408
  std::chrono::milliseconds idle_timeout{75'000};   // keep-alive between requests
  std::chrono::milliseconds stall_timeout{30'000};  // one read or write of a body without progress
  std::size_t connections_max = 20'000;
};

class HttpServer;
struct MovedConnection;

// A connection as those see it who choose its server.
struct ConnectionFacts {
  std::uint64_t number = 0;  // of its server's, or of that which accepted it
  std::uint32_t moves = 0;   // from one server to another so far
};
// Which server is to answer the request with this head, and those that follow it: null, the one
// that asks. Asked before anything but the head has been taken, on the asking server's loop.
using Steer = std::function<HttpServer*(const wire::RequestHead&, const ConnectionFacts&)>;

// Belongs to one loop: every call on that loop's thread.
class HttpServer {
 public:
  HttpServer(boost::asio::io_context& loop, HttpServerOptions options, HttpHandler handler);
  ~HttpServer();  // after stop() has finished, after close(), or when the loop has ended

  // address is "ADDR:PORT"; port 0 takes a free one; [::1]:80 for IPv6. Returns "ADDR:PORT" bound.
  // A port in use is an error that names it.
  Result<std::string> listen(const std::string& address);

  // Takes over a socket that listens already, for example one of another network namespace.
  Status listen_fd(os::Fd listener);

  // Null: it answers all itself. A server that is named must outlive this one's connections, on
  // whatever loop it runs; the connection goes there with the request.
  void steer_by(Steer steer);

  // Goes on with a connection of another server, if it has room for one more; from any thread.
  void adopt(std::shared_ptr<MovedConnection> moved);

  // Connections that are there go on.
  void stop_accepting();

  // Stops accepting, closes idle connections, waits until running requests have been answered or
  // grace has passed, then closes the rest. Total.
  Task<void> stop(std::chrono::milliseconds grace);

  // At once: closes the listener and every connection. Handlers that run are cancelled and end by
  // themselves, also when the server is gone. Not from inside a handler.
  void close();

  std::size_t connections() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::io
