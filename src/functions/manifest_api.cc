#include "functions/manifest_api.h"

#include <re2/re2.h>

#include "functions/api_forms.h"
#include "functions/yaml_reader.h"

namespace mayfly::functions {
namespace {

using namespace yaml;

constexpr std::size_t kApiItemsMax = 1000;

EventForm event_of(const YAML::Node& node, const std::string& what) {
  const std::string text = text_of(node, what);
  const auto form = event_from_name(text);
  if (!form) wrong(node, what + " must be v1 or v2, not '" + text.substr(0, 40) + "'.");
  return *form;
}

Throttle throttle_of(const YAML::Node& node, const std::string& what) {
  Throttle throttle;
  const Keys keys(node, what, {"rate", "burst"});
  keys.require("rate");
  keys.with("rate", [&](auto& v) {
    const std::string text = text_of(v, what + ": rate");
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), throttle.rate);
    if (error != std::errc() || end != text.data() + text.size() ||
        !(throttle.rate > 0 && throttle.rate <= 1e6))
      wrong(v, what + ": rate must be a number of requests a second, over 0 and up to 1000000.");
  });
  keys.with("burst", [&](auto& v) { throttle.burst = whole_of(v, what + ": burst", 1'000'000); });
  return throttle;
}

std::map<std::string, std::string> text_map_of(const YAML::Node& node, const std::string& what) {
  if (!node.IsMap() || node.size() > kApiItemsMax)
    wrong(node, what + " must be a mapping (NAME: value).");
  std::map<std::string, std::string> out;
  for (const auto& member : node) {
    const std::string name = filled_text_of(member.first, "A name in " + what);
    if (!out.emplace(name, text_of(member.second, what + "." + name)).second)
      wrong(member.first, "'" + name + "' is there twice in " + what + ".");
  }
  return out;
}

// Calls read(name, value, what) for each member of a mapping.
template <class Read>
void each_named(const YAML::Node& node, const std::string& what, Read read) {
  if (!node.IsMap() || node.size() > kApiItemsMax)
    wrong(node, what + " must be a mapping (NAME: settings).");
  for (const auto& member : node) {
    const std::string name = filled_text_of(member.first, "A name in " + what);
    read(name, member.second, what + " '" + name.substr(0, 100) + "'");
  }
}

Stage stage_of(const std::string& name, const YAML::Node& node, const std::string& what) {
  Stage stage;
  stage.name = name;
  if (node.IsNull()) return stage;
  const Keys keys(node, what, {"variables", "throttle"});
  keys.with("variables", [&](auto& v) { stage.variables = text_map_of(v, what + ": variables"); });
  keys.with("throttle", [&](auto& v) { stage.throttle = throttle_of(v, what + ": throttle"); });
  return stage;
}

Authorizer authorizer_of(const std::string& name, const YAML::Node& node, const std::string& what) {
  Authorizer a;
  a.name = name;
  const Keys keys(node, what,
                  {"type", "issuer", "audience", "jwks", "identity", "function", "payload",
                   "simple", "pattern", "ttl"});
  keys.require("type");
  keys.with("type", [&](auto& v) {
    const std::string type = text_of(v, what + ": type");
    if (type != "jwt" && type != "request" && type != "token")
      wrong(v, what + ": type must be jwt, request or token, not '" + type.substr(0, 40) + "'.");
    a.kind = type == "jwt"       ? Authorizer::Kind::jwt
             : type == "request" ? Authorizer::Kind::request
                                 : Authorizer::Kind::token;
  });
  if (a.kind != Authorizer::Kind::request) a.identity = {"$request.header.Authorization"};
  if (a.kind == Authorizer::Kind::token) a.payload = EventForm::v1;
  keys.with("issuer", [&](auto& v) { a.issuer = filled_text_of(v, what + ": issuer"); });
  keys.with("audience", [&](auto& v) { a.audience = texts_of(v, what + ": audience"); });
  keys.with("jwks", [&](auto& v) {
    std::string text = filled_text_of(v, what + ": jwks");
    const bool url = text.starts_with("http://") || text.starts_with("https://");
    (url ? a.jwks_url : a.jwks) = std::move(text);
  });
  keys.with("identity", [&](auto& v) { a.identity = texts_of(v, what + ": identity"); });
  keys.with("function", [&](auto& v) { a.function = filled_text_of(v, what + ": function"); });
  keys.with("payload", [&](auto& v) { a.payload = event_of(v, what + ": payload"); });
  keys.with("simple", [&](auto& v) { a.simple = boolean_of(v, what + ": simple"); });
  keys.with("pattern", [&](auto& v) {
    a.pattern = filled_text_of(v, what + ": pattern");
    const RE2 pattern(a.pattern, RE2::Quiet);
    if (!pattern.ok())
      wrong(v, what + ": pattern is no regular expression of RE2: " + pattern.error() + ".");
  });
  keys.with("ttl", [&](auto& v) { a.ttl_s = whole_of(v, what + ": ttl (in seconds)", 3600); });
  return a;
}

UsagePlan plan_of(const std::string& name, const YAML::Node& node, const std::string& what) {
  UsagePlan plan;
  plan.name = name;
  const Keys keys(node, what, {"keys", "throttle", "quota", "per"});
  keys.require("keys");
  keys.with("keys", [&](auto& v) { plan.keys = text_map_of(v, what + ": keys"); });
  keys.with("throttle", [&](auto& v) { plan.throttle = throttle_of(v, what + ": throttle"); });
  keys.with("quota", [&](auto& v) { plan.quota = whole_of(v, what + ": quota", 2'000'000'000); });
  keys.with("per", [&](auto& v) {
    const std::string period = text_of(v, what + ": per");
    if (period != "day" && period != "week" && period != "month")
      wrong(v, what + ": per must be day, week or month.");
    plan.period = period == "day"    ? QuotaPeriod::day
                  : period == "week" ? QuotaPeriod::week
                                     : QuotaPeriod::month;
  });
  return plan;
}

WebSocketApi websocket_of(const YAML::Node& node) {
  WebSocketApi api;
  const std::string what = "websocket";
  const Keys keys(node, what,
                  {"path", "stage", "selection", "routes", "authorizer", "api_key", "respond"});
  keys.require("path");
  keys.require("routes");
  keys.with("path", [&](auto& v) { api.path = filled_text_of(v, what + ": path"); });
  keys.with("stage", [&](auto& v) { api.stage = filled_text_of(v, what + ": stage"); });
  keys.with("selection", [&](auto& v) { api.selection = filled_text_of(v, what + ": selection"); });
  keys.with("routes", [&](auto& v) { api.routes = text_map_of(v, what + ": routes"); });
  keys.with("authorizer",
            [&](auto& v) { api.authorizer = filled_text_of(v, what + ": authorizer"); });
  keys.with("api_key", [&](auto& v) { api.api_key = boolean_of(v, what + ": api_key"); });
  keys.with("respond", [&](auto& v) {
    if (v.IsSequence())
      api.responding = texts_of(v, what + ": respond");
    else
      api.respond = boolean_of(v, what + ": respond");
  });
  return api;
}

}  // namespace

Api read_api(const YAML::Node& node) {
  Api api;
  const Keys keys(node, "api",
                  {"event", "binary", "stages", "throttle", "authorizers", "plans", "websocket"});
  keys.with("event", [&](auto& v) { api.event = event_of(v, "api: event"); });
  keys.with("binary", [&](auto& v) { api.binary = texts_of(v, "api: binary"); });
  keys.with("throttle", [&](auto& v) { api.throttle = throttle_of(v, "api: throttle"); });
  keys.with("stages", [&](auto& v) {
    each_named(v, "stage", [&](const auto& name, const auto& node, const auto& what) {
      api.stages.push_back(stage_of(name, node, what));
    });
  });
  keys.with("authorizers", [&](auto& v) {
    each_named(v, "authorizer", [&](const auto& name, const auto& node, const auto& what) {
      api.authorizers.push_back(authorizer_of(name, node, what));
    });
  });
  keys.with("plans", [&](auto& v) {
    each_named(v, "usage plan", [&](const auto& name, const auto& node, const auto& what) {
      api.plans.push_back(plan_of(name, node, what));
    });
  });
  keys.with("websocket", [&](auto& v) { api.websocket = websocket_of(v); });
  return api;
}

RouteRules read_rules(const YAML::Node& route) {
  RouteRules rules;
  // Keys of a route are checked by who reads it.
  const auto with = [&route](const char* key, auto use) {
    const YAML::Node value = route[key];
    if (value.IsDefined() && !value.IsNull()) use(value);
  };
  with("event", [&](auto& v) { rules.event = event_of(v, "event"); });
  with("authorizer", [&](auto& v) { rules.authorizer = filled_text_of(v, "authorizer"); });
  with("scopes", [&](auto& v) { rules.scopes = texts_of(v, "scopes"); });
  with("api_key", [&](auto& v) { rules.api_key = boolean_of(v, "api_key"); });
  with("throttle", [&](auto& v) { rules.throttle = throttle_of(v, "throttle"); });
  return rules;
}

void check_manifest_api(const YAML::Node& root, const Manifest& manifest) {
  App app;
  app.name = manifest.name;
  app.routes = manifest.routes;
  app.api = manifest.api;
  const YAML::Node api = root["api"];
  unwrap(api.IsDefined() ? api : root, check_api(app));
}

}  // namespace mayfly::functions
