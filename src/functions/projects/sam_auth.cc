// Auth of APIs and events of a SAM template: who may call a route.

#include <fmt/format.h>

#include "functions/projects/cloud_resources.h"
#include "functions/projects/sam_reader.h"

namespace mayfly::functions::projects {
namespace {

constexpr const char* kPolicy = "a resource policy says who may call it, and Mayfly checks none";

const Reasons kAuthorizerReasons = {
    {"FunctionInvokeRole", "Mayfly has no IAM"},
    {"DisableFunctionDefaultPermissions", "the gateway may call every function"},
    {"EnableFunctionDefaultPermissions", "the gateway may call every function"}};

// Headers, QueryStrings, StageVariables and Context, as identity sources; Header is a token's.
void read_identity(const Value& identity, Authorizer& a, Report& report) {
  static constexpr std::pair<std::string_view, std::string_view> kLists[] = {
      {"Headers", "$request.header."},
      {"QueryStrings", "$request.querystring."},
      {"StageVariables", "$stageVariables."},
      {"Context", "$context."}};
  const bool token = a.kind == Authorizer::Kind::token;
  Section s(identity, report);
  if (token) {
    a.identity = {"$request.header." + s.text("Header", "Authorization")};
    a.pattern = s.text("ValidationExpression");
  } else {
    for (const auto& [key, prefix] : kLists)
      s.take(key, [&, &prefix = prefix](const Value& v) {
        for (const auto& name : known_texts(v, report))
          a.identity.push_back(std::string(prefix) + name);
      });
  }
  s.take("ReauthorizeEvery", [&](const Value& v) {
    a.ttl_s = static_cast<std::uint32_t>(whole_of(v, 0, 3600));
    report.used(v);
  });
  s.finish({{"Headers", "a token stands in one field: Header"},
            {"Header", "of FunctionPayloadType TOKEN"},
            {"ValidationExpression", "of FunctionPayloadType TOKEN"}});
}

Guard jwt_guard(Section& s, Builder& b, const std::string& name, const Value& at) {
  Authorizer a;
  a.name = name;
  a.identity = {"$request.header.Authorization"};
  s.take("IdentitySource", [&](const Value& v) {
    a.identity = identity_sources(v);
    b.report().used(v);
  });
  std::vector<std::string> scopes;
  const bool scoped = s.has("AuthorizationScopes");
  s.take("AuthorizationScopes", [&](const Value& v) { scopes = known_texts(v, b.report()); });
  s.take("JwtConfiguration", [&](const Value& configuration) {
    Section jwt(configuration, b.report());
    for (const char* key : {"issuer", "Issuer"}) a.issuer = jwt.text(key, a.issuer);
    for (const char* key : {"audience", "Audience"})
      jwt.take(key, [&](const Value& v) { a.audience = known_texts(v, b.report()); });
    jwt.finish();
  });
  s.finish();
  const char* missing = a.issuer.empty()           ? "nothing here says its issuer"
                        : a.audience.empty()       ? "nothing here says its audience"
                        : scoped && scopes.empty() ? "nothing here says its scopes"
                                                   : nullptr;
  if (missing == nullptr) return b.guards().add(at, std::move(a), std::move(scopes));
  b.report().not_used(at, missing);
  return Guard::missing(fmt::format("the authorizer {} is not made ({})", name, missing));
}

Guard function_guard(Section& s, Builder& b, const std::string& name, const Value& at, bool http) {
  Authorizer a;
  a.name = name;
  a.kind = Authorizer::Kind::request;
  a.ttl_s = http ? 0 : 300;  // what API Gateway takes when nobody says
  if (http) {
    const std::string form = s.text("AuthorizerPayloadFormatVersion", "2.0");
    a.payload = form == "1.0" ? EventForm::v1 : EventForm::v2;
    a.simple = s.flag("EnableSimpleResponses", false) && a.payload == EventForm::v2;
  } else {
    a.payload = EventForm::v1;
    if (s.text("FunctionPayloadType", "TOKEN") == "TOKEN") {
      a.kind = Authorizer::Kind::token;
      a.identity = {"$request.header.Authorization"};
    }
  }
  s.take("FunctionArn", [&](const Value& v) {
    a.function = b.qualified_function_in(v);
    b.report().used(v);
  });
  s.take("Identity", [&](const Value& v) { read_identity(v, a, b.report()); });
  s.take("AuthorizationScopes", [&](const Value& v) {
    b.report().not_used(v, "scopes are of tokens (JWT), not of this authorizer");
  });
  s.finish(kAuthorizerReasons);
  if (a.identity.empty()) a.ttl_s = 0;  // there is nothing to tell callers apart by
  if (!a.function.empty()) return b.guards().add(at, std::move(a));
  b.report().not_used(at, "nothing here says its function");
  return Guard::missing("the authorizer " + name + " is not made (nothing here says its function)");
}

}  // namespace

void SamReader::read_api_auth(const Value& auth, const std::string& id, Api& api) {
  Section s(auth, report_);
  s.take("Authorizers", [&](const Value& v) {
    if (!v.is_map()) wrong(v, "must be a mapping (Name: authorizer).");
    for (const auto& [name, one] : v.members) {
      if (one.is_null() || one.is_unknown()) continue;
      api.authorizers[name] = read_authorizer(name, one, api.http);
    }
  });
  if (s.unknown("DefaultAuthorizer") || s.unknown("ApiKeyRequired"))
    api.unclear = "what its API asks of callers cannot be known here";
  if (s.has("ResourcePolicy")) api.unclear = kPolicy;
  api.default_authorizer = s.text("DefaultAuthorizer");
  api.key_required = s.flag("ApiKeyRequired", false);
  s.flag("EnableIamAuthorizer", false);
  s.take("UsagePlan", [&](const Value& v) { read_usage_plan(v, id); });
  const char* preflights = "preflights are the gateway's: it answers them without asking";
  s.finish({{"AddDefaultAuthorizerToCorsPreflight", preflights},
            {"AddApiKeyRequiredToCorsPreflight", preflights},
            {"InvokeRole", "Mayfly has no IAM"},
            {"ResourcePolicy", "Mayfly checks none: routes that have one are not made"}});
}

// SAM makes a plan and a key for it; the key's value is API Gateway's to make up. Keys with a value
// are linked by AWS::ApiGateway::UsagePlanKey.
void SamReader::read_usage_plan(const Value& plan, const std::string& api) {
  Section s(plan, report_);
  const std::string create = s.text("CreateUsagePlan", "NONE");
  const std::string id = create == "SHARED" ? "ServerlessUsagePlan" : api + "UsagePlan";
  if (create == "NONE") return s.finish();
  auto& made = builder_.guards().plan(plan, id);
  made.apis.insert(api);
  made.plan.name = plain_name(s.text("UsagePlanName", id));
  s.text("Description");
  read_plan_limits(s, true, made.plan);
  s.finish({{"Tags", "plans and keys have no tags here"}});
  intrinsics_.set_resource(id, {"AWS::ApiGateway::UsagePlan", id, {}});
}

Guard SamReader::read_authorizer(const std::string& name, const Value& one, bool http) {
  Section s(one, report_);
  if (one.find("UserPoolArn") != nullptr) {
    report_.not_used(one, "Mayfly has no user pools");
    return Guard::missing("the authorizer " + name + " is not made (Mayfly has no user pools)");
  }
  if (http && one.find("FunctionArn") == nullptr) return jwt_guard(s, builder_, name, one);
  return function_guard(s, builder_, name, one, http);
}

// Rules of a route; why_not: what it asks for is not here.
void SamReader::guard(Section& s, const std::string& id, bool http, RouteRules& rules,
                      Builder::Entrance& entrance) {
  entrance.api = id.empty() ? (http ? "ServerlessHttpApi" : "ServerlessRestApi") : id;
  auto& why_not = entrance.why_not;
  const Api& api = apis_[entrance.api];
  std::string authorizer = api.default_authorizer;
  bool key = api.key_required;
  const Value* scopes = nullptr;
  bool unclear = s.unknown("Auth");
  s.take("Auth", [&](const Value& v) {
    Section auth(v, report_);
    unclear = auth.unknown("Authorizer") || auth.unknown("ApiKeyRequired") ||
              auth.unknown("AuthorizationScopes");
    authorizer = auth.text("Authorizer", authorizer);
    key = auth.flag("ApiKeyRequired", key);
    scopes = auth.look("AuthorizationScopes");
    auth.finish({{"InvokeRole", "Mayfly has no IAM"},
                 {"OverrideApiAuth", "what an event says counts before what its API says"},
                 {"ResourcePolicy", "Mayfly checks none: routes that have one are not made"}});
    if (auth.has("ResourcePolicy")) why_not = kPolicy;
    if (authorizer == "NONE" && scopes != nullptr)
      report_.not_used(*scopes, "there is no authorizer to check them");
  });
  if (unclear) why_not = "what it asks of callers cannot be known here";
  rules.api_key = key;
  const auto found = api.authorizers.find(authorizer);
  if (!api.unclear.empty()) why_not = api.unclear;
  if (authorizer == "NONE") return;
  if (authorizer == "AWS_IAM")
    ask(rules, Guard::iam(), scopes, report_, why_not);
  else if (found != api.authorizers.end())
    ask(rules, found->second, scopes, report_, why_not);
  else if (!authorizer.empty())
    why_not = fmt::format("its API has no authorizer {}", authorizer.substr(0, 100));
}

}  // namespace mayfly::functions::projects
