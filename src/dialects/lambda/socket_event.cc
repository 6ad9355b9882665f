#include "dialects/lambda/socket_event.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/base64.h"
#include "dialects/lambda/event_parts.h"

namespace mayfly::dialects::lambda {
namespace {

using gateway::SocketFacts;

constexpr std::size_t kSelectionDepth = 64;

void append_member(std::string& out, std::string_view key, std::string_view value) {
  out.append(",\"").append(key).append("\":");
  wire::append_json_string(out, value);
}

// "headers" to "multiValueQueryStringParameters", as the events of format 1.0 have them.
std::string request_members(const std::string& event) {
  const auto from = event.find("\"headers\":");
  const auto to = event.find(",\"pathParameters\":", from);
  return from == std::string::npos || to == std::string::npos ? "" : event.substr(from, to - from);
}

std::string_view event_type(std::string_view route_key) {
  if (route_key == "$connect") return "CONNECT";
  return route_key == "$disconnect" ? "DISCONNECT" : "MESSAGE";
}

class Sockets final : public gateway::SocketDialect {
 public:
  explicit Sockets(EventSettings settings) : settings_(std::move(settings)) {}

  std::string event(const wire::RequestHead& head, const gateway::RouteMatch& match,
                    const SocketFacts& facts, std::string_view body) const override {
    const std::string_view type = event_type(facts.route_key);
    std::string out = "{";
    if (type != "MESSAGE") {
      const auto members =
          request_members(write_v1_event(head, "", match, facts.event_id, facts.now, settings_));
      if (!members.empty()) out.append(members).append(",");
    }
    out += "\"requestContext\":";
    append_socket_context(out, head, match, facts, type);
    if (type == "MESSAGE") {
      out += ",\"body\":";
      if (facts.binary) {
        out += '"';
        append_base64(out, body);
        out += '"';
      } else {
        wire::append_json_string(out, body);
      }
    }
    out += facts.binary ? ",\"isBase64Encoded\":true}" : ",\"isBase64Encoded\":false}";
    return out;
  }

  Result<io::HttpResponse> reply(std::string_view text) const override {
    boost::system::error_code failed;
    const auto value = boost::json::parse({text.data(), text.size()}, failed);
    if (failed || !value.is_object() || !value.get_object().contains("statusCode"))
      return Error{Code::function_error, "its reply is no object with a statusCode",
                   "answer of the function"};
    return read_v2_reply(text);
  }

  std::string selected(std::string_view selection, std::string_view body) const override {
    constexpr std::string_view kBody = "$request.body.";
    if (!selection.starts_with(kBody)) return "";
    selection.remove_prefix(kBody.size());
    boost::system::error_code failed;
    boost::json::parse_options options;
    options.max_depth = kSelectionDepth;
    const auto value = boost::json::parse({body.data(), body.size()}, failed, {}, options);
    if (failed) return "";
    const boost::json::value* at = &value;
    while (at != nullptr && !selection.empty()) {
      const auto dot = selection.find('.');
      const auto* object = at->if_object();
      at = object == nullptr ? nullptr : object->if_contains(selection.substr(0, dot));
      selection = dot == std::string_view::npos ? std::string_view() : selection.substr(dot + 1);
    }
    if (at == nullptr || at->is_object() || at->is_array() || at->is_null()) return "";
    return at->is_string() ? std::string(at->get_string()) : boost::json::serialize(*at);
  }

 private:
  void append_socket_context(std::string& out, const wire::RequestHead& head,
                             const gateway::RouteMatch& match, const SocketFacts& facts,
                             std::string_view type) const {
    const std::int64_t ms = to_epoch_ms(facts.now);
    out += "{\"routeKey\":";
    wire::append_json_string(out, facts.route_key);
    append_member(out, "eventType", type);
    if (type == "MESSAGE") append_member(out, "messageId", facts.event_id);
    if (type == "DISCONNECT") {
      fmt::format_to(std::back_inserter(out), ",\"disconnectStatusCode\":{}", facts.close_code);
      append_member(out, "disconnectReason", facts.close_reason);
    }
    append_member(out, "extendedRequestId", facts.event_id);
    append_member(out, "requestTime", log_time(ms / 1000));
    append_member(out, "messageDirection", "IN");
    append_member(out, "stage", match.stage);
    fmt::format_to(std::back_inserter(out), ",\"connectedAt\":{},\"requestTimeEpoch\":{},",
                   to_epoch_ms(facts.connected), ms);
    append_authorizer(out, match, functions::EventForm::v1, settings_);
    out += "\"identity\":{\"sourceIp\":";
    wire::append_json_string(out, head.remote_ip);
    if (const auto agent = head.headers.find("user-agent")) append_member(out, "userAgent", *agent);
    if (!match.identity.api_key.empty()) {
      append_member(out, "apiKey", match.identity.api_key);
      append_member(out, "apiKeyId", match.identity.api_key_name);
    }
    out += '}';
    append_member(out, "requestId", facts.event_id);
    append_member(out, "domainName", host_name(head));
    append_member(out, "connectionId", facts.id);
    append_member(out, "apiId", match.api_id);
    out += '}';
  }

  EventSettings settings_;
};

}  // namespace

std::unique_ptr<gateway::SocketDialect> make_socket_dialect(EventSettings settings) {
  return std::make_unique<Sockets>(std::move(settings));
}

}  // namespace mayfly::dialects::lambda
