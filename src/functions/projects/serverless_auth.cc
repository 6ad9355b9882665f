// Authorizers of a serverless.yml: those of the HTTP API, and those that events of http name.

#include <fmt/format.h>

#include <algorithm>

#include "functions/projects/serverless_reader.h"

namespace mayfly::functions::projects {
namespace {

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

void read_ttl(Section& s, Authorizer& a) {
  s.take("resultTtlInSeconds", [&](const Value& v) {
    a.ttl_s = static_cast<std::uint32_t>(whole_of(v, 0, 3600));
    s.report().used(v);
  });
  if (a.identity.empty()) a.ttl_s = 0;  // there is nothing to tell callers apart by
}

void read_identity_source(Section& s, Authorizer& a) {
  s.take("identitySource", [&](const Value& v) {
    a.identity = identity_sources(v);
    s.report().used(v);
  });
}

const Reasons kManaged = {{"managedExternally", "the gateway may call every function"},
                          {"scopes", "scopes are of tokens (JWT), not of this authorizer"},
                          {"claims", "Mayfly has no user pools"}};

}  // namespace

void ServerlessReader::read_authorizers(const Value& authorizers) {
  if (!authorizers.is_map()) wrong(authorizers, "must be a mapping (NAME: authorizer).");
  for (const auto& [name, one] : authorizers.members) {
    if (one.is_null() || one.is_unknown()) continue;
    provider_.authorizers[name] = read_authorizer(name, one);
  }
}

// The name in a function's ARN, or of one of this service's.
std::string ServerlessReader::authorizing(Section& s, const char* arn, const char* key) {
  std::string name;
  s.take(arn, [&](const Value& v) {
    name = builder_.qualified_function_in(v);
    report_.used(v);
  });
  const std::string own = s.text(key);
  if (!name.empty() || own.empty()) return name;
  const auto known = function_names_.find(own);
  return known == function_names_.end() ? own : known->second;
}

// One of provider.httpApi.authorizers.
Guard ServerlessReader::read_authorizer(const std::string& name, const Value& one) {
  Section s(one, report_);
  Authorizer a;
  a.name = s.text("name", name);
  const std::string type = lowered(s.text("type", "jwt"));
  std::string missing;
  if (type == "jwt") {
    a.identity = {"$request.header.Authorization"};
    read_identity_source(s, a);
    a.issuer = s.text("issuerUrl");
    s.take("audience", [&](const Value& v) { a.audience = known_texts(v, report_); });
    if (a.audience.empty()) missing = "nothing here says its audience";
    if (a.issuer.empty()) missing = "nothing here says its issuer";
  } else if (type == "request") {
    a.kind = Authorizer::Kind::request;
    a.ttl_s = 0;  // what API Gateway takes when nobody says
    read_identity_source(s, a);
    read_ttl(s, a);
    a.payload = s.text("payloadVersion", "2.0") == "1.0" ? EventForm::v1 : EventForm::v2;
    a.simple = s.flag("enableSimpleResponses", false) && a.payload == EventForm::v2;
    a.function = authorizing(s, "functionArn", "functionName");
    if (a.function.empty()) missing = "nothing here says its function";
  } else {
    missing = "Mayfly does not know authorizers of the type " + type.substr(0, 40);
  }
  s.finish(kManaged);
  if (missing.empty()) return builder_.guards().add(one, std::move(a));
  report_.not_used(one, missing);
  return Guard::missing(fmt::format("the authorizer {} is not made ({})", name, missing));
}

// What an event of httpApi asks of callers.
void ServerlessReader::guard_http_api(const Value& authorizer, RouteRules& rules,
                                      std::string& why_not) {
  std::string name, type;
  const Value* scopes = nullptr;
  if (authorizer.is_scalar()) {
    name = filled_text_of(authorizer);
    report_.used(authorizer);
  } else {
    Section s(authorizer, report_);
    type = lowered(s.text("type"));
    name = s.text("name");
    if (s.unknown("scopes")) why_not = "nothing here says its scopes";
    scopes = s.look("scopes");
    if (s.has("id")) why_not = "its authorizer is not of this service";
    s.finish({{"id", "it is not of this service"}});
  }
  if (lowered(name) == "none" && type.empty()) return;
  if (type == "aws_iam" || lowered(name) == "aws_iam")
    return ask(rules, Guard::iam(), scopes, report_, why_not);
  const auto known = provider_.authorizers.find(name);
  if (known != provider_.authorizers.end())
    ask(rules, known->second, scopes, report_, why_not);
  else if (why_not.empty())
    why_not =
        fmt::format("provider.httpApi.authorizers has no authorizer '{}'", name.substr(0, 60));
}

// What a websocket event asks of handshakes: a function.
void ServerlessReader::guard_websocket(const Value& authorizer, Sockets::Api& api,
                                       Sockets::Route& route) {
  Authorizer a;
  a.kind = Authorizer::Kind::request;
  a.payload = EventForm::v1;
  a.ttl_s = 0;  // handshakes are rare: it is asked each time
  a.identity = {"$request.header.Auth"};
  Value one = authorizer;
  if (authorizer.is_scalar()) {
    const std::string text = filled_text_of(authorizer);
    report_.used(authorizer);
    if (lowered(text) == "aws_iam") {
      route.why_not = "handshakes of WebSockets are not asked for signatures here";
      return;
    }
    one.kind = Value::Kind::map;
    one.members.emplace_back(text.starts_with("arn:") ? "arn" : "name", authorizer);
  }
  Section s(one, report_);
  read_identity_source(s, a);
  a.name = one.find("name") != nullptr ? one.find("name")->text : "";
  a.function = authorizing(s, "arn", "name");
  if (a.name.empty()) a.name = a.function;
  s.finish();
  if (a.function.empty()) {
    route.why_not = "nothing here says the function of its authorizer";
    return report_.not_used(authorizer, route.why_not);
  }
  route.authorizer = a.name;
  api.authorizers[route.authorizer] = builder_.guards().add(authorizer, std::move(a));
}

// What an event of http asks of callers: IAM, or a function.
void ServerlessReader::guard_http(const Value& authorizer, RouteRules& rules,
                                  std::string& why_not) {
  Value one = authorizer;
  if (authorizer.is_scalar()) {
    const std::string text = filled_text_of(authorizer);
    report_.used(authorizer);
    if (lowered(text) == "none") return;
    one.kind = Value::Kind::map;
    const bool iam = lowered(text) == "aws_iam", arn = text.starts_with("arn:");
    one.members.emplace_back(iam ? "type" : arn ? "arn" : "name", authorizer);
  }
  Section s(one, report_);
  const std::string type = lowered(s.text("type", "token"));
  if (type == "none") return s.finish();
  if (type == "aws_iam") {
    s.finish(kManaged);
    return ask(rules, Guard::iam(), nullptr, report_, why_not);
  }
  Authorizer a;
  const Value* arn = one.find("arn");
  const bool pool = type == "cognito_user_pools" ||
                    (arn != nullptr && arn->is_scalar() && arn->text.starts_with("arn:") &&
                     arn->text.find(":cognito-idp:") != std::string::npos);
  if (pool || s.has("authorizerId")) {
    why_not = pool ? "its authorizer is a user pool, which Mayfly does not have"
                   : "its authorizer is not of this service";
    return report_.not_used(authorizer, why_not);
  }
  if (type != "token" && type != "request") {
    why_not = "Mayfly does not know authorizers of the type " + type.substr(0, 40);
    return report_.not_used(authorizer, why_not);
  }
  a.kind = type == "token" ? Authorizer::Kind::token : Authorizer::Kind::request;
  a.payload = EventForm::v1;
  a.identity = {"$request.header.Authorization"};
  read_identity_source(s, a);
  read_ttl(s, a);
  if (a.kind == Authorizer::Kind::token) a.pattern = s.text("identityValidationExpression");
  a.name =
      one.find("name") != nullptr && one.find("name")->is_scalar() ? one.find("name")->text : "";
  a.function = authorizing(s, "arn", "name");
  if (a.name.empty()) a.name = a.function;
  s.finish(kManaged);
  if (a.function.empty()) {
    why_not = "nothing here says the function of its authorizer";
    return report_.not_used(authorizer, why_not);
  }
  ask(rules, builder_.guards().add(authorizer, std::move(a)), nullptr, report_, why_not);
}

}  // namespace mayfly::functions::projects
