#include "functions/projects/sockets.h"

#include <fmt/format.h>

#include <algorithm>

#include "functions/api_forms.h"
#include "functions/projects/builder.h"
#include "functions/projects/cloud_resources.h"

namespace mayfly::functions::projects {
namespace {

constexpr std::size_t kSocketPartsMax = 1'000;
constexpr std::string_view kFamily = "AWS::ApiGatewayV2::";

// The function in ".../functions/ARN/invocations", with its alias; empty: none.
std::string integrated_function(Builder& b, const Value& uri) {
  static constexpr std::string_view kBefore = "/functions/", kBehind = "/invocations";
  Value arn = uri;
  arn.text = filled_text_of(uri);
  const auto at = arn.text.find(kBefore);
  if (at != std::string::npos) arn.text.erase(0, at + kBefore.size());
  if (arn.text.ends_with(kBehind)) arn.text.resize(arn.text.size() - kBehind.size());
  if (arn.text.find(":function:") == std::string::npos) return "";
  return b.qualified_function_in(arn);
}

void read_socket_api(Builder& b, Sockets::Api& api, Section& s) {
  s.text("Name");
  s.text("ProtocolType");
  s.text("Description");
  api.selection = s.text("RouteSelectionExpression", api.selection);
  s.finish({{"ApiKeySelectionExpression", "keys are in the field x-api-key"},
            {"DisableExecuteApiEndpoint", "the gateway answers to every name"},
            {"DisableSchemaValidation", "bodies are not checked"},
            {"Tags", "routes have no tags here"}});
  b.report().used(s.value());
}

void read_socket_route(Builder& b, Sockets::Api& api, const std::string& id, const Value& at,
                       Section& s) {
  Sockets::Route& route = api.routes[id];
  route.place = at.place;
  route.key = s.text("RouteKey");
  if (route.key.empty()) wrong(at, "it has no RouteKey.");
  const bool unclear =
      s.unknown("AuthorizationType") || s.unknown("AuthorizerId") || s.unknown("ApiKeyRequired");
  const std::string type = s.text("AuthorizationType", "NONE");
  route.authorizer = s.text("AuthorizerId");
  route.api_key = s.flag("ApiKeyRequired", false);
  route.respond |= s.has("RouteResponseSelectionExpression");
  s.text("RouteResponseSelectionExpression");
  s.take("Target", [&](const Value& v) {
    route.integration = filled_text_of(v);
    if (route.integration.starts_with("integrations/")) route.integration.erase(0, 13);
    b.report().used(v);
  });
  if (unclear) route.why_not = "what it asks of callers cannot be known here";
  if (type == "AWS_IAM")
    route.why_not = "handshakes of WebSockets are not asked for signatures here";
  if (type == "CUSTOM" && route.authorizer.empty()) route.why_not = "it names no authorizer";
  if (type == "NONE") route.authorizer.clear();
  s.finish({{"OperationName", "routes have no names here"},
            {"AuthorizationScopes", "scopes are of tokens (JWT)"},
            {"ModelSelectionExpression", "bodies are not checked"},
            {"RequestModels", "bodies are not checked"},
            {"RequestParameters", "parameters are not checked"}});
}

void read_socket_integration(Builder& b, Sockets::Api& api, const std::string& id, const Value& at,
                             Section& s) {
  std::string& function = api.integrations[id];
  const std::string type = s.text("IntegrationType");
  s.take("IntegrationUri", [&](const Value& v) {
    function = integrated_function(b, v);
    b.report().used(v);
  });
  if (type != "AWS_PROXY") function.clear();
  if (function.empty())
    b.report().not_used(at, "routes of WebSockets lead to functions (AWS_PROXY)");
  s.finish({{"CredentialsArn", "Mayfly has no IAM"},
            {"IntegrationMethod", "functions are called"},
            {"ContentHandlingStrategy", "bytes that are no text come in base64"},
            {"PassthroughBehavior", "there are no templates"},
            {"RequestTemplates", "there are no templates"},
            {"TemplateSelectionExpression", "there are no templates"},
            {"ConnectionType", "Mayfly has no VPCs"},
            {"TimeoutInMillis", "the function's own timeout counts"}});
}

void read_socket_authorizer(Builder& b, Sockets::Api& api, const std::string& id, const Value& at,
                            Section& s) {
  Authorizer a;
  a.kind = Authorizer::Kind::request;
  a.payload = EventForm::v1;
  a.ttl_s = 0;  // handshakes are rare: it is asked each time
  a.name = s.text("Name", id);
  s.text("AuthorizerType");
  s.take("IdentitySource", [&](const Value& v) {
    a.identity = identity_sources(v);
    b.report().used(v);
  });
  s.take("AuthorizerUri", [&](const Value& v) {
    a.function = integrated_function(b, v);
    b.report().used(v);
  });
  s.finish({{"AuthorizerCredentialsArn", "Mayfly has no IAM"},
            {"AuthorizerResultTtlInSeconds", "handshakes are asked about each time"},
            {"IdentityValidationExpression", "it is not there for requests"}});
  if (a.function.empty()) {
    b.report().not_used(at, "nothing here says its function");
    api.authorizers[id] = Guard::missing("nothing here says the function of its authorizer");
    return;
  }
  api.authorizers[id] = b.guards().add(at, std::move(a));
}

// Why the routes of an API cannot be made; empty: they can. connect: the route of handshakes.
std::string why_closed(const Sockets::Api& api, const Sockets::Route* connect, const Guards& guards,
                       const std::string& id, RouteRules& rules) {
  if (connect == nullptr) return "";
  if (!connect->why_not.empty()) return connect->why_not;
  rules.api_key = connect->api_key;
  if (!connect->authorizer.empty()) {
    const auto guard = api.authorizers.find(connect->authorizer);
    if (guard == api.authorizers.end()) return "its API has no authorizer " + connect->authorizer;
    if (guard->second.name.empty()) return guard->second.why_not;
    rules.authorizer = guard->second.name;
  }
  return guards.why_not(rules, id);
}

}  // namespace

Sockets::Api& Sockets::api(const Value& at, const std::string& id) {
  if (apis_.size() >= kSocketPartsMax) wrong(at, "there are too many of these.");
  Api& api = apis_[id];
  if (!api.place) api.place = at.place;
  return api;
}

void Sockets::settle(Builder& b) {
  Report& report = b.report();
  WebSocketApi& made = b.manifest().api.websocket;
  for (auto& [id, api] : apis_) {
    Value at;
    at.place = api.place;
    if (!made.path.empty()) {
      report.not_used(at, "a project has one WebSocket API here, and there is another");
      continue;
    }
    const Route* connect = nullptr;
    for (const auto& [route_id, route] : api.routes)
      if (route.key == "$connect") connect = &route;
    RouteRules rules;
    const std::string closed = why_closed(api, connect, b.guards(), id, rules);
    if (!closed.empty()) {
      report.not_used(at, closed + ", and the WebSocket API would be open to all: it is not made");
      continue;
    }
    WebSocketApi socket;
    socket.stage = api.stage.empty() ? "production" : api.stage;
    socket.path = "/" + socket.stage;
    socket.selection = api.selection;
    socket.authorizer = rules.authorizer;
    socket.api_key = rules.api_key;
    std::vector<std::pair<PlacePtr, std::string>> lines;
    for (const auto& [route_id, route] : api.routes) {
      Value place;
      place.place = route.place;
      const auto integration = api.integrations.find(route.integration);
      const std::string function = !route.function.empty()                 ? route.function
                                   : integration == api.integrations.end() ? ""
                                                                           : integration->second;
      if (b.function(function.substr(0, function.find(':'))) == nullptr) {
        report.not_used(place, "it leads to no function of the project");
        continue;
      }
      if (!socket.routes.emplace(route.key, function).second)
        wrong(place, "there are two routes with the key '" + route.key.substr(0, 100) + "'.");
      if (route.respond) socket.responding.push_back(route.key);
      report.made(place, fmt::format("WebSocket route {} to {}", route.key, function));
    }
    if (socket.routes.empty()) {
      report.not_used(at, "no route of it leads to a function of the project");
      continue;
    }
    App app;
    app.name = "app";
    app.api.websocket = socket;
    app.api.authorizers = b.manifest().api.authorizers;
    demand(at, check_api(app));
    report.made(at, fmt::format("WebSocket API at {}{}{}", b.socket_url(), socket.path,
                                socket.authorizer.empty()
                                    ? ""
                                    : ", when the authorizer " + socket.authorizer + " lets it"));
    made = std::move(socket);
  }
}

bool is_socket_resource(std::string_view type) {
  static constexpr std::string_view kParts[] = {
      "Api",        "Route", "RouteResponse", "Integration", "IntegrationResponse",
      "Deployment", "Stage", "Authorizer"};
  if (!type.starts_with(kFamily)) return false;
  type.remove_prefix(kFamily.size());
  return std::find(std::begin(kParts), std::end(kParts), type) != std::end(kParts);
}

void read_socket_resource(Builder& b, const std::string& logical, const std::string& type,
                          const Value& at, const Value& properties) {
  Report& report = b.report();
  const std::string_view part = std::string_view(type).substr(kFamily.size());
  Section s(properties, report);
  std::string id = logical;
  if (part != "Api") id = s.text("ApiId");
  if (!b.is_socket_api(id)) return report.not_used(at, why_not_made(type));
  Value whole;
  whole.place = part == "Api" ? at.place : nullptr;
  Sockets::Api& api = b.sockets().api(whole, id);
  if (part == "Api") {
    read_socket_api(b, api, s);
  } else if (part == "Route") {
    read_socket_route(b, api, logical, at, s);
  } else if (part == "Integration") {
    read_socket_integration(b, api, logical, at, s);
  } else if (part == "Authorizer") {
    read_socket_authorizer(b, api, logical, at, s);
  } else if (part == "Stage") {
    api.stage = s.text("StageName", "production");
    s.text("DeploymentId");  // a deploy is one
    s.flag("AutoDeploy", true);
    s.finish({{"Description", "stages have no description here"},
              {"StageVariables", "WebSocket APIs have no stage variables here"},
              {"DefaultRouteSettings", "routes are not throttled"},
              {"RouteSettings", "routes are not throttled"},
              {"AccessLogSettings", "mayfly invocations lists the calls"},
              {"Tags", "routes have no tags here"}});
    report.used(at);
  } else if (part == "RouteResponse") {
    api.routes[s.text("RouteId")].respond = true;
    s.text("RouteResponseKey");
    s.finish();
    report.used(at);
  } else {
    report.used(at, part == "Deployment" ? "a deploy is one" : "answers go back as they are");
  }
}

}  // namespace mayfly::functions::projects
