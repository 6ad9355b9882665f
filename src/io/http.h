#pragma once
// HTTP messages with bodies, as the server hands them to a Handler and the client returns them.

#include <functional>
#include <string>

#include "io/body.h"
#include "wire/http_message.h"

namespace mayfly::io {

struct HttpRequest {
  wire::RequestHead head;
  std::string body;    // the whole body when more is null, else its first part
  BodyReaderPtr more;  // the rest, when the body did not arrive with the head
};

struct HttpResponse {
  wire::ResponseHead head;
  std::string body;    // the whole body when more is null, else its first part
  BodyReaderPtr more;  // the rest; sent as it comes, chunked unless the head has Content-Length
};

// One request to one response. Runs on the connection's loop. Must not throw; what it throws all
// the same becomes a 500 that names the platform.
using HttpHandler = std::function<Task<HttpResponse>(HttpRequest)>;

// A complete small response.
HttpResponse text_response(int status, std::string body,
                           std::string_view content_type = "text/plain; charset=utf-8");
HttpResponse json_response(int status, std::string json);

}  // namespace mayfly::io
