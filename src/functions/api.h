#pragma once
// What stands before the routes of an application: stages, authorizers, API keys with their plans,
// limits of pace, and WebSocket routes. Plain values, as mayfly.yaml says them
// (docs/reference/api_gateway.md); the gateway acts on them.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::functions {

// Which payload format of API Gateway a handler gets for an HTTP request.
enum class EventForm { v2, v1 };

// A token bucket. rate 0: no limit.
struct Throttle {
  double rate = 0;          // requests a second
  std::uint32_t burst = 0;  // 0: as many as rate, at least 1
  bool operator==(const Throttle&) const = default;
};

struct Stage {
  std::string name = "$default";  // "$default" is at the root, others at /NAME
  std::map<std::string, std::string> variables;
  Throttle throttle;
  bool operator==(const Stage&) const = default;
};

struct Authorizer {
  enum class Kind { jwt, request, token };
  Kind kind = Kind::jwt;
  std::string name;
  // Where the request carries what is checked: "$request.header.NAME", "$request.querystring.NAME",
  // "$context.NAME", "$stageVariables.NAME".
  std::vector<std::string> identity;
  // jwt
  std::string issuer;
  std::vector<std::string> audience;
  std::string jwks_url;  // empty, and no keys: what the issuer's OpenID configuration names
  std::string jwks;      // the key set itself, JSON
  // request and token
  std::string function;               // name, or name:qualifier
  EventForm payload = EventForm::v2;  // request: what it gets
  bool simple = false;                // request, v2: it answers {"isAuthorized", "context"}
  std::string pattern;                // token: regular expression that the token must match
  std::uint32_t ttl_s = 300;          // how long its word holds; 0: it is asked each time
  bool operator==(const Authorizer&) const = default;
};

enum class QuotaPeriod { day, week, month };

struct UsagePlan {
  std::string name;
  std::map<std::string, std::string> keys;  // name to value
  Throttle throttle;                        // of each key
  std::uint64_t quota = 0;                  // requests of each key in a period; 0: no limit
  QuotaPeriod period = QuotaPeriod::month;
  bool operator==(const UsagePlan&) const = default;
};

struct WebSocketApi {
  std::string path;  // of the handshake; empty: there is none
  std::string stage = "production";
  std::string selection = "$request.body.action";  // what chooses the route of a message
  std::map<std::string, std::string> routes;       // "$connect", "$default", key to function
  std::string authorizer;                          // of $connect; kind request
  bool api_key = false;
  bool respond = false;                 // what a route answers goes back to the client
  std::vector<std::string> responding;  // else the keys of the routes for which it does
  bool operator==(const WebSocketApi&) const = default;

  bool responds(std::string_view key) const {
    return respond || std::find(responding.begin(), responding.end(), key) != responding.end();
  }
};

struct Api {
  EventForm event = EventForm::v2;
  std::vector<std::string> binary;  // media types, "image/*"; empty: by the content type
  std::vector<Stage> stages;        // empty: $default alone
  Throttle throttle;                // of the whole application
  std::vector<Authorizer> authorizers;
  std::vector<UsagePlan> plans;
  WebSocketApi websocket;
  bool operator==(const Api&) const = default;

  const Authorizer* authorizer(std::string_view name) const {
    for (const auto& each : authorizers)
      if (each.name == name) return &each;
    return nullptr;
  }
};

// Functions that are named by it: authorizers, and routes of WebSockets.
std::vector<std::string> api_functions(const Api& api);

// What a route asks of a request.
struct RouteRules {
  std::optional<EventForm> event;   // unset: as its API says
  std::string authorizer;           // name; "aws_iam": a signature of an access key; empty: none
  std::vector<std::string> scopes;  // jwt: one of them must be in the token
  bool api_key = false;
  Throttle throttle;
  bool operator==(const RouteRules&) const = default;
};

inline constexpr std::string_view kIamAuthorizer = "aws_iam";

}  // namespace mayfly::functions
