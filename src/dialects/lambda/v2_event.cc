// The request half of the API Gateway v2 dialect: written straight into one string.

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/base64.h"
#include "dialects/lambda/http_event.h"
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

// Query text: '+' is a space; what is no valid %XX stays as it came.
std::string decode_query(std::string_view text) {
  if (text.find_first_of("%+") == std::string_view::npos) return std::string(text);
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), '+', ' ');
  if (auto decoded = wire::percent_decode(plain)) return std::move(*decoded);
  return plain;
}

void append_query(std::string& out, std::string_view query) {
  if (query.empty()) return;
  std::vector<std::pair<std::string, std::string>> values;
  std::unordered_map<std::string, std::size_t> place;
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto part = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (part.empty()) continue;
    const auto equals = part.find('=');
    auto name = decode_query(part.substr(0, equals));
    auto value =
        equals == std::string_view::npos ? std::string() : decode_query(part.substr(equals + 1));
    const auto [found, is_new] = place.try_emplace(name, values.size());
    if (is_new)
      values.emplace_back(std::move(name), std::move(value));
    else
      values[found->second].second.append(",").append(value);
  }
  if (values.empty()) return;
  out += "\"queryStringParameters\":{";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i != 0) out += ',';
    append_json_string(out, values[i].first);
    out += ':';
    append_json_string(out, values[i].second);
  }
  out += "},";
}

void append_parameters(std::string& out, const gateway::RouteMatch& match) {
  if (match.parameters.empty()) return;
  out += "\"pathParameters\":{";
  bool first = true;
  for (const auto& [name, value] : match.parameters) {
    if (!std::exchange(first, false)) out += ',';
    append_json_string(out, name);
    out += ':';
    append_json_string(out, value);
  }
  out += "},";
}

// 20/Nov/2026:19:00:00 +0000, the same for a whole second.
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

void append_context(std::string& out, const wire::RequestHead& head, std::string_view raw_path,
                    const gateway::RouteMatch& match, std::string_view request_id, WallTime now,
                    const EventSettings& settings) {
  const auto host = head.headers.find("host").value_or("");
  const auto domain = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
  const std::int64_t ms = to_epoch_ms(now);
  out += "\"requestContext\":{\"accountId\":";
  append_json_string(out, settings.account);
  out += ",\"apiId\":";
  append_json_string(out, settings.api_id);
  out += ",\"domainName\":";
  append_json_string(out, domain);
  out += ",\"domainPrefix\":";
  append_json_string(out, domain.substr(0, domain.find('.')));
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
  out += ",\"stage\":\"$default\",\"time\":\"";
  out += log_time(ms / 1000);
  fmt::format_to(std::back_inserter(out), "\",\"timeEpoch\":{}}}", ms);
}

// A body is handed over as text when it says that it is text, and is.
bool is_text(const wire::Headers& headers, std::string_view body) {
  if (headers.contains("content-encoding")) return false;
  std::string type(headers.find("content-type").value_or(""));
  std::transform(type.begin(), type.end(), type.begin(), lower);
  const auto plain = trim(std::string_view(type).substr(0, type.find(';')));
  const bool textual = plain.empty() || plain.starts_with("text/") || plain.ends_with("json") ||
                       plain.ends_with("xml") || plain.ends_with("javascript") ||
                       plain.ends_with("graphql") || plain.ends_with("yaml") ||
                       plain == "application/x-www-form-urlencoded";
  return textual && is_utf8(body);
}

}  // namespace

std::string write_v2_event(const wire::RequestHead& head, std::string_view body,
                           const gateway::RouteMatch& match, std::string_view request_id,
                           WallTime now, const EventSettings& settings) {
  std::string out;
  out.reserve(1024 + head.target.size() * 3 + body.size() + body.size() / 8);
  const auto decoded = wire::percent_decode(match.path);
  const std::string_view raw_path = decoded ? std::string_view(*decoded) : match.path;
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
  if (body.empty()) {
    out += ",\"isBase64Encoded\":false}";
  } else if (is_text(head.headers, body)) {
    out += ",\"body\":";
    append_json_string(out, body);
    out += ",\"isBase64Encoded\":false}";
  } else {
    out += ",\"body\":\"";
    append_base64(out, body);
    out += "\",\"isBase64Encoded\":true}";
  }
  return out;
}

}  // namespace mayfly::dialects::lambda
