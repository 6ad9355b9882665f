#include "gateway/gateway.h"

#include <charconv>

#include "base/ids.h"
#include "gateway/cors.h"
#include "gateway/errors.h"
#include "gateway/gateway_state.h"
#include "gateway/static_files.h"

namespace mayfly::gateway {
namespace {

using telemetry::Party;
using telemetry::Phase;

constexpr std::size_t kFileThreads = 2;
constexpr std::string_view kAsyncBase = "/async-function/";
constexpr std::string_view kRequestId = "X-Mayfly-Request-Id";

// "1.234" from 1234 µs.
void append_ms(std::string& out, std::uint64_t us) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof(digits), us / 1000).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
  const auto rest = us % 1000;
  out += '.';
  out += static_cast<char>('0' + rest / 100);
  out += static_cast<char>('0' + rest / 10 % 10);
  out += static_cast<char>('0' + rest % 10);
}

// Server-Timing (W3C): phases that took no time are left out, but run is always there.
std::string server_timing(const engine::Answer& answer) {
  std::string out;
  const auto add = [&out](std::string_view name, std::uint64_t us, bool always) {
    if (us == 0 && !always) return;
    if (!out.empty()) out += ", ";
    out.append(name).append(";dur=");
    append_ms(out, us);
  };
  add("queue", answer.queue_us, false);
  add("start", answer.start_us, false);
  add("init", answer.init_us, false);
  add("run", answer.run_us, true);
  return out;
}

bool is_static(const functions::Route& route) {
  return route.function.empty();
}

// What browsers may be told about a static folder or a route.
std::vector<std::string> methods_of(const functions::Route& route) {
  if (is_static(route)) return {"GET", "HEAD"};
  if (route.method == "ANY") return {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  return {route.method};
}

}  // namespace

std::shared_ptr<const Router> Gateway::State::router() {
  const auto now = seams.generation();
  if (!current || now != generation) {
    auto apps = seams.apps();
    gate.serve(apps);
    current = std::make_shared<const Router>(std::move(apps));
    generation = now;
  }
  return current;
}

io::BlockingPool& Gateway::State::files() {
  if (!pool) pool = std::make_unique<io::BlockingPool>(kFileThreads);
  return *pool;
}

Gateway::Gateway(GatewaySeams seams) : state_(std::make_shared<State>(std::move(seams))) {}
Gateway::~Gateway() = default;

WebSockets& Gateway::sockets() {
  return state_->sockets;
}

namespace {

// Counts a request even when it is cancelled in the middle.
class InFlight {
 public:
  InFlight(HttpMetrics& metrics, std::string method)
      : metrics_(metrics), method_(std::move(method)), began_(std::chrono::steady_clock::now()) {
    metrics_.begin();
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() { metrics_.end(method_, status, std::chrono::steady_clock::now() - began_); }
  int status = 0;

 private:
  HttpMetrics& metrics_;
  std::string method_;
  SteadyTime began_;
};

}  // namespace

io::Task<io::HttpResponse> Gateway::handle(io::HttpRequest request) {
  const auto state = state_;  // the gateway may go away while this waits
  InFlight in_flight(state->metrics, request.head.method);
  const std::string id = new_uuid();
  io::Task<io::HttpResponse> task = state->route(request, id);
  io::HttpResponse response = co_await std::move(task);
  if (response.head.headers.contains(kRequestId))
    response.head.headers.set(kRequestId, id);  // the function's word does not count
  else
    response.head.headers.add(kRequestId, id);
  in_flight.status = response.head.status;
  co_return response;
}

io::Task<io::HttpResponse> Gateway::State::route(io::HttpRequest& request, const std::string& id) {
  if (seams.doors.find_url) {
    if (auto address = url_address(request.head)) {
      io::Task<io::HttpResponse> task = call_url(request, *address, id);
      io::HttpResponse response = co_await std::move(task);
      co_return response;
    }
  }
  FunctionPath parts;
  if (split_function_path(request.head.path(), parts)) {
    // Copies: the views in parts end when the request is taken apart.
    RouteMatch match;
    match.route_key = "$default";
    match.base.assign(parts.base);
    match.path.assign(parts.rest);
    match.async = parts.async;
    if (match.async) match.base = "/function/" + match.base.substr(kAsyncBase.size());
    if (const Status found = find_function(parts.name, match); found.has_error())
      co_return error_response(found.error(), Party::client, Phase::route, id);
    io::Task<io::HttpResponse> task = call(request, match, id);
    io::HttpResponse response = co_await std::move(task);
    co_return response;
  }
  const auto routes = router();  // kept while pointers into it are in use
  if (const functions::App* app = routes->socket_app(request.head.path());
      app != nullptr && seams.doors.sockets != nullptr) {
    io::Task<io::HttpResponse> task = call_socket(request, *app, routes, id);
    io::HttpResponse response = co_await std::move(task);
    co_return response;
  }
  Result<PathSegments> path = split_path(request.head.path());
  if (!path) co_return error_response(path.error(), Party::client, Phase::route, id);

  const bool preflight = is_preflight(request.head);
  const auto method = preflight
                          ? request.head.headers.find("Access-Control-Request-Method").value_or("")
                          : std::string_view(request.head.method);
  Router::Found found = routes->find(method, *path);
  const functions::App* app = found.app;
  if (preflight && app != nullptr && has_cors(app->cors)) {
    const auto methods = found.route != nullptr ? methods_of(*found.route) : found.allowed;
    co_return preflight_response(app->cors, request.head, methods);
  }
  if (preflight) found = routes->find(request.head.method, *path);
  if (found.route == nullptr) {
    io::HttpResponse response = unrouted(request, found, id);
    if (app != nullptr)
      add_cors(app->cors, request.head.headers.find("Origin").value_or(""), response.head);
    co_return response;
  }

  app = found.app;
  const std::string origin(request.head.headers.find("Origin").value_or(""));
  io::Task<io::HttpResponse> task = is_static(*found.route)
                                        ? serve(request, found, *path, id)
                                        : call_route(request, found, routes, id);
  io::HttpResponse response = co_await std::move(task);
  add_cors(app->cors, origin, response.head);
  co_return response;
}

io::HttpResponse Gateway::State::unrouted(const io::HttpRequest& request,
                                          const Router::Found& found, const std::string& id) {
  const auto& head = request.head;
  if (head.target == "*") {  // OPTIONS *: about the server as a whole (RFC 9110 9.3.7)
    io::HttpResponse response;
    response.head.status = 204;
    return response;
  }
  if (found.app != nullptr) {
    Error error{Code::invalid_argument,
                head.method + " is not allowed for " + std::string(head.path()) + ": use " +
                    join(found.allowed) + ".",
                "route"};
    io::HttpResponse response = error_response(error, Party::client, Phase::route, id);
    response.head.status = 405;
    response.head.headers.add("Allow", join(found.allowed));
    return response;
  }
  if (head.path() == "/" && (head.method == "GET" || head.method == "HEAD"))
    return io::json_response(
        200,
        "{\"mayfly\":\"gateway\",\"message\":\"This is a Mayfly gateway. Functions answer at "
        "/function/NAME; no app has a route for /.\"}\n");
  Error error{Code::not_found,
              "No route has the path " + std::string(head.path()) +
                  ". Functions answer at /function/NAME; 'mayfly ls' lists them.",
              "route"};
  return error_response(error, Party::client, Phase::route, id);
}

Status Gateway::State::find_function(const std::string& name, RouteMatch& match) const {
  match.version = seams.find_version(name);
  if (!match.version)
    return Error{Code::not_found,
                 "There is no function '" + name + "'. 'mayfly ls' lists the functions.",
                 "find function"};
  if (!match.version->settings.direct)
    return Error{Code::permission_denied,
                 "The function '" + name +
                     "' is not called by its name here: only by the routes of its application, its "
                     "function URL and its triggers (its setting 'direct' is off).",
                 "find function"};
  return ok();
}

io::Task<std::optional<io::HttpResponse>> Gateway::State::admit(io::HttpRequest& request,
                                                                RouteMatch& match,
                                                                const functions::RouteRules& rules,
                                                                const std::string& id) {
  if (rules.authorizer == functions::kIamAuthorizer) {
    io::HttpResponse why;
    io::Task<Result<Identity>> checking = signer_of(request, "execute-api", why);
    Result<Identity> signer = co_await std::move(checking);
    if (signer.has_error())
      co_return error_response(signer.error(), blame(signer.error().code), Phase::accept, id);
    if (signer->kind == Identity::Kind::none) co_return std::move(why);
    match.identity = std::move(*signer);
  }
  io::Task<std::optional<io::HttpResponse>> asking = gate.admit(request.head, match, rules, id);
  std::optional<io::HttpResponse> kept = co_await std::move(asking);
  co_return kept;
}

namespace {

// "hello:${stageVariables.alias}" with the variable's value; one that is not there is empty.
std::string with_variables(const std::string& text, const functions::Stage* stage) {
  constexpr std::string_view kOpen = "${stageVariables.";
  const auto at = text.find(kOpen);
  if (at == std::string::npos) return text;
  const auto end = text.find('}', at);
  if (end == std::string::npos) return text;
  std::string value;
  const std::string name = text.substr(at + kOpen.size(), end - at - kOpen.size());
  if (stage != nullptr)
    if (const auto found = stage->variables.find(name); found != stage->variables.end())
      value = found->second;
  return text.substr(0, at) + value + text.substr(end + 1);
}

bool has_rules(const functions::App& app, const functions::Stage* stage,
               const functions::RouteRules& rules) {
  return !rules.authorizer.empty() || rules.api_key || rules.throttle.rate > 0 ||
         app.api.throttle.rate > 0 || (stage != nullptr && stage->throttle.rate > 0);
}

}  // namespace

io::Task<io::HttpResponse> Gateway::State::call_route(io::HttpRequest& request,
                                                      Router::Found& found,
                                                      std::shared_ptr<const Router> routes,
                                                      const std::string& id) {
  RouteMatch match;
  const functions::Route& route = *found.route;
  match.version = seams.find_version(with_variables(route.function, found.stage));
  if (!match.version) {
    Error error{Code::not_found,
                "The route " + found.route->method + " " + found.route->path + " of the app '" +
                    found.app->name + "' leads to the function '" + found.route->function +
                    "', which does not exist any more.",
                "find function"};
    co_return error_response(error, Party::gateway, Phase::route, id);
  }
  match.route_key = route.method + " " + route.path;
  match.path.assign(request.head.path());
  match.parameters = std::move(found.parameters);
  match.resource = route.path;
  match.event = route.rules.event.value_or(found.app->api.event);
  match.app = std::shared_ptr<const functions::App>(std::move(routes), found.app);
  match.api_id = match.app->name;
  match.stage_settings = found.stage;
  if (found.stage != nullptr && found.stage->name != "$default") {
    match.stage = found.stage->name;
    match.base = "/" + match.stage;
    match.path.erase(0, std::min(match.path.size(), match.path.find('/', 1)));
    if (match.path.empty()) match.path = "/";
  }
  if (has_rules(*match.app, found.stage, route.rules)) {
    io::Task<std::optional<io::HttpResponse>> asking = admit(request, match, route.rules, id);
    std::optional<io::HttpResponse> kept = co_await std::move(asking);
    if (kept) co_return std::move(*kept);
  }
  io::Task<io::HttpResponse> task = call(request, match, id);
  io::HttpResponse response = co_await std::move(task);
  co_return response;
}

io::Task<io::HttpResponse> Gateway::State::call_socket(io::HttpRequest& request,
                                                       const functions::App& app,
                                                       std::shared_ptr<const Router> routes,
                                                       const std::string& id) {
  const functions::WebSocketApi& api = app.api.websocket;
  RouteMatch match;
  match.route_key = "$connect";
  match.event = functions::EventForm::v1;
  match.stage = api.stage;
  match.api_id = app.name;
  match.path = request.head.path();
  match.socket_id = "-";  // policies name the route, not a method
  match.app = std::shared_ptr<const functions::App>(std::move(routes), &app);
  functions::RouteRules rules;
  rules.authorizer = api.authorizer;
  rules.api_key = api.api_key;
  io::Task<std::optional<io::HttpResponse>> asking = admit(request, match, rules, id);
  std::optional<io::HttpResponse> kept = co_await std::move(asking);
  if (kept) co_return std::move(*kept);
  io::Task<io::HttpResponse> connecting = sockets.connect(std::move(request), std::move(match), id);
  io::HttpResponse response = co_await std::move(connecting);
  co_return response;
}

io::Task<io::HttpResponse> Gateway::State::call(io::HttpRequest& request, RouteMatch& match,
                                                const std::string& id) {
  const auto arrived = std::chrono::steady_clock::now();
  functions::Model model = match.version->model;
  if (model == functions::Model::unknown) {
    Result<functions::Model> found = co_await seams.model_of(match.version);
    // What does not start fails below, with a record that says why.
    model = found ? *found : functions::Model::event;
  }
  const HttpDialect& dialect =
      functions::takes_http(model) ? seams.http_dialect : seams.event_dialect;
  AsyncWish wish = async_wish(request.head, match.async);
  match.accept = request.head.headers.find("Accept").value_or("");
  const auto most = dialect.whole_body_max();
  if (most && (request.more || request.body.size() > *most)) {
    io::Task<Result<std::string>> reading = io::read_all(
        std::move(request.body), std::move(request.more), *most, "setting http.body_bytes_max");
    Result<std::string> body = co_await std::move(reading);
    if (!body) co_return error_response(body.error(), blame(body.error().code), Phase::accept, id);
    request.body = std::move(*body);
    request.more = nullptr;
  }
  Result<engine::Invocation> invocation = dialect.to_invocation(request, match, id);
  if (!invocation)
    co_return error_response(invocation.error(), blame(invocation.error().code), Phase::accept, id);
  if (wish.wanted) {
    if (!seams.accept_call) {
      Error error{Code::unsupported, "This server takes no async calls.", "accept"};
      co_return error_response(error, Party::platform, Phase::accept, id);
    }
    io::Task<Result<io::HttpResponse>> accepting =
        accept_call(seams.accept_call, *invocation, wish, seams.payload_bytes_max);
    Result<io::HttpResponse> accepted = co_await std::move(accepting);
    if (!accepted)
      co_return error_response(accepted.error(), blame(accepted.error().code), Phase::accept, id);
    co_return std::move(*accepted);
  }
  invocation->arrived = arrived;
  if (invocation->request_id.empty()) invocation->request_id = id;

  io::Task<engine::Answer> running = seams.invoke(std::move(*invocation));
  engine::Answer answer = co_await std::move(running);
  const std::string timing = server_timing(answer);
  io::HttpResponse response = answer.failure
                                  ? failure_response(*answer.failure, answer.function, id)
                                  : dialect.to_response(answer, match);
  answer.receipt.answered(response.head.status);
  response.head.headers.add("Server-Timing", timing);
  co_return response;
}

io::Task<io::HttpResponse> Gateway::State::serve(io::HttpRequest& request, Router::Found& found,
                                                 const PathSegments& path, const std::string& id) {
  const functions::Route& route = *found.route;
  if (request.head.method != "GET" && request.head.method != "HEAD") {
    found.allowed = methods_of(route);
    co_return unrouted(request, found, id);
  }
  StaticFolder folder{route.static_dir, route.static_index, route.static_fallback};
  const std::string wanted(request.head.path());
  io::Task<io::HttpResponse> task = serve_file(files(), std::move(folder), std::move(found.rest),
                                               path.trailing_slash, std::move(request.head));
  io::HttpResponse response = co_await std::move(task);
  if (response.head.status == 404) {
    Error error{Code::not_found, "There is no file for the path " + wanted + ".", "static file"};
    co_return error_response(error, Party::client, Phase::route, id);
  }
  co_return response;
}

}  // namespace mayfly::gateway
