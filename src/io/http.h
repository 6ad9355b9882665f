#pragma once
// HTTP messages with bodies, as the server hands them to a Handler and the client returns them.

#include <boost/asio/generic/stream_protocol.hpp>
#include <functional>
#include <memory>
#include <string>

#include "io/body.h"
#include "wire/http_message.h"

namespace mayfly::io {

using StreamSocket = boost::asio::generic::stream_protocol::socket;

// What a connection becomes after a 101 response. The server sends the head, then calls run once;
// first is what the client has sent already. The HTTP connection ends with the task.
class Upgrade {
 public:
  virtual ~Upgrade() = default;
  virtual Task<void> run(StreamSocket socket, std::string first) = 0;
};

struct HttpRequest {
  wire::RequestHead head;
  std::string body;    // the whole body when more is null, else its first part
  BodyReaderPtr more;  // the rest, when the body did not arrive with the head
  // Filled when a chunked body has been read to its end; null unless the head has Trailer.
  std::shared_ptr<const wire::Headers> trailers;
};

struct HttpResponse {
  wire::ResponseHead head;
  std::string body;    // the whole body when more is null, else its first part
  BodyReaderPtr more;  // the rest; sent as it comes, chunked unless the head has Content-Length
  std::unique_ptr<Upgrade> upgrade;  // only with status 101
};

// One request to one response. Runs on the connection's loop. Must not throw; what it throws all
// the same becomes a 500 that names the platform. When the client closes its connection, the task
// (and later read() of the response's more) is cancelled with cancellation_type::terminal, and
// request.more ends with an error. The server frames the response: Connection, Keep-Alive and
// Transfer-Encoding of a response head are not sent (Connection: close is obeyed).
using HttpHandler = std::function<Task<HttpResponse>(HttpRequest&&)>;

// A complete small response.
HttpResponse text_response(int status, std::string body,
                           std::string_view content_type = "text/plain; charset=utf-8");
HttpResponse json_response(int status, std::string json);

}  // namespace mayfly::io
