// The request half of the API Gateway v2 dialect: written straight into one string.

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "dialects/lambda/event_parts.h"
#include "dialects/text.h"

namespace mayfly::dialects::lambda {
namespace {

using wire::append_json_string;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

void append_lower_json(std::string& out, std::string_view name) {
  const std::size_t from = out.size();
  append_json_string(out, name);
  for (std::size_t i = from; i < out.size(); ++i) out[i] = lower(out[i]);
}

// Names are tokens, so lower case and quotes are all that is needed; equal names join with commas.
void append_headers(std::string& out, const wire::Headers& headers) {
  out += "\"headers\":{";
  bool first = true;
  std::string joined;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto field = headers[i];
    if (wire::equal_ignoring_case(field.name, "cookie")) continue;
    bool seen = false;
    for (std::size_t k = 0; k < i && !seen; ++k)
      seen = wire::equal_ignoring_case(headers[k].name, field.name);
    if (seen) continue;
    std::string_view value = field.value;
    bool several = false;
    for (std::size_t k = i + 1; k < headers.size(); ++k) {
      if (!wire::equal_ignoring_case(headers[k].name, field.name)) continue;
      if (!std::exchange(several, true)) joined.assign(value);
      joined.append(",").append(headers[k].value);
    }
    if (several) value = joined;
    if (!first) out += ',';
    first = false;
    append_lower_json(out, field.name);
    out += ':';
    append_json_string(out, value);
  }
  out += '}';
}

void append_cookies(std::string& out, const wire::Headers& headers) {
  bool first = true;
  for (const auto field : headers) {
    if (!wire::equal_ignoring_case(field.name, "cookie")) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const auto end = rest.find(';');
      auto cookie = trim(rest.substr(0, end));
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
      if (cookie.empty()) continue;
      out += first ? "\"cookies\":[" : ",";
      first = false;
      append_json_string(out, cookie);
    }
  }
  if (!first) out += "],";
}

void append_query(std::string& out, std::string_view query) {
  if (query.empty()) return;
  std::vector<std::pair<std::string, std::string>> values;
  std::unordered_map<std::string, std::size_t> place;
  for (auto& [name, value] : query_pairs(query)) {
    const auto [found, is_new] = place.try_emplace(name, values.size());
    if (is_new)
      values.emplace_back(std::move(name), std::move(value));
    else
      values[found->second].second.append(",").append(value);
  }
  if (values.empty()) return;
  append_pairs(out, "queryStringParameters", values);
  out += ',';
}

void append_parameters(std::string& out, const gateway::RouteMatch& match) {
  if (match.parameters.empty()) return;
  append_pairs(out, "pathParameters", match.parameters);
  out += ',';
}

// A function URL has a name of its own, also when it is reached by its path.
std::string v2_domain(const wire::RequestHead& head, const gateway::RouteMatch& match,
                      const EventSettings& settings) {
  if (match.url) return match.api_id + ".lambda-url." + settings.region + ".on.aws";
  return std::string(host_name(head));
}

void append_context(std::string& out, const wire::RequestHead& head, std::string_view raw_path,
                    const gateway::RouteMatch& match, std::string_view request_id, WallTime now,
                    const EventSettings& settings) {
  const std::string domain = v2_domain(head, match, settings);
  const std::int64_t ms = to_epoch_ms(now);
  out += "\"requestContext\":{\"accountId\":";
  const bool anonymous = match.url && match.identity.kind == gateway::Identity::Kind::none;
  append_json_string(out, anonymous ? std::string_view("anonymous") : settings.account);
  out += ",\"apiId\":";
  append_json_string(out, match.api_id.empty() ? settings.api_id : match.api_id);
  out += ',';
  append_authorizer(out, match, functions::EventForm::v2, settings);
  out += "\"domainName\":";
  append_json_string(out, domain);
  out += ",\"domainPrefix\":";
  append_json_string(out, std::string_view(domain).substr(0, domain.find('.')));
  out += ",\"http\":{\"method\":";
  append_json_string(out, head.method);
  out += ",\"path\":";
  append_json_string(out, raw_path);
  out += head.version == 10 ? ",\"protocol\":\"HTTP/1.0\",\"sourceIp\":"
                            : ",\"protocol\":\"HTTP/1.1\",\"sourceIp\":";
  append_json_string(out, head.remote_ip);
  out += ",\"userAgent\":";
  append_json_string(out, head.headers.find("user-agent").value_or(""));
  out += "},\"requestId\":";
  append_json_string(out, request_id);
  out += ",\"routeKey\":";
  append_json_string(out, match.route_key);
  out += ",\"stage\":";
  append_json_string(out, match.stage);
  out += ",\"time\":\"";
  out += log_time(ms / 1000);
  fmt::format_to(std::back_inserter(out), "\",\"timeEpoch\":{}}}", ms);
}

}  // namespace

std::string write_v2_event(const wire::RequestHead& head, std::string_view body,
                           const gateway::RouteMatch& match, std::string_view request_id,
                           WallTime now, const EventSettings& settings) {
  std::string out;
  out.reserve(1024 + head.target.size() * 3 + body.size() + body.size() / 8);
  // A stage of its own is part of the path that the function sees.
  const std::string path = match.stage == "$default" ? match.path : match.base + match.path;
  const auto decoded = wire::percent_decode(path);
  const std::string_view raw_path = decoded ? std::string_view(*decoded) : path;
  out += "{\"version\":\"2.0\",\"routeKey\":";
  append_json_string(out, match.route_key);
  out += ",\"rawPath\":";
  append_json_string(out, raw_path);
  out += ",\"rawQueryString\":";
  append_json_string(out, head.query());
  out += ',';
  append_cookies(out, head.headers);
  append_headers(out, head.headers);
  out += ',';
  append_query(out, head.query());
  append_parameters(out, match);
  append_context(out, head, raw_path, match, request_id, now, settings);
  if (has_variables(match)) {
    out += ',';
    append_variables(out, match);
  }
  append_body(out, head, body, match, "");
  out += '}';
  return out;
}

}  // namespace mayfly::dialects::lambda
