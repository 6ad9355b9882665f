#include "dialects/lambda/event_parts.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/base64.h"
#include "dialects/text.h"
#include "wire/query.h"
#include "wire/utf8.h"

namespace mayfly::dialects::lambda {
namespace {

using wire::append_json_string;

char lower_char(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// Query text: '+' is a space; what is no valid %XX stays as it came.
std::string decode_query(std::string_view text) {
  if (text.find_first_of("%+") == std::string_view::npos) return std::string(text);
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), '+', ' ');
  if (auto decoded = wire::percent_decode(plain)) return std::move(*decoded);
  return plain;
}

// "Image/PNG; q=1" as "image/png".
std::string plain_type(std::string_view value) {
  std::string type(trim(value.substr(0, value.find(';'))));
  std::transform(type.begin(), type.end(), type.begin(), lower_char);
  return type;
}

bool is_textual(const wire::Headers& headers, std::string_view body) {
  if (headers.contains("content-encoding")) return false;
  const std::string plain = plain_type(headers.find("content-type").value_or(""));
  const auto ends = [&plain](std::string_view end) { return plain.ends_with(end); };
  const bool textual = plain.empty() || plain.starts_with("text/") || ends("json") || ends("xml") ||
                       ends("javascript") || ends("graphql") || ends("yaml") ||
                       plain == "application/x-www-form-urlencoded";
  return textual && wire::is_utf8(body);
}

std::string claim_text(const boost::json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_array()) {  // [a b]
    std::string out = "[";
    for (const auto& item : value.get_array()) {
      if (out.size() > 1) out += ' ';
      out += claim_text(item);
    }
    return out + "]";
  }
  if (value.is_double() && value.get_double() == static_cast<double>(static_cast<std::int64_t>(
                                                     std::clamp(value.get_double(), -9e15, 9e15))))
    return std::to_string(static_cast<std::int64_t>(value.get_double()));
  return boost::json::serialize(value);
}

void append_iam(std::string& out, const gateway::Identity& identity,
                const EventSettings& settings) {
  out += "{\"accessKey\":";
  append_json_string(out, identity.access_key);
  out += ",\"accountId\":";
  append_json_string(out, settings.account);
  out += ",\"callerId\":";
  append_json_string(out, identity.access_key);
  out += ",\"cognitoIdentity\":null,\"principalOrgId\":null,\"userArn\":";
  append_json_string(out, "arn:aws:iam::" + settings.account + ":user/" + identity.access_key);
  out += ",\"userId\":";
  append_json_string(out, identity.access_key);
  out += '}';
}

void append_jwt(std::string& out, const gateway::Identity& identity) {
  out += "{\"claims\":";
  out += claims_as_texts(identity.claims);
  out += ",\"scopes\":";
  if (identity.scopes.empty()) {
    out += "null}";
    return;
  }
  char before = '[';
  for (const auto& scope : identity.scopes) {
    out += std::exchange(before, ',');
    append_json_string(out, scope);
  }
  out += "]}";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> query_pairs(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (const auto one = wire::take_parameter(query))
    pairs.emplace_back(decode_query(one->name), decode_query(one->value));
  return pairs;
}

void append_pairs(std::string& out, std::string_view key,
                  const std::vector<std::pair<std::string, std::string>>& pairs) {
  append_json_string(out, key);
  out += ":{";
  bool first = true;
  for (const auto& [name, value] : pairs) {
    if (!std::exchange(first, false)) out += ',';
    append_json_string(out, name);
    out += ':';
    append_json_string(out, value);
  }
  out += '}';
}

bool has_variables(const gateway::RouteMatch& match) {
  return match.stage_settings != nullptr && !match.stage_settings->variables.empty();
}

void append_variables(std::string& out, const gateway::RouteMatch& match) {
  const auto& variables = match.stage_settings->variables;
  append_pairs(out, "stageVariables", {variables.begin(), variables.end()});
}

const std::string& log_time(std::int64_t seconds) {
  thread_local std::int64_t last = -1;
  thread_local std::string text;
  if (seconds != last) {
    text =
        fmt::format("{:%d/%b/%Y:%H:%M:%S} +0000", fmt::gmtime(static_cast<std::time_t>(seconds)));
    last = seconds;
  }
  return text;
}

std::string_view host_name(const wire::RequestHead& head) {
  const auto host = head.headers.find("host").value_or("");
  return host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
}

bool is_binary_type(const std::vector<std::string>& types, std::string_view content_type) {
  const std::string type = plain_type(content_type);
  return std::any_of(types.begin(), types.end(), [&type](const std::string& wanted) {
    if (wanted == "*/*" || wanted == type) return true;
    return wanted.ends_with("/*") &&
           type.starts_with(std::string_view(wanted).substr(0, wanted.size() - 1));
  });
}

bool body_is_text(const wire::Headers& headers, std::string_view body,
                  const gateway::RouteMatch& match) {
  if (match.event == functions::EventForm::v1 && match.app && !match.app->api.binary.empty())
    return !is_binary_type(match.app->api.binary, headers.find("content-type").value_or("")) &&
           wire::is_utf8(body);
  return is_textual(headers, body);
}

void append_body(std::string& out, const wire::RequestHead& head, std::string_view body,
                 const gateway::RouteMatch& match, std::string_view absent) {
  if (body.empty()) {
    out.append(absent).append(",\"isBase64Encoded\":false");
  } else if (body_is_text(head.headers, body, match)) {
    out += ",\"body\":";
    append_json_string(out, body);
    out += ",\"isBase64Encoded\":false";
  } else {
    out += ",\"body\":\"";
    append_base64(out, body);
    out += "\",\"isBase64Encoded\":true";
  }
}

std::string claims_as_texts(std::string_view claims) {
  boost::system::error_code failed;
  const auto value = boost::json::parse({claims.data(), claims.size()}, failed);
  std::string out = "{";
  if (!failed && value.is_object()) {
    for (const auto& [name, claim] : value.get_object()) {
      if (out.size() > 1) out += ',';
      append_json_string(out, name);
      out += ':';
      append_json_string(out, claim_text(claim));
    }
  }
  return out + "}";
}

void append_authorizer(std::string& out, const gateway::RouteMatch& match,
                       functions::EventForm form, const EventSettings& settings) {
  const gateway::Identity& identity = match.identity;
  const bool v2 = form == functions::EventForm::v2;
  switch (identity.kind) {
    case gateway::Identity::Kind::none:
      return;
    case gateway::Identity::Kind::iam:
      if (!v2) return;  // stands in requestContext.identity there
      out += "\"authorizer\":{\"iam\":";
      append_iam(out, identity, settings);
      out += "},";
      return;
    case gateway::Identity::Kind::jwt:
      out += v2 ? "\"authorizer\":{\"jwt\":" : "\"authorizer\":";
      append_jwt(out, identity);
      out += v2 ? "}," : ",";
      return;
    case gateway::Identity::Kind::lambda:
      break;
  }
  // The context is an object in text form, as the authorizer gave it.
  const std::string& context = identity.context;
  const bool filled = context.size() > 2;
  if (v2) {
    out += "\"authorizer\":{\"lambda\":";
    out += filled ? context : std::string("null");
    out += "},";
    return;
  }
  out += "\"authorizer\":{\"principalId\":";
  append_json_string(out, identity.principal);
  out += ",\"integrationLatency\":0";
  if (filled) out.append(",").append(context, 1, context.size() - 2);
  out += "},";
}

}  // namespace mayfly::dialects::lambda
