#pragma once
// The public port: finds the route of a request, applies CORS, hands it to the dialect that turns
// HTTP into an invocation and back, or serves a file. Belongs to one loop.

#include <functional>
#include <memory>
#include <string>

#include "engine/dispatcher.h"
#include "functions/catalogue.h"
#include "gateway/async_door.h"
#include "gateway/authorizer.h"
#include "gateway/identity.h"
#include "gateway/key_sets.h"
#include "io/http.h"

namespace mayfly::gateway {

class Quotas;
class SocketDialect;
class WebSockets;

// Of WebSocket connections; API Gateway's own limits.
struct SocketSettings {
  std::uint32_t idle_s = 600;                 // setting websockets.idle_s: then it is closed
  std::uint32_t lifetime_s = 7200;            // setting websockets.lifetime_s
  std::size_t message_bytes_max = 128 << 10;  // setting websockets.message_bytes_max
  std::size_t frame_bytes_max = 32 << 10;     // setting websockets.frame_bytes_max
  std::size_t connections_max = 10'000;       // setting websockets.connections_max
};

// What the route says about a request; given to the dialect.
struct RouteMatch {
  functions::VersionPtr version;
  std::string route_key;  // "GET /pets/{id}", "$default" for /function/NAME
  std::string base;       // taken off the path for http models: "/function/NAME", "" for routes
  std::string path;       // what the function sees, percent-encoded
  std::vector<std::pair<std::string, std::string>> parameters;  // decoded path parameters
  bool async = false;  // the path asks for a call that nobody waits for

  functions::EventForm event = functions::EventForm::v2;
  std::string resource;  // path of the route: "/pets/{id}"; empty without one
  std::string stage = "$default";
  std::string api_id = {};     // empty: the dialect's own
  bool url = false;            // at the address of one function
  std::string socket_id = {};  // of a WebSocket connection; empty for requests
  std::string accept = {};     // field Accept of the request
  std::shared_ptr<const functions::App> app = nullptr;  // whose route it is; may be null
  const functions::Stage* stage_settings = nullptr;     // lives as long as app; may be null
  Identity identity;
};

// Turns an HTTP request into an invocation of a model, and the answer back into HTTP. Implemented
// in dialects/; the gateway picks by the version's model. Stateless.
class HttpDialect {
 public:
  virtual ~HttpDialect() = default;
  // The most that is read of a body before to_invocation(), setting http.body_bytes_max. Nullopt:
  // it is handed on as it comes.
  virtual std::optional<std::size_t> whole_body_max() const = 0;
  // Takes the request apart. An error becomes a 4xx to the client.
  virtual Result<engine::Invocation> to_invocation(io::HttpRequest& request,
                                                   const RouteMatch& match,
                                                   const std::string& request_id) const = 0;
  // Never fails: a reply that breaks its contract becomes a 502 naming the function, and the
  // answer's receipt is told. Takes the reply out of the answer.
  virtual io::HttpResponse to_response(engine::Answer& answer, const RouteMatch& match) const = 0;
};

// What other rooms bring to the gateway; each may be absent.
struct DoorParts {
  FindUrl find_url = nullptr;                      // addresses of functions
  std::size_t url_reply_bytes_max = 6u << 20;      // of one whose answers are not streamed
  CheckSignature check_signature = nullptr;        // null: whoever must sign is refused
  const Clock* clock = nullptr;                    // null: the system's
  const AuthorizerDialect* authorizers = nullptr;  // null: they let nobody in
  Quotas* quotas = nullptr;                        // null: plans have none
  FetchText fetch = nullptr;                       // of key sets; null: only given ones
  const SocketDialect* sockets = nullptr;          // null: no WebSockets
  SocketSettings socket_settings = {};
};

struct GatewayParts {
  functions::Catalogue& catalogue;
  engine::Dispatcher& dispatcher;
  telemetry::Metrics& metrics;
  const HttpDialect& event_dialect;           // API Gateway events
  const HttpDialect& http_dialect;            // http, http_port, stdio models
  AcceptCall accept_call = nullptr;           // null: async calls are answered 501
  std::size_t payload_bytes_max = 64u << 20;  // of those
  DoorParts doors = {};
};

// The same, as calls: what the gateway needs of catalogue and dispatcher. Built from GatewayParts,
// or by tests. Everything behind it outlives the gateway.
struct GatewaySeams {
  std::function<functions::VersionPtr(std::string_view name_and_qualifier)> find_version;
  std::function<std::vector<functions::App>()> apps;
  std::function<std::uint64_t()> generation;  // changes whenever apps() does
  std::function<io::Task<Result<functions::Model>>(functions::VersionPtr)> model_of;
  engine::Invoke invoke;
  telemetry::Metrics& metrics;
  const HttpDialect& event_dialect;
  const HttpDialect& http_dialect;
  AcceptCall accept_call = nullptr;
  std::size_t payload_bytes_max = 64u << 20;
  DoorParts doors = {};
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
  // Connections that are open; as long as the gateway.
  WebSockets& sockets();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::gateway
