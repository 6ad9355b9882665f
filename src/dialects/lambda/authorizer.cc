#include "dialects/lambda/authorizer.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "dialects/lambda/event_parts.h"

namespace mayfly::dialects::lambda {
namespace {

using functions::Authorizer;
using functions::EventForm;
using gateway::Grant;
using JsonMembers = boost::json::object;

constexpr std::size_t kVerdictDepth = 32;

Error no_verdict(std::string what) {
  return Error{Code::function_error, "its answer " + std::move(what), "answer of the authorizer"};
}

// A text or a list of texts.
Result<std::vector<std::string>> texts_at(const JsonMembers& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (value != nullptr && value->is_string())
    return std::vector<std::string>{std::string(value->get_string())};
  std::vector<std::string> out;
  if (value == nullptr || !value->is_array())
    return no_verdict("has a statement without a valid " + std::string(key));
  for (const auto& item : value->get_array()) {
    if (!item.is_string()) return no_verdict("has a statement without a valid " + std::string(key));
    out.emplace_back(item.get_string());
  }
  return out;
}

Status read_statement(const boost::json::value& item, Grant& grant) {
  if (!item.is_object()) return no_verdict("has a statement that is no object");
  const JsonMembers& object = item.get_object();
  const auto* effect = object.if_contains("Effect");
  if (effect == nullptr || (*effect != "Allow" && *effect != "Deny"))
    return no_verdict("has a statement whose Effect is neither Allow nor Deny");
  auto actions = texts_at(object, "Action");
  if (actions.has_error()) return actions.error();
  auto resources = texts_at(object, "Resource");
  if (resources.has_error()) return resources.error();
  const bool invoke = std::any_of(actions->begin(), actions->end(), [](const std::string& action) {
    return gateway::matches_pattern(action, "execute-api:Invoke");
  });
  if (invoke) grant.statements.push_back({*effect == "Allow", std::move(*resources)});
  return ok();
}

Status read_statements(const JsonMembers& reply, Grant& grant) {
  const auto* policy = reply.if_contains("policyDocument");
  if (policy == nullptr || !policy->is_object()) return no_verdict("has no policyDocument");
  const auto* statements = policy->get_object().if_contains("Statement");
  if (statements == nullptr) return no_verdict("has a policy without a Statement");
  if (!statements->is_array()) return read_statement(*statements, grant);
  for (const auto& item : statements->get_array()) MAYFLY_TRY(read_statement(item, grant));
  return ok();
}

// REST APIs hand the context on as texts, and take nothing that is not plain.
Status read_authorizer_context(const JsonMembers& reply, EventForm payload, Grant& grant) {
  const auto* context = reply.if_contains("context");
  if (context == nullptr || context->is_null()) return ok();
  if (!context->is_object()) return no_verdict("has a context that is no object");
  JsonMembers out = context->get_object();
  if (payload == EventForm::v1) {
    for (auto& member : out) {
      if (member.value().is_object() || member.value().is_array())
        return no_verdict("has a context whose '" + std::string(member.key()) +
                          "' is no text, number or boolean");
      if (!member.value().is_string() && !member.value().is_null())
        member.value() = boost::json::serialize(member.value());
    }
  }
  grant.context = boost::json::serialize(out);
  return ok();
}

std::string text_at(const JsonMembers& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

class Authorizers final : public gateway::AuthorizerDialect {
 public:
  explicit Authorizers(EventSettings settings) : settings_(std::move(settings)) {}

  std::string resource(const wire::RequestHead& head,
                       const gateway::RouteMatch& match) const override {
    std::string arn = "arn:aws:execute-api:" + settings_.region + ":" + settings_.account + ":";
    arn += match.api_id.empty() ? settings_.api_id : match.api_id;
    arn.append("/").append(match.stage).append("/");
    if (!match.socket_id.empty()) return arn + match.route_key;
    return arn.append(head.method).append(match.path);
  }

  std::string question(const Authorizer& authorizer, const wire::RequestHead& head,
                       const gateway::RouteMatch& match, const std::vector<std::string>& identity,
                       const std::string& request_id) const override {
    const std::string arn = resource(head, match);
    std::string out;
    if (authorizer.kind == Authorizer::Kind::token) {
      out = "{\"type\":\"TOKEN\",\"methodArn\":";
      wire::append_json_string(out, arn);
      out += ",\"authorizationToken\":";
      wire::append_json_string(out, identity.empty() ? std::string() : identity.front());
      return out + "}";
    }
    // The event that the route's function would get, without its body.
    const bool v1 = authorizer.payload == EventForm::v1;
    const WallTime now = std::chrono::system_clock::now();
    const std::string event = v1 ? write_v1_event(head, "", match, request_id, now, settings_)
                                 : write_v2_event(head, "", match, request_id, now, settings_);
    if (v1) {
      out = "{\"type\":\"REQUEST\",\"methodArn\":";
      wire::append_json_string(out, arn);
      out += ",\"identitySource\":";
      std::string joined;
      for (const auto& value : identity) joined.append(joined.empty() ? "" : ",").append(value);
      wire::append_json_string(out, joined);
      out += ',';
    } else {
      out = "{\"type\":\"REQUEST\",\"routeArn\":";
      wire::append_json_string(out, arn);
      char before = '[';
      out += ",\"identitySource\":";
      for (const auto& value : identity) {
        out += std::exchange(before, ',');
        wire::append_json_string(out, value);
      }
      out += identity.empty() ? "null," : "],";
    }
    const std::string_view tail =
        v1 ? ",\"body\":null,\"isBase64Encoded\":false}" : ",\"isBase64Encoded\":false}";
    out.append(event, 1, event.size() - 1 - tail.size());
    return out + "}";
  }

  Result<Grant> answer(const Authorizer& authorizer, std::string_view reply) const override {
    boost::system::error_code failed;
    boost::json::parse_options options;
    options.max_depth = kVerdictDepth;
    const auto value = boost::json::parse({reply.data(), reply.size()}, failed, {}, options);
    if (failed || !value.is_object()) return no_verdict("is no JSON object");
    const JsonMembers& object = value.get_object();
    Grant grant;
    grant.simple = authorizer.simple;
    if (authorizer.simple) {
      const auto* allowed = object.if_contains("isAuthorized");
      if (allowed == nullptr || !allowed->is_bool())
        return no_verdict("has no isAuthorized that is true or false");
      grant.allowed = allowed->get_bool();
    } else {
      grant.principal = text_at(object, "principalId");
      if (grant.principal.empty()) return no_verdict("has no principalId");
      MAYFLY_TRY(read_statements(object, grant));
    }
    MAYFLY_TRY(read_authorizer_context(object, authorizer.payload, grant));
    grant.api_key = text_at(object, "usageIdentifierKey");
    return grant;
  }

  bool says_unauthorized(const engine::Failure& failure) const override {
    if (failure.error_json.empty()) return false;
    boost::system::error_code failed;
    const auto value = boost::json::parse(failure.error_json, failed);
    return !failed && value.is_object() &&
           text_at(value.get_object(), "errorMessage") == "Unauthorized";
  }

 private:
  EventSettings settings_;
};

}  // namespace

std::unique_ptr<gateway::AuthorizerDialect> make_authorizer_dialect(EventSettings settings) {
  return std::make_unique<Authorizers>(std::move(settings));
}

}  // namespace mayfly::dialects::lambda
