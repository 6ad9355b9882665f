#include "functions/api_forms.h"

#include <set>

#include "functions/json_fields.h"

namespace mayfly::functions {

namespace {

using JObject = boost::json::object;
using JArray = boost::json::array;

constexpr std::size_t kApiListMax = 1000;
constexpr std::string_view kKinds[] = {"jwt", "request", "token"};
constexpr std::string_view kPeriods[] = {"day", "week", "month"};

JObject texts_of_map(const std::map<std::string, std::string>& map) {
  JObject out;
  for (const auto& [name, value] : map) out[name] = value;
  return out;
}

JObject throttle_object(const Throttle& throttle) {
  return {{"rate", throttle.rate}, {"burst", throttle.burst}};
}

Status read_throttle(Fields& fields, const std::string& where, Throttle& out) {
  const auto* object = fields.object("throttle");
  if (object == nullptr) return ok();
  Fields inner(*object, where + "throttle.");
  inner.number("rate", out.rate);
  inner.integer("burst", out.burst);
  return inner.finish();
}

template <std::size_t N>
int index_of(const std::string_view (&names)[N], std::string_view name) {
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == name) return static_cast<int>(i);
  return -1;
}

JObject authorizer_object(const Authorizer& a) {
  JObject out{{"kind", kKinds[static_cast<int>(a.kind)]},
              {"name", a.name},
              {"identity", json_array_of(a.identity)},
              {"ttl_s", a.ttl_s}};
  if (a.kind == Authorizer::Kind::jwt) {
    out["issuer"] = a.issuer;
    out["audience"] = json_array_of(a.audience);
    out["jwks_url"] = a.jwks_url;
    out["jwks"] = a.jwks;
    return out;
  }
  out["function"] = a.function;
  out["payload"] = event_name(a.payload);
  out["simple"] = a.simple;
  out["pattern"] = a.pattern;
  return out;
}

Result<Authorizer> authorizer_from(const JObject& object, const std::string& where) {
  Authorizer a;
  Fields fields(object, where);
  std::string kind = "jwt", payload = "v2";
  fields.text("kind", kind);
  fields.text("name", a.name);
  fields.texts("identity", a.identity);
  fields.integer("ttl_s", a.ttl_s);
  fields.text("issuer", a.issuer);
  fields.texts("audience", a.audience);
  fields.text("jwks_url", a.jwks_url);
  fields.text("jwks", a.jwks);
  fields.text("function", a.function);
  fields.text("payload", payload);
  fields.boolean("simple", a.simple);
  fields.text("pattern", a.pattern);
  const int known = index_of(kKinds, kind);
  if (known < 0) fields.fail(where + "kind must be jwt, request or token.");
  const auto form = event_from_name(payload);
  if (!form) fields.fail(where + "payload must be v1 or v2.");
  MAYFLY_TRY(fields.finish());
  a.kind = static_cast<Authorizer::Kind>(known);
  a.payload = *form;
  return a;
}

JObject plan_object(const UsagePlan& plan) {
  return {{"name", plan.name},
          {"keys", texts_of_map(plan.keys)},
          {"throttle", throttle_object(plan.throttle)},
          {"quota", plan.quota},
          {"period", kPeriods[static_cast<int>(plan.period)]}};
}

Result<UsagePlan> plan_from(const JObject& object, const std::string& where) {
  UsagePlan plan;
  Fields fields(object, where);
  std::string period = "month";
  fields.text("name", plan.name);
  fields.text_map("keys", plan.keys);
  MAYFLY_TRY(read_throttle(fields, where, plan.throttle));
  fields.integer("quota", plan.quota);
  fields.text("period", period);
  const int known = index_of(kPeriods, period);
  if (known < 0) fields.fail(where + "period must be day, week or month.");
  MAYFLY_TRY(fields.finish());
  plan.period = static_cast<QuotaPeriod>(known);
  return plan;
}

Result<Stage> stage_from(const JObject& object, const std::string& where) {
  Stage stage;
  Fields fields(object, where);
  fields.text("name", stage.name);
  fields.text_map("variables", stage.variables);
  MAYFLY_TRY(read_throttle(fields, where, stage.throttle));
  MAYFLY_TRY(fields.finish());
  return stage;
}

Result<WebSocketApi> websocket_from(const JObject& object) {
  WebSocketApi api;
  Fields fields(object, "api.websocket.");
  fields.text("path", api.path);
  fields.text("stage", api.stage);
  fields.text("selection", api.selection);
  fields.text_map("routes", api.routes);
  fields.text("authorizer", api.authorizer);
  fields.boolean("api_key", api.api_key);
  fields.boolean("respond", api.respond);
  fields.texts("responding", api.responding);
  MAYFLY_TRY(fields.finish());
  return api;
}

// Reads a list of objects with read(object, where) into out.
template <class Item, class Read>
Status read_list(Fields& fields, std::string_view key, Read read, std::vector<Item>& out) {
  const auto* list = fields.array(key);
  if (list == nullptr) return ok();
  if (list->size() > kApiListMax) return invalid(fmt::format("api.{} is too long.", key));
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto* object = (*list)[i].if_object();
    const std::string where = fmt::format("api.{}[{}].", key, i);
    if (object == nullptr) return invalid(where + " must be an object.");
    auto item = read(*object, where);
    if (item.has_error()) return std::move(item).error();
    out.push_back(std::move(*item));
  }
  return ok();
}

Status check_throttle(const Throttle& throttle, const std::string& what) {
  if (!(throttle.rate >= 0 && throttle.rate <= 1e6) || throttle.burst > 1'000'000)
    return invalid(what + ": rate and burst go up to 1000000.");
  if (throttle.burst > 0 && throttle.rate == 0) return invalid(what + ": a burst wants a rate.");
  return ok();
}

bool is_selector(std::string_view text) {
  for (const std::string_view prefix :
       {"$request.header.", "$request.querystring.", "$context.", "$stageVariables."})
    if (text.starts_with(prefix) && text.size() > prefix.size() && text.size() < 256) return true;
  return false;
}

Status check_authorizer(const Authorizer& a) {
  MAYFLY_TRY(check_name("authorizer", a.name));
  const std::string what = "authorizer '" + a.name + "'";
  if (a.name == kIamAuthorizer) return invalid(what + ": this name is taken.");
  if (a.ttl_s > 3600) return invalid(what + ": ttl can be up to 3600 seconds.");
  for (const auto& source : a.identity)
    if (!is_selector(source))
      return invalid(what +
                     ": an identity source is $request.header.NAME, "
                     "$request.querystring.NAME, $context.NAME or $stageVariables.NAME, "
                     "not '" +
                     source.substr(0, 100) + "'.");
  if (a.kind == Authorizer::Kind::jwt) {
    if (a.issuer.empty()) return invalid(what + " has no issuer.");
    if (a.audience.empty()) return invalid(what + " has no audience.");
    if (a.identity.size() != 1) return invalid(what + ": a token stands in one place.");
    return ok();
  }
  if (a.function.empty()) return invalid(what + " has no function.");
  if (a.kind == Authorizer::Kind::token && a.identity.size() != 1)
    return invalid(what + ": a token stands in one place.");
  if (a.simple && a.payload == EventForm::v1)
    return invalid(what + ": simple answers are of the payload format v2.");
  if (a.identity.empty() && a.ttl_s > 0 && a.kind == Authorizer::Kind::request)
    return invalid(what +
                   ": without an identity source ttl must be 0, since there is nothing to "
                   "tell callers apart by.");
  return ok();
}

Status check_websocket(const App& app) {
  const WebSocketApi& api = app.api.websocket;
  if (api.path.empty()) return ok();
  MAYFLY_TRY(check_route_path(api.path));
  if (api.path.find('{') != std::string::npos)
    return invalid("websocket: the path has no parameters.");
  if (!api.selection.starts_with("$request.body."))
    return invalid("websocket: the selection is $request.body.NAME.");
  if (api.routes.empty()) return invalid("websocket: there are no routes.");
  for (const auto& [key, function] : api.routes)
    MAYFLY_TRY(check_name("function", function.substr(0, function.find(':'))));
  for (const auto& key : api.responding)
    if (!api.routes.contains(key))
      return invalid("websocket: there is no route '" + key.substr(0, 100) +
                     "' that could respond.");
  if (!api.authorizer.empty()) {
    const Authorizer* a = app.api.authorizer(api.authorizer);
    if (a == nullptr || a->kind != Authorizer::Kind::request || a->simple)
      return invalid("websocket: its authorizer is one of kind request that answers a policy.");
  }
  return check_name("stage", api.stage);
}

Status check_rules(const App& app, const Route& route) {
  const RouteRules& rules = route.rules;
  const std::string what = "route " + route.method + " " + route.path;
  MAYFLY_TRY(check_throttle(rules.throttle, what));
  if (rules.authorizer.empty() || rules.authorizer == kIamAuthorizer) {
    if (!rules.scopes.empty()) return invalid(what + ": scopes want a jwt authorizer.");
    return ok();
  }
  const Authorizer* a = app.api.authorizer(rules.authorizer);
  if (a == nullptr)
    return invalid(what + ": there is no authorizer '" + rules.authorizer.substr(0, 64) + "'.");
  if (!rules.scopes.empty() && a->kind != Authorizer::Kind::jwt)
    return invalid(what + ": scopes want a jwt authorizer.");
  return ok();
}

}  // namespace

std::string_view event_name(EventForm form) {
  return form == EventForm::v1 ? "v1" : "v2";
}

std::optional<EventForm> event_from_name(std::string_view name) {
  if (name == "v1" || name == "1.0") return EventForm::v1;
  if (name == "v2" || name == "2.0") return EventForm::v2;
  return std::nullopt;
}

std::vector<std::string> api_functions(const Api& api) {
  std::vector<std::string> names;
  for (const auto& each : api.authorizers)
    if (!each.function.empty()) names.push_back(each.function);
  for (const auto& [key, function] : api.websocket.routes) names.push_back(function);
  return names;
}

JObject api_object(const Api& api) {
  JArray stages, authorizers, plans;
  for (const auto& stage : api.stages)
    stages.push_back(JObject{{"name", stage.name},
                             {"variables", texts_of_map(stage.variables)},
                             {"throttle", throttle_object(stage.throttle)}});
  for (const auto& each : api.authorizers) authorizers.push_back(authorizer_object(each));
  for (const auto& each : api.plans) plans.push_back(plan_object(each));
  JObject out{{"event", event_name(api.event)},        {"binary", json_array_of(api.binary)},
              {"stages", std::move(stages)},           {"throttle", throttle_object(api.throttle)},
              {"authorizers", std::move(authorizers)}, {"plans", std::move(plans)}};
  const WebSocketApi& socket = api.websocket;
  if (!socket.path.empty())
    out["websocket"] = JObject{{"path", socket.path},
                               {"stage", socket.stage},
                               {"selection", socket.selection},
                               {"routes", texts_of_map(socket.routes)},
                               {"authorizer", socket.authorizer},
                               {"api_key", socket.api_key},
                               {"respond", socket.respond},
                               {"responding", json_array_of(socket.responding)}};
  return out;
}

Result<Api> api_from(const JObject& object) {
  Api api;
  Fields fields(object, "api.");
  std::string event = "v2";
  fields.text("event", event);
  fields.texts("binary", api.binary);
  MAYFLY_TRY(read_throttle(fields, "api.", api.throttle));
  MAYFLY_TRY(read_list(fields, "stages", stage_from, api.stages));
  MAYFLY_TRY(read_list(fields, "authorizers", authorizer_from, api.authorizers));
  MAYFLY_TRY(read_list(fields, "plans", plan_from, api.plans));
  const auto* websocket = fields.object("websocket");
  const auto form = event_from_name(event);
  if (!form) fields.fail("api.event must be v1 or v2.");
  MAYFLY_TRY(fields.finish());
  api.event = *form;
  if (websocket != nullptr) {
    auto read = websocket_from(*websocket);
    if (read.has_error()) return std::move(read).error();
    api.websocket = std::move(*read);
  }
  return api;
}

JObject rules_object(const RouteRules& rules) {
  JObject out{{"authorizer", rules.authorizer},
              {"scopes", json_array_of(rules.scopes)},
              {"api_key", rules.api_key},
              {"throttle", throttle_object(rules.throttle)}};
  if (rules.event) out["event"] = event_name(*rules.event);
  return out;
}

Result<RouteRules> rules_from(const JObject& object, const std::string& where) {
  RouteRules rules;
  Fields fields(object, where);
  std::string event;
  fields.text("event", event);
  fields.text("authorizer", rules.authorizer);
  fields.texts("scopes", rules.scopes);
  fields.boolean("api_key", rules.api_key);
  MAYFLY_TRY(read_throttle(fields, where, rules.throttle));
  if (!event.empty() && !(rules.event = event_from_name(event)))
    fields.fail(where + "event must be v1 or v2.");
  MAYFLY_TRY(fields.finish());
  return rules;
}

Status check_api(const App& app) {
  const Api& api = app.api;
  MAYFLY_TRY(check_throttle(api.throttle, "api"));
  std::set<std::string> names, values;
  for (const auto& stage : api.stages) {
    if (stage.name != "$default") MAYFLY_TRY(check_name("stage", stage.name));
    if (!names.insert(stage.name).second)
      return invalid("The stage " + stage.name + " is there twice.");
    MAYFLY_TRY(check_throttle(stage.throttle, "stage " + stage.name));
  }
  names.clear();
  for (const auto& each : api.authorizers) {
    MAYFLY_TRY(check_authorizer(each));
    if (!names.insert(each.name).second)
      return invalid("The authorizer " + each.name + " is there twice.");
  }
  names.clear();
  for (const auto& plan : api.plans) {
    MAYFLY_TRY(check_name("usage plan", plan.name));
    if (!names.insert(plan.name).second)
      return invalid("The usage plan " + plan.name + " is there twice.");
    MAYFLY_TRY(check_throttle(plan.throttle, "usage plan " + plan.name));
    for (const auto& [key, value] : plan.keys) {
      MAYFLY_TRY(check_name("API key", key));
      if (value.size() < 20 || value.size() > 128)
        return invalid("The API key " + key + " must have 20 to 128 characters.");
      if (!values.insert(value).second)
        return invalid("The API key " + key + " is the same as another one.");
    }
  }
  for (const auto& type : api.binary)
    if (type.find('/') == std::string::npos || type.size() > 100)
      return invalid("'" + type.substr(0, 100) + "' is no media type: \"image/png\", \"image/*\".");
  MAYFLY_TRY(check_websocket(app));
  for (const auto& route : app.routes) MAYFLY_TRY(check_rules(app, route));
  return ok();
}

}  // namespace mayfly::functions
