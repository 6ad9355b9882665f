// The response half of the API Gateway v2 dialect.

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>

#include "base/base64.h"
#include "dialects/lambda/event_parts.h"

namespace mayfly::dialects::lambda {
namespace {

namespace json = boost::json;

Error wrong(std::string what) {
  return Error{Code::function_error, "its reply " + std::move(what), "answer of the function", 0};
}

std::optional<int> status_of(const json::value& value) {
  std::int64_t status = 0;
  if (value.is_int64()) {
    status = value.get_int64();
  } else if (value.is_double() && std::floor(value.get_double()) == value.get_double() &&
             std::fabs(value.get_double()) < 1e6) {
    status = static_cast<std::int64_t>(value.get_double());
  } else if (value.is_string()) {
    const auto& text = value.get_string();
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), status);
    if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  } else {
    return std::nullopt;
  }
  if (status < 200 || status > 599) return std::nullopt;
  return static_cast<int>(status);
}

// How the message is framed is the server's business.
bool framing_field(std::string_view name) {
  for (const char* known : {"content-length", "transfer-encoding", "connection", "keep-alive"})
    if (wire::equal_ignoring_case(name, known)) return true;
  return false;
}

Status add_header(wire::Headers& headers, std::string_view name, const json::value& value) {
  if (value.is_null() || framing_field(name)) return ok();
  if (!wire::is_token(name)) return wrong("has a header whose name is no token");
  if (value.is_object() || value.is_array())
    return wrong("has a header '" + std::string(name) + "' whose value is no text");
  const std::string text =
      value.is_string() ? std::string(value.get_string()) : json::serialize(value);
  if (!wire::is_field_value(text))
    return wrong("has a header '" + std::string(name) + "' with a line break or NUL in its value");
  headers.add(name, text);
  return ok();
}

Status add_headers(wire::Headers& headers, const json::object& reply) {
  if (const auto* single = reply.if_contains("headers"); single != nullptr && !single->is_null()) {
    if (!single->is_object()) return wrong("has headers that are no object");
    for (const auto& field : single->get_object()) {
      // A header in both forms counts in the form that can say more.
      const auto* several = reply.if_contains("multiValueHeaders");
      if (several != nullptr && several->is_object() && several->get_object().contains(field.key()))
        continue;
      MAYFLY_TRY(add_header(headers, {field.key().data(), field.key().size()}, field.value()));
    }
  }
  if (const auto* several = reply.if_contains("multiValueHeaders");
      several != nullptr && !several->is_null()) {
    if (!several->is_object()) return wrong("has multiValueHeaders that are no object");
    for (const auto& field : several->get_object()) {
      if (!field.value().is_array()) return wrong("has multiValueHeaders that are no arrays");
      for (const auto& value : field.value().get_array())
        MAYFLY_TRY(add_header(headers, {field.key().data(), field.key().size()}, value));
    }
  }
  if (const auto* cookies = reply.if_contains("cookies");
      cookies != nullptr && !cookies->is_null()) {
    if (!cookies->is_array()) return wrong("has cookies that are no array");
    for (const auto& cookie : cookies->get_array()) {
      if (!cookie.is_string()) return wrong("has a cookie that is no text");
      MAYFLY_TRY(add_header(headers, "Set-Cookie", cookie));
    }
  }
  return ok();
}

Result<io::HttpResponse> from_object(const json::object& reply, bool decode = true) {
  io::HttpResponse response;
  const auto status = status_of(reply.at("statusCode"));
  if (!status) return wrong("has a statusCode that is no number from 200 to 599");
  response.head.status = *status;
  MAYFLY_TRY(add_headers(response.head.headers, reply));
  const auto* encoded = reply.if_contains("isBase64Encoded");
  if (encoded != nullptr && !encoded->is_bool() && !encoded->is_null())
    return wrong("has an isBase64Encoded that is neither true nor false");
  if (const auto* body = reply.if_contains("body"); body != nullptr && !body->is_null()) {
    if (!body->is_string())
      return wrong("has a body that is no text (use a JSON encoder for values)");
    const std::string_view text(body->get_string().data(), body->get_string().size());
    if (encoded != nullptr && encoded->is_bool() && encoded->get_bool() && decode) {
      auto bytes = decode_base64(text);
      if (!bytes) return wrong("has a body that is no base64 although isBase64Encoded is true");
      response.body = std::move(*bytes);
    } else {
      response.body.assign(text);
    }
  }
  if (!response.body.empty() && !response.head.headers.contains("content-type"))
    response.head.headers.add("Content-Type", "text/plain; charset=utf-8");
  return response;
}

bool names_content_type(const json::object& reply) {
  for (const std::string_view group : {"headers", "multiValueHeaders"})
    if (const auto* fields = reply.if_contains(group); fields != nullptr && fields->is_object())
      for (const auto& field : fields->get_object())
        if (wire::equal_ignoring_case({field.key().data(), field.key().size()}, "content-type"))
          return true;
  return false;
}

}  // namespace

Result<io::HttpResponse> read_v2_reply(std::string_view text) {
  // One block for the small replies that are the rule.
  unsigned char block[4096];
  json::monotonic_resource memory(block, sizeof(block));
  boost::system::error_code ec;
  json::parse_options options;
  options.max_depth = 256;
  const auto value = json::parse({text.data(), text.size()}, ec, &memory, options);
  if (ec) return wrong("is no JSON (" + ec.message() + ")");
  if (value.is_object() && value.get_object().contains("statusCode"))
    return from_object(value.get_object());
  io::HttpResponse response;
  response.head.headers.add("Content-Type", "application/json");
  if (value.is_string())
    response.body.assign(value.get_string().data(), value.get_string().size());
  else
    response.body.assign(text);
  return response;
}

Result<io::HttpResponse> read_v1_reply(std::string_view text, const gateway::RouteMatch& match) {
  boost::system::error_code ec;
  json::parse_options options;
  options.max_depth = 256;
  const auto value = json::parse({text.data(), text.size()}, ec, {}, options);
  if (ec) return wrong("is no JSON (" + ec.message() + ")");
  if (!value.is_object() || !value.get_object().contains("statusCode"))
    return wrong("is no object with a statusCode, which an event of the format v1 wants");
  bool decode = true;
  if (match.app && !match.app->api.binary.empty()) {
    const std::string_view accept = match.accept;
    decode = is_binary_type(match.app->api.binary, accept.substr(0, accept.find(',')));
  }
  auto response = from_object(value.get_object(), decode);
  if (response.has_value() &&
      response->head.headers.find("content-type") ==
          std::string_view("text/plain; charset=utf-8") &&
      !names_content_type(value.get_object()))
    response->head.headers.set("Content-Type", "application/json");
  return response;
}

Result<wire::ResponseHead> read_v2_prelude(std::string_view text) {
  boost::system::error_code ec;
  const auto value = json::parse({text.data(), text.size()}, ec);
  if (ec || !value.is_object()) return wrong("has a prelude that is no JSON object");
  const auto& prelude = value.get_object();
  wire::ResponseHead head;
  if (const auto* code = prelude.if_contains("statusCode"); code != nullptr && !code->is_null()) {
    const auto status = status_of(*code);
    if (!status) return wrong("has a statusCode that is no number from 200 to 599");
    head.status = *status;
  }
  MAYFLY_TRY(add_headers(head.headers, prelude));
  if (!head.headers.contains("content-type"))
    head.headers.add("Content-Type", "application/octet-stream");
  return head;
}

}  // namespace mayfly::dialects::lambda
