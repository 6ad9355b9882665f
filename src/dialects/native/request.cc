#include "dialects/native/request.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>

#include "base/ids.h"
#include "gateway/errors.h"

namespace mayfly::dialects::native {
namespace {

namespace json = boost::json;

struct Route {
  std::string_view method;
  std::string_view pattern;  // {} takes one segment
  Endpoint endpoint;
};

constexpr Route kRoutes[] = {
    {"GET", "/healthz", Endpoint::healthz},
    {"GET", "/metrics", Endpoint::metrics},
    {"GET", "/v1/info", Endpoint::info},
    {"GET", "/v1/runtimes", Endpoint::runtimes},
    {"PUT", "/v1/packages", Endpoint::put_package},
    {"HEAD", "/v1/packages/{}", Endpoint::head_package},
    {"PUT", "/v1/images", Endpoint::put_image},
    {"GET", "/v1/images", Endpoint::list_images},
    {"DELETE", "/v1/images/{}", Endpoint::delete_image},
    {"GET", "/v1/buckets", Endpoint::list_buckets},
    {"PUT", "/v1/buckets/{}", Endpoint::put_bucket},
    {"DELETE", "/v1/buckets/{}", Endpoint::delete_bucket},
    {"GET", "/v1/buckets/{}/notifications", Endpoint::get_notifications},
    {"PUT", "/v1/buckets/{}/notifications", Endpoint::put_notifications},
    {"GET", "/v1/buckets/{}/objects", Endpoint::list_objects},
    {"PUT", "/v1/buckets/{}/object", Endpoint::put_object},
    {"GET", "/v1/buckets/{}/object", Endpoint::get_object},
    {"DELETE", "/v1/buckets/{}/object", Endpoint::delete_object},
    {"GET", "/v1/functions", Endpoint::list_functions},
    {"PUT", "/v1/functions/{}", Endpoint::put_function},
    {"GET", "/v1/functions/{}", Endpoint::get_function},
    {"DELETE", "/v1/functions/{}", Endpoint::delete_function},
    {"POST", "/v1/functions/{}/versions", Endpoint::publish_version},
    {"GET", "/v1/functions/{}/versions", Endpoint::list_versions},
    {"PUT", "/v1/functions/{}/belongings", Endpoint::put_belongings},
    {"GET", "/v1/functions/{}/url", Endpoint::get_url},
    {"PUT", "/v1/functions/{}/url", Endpoint::put_url},
    {"DELETE", "/v1/functions/{}/url", Endpoint::delete_url},
    {"POST", "/v1/functions/{}/invoke", Endpoint::invoke},
    {"GET", "/v1/layers", Endpoint::list_layers},
    {"PUT", "/v1/layers/{}", Endpoint::put_layer},
    {"DELETE", "/v1/layers/{}", Endpoint::delete_layer},
    {"GET", "/v1/functions/{}/logs", Endpoint::logs},
    {"GET", "/v1/invocations", Endpoint::invocations},
    {"GET", "/v1/stats", Endpoint::stats},
    {"GET", "/v1/bill", Endpoint::bill},
    {"GET", "/v1/apps", Endpoint::list_apps},
    {"PUT", "/v1/apps/{}", Endpoint::put_app},
    {"DELETE", "/v1/apps/{}", Endpoint::delete_app},
    {"GET", "/v1/calls", Endpoint::list_calls},
    {"GET", "/v1/calls/{}", Endpoint::get_call},
    {"DELETE", "/v1/calls/{}", Endpoint::cancel_call},
    {"POST", "/v1/calls/{}/retry", Endpoint::retry_call},
    {"GET", "/v1/calls/{}/result", Endpoint::call_result},
    {"GET", "/v1/schedules", Endpoint::list_schedules},
    {"PUT", "/v1/schedules/{}", Endpoint::put_schedule},
    {"GET", "/v1/schedules/{}", Endpoint::get_schedule},
    {"DELETE", "/v1/schedules/{}", Endpoint::delete_schedule},
    {"POST", "/v1/schedules/{}/enable", Endpoint::enable_schedule},
    {"POST", "/v1/schedules/{}/disable", Endpoint::disable_schedule},
    {"POST", "/v1/schedules/{}/run", Endpoint::run_schedule},
    {"GET", "/v1/topics", Endpoint::list_topics},
    {"PUT", "/v1/topics/{}", Endpoint::put_topic},
    {"GET", "/v1/topics/{}", Endpoint::get_topic},
    {"DELETE", "/v1/topics/{}", Endpoint::delete_topic},
    {"POST", "/v1/topics/{}/publish", Endpoint::publish},
    {"POST", "/v1/topics/{}/subscriptions", Endpoint::subscribe},
    {"GET", "/v1/topics/{}/subscriptions", Endpoint::list_topic_subscriptions},
    {"GET", "/v1/subscriptions", Endpoint::list_subscriptions},
    {"GET", "/v1/subscriptions/{}", Endpoint::get_subscription},
    {"DELETE", "/v1/subscriptions/{}", Endpoint::delete_subscription},
    {"POST", "/v1/events", Endpoint::put_events},
    {"GET", "/v1/buses", Endpoint::list_buses},
    {"PUT", "/v1/buses/{}", Endpoint::put_bus},
    {"GET", "/v1/buses/{}", Endpoint::get_bus},
    {"DELETE", "/v1/buses/{}", Endpoint::delete_bus},
    {"GET", "/v1/rules", Endpoint::list_rules},
    {"PUT", "/v1/rules/{}", Endpoint::put_rule},
    {"GET", "/v1/rules/{}", Endpoint::get_rule},
    {"DELETE", "/v1/rules/{}", Endpoint::delete_rule},
    {"POST", "/v1/rules/{}/enable", Endpoint::enable_rule},
    {"POST", "/v1/rules/{}/disable", Endpoint::disable_rule},
    {"GET", "/v1/triggers", Endpoint::list_triggers},
    {"POST", "/v1/triggers", Endpoint::create_trigger},
    {"GET", "/v1/triggers/{}", Endpoint::get_trigger},
    {"PUT", "/v1/triggers/{}", Endpoint::update_trigger},
    {"DELETE", "/v1/triggers/{}", Endpoint::delete_trigger},
    {"GET", "/v1/state", Endpoint::list_state},
    {"GET", "/v1/state/{}", Endpoint::get_state},
    {"PUT", "/v1/state/{}", Endpoint::put_state},
    {"DELETE", "/v1/state/{}", Endpoint::delete_state},
    {"GET", "/v1/queues", Endpoint::list_queues},
    {"PUT", "/v1/queues/{}", Endpoint::put_queue},
    {"GET", "/v1/queues/{}", Endpoint::get_queue},
    {"DELETE", "/v1/queues/{}", Endpoint::delete_queue},
    {"POST", "/v1/queues/{}/messages", Endpoint::send_messages},
    {"GET", "/v1/queues/{}/messages", Endpoint::peek_messages},
    {"DELETE", "/v1/queues/{}/messages", Endpoint::purge_queue},
    {"POST", "/v1/queues/{}/receive", Endpoint::receive_messages},
    {"POST", "/v1/queues/{}/settle", Endpoint::settle_messages},
    {"POST", "/v1/queues/{}/visibility", Endpoint::hide_messages},
    {"POST", "/v1/queues/{}/dead-letter", Endpoint::dead_letter_messages},
    {"POST", "/v1/queues/{}/redrive", Endpoint::redrive_messages},
    {"GET", "/v1/keys", Endpoint::list_keys},
    {"POST", "/v1/keys", Endpoint::create_key},
    {"DELETE", "/v1/keys/{}", Endpoint::delete_key},
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool fits(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& path,
          std::string& name) {
  if (pattern.size() != path.size()) return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (pattern[i] == "{}") {
      const auto decoded = wire::percent_decode(path[i]);
      if (!decoded || decoded->empty()) return false;
      name = *decoded;
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return true;
}

std::string join(const std::vector<std::string_view>& words) {
  std::string text;
  for (const auto word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

}  // namespace

Match match_route(std::string_view method, std::string_view path) {
  const auto segments = split(path, '/');
  Match match;
  for (const auto& route : kRoutes) {
    std::string name;
    if (!fits(split(route.pattern, '/'), segments, name)) continue;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) {
      match.endpoint = route.endpoint;
      match.name = std::move(name);
      return match;
    }
    match.allow.append(match.allow.empty() ? "" : ", ").append(route.method);
    if (route.method == "GET") match.allow += ", HEAD";
  }
  return match;
}

Result<std::map<std::string, std::string>> parse_query(std::string_view query,
                                                       const std::vector<std::string_view>& known) {
  std::map<std::string, std::string> values;
  if (query.empty()) return values;
  for (const auto pair : split(query, '&')) {
    if (pair.empty()) continue;
    std::string text(pair);
    std::replace(text.begin(), text.end(), '+', ' ');
    const auto equals = text.find('=');
    const auto name = wire::percent_decode(std::string_view(text).substr(0, equals));
    const auto value = equals == std::string::npos
                           ? std::optional<std::string>("")
                           : wire::percent_decode(std::string_view(text).substr(equals + 1));
    if (!name || !value)
      return Error{Code::invalid_argument, "The query has a broken %-escape: " + std::string(pair)};
    if (std::find(known.begin(), known.end(), *name) == known.end())
      return Error{Code::invalid_argument,
                   "There is no query parameter \"" + *name + "\" here" +
                       (known.empty() ? "." : "; there are " + join(known) + ".")};
    values[*name] = *value;
  }
  return values;
}

bool credential_matches(std::string_view authorization, std::string_view key) {
  constexpr std::string_view kScheme = "Bearer ";
  if (key.empty() || authorization.size() < kScheme.size() ||
      !wire::equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme))
    return false;
  // Digests have one length, so the time tells nothing about that either.
  const auto given = sha256_hex(authorization.substr(kScheme.size()));
  const auto wanted = sha256_hex(key);
  return CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

Result<json::object> parse_object(std::string_view text,
                                  const std::vector<std::string_view>& known) {
  boost::system::error_code failed;
  json::stream_parser parser;
  const std::size_t used = parser.write_some(text.data(), text.size(), failed);
  if (!failed) parser.finish(failed);
  if (failed)
    return Error{Code::invalid_argument, "The body is not valid JSON (" + failed.message() +
                                             " near byte " + std::to_string(used) + ")."};
  for (const char rest : text.substr(used))
    if (rest != ' ' && rest != '\n' && rest != '\r' && rest != '\t')
      return Error{Code::invalid_argument, "The body has more behind its JSON value, at byte " +
                                               std::to_string(used) + "."};
  json::value value = parser.release();
  if (!value.is_object())
    return Error{Code::invalid_argument,
                 "The body must be a JSON object with " + join(known) + "."};
  for (const auto& member : value.get_object()) {
    const std::string_view key(member.key().data(), member.key().size());
    if (std::find(known.begin(), known.end(), key) == known.end())
      return Error{Code::invalid_argument,
                   "There is no key \"" + std::string(key) + "\"; there are " + join(known) + "."};
  }
  return std::move(value.get_object());
}

std::string error_json(std::string_view code, std::string_view message, telemetry::Party party,
                       telemetry::Phase phase, std::string_view request_id,
                       std::string_view detail) {
  std::string out = R"({"error":{"code":)";
  wire::append_json_string(out, code);
  out += R"(,"message":)";
  wire::append_json_string(out, message);
  out += R"(,"party":)";
  wire::append_json_string(out, telemetry::party_name(party));
  out += R"(,"phase":)";
  wire::append_json_string(out, telemetry::phase_name(phase));
  out += R"(,"request_id":)";
  wire::append_json_string(out, request_id);
  if (!detail.empty()) {
    out += R"(,"detail":)";
    boost::system::error_code failed;
    const json::value value = json::parse(json::string_view(detail.data(), detail.size()), failed);
    if (failed)
      wire::append_json_string(out, detail);
    else
      out += json::serialize(value);
  }
  out += "}}\n";
  return out;
}

io::HttpResponse error_reply(const Error& error, const std::string& request_id) {
  using telemetry::Party;
  using telemetry::Phase;
  const bool by_client = error.code == Code::invalid_argument || error.code == Code::not_found ||
                         error.code == Code::already_exists || error.code == Code::conflict ||
                         error.code == Code::too_large || error.code == Code::unauthenticated ||
                         error.code == Code::permission_denied || error.code == Code::cancelled;
  const Party party = by_client                            ? Party::client
                      : error.code == Code::function_error ? Party::function
                                                           : Party::platform;
  const Phase phase = error.code == Code::unauthenticated ? Phase::authorize : Phase::accept;
  const std::string message = by_client ? error.message : error.describe();
  auto response =
      io::json_response(gateway::http_status(error.code),
                        error_json(code_name(error.code), message, party, phase, request_id));
  response.head.headers.set("X-Mayfly-Request-Id", request_id);
  if (is_retryable(error.code) && error.code != Code::conflict)
    response.head.headers.set("Retry-After", "1");
  return response;
}

io::HttpResponse failure_reply(const engine::Failure& failure, const std::string& request_id,
                               int status) {
  auto response =
      io::json_response(status, error_json(code_name(failure.code), failure.message, failure.party,
                                           failure.phase, request_id, failure.error_json));
  auto& headers = response.head.headers;
  headers.set("X-Mayfly-Request-Id", request_id);
  std::string cause(code_name(failure.code));
  cause.append("; party=").append(telemetry::party_name(failure.party));
  cause.append("; phase=").append(telemetry::phase_name(failure.phase));
  headers.set("X-Mayfly-Error", cause);
  if (failure.retry_after_s > 0) headers.set("Retry-After", std::to_string(failure.retry_after_s));
  return response;
}

}  // namespace mayfly::dialects::native
