#include <gtest/gtest.h>

#include "functions/app.h"

namespace mayfly::functions {
namespace {

constexpr std::string_view kShop = R"(
name: shop
functions: {f: {path: f.py}, a: {path: a.py}}
api:
  event: v1
  binary: ["image/*"]
  throttle: {rate: 100, burst: 200}
  stages:
    $default:
    prod: {variables: {alias: live}, throttle: {rate: 0.5}}
  authorizers:
    jwt: {type: jwt, issuer: "https://i", audience: [x, y], jwks: keys.json}
    far: {type: jwt, issuer: "https://i", audience: x, jwks: "https://i/keys"}
    ask: {type: request, function: a, simple: true, identity: [$request.header.X, $context.path], ttl: 5}
    tok: {type: token, function: "a:1", pattern: "x.*"}
  plans:
    basic: {keys: {k: 01234567890123456789}, throttle: {rate: 1, burst: 2}, quota: 10, per: week}
  websocket: {path: /ws, routes: {$connect: f, say: "f:2"}, selection: $request.body.kind, respond: true}
routes:
  - {path: /x, function: "f:${stageVariables.alias}", event: v2, authorizer: jwt, scopes: [r], api_key: true,
     throttle: {rate: 3}}
)";

TEST(ManifestApi, AllOfIt) {
  const auto read = parse_manifest(kShop, "folder");
  ASSERT_TRUE(read.has_value()) << read.error().message;
  const Api& api = read->api;
  EXPECT_EQ(api.event, EventForm::v1);
  EXPECT_EQ(api.binary, std::vector<std::string>{"image/*"});
  EXPECT_EQ(api.throttle, (Throttle{100, 200}));
  ASSERT_EQ(api.stages.size(), 2u);
  EXPECT_EQ(api.stages[1].variables.at("alias"), "live");
  EXPECT_EQ(api.stages[1].throttle.rate, 0.5);
  ASSERT_EQ(api.authorizers.size(), 4u);
  EXPECT_EQ(api.authorizer("jwt")->jwks, "keys.json");
  EXPECT_EQ(api.authorizer("jwt")->identity,
            std::vector<std::string>{"$request.header.Authorization"});
  EXPECT_EQ(api.authorizer("far")->jwks_url, "https://i/keys");
  EXPECT_EQ(api.authorizer("ask")->ttl_s, 5u);
  EXPECT_TRUE(api.authorizer("ask")->simple);
  EXPECT_EQ(api.authorizer("tok")->payload, EventForm::v1);
  EXPECT_EQ(api.plans[0].period, QuotaPeriod::week);
  EXPECT_EQ(api.plans[0].quota, 10u);
  EXPECT_EQ(api.websocket.routes.at("say"), "f:2");
  EXPECT_EQ(api.websocket.selection, "$request.body.kind");
  EXPECT_TRUE(api.websocket.respond);
  const RouteRules& rules = read->routes[0].rules;
  EXPECT_EQ(rules.event, EventForm::v2);
  EXPECT_EQ(rules.scopes, std::vector<std::string>{"r"});
  EXPECT_TRUE(rules.api_key);
  EXPECT_EQ(rules.throttle.rate, 3);

  // The same through the form in which the server keeps it.
  App app;
  app.name = read->name;
  app.routes = read->routes;
  app.api = read->api;
  const auto again = app_from_json(app_to_json(app));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_TRUE(*again == app);
}

TEST(ManifestApi, AnAppWithoutOneSaysNothingOfIt) {
  App app;
  app.name = "plain";
  app.routes.push_back({"GET", "/", "f", "", "", "index.html", "", {}});
  const std::string text = app_to_json(app);
  EXPECT_EQ(text.find("api"), std::string::npos);
  EXPECT_EQ(text.find("rules"), std::string::npos);
}

TEST(ManifestApi, Refusals) {
  const auto why = [](const std::string& text) {
    const auto read = parse_manifest("name: n\nfunctions: {f: {path: f.py}}\n" + text, "folder");
    return read.has_value() ? std::string("taken") : read.error().message;
  };
  const std::pair<const char*, const char*> cases[] = {
      {"api: {events: v1}", "not a known key"},
      {"api: {event: v3}", "v1 or v2"},
      {"api: {throttle: {rate: -1}}", "rate must be"},
      {"api: {throttle: {burst: 1}}", "has no 'rate'"},
      {"api: {stages: {'a b': {}}}", "stage"},
      {"api: {authorizers: {a: {type: jwt, audience: [x]}}}", "no issuer"},
      {"api: {authorizers: {a: {type: jwt, issuer: i}}}", "no audience"},
      {"api: {authorizers: {a: {type: other}}}", "jwt, request or token"},
      {"api: {authorizers: {a: {type: request, function: f}}}", "ttl must be 0"},
      {"api: {authorizers: {a: {type: token, function: f, identity: [h]}}}", "identity source"},
      {"api: {authorizers: {a: {type: token, function: f, pattern: 'x(y'}}}", "missing )"},
      {"api: {authorizers: {aws_iam: {type: token, function: f}}}", "taken"},
      {"api: {plans: {p: {keys: {k: short}}}}", "20 to 128"},
      {"api: {plans: {p: {keys: {k: 01234567890123456789}, per: year}}}", "day, week or month"},
      {"api: {binary: [png]}", "media type"},
      {"api: {websocket: {path: '/{x}', routes: {a: f}}}", "no parameters"},
      {"api: {websocket: {path: /x, routes: {a: f}, selection: action}}", "selection"},
      {"api: {websocket: {path: /x, routes: {a: f}, respond: [b]}}", "no route 'b'"},
      {"api: {websocket: {path: /x, routes: {a: f}, authorizer: none}}", "kind request"},
      {"routes: [{path: /x, function: f, authorizer: none}]", "no authorizer 'none'"},
      {"routes: [{path: /x, function: f, scopes: [a]}]", "scopes want"},
      {"routes: [{path: /x, function: f, api_key: maybe}]", "true or false"},
  };
  for (const auto& [text, wanted] : cases)
    EXPECT_NE(why(text).find(wanted), std::string::npos) << text << ": " << why(text);
}

}  // namespace
}  // namespace mayfly::functions
