#include "cli/context.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/clock.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

void complain(const std::string& text) {
  write_err(paint("mayfly: ", Colour::red, colours_on(2)) + printable(sentence(text)) + "\n");
}

int exit_code_of(int status, const std::string& party) {
  if (party == "function") return kFunctionFailed;
  if (status == 404) return kNotFound;
  return kRefused;
}

}  // namespace

Result<Client*> Context::connect() {
  if (!client) {
    auto target = find_server(find);
    if (target.has_error()) return target.error();
    client = std::make_unique<Client>(std::move(*target));
  }
  return client.get();
}

int fail(const Error& error) {
  complain(error.describe());
  if (error.code == Code::unavailable) return kUnreachable;
  if (error.code == Code::not_found) return kNotFound;
  return error.code == Code::invalid_argument ? kUsage : kRefused;
}

int usage_error(const std::string& text) {
  complain(text);
  return kUsage;
}

int fail(const Context& context, const Response& response) {
  if (context.json && !response.body.empty()) write_out(response.body);
  boost::system::error_code failed;
  const json::value value = json::parse(response.body, failed);
  if (failed || !value.is_object() || !value.get_object().contains("error")) {
    complain(fmt::format("the server answered {}", response.status));
    return exit_code_of(response.status, "");
  }
  const json::value& error = value_of(value, "error");
  const std::string message = text_of(error, "message");
  complain(message);
  const std::string trace = format_trace(value_of(error, "detail"));
  const bool said = message + "\n" == trace;
  if (!trace.empty() && !said) write_err(printable(trace));
  return exit_code_of(response.status, text_of(error, "party"));
}

std::optional<json::value> fetch_json(Context& context, const std::string& method,
                                      const std::string& target, int& exit_code, std::string body) {
  auto client = context.connect();
  if (client.has_error()) {
    exit_code = fail(client.error());
    return std::nullopt;
  }
  const std::string type = body.empty() ? "" : "application/json";
  auto response = (*client)->request(method, target, std::move(body), type);
  if (response.has_error()) {
    exit_code = fail(response.error());
    return std::nullopt;
  }
  if (response->status >= 300) {
    exit_code = fail(context, *response);
    return std::nullopt;
  }
  boost::system::error_code failed;
  json::value value = json::parse(response->body, failed);
  if (failed) {
    exit_code = fail(Error{Code::corrupt, "The server's answer is not JSON; is " +
                                              (*client)->target().api + " a Mayfly API?"});
    return std::nullopt;
  }
  return value;
}

int print_json(const json::value& value) {
  write_out(json::serialize(value) + "\n");
  return kOk;
}

std::string format_trace(const json::value& detail) {
  if (detail.is_string()) return std::string(detail.get_string()) + "\n";
  if (!detail.is_object()) return {};
  const std::string type = text_of(detail, "errorType");
  const std::string message = text_of(detail, "errorMessage");
  std::string headline = type;
  if (!message.empty()) headline += (headline.empty() ? "" : ": ") + message;

  std::string frames;
  bool python = false;
  bool has_headline = false;
  // Python and most others say stackTrace, Node says trace, each as on AWS.
  const auto& stack = list_of(detail, "stackTrace");
  for (const auto& item : stack.empty() ? list_of(detail, "trace") : stack) {
    if (!item.is_string()) continue;
    std::string line(item.get_string());
    while (!line.empty() && line.back() == '\n') line.pop_back();
    python = python || line.find("  File \"") == 0;
    has_headline = has_headline || (!headline.empty() && line.find(headline) != std::string::npos);
    frames += line + "\n";
  }
  if (frames.empty() || has_headline) return frames.empty() ? headline + "\n" : frames;
  if (!python) return headline + "\n" + frames;
  const bool has_title = frames.find("Traceback") == 0;
  return (has_title ? "" : "Traceback (most recent call last):\n") + frames + headline + "\n";
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || c == ':' || c == '$';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

const json::value& value_of(const json::value& object, const char* key) {
  static const json::value kNone;
  if (!object.is_object()) return kNone;
  const auto* found = object.get_object().if_contains(key);
  return found == nullptr ? kNone : *found;
}

std::string text_of(const json::value& object, const char* key) {
  const auto& value = value_of(object, key);
  return value.is_string() ? std::string(value.get_string()) : std::string();
}

std::int64_t number_of(const json::value& object, const char* key) {
  const auto& value = value_of(object, key);
  boost::system::error_code inexact;
  const auto number = value.is_number() ? value.to_number<std::int64_t>(inexact) : 0;
  return inexact ? 0 : number;
}

double decimal_of(const json::value& object, const char* key) {
  const auto& value = value_of(object, key);
  return value.is_number() ? value.to_number<double>() : 0;
}

bool flag_of(const json::value& object, const char* key) {
  const auto& value = value_of(object, key);
  return value.is_bool() && value.get_bool();
}

const json::array& list_of(const json::value& object, const char* key) {
  static const json::array kNone;
  const auto& value = value_of(object, key);
  return value.is_array() ? value.get_array() : kNone;
}

std::int64_t now_us() {
  return to_epoch_us(SystemClock().wall_now());
}

}  // namespace mayfly::cli
