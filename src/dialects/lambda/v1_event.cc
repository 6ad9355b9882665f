// The request half of API Gateway's payload format 1.0, as REST APIs send it to a proxy
// integration.

#include <fmt/format.h>

#include <unordered_map>

#include "base/ids.h"
#include "dialects/lambda/event_parts.h"

namespace mayfly::dialects::lambda {
namespace {

using wire::append_json_string;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// Both forms of a set of names with values: the last of each, and all of each. Names are the same
// when same() says so; the spelling of the first stays.
class Multi {
 public:
  explicit Multi(bool ignore_case) : ignore_case_(ignore_case) {}

  void add(std::string_view name, std::string_view value) {
    std::string key(name);
    if (ignore_case_)
      for (char& c : key)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    const auto [found, is_new] = place_.try_emplace(std::move(key), all_.size());
    if (is_new) all_.emplace_back(std::string(name), std::vector<std::string>());
    all_[found->second].second.emplace_back(value);
  }
  bool empty() const { return all_.empty(); }

  void append_single(std::string& out) const {
    char before = '{';
    for (const auto& [name, values] : all_) {
      out += std::exchange(before, ',');
      append_json_string(out, name);
      out += ':';
      append_json_string(out, values.back());
    }
    out += before == '{' ? "{}" : "}";
  }
  void append_multi(std::string& out) const {
    char before = '{';
    for (const auto& [name, values] : all_) {
      out += std::exchange(before, ',');
      append_json_string(out, name);
      out += ":[";
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i != 0) out += ',';
        append_json_string(out, values[i]);
      }
      out += ']';
    }
    out += before == '{' ? "{}" : "}";
  }

 private:
  const bool ignore_case_;
  std::vector<std::pair<std::string, std::vector<std::string>>> all_;
  std::unordered_map<std::string, std::size_t> place_;
};

void append_both(std::string& out, std::string_view single, std::string_view multi,
                 const Multi& values, bool null_when_empty) {
  const bool null = null_when_empty && values.empty();
  out.append(",\"").append(single).append("\":");
  if (null)
    out += "null";
  else
    values.append_single(out);
  out.append(",\"").append(multi).append("\":");
  if (null)
    out += "null";
  else
    values.append_multi(out);
}

void append_text(std::string& out, std::string_view key, std::string_view value) {
  out.append(",\"").append(key).append("\":");
  append_json_string(out, value);
}

void append_text_or_null(std::string& out, std::string_view key, std::string_view value) {
  if (!value.empty()) return append_text(out, key, value);
  out.append(",\"").append(key).append("\":null");
}

void append_identity(std::string& out, const wire::RequestHead& head,
                     const gateway::Identity& identity, const EventSettings& settings) {
  const bool iam = identity.kind == gateway::Identity::Kind::iam;
  out += "\"identity\":{\"cognitoIdentityPoolId\":null";
  append_text_or_null(out, "accountId", iam ? settings.account : "");
  out += ",\"cognitoIdentityId\":null";
  append_text_or_null(out, "caller", iam ? identity.access_key : "");
  append_text(out, "sourceIp", head.remote_ip);
  out += ",\"principalOrgId\":null";
  append_text_or_null(out, "accessKey", iam ? identity.access_key : "");
  out += ",\"cognitoAuthenticationType\":null,\"cognitoAuthenticationProvider\":null,\"userArn\":";
  if (iam)
    append_json_string(out, "arn:aws:iam::" + settings.account + ":user/" + identity.access_key);
  else
    out += "null";
  append_text_or_null(out, "userAgent", head.headers.find("user-agent").value_or(""));
  append_text_or_null(out, "user", iam ? identity.access_key : "");
  if (!identity.api_key.empty()) {
    append_text(out, "apiKey", identity.api_key);
    append_text(out, "apiKeyId", identity.api_key_name);
  }
  out += '}';
}

void append_v1_context(std::string& out, const wire::RequestHead& head,
                       const gateway::RouteMatch& match, std::string_view request_id, WallTime now,
                       const EventSettings& settings) {
  const std::int64_t ms = to_epoch_ms(now);
  const std::string_view domain = host_name(head);
  out += "{\"resourceId\":";
  append_json_string(out, sha256_hex(match.route_key).substr(0, 6));
  append_text(out, "resourcePath", match.resource);
  append_text(out, "httpMethod", head.method);
  append_text(out, "extendedRequestId", request_id);
  append_text(out, "requestTime", log_time(ms / 1000));
  append_text(out, "path", match.base + match.path);
  append_text(out, "accountId", settings.account);
  append_text(out, "protocol", head.version == 10 ? "HTTP/1.0" : "HTTP/1.1");
  append_text(out, "stage", match.stage);
  append_text(out, "domainPrefix", domain.substr(0, domain.find('.')));
  fmt::format_to(std::back_inserter(out), ",\"requestTimeEpoch\":{}", ms);
  append_text(out, "requestId", request_id);
  out += ',';
  append_authorizer(out, match, functions::EventForm::v1, settings);
  append_identity(out, head, match.identity, settings);
  append_text(out, "domainName", domain);
  append_text(out, "apiId", match.api_id.empty() ? settings.api_id : match.api_id);
  out += '}';
}

}  // namespace

std::string write_v1_event(const wire::RequestHead& head, std::string_view body,
                           const gateway::RouteMatch& match, std::string_view request_id,
                           WallTime now, const EventSettings& settings) {
  std::string out;
  out.reserve(2048 + head.target.size() * 4 + body.size() + body.size() / 8);
  out += "{\"resource\":";
  append_json_string(out, match.resource.empty() ? match.path : match.resource);
  append_text(out, "path", match.path);
  append_text(out, "httpMethod", head.method);
  Multi fields(true);
  for (const auto field : head.headers) fields.add(field.name, field.value);
  append_both(out, "headers", "multiValueHeaders", fields, false);
  Multi query(false);
  for (const auto& [name, value] : query_pairs(head.query())) query.add(name, value);
  append_both(out, "queryStringParameters", "multiValueQueryStringParameters", query, true);
  out += ',';
  if (match.parameters.empty())
    out += "\"pathParameters\":null";
  else
    append_pairs(out, "pathParameters", match.parameters);
  out += ',';
  if (has_variables(match))
    append_variables(out, match);
  else
    out += "\"stageVariables\":null";
  out += ",\"requestContext\":";
  append_v1_context(out, head, match, request_id, now, settings);
  append_body(out, head, body, match, ",\"body\":null");
  out += '}';
  return out;
}

}  // namespace mayfly::dialects::lambda
