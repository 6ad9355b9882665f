#pragma once
// The public port: finds the route of a request, applies CORS, hands it to the dialect that turns
// HTTP into an invocation and back, or serves a file. Belongs to one loop.

#include <functional>
#include <memory>
#include <string>

#include "engine/dispatcher.h"
#include "functions/catalogue.h"
#include "gateway/async_door.h"
#include "io/http.h"

namespace mayfly::gateway {

// What the route says about a request; given to the dialect.
struct RouteMatch {
  functions::VersionPtr version;
  std::string route_key;  // "GET /pets/{id}", "$default" for /function/NAME
  std::string base;       // taken off the path for http models: "/function/NAME", "" for routes
  std::string path;       // what the function sees, percent-encoded
  std::vector<std::pair<std::string, std::string>> parameters;  // decoded path parameters
  bool async = false;  // the path asks for a call that nobody waits for
};

// Turns an HTTP request into an invocation of a model, and the answer back into HTTP. Implemented
// in dialects/; the gateway picks by the version's model. Stateless.
class HttpDialect {
 public:
  virtual ~HttpDialect() = default;
  // May read the whole body (event models need it). An error becomes a 4xx to the client.
  virtual io::Task<Result<engine::Invocation>> to_invocation(io::HttpRequest request,
                                                             const RouteMatch& match,
                                                             std::string request_id) const = 0;
  // Never fails: a reply that breaks its contract becomes a 502 naming the function, and the
  // answer's receipt is told. Takes the reply out of the answer.
  virtual io::HttpResponse to_response(engine::Answer& answer) const = 0;
};

struct GatewayParts {
  functions::Catalogue& catalogue;
  engine::Dispatcher& dispatcher;
  telemetry::Metrics& metrics;
  const HttpDialect& event_dialect;           // API Gateway v2 events
  const HttpDialect& http_dialect;            // http, http_port, stdio models
  AcceptCall accept_call = nullptr;           // null: async calls are answered 501
  std::size_t payload_bytes_max = 64u << 20;  // of those
};

// The same, as calls: what the gateway needs of catalogue and dispatcher. Built from GatewayParts,
// or by tests. Everything behind it outlives the gateway.
struct GatewaySeams {
  std::function<functions::VersionPtr(std::string_view name_and_qualifier)> find_version;
  std::function<std::vector<functions::App>()> apps;
  std::function<std::uint64_t()> generation;  // changes whenever apps() does
  std::function<io::Task<Result<functions::Model>>(functions::VersionPtr)> model_of;
  std::function<io::Task<engine::Answer>(engine::Invocation)> invoke;
  telemetry::Metrics& metrics;
  const HttpDialect& event_dialect;
  const HttpDialect& http_dialect;
  AcceptCall accept_call = nullptr;
  std::size_t payload_bytes_max = 64u << 20;
};
GatewaySeams seams_of(GatewayParts parts);

// Answers of functions carry Server-Timing with the phases of the invocation in milliseconds.
// Header on every answer: X-Mayfly-Request-Id. Failures add X-Mayfly-Error: code, party and phase
// ("function_error; party=function; phase=run") and a JSON body {"error":{code,message,party,phase,
// request_id}} with the status: 404 unknown function or route, 405 with Allow, 413, 429 with
// Retry-After, 502 crash or bad answer, 503 stopping, 504 timeout.
class Gateway {
 public:
  explicit Gateway(GatewaySeams seams);
  explicit Gateway(GatewayParts parts) : Gateway(seams_of(parts)) {}
  ~Gateway();
  // Cancelling it (terminal; the HTTP server does when the client goes) cancels the invocation.
  io::Task<io::HttpResponse> handle(io::HttpRequest request);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::gateway
