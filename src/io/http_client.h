#pragma once
// HTTP/1.1 client with streamed bodies; used by the CLI, by adapters that talk to a program in a
// sandbox (connector makes the socket there) and by webhooks. Belongs to one loop.

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "io/http.h"

namespace mayfly::io {

// Makes a connected socket. The client calls it when no idle connection is at hand.
using Connector = std::function<Task<Result<StreamSocket>>()>;

// Connects to "host:port" over TCP.
Connector tcp_connector(boost::asio::any_io_executor executor, std::string host_port);

struct HttpClientOptions {
  std::chrono::milliseconds head_timeout{0};  // 0: no limit, wait for the head until cancelled
  std::size_t idle_connections_max = 64;
  std::size_t head_bytes_max = 64 * 1024;
};

class HttpClient {
 public:
  HttpClient(boost::asio::any_io_executor executor, Connector connector,
             HttpClientOptions options = {});
  ~HttpClient();

  // Sends and returns as soon as the head is there; the body follows through response.more.
  // A kept-alive connection that the peer closed is replaced once, when nothing was answered, the
  // method is idempotent, and the body can be sent again (no request.more). The connector's own
  // error comes back only when no byte of the request can have reached the peer.
  Task<Result<HttpResponse>> send(HttpRequest request);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::io
