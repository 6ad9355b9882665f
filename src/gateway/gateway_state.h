#pragma once
// Internal: what the files of the gateway share.

#include <memory>
#include <string>

#include "base/clock.h"
#include "gateway/function_urls.h"
#include "gateway/gate.h"
#include "gateway/gateway.h"
#include "gateway/http_metrics.h"
#include "gateway/router.h"
#include "gateway/websockets.h"

namespace mayfly::gateway {

// Who is to blame for an error of HttpDialect::to_invocation: the client, unless the code says not.
inline telemetry::Party blame(Code code) {
  const bool ours = code == Code::internal || code == Code::io_error || code == Code::unavailable;
  return ours ? telemetry::Party::platform : telemetry::Party::client;
}

struct Gateway::State {
  explicit State(GatewaySeams s)
      : seams(std::move(s)), metrics(seams.metrics), gate(gate_parts()), sockets(socket_parts()) {}
  Gate::Parts gate_parts() {
    return {seams.find_version,
            seams.invoke,
            seams.doors.clock != nullptr ? seams.doors.clock : &system_clock,
            seams.doors.authorizers,
            seams.doors.quotas,
            seams.doors.fetch};
  }

  WebSockets::Parts socket_parts() {
    return {seams.find_version, seams.invoke, seams.doors.sockets, seams.doors.socket_settings,
            seams.doors.clock != nullptr ? seams.doors.clock : &system_clock};
  }

  std::shared_ptr<const Router> router();
  io::BlockingPool& files();

  // Each takes what it is given by reference apart; it lives until the task is over.
  io::Task<io::HttpResponse> route(io::HttpRequest& request, const std::string& id);
  io::Task<io::HttpResponse> call_route(io::HttpRequest& request, Router::Found& found,
                                        std::shared_ptr<const Router> routes,
                                        const std::string& id);
  io::Task<io::HttpResponse> call(io::HttpRequest& request, RouteMatch& match,
                                  const std::string& id);
  io::Task<io::HttpResponse> serve(io::HttpRequest& request, Router::Found& found,
                                   const PathSegments& path, const std::string& id);
  io::Task<io::HttpResponse> call_socket(io::HttpRequest& request, const functions::App& app,
                                         std::shared_ptr<const Router> routes,
                                         const std::string& id);
  // The version of /function/NAME, if it may be called there.
  Status find_function(const std::string& name, RouteMatch& match) const;
  // function_urls.cc
  io::Task<io::HttpResponse> call_url(io::HttpRequest& request, UrlAddress& address,
                                      const std::string& id);
  // Reads the whole body. kind none: refusal says why.
  io::Task<Result<Identity>> signer_of(io::HttpRequest& request, std::string_view service,
                                       io::HttpResponse& refusal);
  io::HttpResponse unrouted(const io::HttpRequest& request, const Router::Found& found,
                            const std::string& id);

  // What keeps the request out, if something does. request.body may be read meanwhile.
  io::Task<std::optional<io::HttpResponse>> admit(io::HttpRequest& request, RouteMatch& match,
                                                  const functions::RouteRules& rules,
                                                  const std::string& id);

  GatewaySeams seams;
  SystemClock system_clock;
  HttpMetrics metrics;
  Gate gate;
  WebSockets sockets;
  std::shared_ptr<const Router> current;
  std::uint64_t generation = 0;
  std::unique_ptr<io::BlockingPool> pool;  // made by the first static file
};

}  // namespace mayfly::gateway
