#include "gateway/gate.h"

#include <openssl/crypto.h>
#include <re2/re2.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "wire/http_message.h"

namespace mayfly::gateway {
namespace {

using Kind = functions::Authorizer::Kind;

std::string decoded_parameter(std::string_view query, std::string_view wanted) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto part = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    const auto equals = part.find('=');
    const auto name = wire::percent_decode(part.substr(0, equals));
    if (!name || *name != wanted || equals == std::string_view::npos) continue;
    std::string value(part.substr(equals + 1));
    std::replace(value.begin(), value.end(), '+', ' ');
    return wire::percent_decode(value).value_or("");
  }
  return "";
}

std::string context_value(const wire::RequestHead& head, const RouteMatch& match,
                          std::string_view name) {
  if (name == "routeKey") return match.route_key;
  if (name == "stage") return match.stage;
  if (name == "path") return match.path;
  if (name == "resourcePath") return match.resource;
  if (name == "httpMethod" || name == "http.method") return head.method;
  if (name == "identity.sourceIp" || name == "http.sourceIp") return head.remote_ip;
  if (name == "identity.userAgent")
    return std::string(head.headers.find("User-Agent").value_or(""));
  if (name == "domainName") return std::string(head.headers.find("Host").value_or(""));
  return "";
}

// What the request carries at "$request.header.NAME" and the like; empty when it is not there.
std::string selected(std::string_view selector, const wire::RequestHead& head,
                     const RouteMatch& match) {
  const auto behind = [&selector](std::string_view prefix) -> std::optional<std::string_view> {
    if (!selector.starts_with(prefix)) return std::nullopt;
    return selector.substr(prefix.size());
  };
  if (const auto name = behind("$request.header."))
    return std::string(head.headers.find(*name).value_or(""));
  if (const auto name = behind("$request.querystring."))
    return decoded_parameter(head.query(), *name);
  if (const auto name = behind("$stageVariables.")) {
    if (match.stage_settings == nullptr) return "";
    const auto found = match.stage_settings->variables.find(std::string(*name));
    return found == match.stage_settings->variables.end() ? "" : found->second;
  }
  if (const auto name = behind("$context.")) return context_value(head, match, *name);
  return "";
}

bool same_secret(std::string_view one, std::string_view other) {
  return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

io::HttpResponse unauthorized() {
  return refusal(401, "UnauthorizedException", "Unauthorized");
}

// A bearer token is refused as RFC 6750 3 says.
io::HttpResponse bearer(io::HttpResponse response, std::string_view error,
                        std::string_view description, const std::vector<std::string>& scopes) {
  std::string field = "Bearer";
  if (!error.empty()) {
    field += " scope=\"";
    for (std::size_t i = 0; i < scopes.size(); ++i)
      field.append(i == 0 ? "" : " ").append(scopes[i]);
    field.append("\" error=\"").append(error).append("\"");
    if (!description.empty())
      field.append(" error_description=\"").append(description).append("\"");
  }
  response.head.headers.add("WWW-Authenticate", field);
  return response;
}

io::HttpResponse forbidden(const RouteMatch& match, Word word) {
  if (match.event == functions::EventForm::v2)
    return refusal(403, "ForbiddenException", "Forbidden");
  io::HttpResponse response = io::json_response(
      403, word == Word::deny ? "{\"Message\":\"User is not authorized to access this resource "
                                "with an explicit deny\"}"
                              : "{\"Message\":\"User is not authorized to access this resource\"}");
  response.head.headers.add("x-amzn-ErrorType", "AccessDeniedException");
  return response;
}

io::HttpResponse authorizer_failed(const RouteMatch& match) {
  if (match.event == functions::EventForm::v2)
    return refusal(500, "InternalServerErrorException", "Internal Server Error");
  io::HttpResponse response = io::json_response(500, "{\"message\":null}");
  response.head.headers.add("x-amzn-ErrorType", "AuthorizerConfigurationException");
  return response;
}

std::string_view without_bearer(std::string_view text) {
  constexpr std::string_view kBearer = "Bearer ";
  if (text.size() > kBearer.size() &&
      wire::equal_ignoring_case(text.substr(0, kBearer.size()), kBearer))
    text.remove_prefix(kBearer.size());
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

}  // namespace

io::HttpResponse refusal(int status, std::string_view type, std::string_view message) {
  std::string body = "{\"message\":";
  wire::append_json_string(body, message);
  body += '}';
  io::HttpResponse response = io::json_response(status, std::move(body));
  response.head.headers.add("x-amzn-ErrorType", type);
  return response;
}

Gate::Kept Gate::pace(const RouteMatch& match, const functions::RouteRules& rules) {
  const SteadyTime now = parts_.clock->steady_now();
  const auto& app = *match.app;
  const std::string at_stage = app.name + "/" + match.stage;
  const bool fits = throttles_.take(at_stage + "/" + match.route_key, rules.throttle, now) &&
                    (match.stage_settings == nullptr ||
                     throttles_.take(at_stage, match.stage_settings->throttle, now)) &&
                    throttles_.take(app.name, app.api.throttle, now);
  if (fits) return std::nullopt;
  return refusal(429, "TooManyRequestsException", "Too Many Requests");
}

io::Task<std::optional<io::HttpResponse>> Gate::admit(const wire::RequestHead& head,
                                                      RouteMatch& match,
                                                      const functions::RouteRules& rules,
                                                      const std::string& id) {
  if (auto late = pace(match, rules)) co_return std::move(late);
  const functions::Authorizer* authorizer =
      rules.authorizer.empty() ? nullptr : match.app->api.authorizer(rules.authorizer);
  if (authorizer != nullptr) {
    io::Task<Kept> checking = authorizer->kind == Kind::jwt
                                  ? check_jwt(*authorizer, head, match, rules)
                                  : ask(*authorizer, head, match, id);
    Kept kept = co_await std::move(checking);
    if (kept) co_return kept;
  }
  if (!rules.api_key) co_return std::nullopt;
  io::Task<Kept> checking = check_key(head, match);
  Kept kept = co_await std::move(checking);
  co_return kept;
}

io::Task<Gate::Kept> Gate::check_jwt(const functions::Authorizer& authorizer,
                                     const wire::RequestHead& head, RouteMatch& match,
                                     const functions::RouteRules& rules) {
  const std::string carried = selected(authorizer.identity.front(), head, match);
  const std::string token(without_bearer(carried));
  if (token.empty()) co_return bearer(unauthorized(), "", "", rules.scopes);
  identity::TokenRules wanted;
  wanted.issuer = authorizer.issuer;
  wanted.audience = authorizer.audience;
  wanted.now_s = to_epoch_ms(parts_.clock->wall_now()) / 1000;
  Result<boost::json::object> claims = boost::json::object();
  // A key that is not known may be a new one: the set is asked for once more.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto want = attempt == 0 ? KeySets::Want::any : KeySets::Want::fresh;
    io::Task<Result<KeySetPtr>> looking = key_sets_.keys(authorizer, want);
    Result<KeySetPtr> keys = co_await std::move(looking);
    if (keys.has_error())
      co_return refusal(500, "InternalServerErrorException", "Internal Server Error");
    claims = identity::verify_token(token, **keys, wanted);
    if (claims.has_value() || claims.error().code != Code::not_found) break;
  }
  if (claims.has_error())
    co_return bearer(unauthorized(), "invalid_token", claims.error().message, {});
  const auto has = identity::scopes_of(*claims);
  for (const auto& scope : rules.scopes)
    if (std::find(has.begin(), has.end(), scope) != has.end())
      match.identity.scopes.push_back(scope);
  if (!rules.scopes.empty() && match.identity.scopes.empty())
    co_return bearer(forbidden(match, Word::silent), "insufficient_scope", "", rules.scopes);
  match.identity.kind = Identity::Kind::jwt;
  match.identity.claims = boost::json::serialize(*claims);
  co_return std::nullopt;
}

const Grant* Gate::remembered(const std::string& key) {
  const auto found = memories_.find(key);
  if (found == memories_.end() || found->second.until <= parts_.clock->steady_now()) return nullptr;
  return &found->second.grant;
}

Gate::Gate(Parts parts) : parts_(std::move(parts)), key_sets_(parts_.fetch, *parts_.clock) {}
Gate::~Gate() = default;

void Gate::serve(const std::vector<functions::App>& apps) {
  decltype(patterns_) wanted;
  for (const auto& app : apps)
    for (const auto& authorizer : app.api.authorizers)
      if (!authorizer.pattern.empty()) wanted[authorizer.pattern] = pattern(authorizer.pattern);
  patterns_ = std::move(wanted);
}

std::shared_ptr<const RE2> Gate::pattern(const std::string& text) const {
  const auto known = patterns_.find(text);
  if (known != patterns_.end()) return known->second;
  return std::make_shared<const RE2>(text, RE2::Quiet);
}

void Gate::remember(std::string key, Grant grant, std::uint32_t ttl_s) {
  const SteadyTime now = parts_.clock->steady_now();
  if (memories_.size() >= kMemoriesMax)
    std::erase_if(memories_, [now](const auto& one) { return one.second.until <= now; });
  if (memories_.size() >= kMemoriesMax) memories_.clear();
  memories_[std::move(key)] = {std::move(grant), now + seconds(ttl_s)};
}

io::Task<Gate::Kept> Gate::ask(const functions::Authorizer& authorizer,
                               const wire::RequestHead& head, RouteMatch& match,
                               const std::string& id) {
  std::vector<std::string> identity;
  // The names of versions are part of it: a new deploy of the authorizer is asked anew.
  const functions::VersionPtr version = parts_.find_version(authorizer.function);
  std::string key = match.app->name + "\n" + match.stage + "\n" + authorizer.name + "\n" +
                    (version ? version->revision : "");
  for (const auto& source : authorizer.identity) {
    std::string value = selected(source, head, match);
    if (value.empty()) co_return unauthorized();
    key += "\n" + std::to_string(value.size()) + ":" + value;
    identity.push_back(std::move(value));
  }
  // A pattern that is none lets nobody in. RE2 needs time in proportion to the text, whatever both
  // are.
  if (!authorizer.pattern.empty() &&
      !RE2::FullMatch(identity.front(), *pattern(authorizer.pattern)))
    co_return unauthorized();
  Grant grant;
  const Grant* known = authorizer.ttl_s > 0 ? remembered(key) : nullptr;
  if (known != nullptr) {
    grant = *known;
  } else {
    io::Task<Result<Grant>> asking = grant_of(authorizer, head, match, std::move(identity), id);
    Result<Grant> asked = co_await std::move(asking);
    if (asked.has_error() && asked.error().code == Code::unauthenticated) co_return unauthorized();
    if (asked.has_error()) {
      log::warn("request {}: the authorizer {}: {}", id, authorizer.name, asked.error().describe());
      co_return authorizer_failed(match);
    }
    grant = *asked;
    if (authorizer.ttl_s > 0) remember(std::move(key), std::move(*asked), authorizer.ttl_s);
  }
  const Word word = word_of(grant, parts_.dialect->resource(head, match));
  if (word != Word::allow) co_return forbidden(match, word);
  match.identity.kind = Identity::Kind::lambda;
  match.identity.principal = std::move(grant.principal);
  match.identity.context = std::move(grant.context);
  match.identity.api_key = std::move(grant.api_key);
  co_return std::nullopt;
}

io::Task<Result<Grant>> Gate::grant_of(const functions::Authorizer& authorizer,
                                       const wire::RequestHead& head, const RouteMatch& match,
                                       std::vector<std::string> identity, const std::string& id) {
  engine::Invocation invocation;
  invocation.version = parts_.find_version(authorizer.function);
  if (!invocation.version)
    co_return Error{Code::not_found, "its function " + authorizer.function + " does not exist"};
  invocation.source = "authorizer";
  invocation.arrived = parts_.clock->steady_now();
  invocation.body = parts_.dialect->question(authorizer, head, match, identity, id);
  io::Task<engine::Answer> running = parts_.invoke(std::move(invocation));
  engine::Answer answer = co_await std::move(running);
  answer.receipt.answered(answer.failure ? 500 : 200);
  if (answer.failure) {
    if (parts_.dialect->says_unauthorized(*answer.failure))
      co_return Error{Code::unauthenticated, "Unauthorized"};
    co_return Error{Code::function_error, answer.failure->message};
  }
  auto grant = parts_.dialect->answer(authorizer, answer.reply.body);
  co_return grant;
}

io::Task<Gate::Kept> Gate::check_key(const wire::RequestHead& head, RouteMatch& match) {
  std::string value = match.identity.api_key;
  if (value.empty()) value = head.headers.find("x-api-key").value_or("");
  const functions::UsagePlan* plan = nullptr;
  std::string name;
  for (const auto& each : match.app->api.plans)
    for (const auto& [key, text] : each.keys)
      if (!value.empty() && same_secret(text, value)) {
        plan = &each;
        name = key;
      }
  if (plan == nullptr) co_return refusal(403, "ForbiddenException", "Forbidden");
  const std::string id = match.app->name + "/" + plan->name + "/" + name;
  if (!throttles_.take("key " + id, plan->throttle, parts_.clock->steady_now()))
    co_return refusal(429, "TooManyRequestsException", "Too Many Requests");
  if (plan->quota > 0 && parts_.quotas != nullptr) {
    io::Task<Result<bool>> taking = parts_.quotas->take(id, *plan);
    Result<bool> taken = co_await std::move(taking);
    if (taken.has_error()) {
      log::warn("usage plan {}: {}", plan->name, taken.error().describe());
      co_return refusal(503, "ServiceUnavailableException", "Service Unavailable");
    }
    if (!*taken) co_return refusal(429, "LimitExceededException", "Limit Exceeded");
  }
  match.identity.api_key = std::move(value);
  match.identity.api_key_name = std::move(name);
  co_return std::nullopt;
}

}  // namespace mayfly::gateway
