#include "dialects/lambda/runtime_api_syntax.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "wire/http_message.h"

namespace mayfly::dialects::lambda {
namespace {

using telemetry::Outcome;

constexpr std::string_view kBase = "/2018-06-01/";
constexpr std::string_view kInvocations = "runtime/invocation/";
constexpr std::size_t kMessageMax = 4096;
constexpr std::size_t kErrorTypeMax = 256;

bool take_front(std::string_view& text, std::string_view front) {
  if (!text.starts_with(front)) return false;
  text.remove_prefix(front.size());
  return true;
}

bool is_media_type(std::string_view content_type, std::string_view wanted) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return wire::equal_ignoring_case(type, wanted);
}

}  // namespace

std::string error_json(std::string_view type, std::string_view message) {
  std::string text = "{\"errorType\":";
  wire::append_json_string(text, type);
  text += ",\"errorMessage\":";
  wire::append_json_string(text, message);
  text += '}';
  return text;
}

RuntimeApiCall split_runtime_api_path(std::string_view path) {
  using Kind = RuntimeApiCall::Kind;
  if (!take_front(path, kBase)) return {};
  if (path == "ping") return {Kind::ping, {}};
  if (path == "runtime/init/error") return {Kind::init_error, {}};
  if (path == "runtime/restore/next") return {Kind::restore_next, {}};
  if (path == "runtime/restore/error") return {Kind::restore_error, {}};
  if (!take_front(path, kInvocations)) return {};
  if (path == "next") return {Kind::next, {}};
  const auto slash = path.find('/');
  if (slash == 0 || slash == std::string_view::npos) return {};
  const auto verb = path.substr(slash + 1);
  if (verb == "response") return {Kind::response, path.substr(0, slash)};
  if (verb == "error") return {Kind::error, path.substr(0, slash)};
  return {};
}

std::optional<std::size_t> find_prelude_end(std::string_view bytes, std::size_t from) {
  static constexpr char kMark[kPreludeMark] = {};
  const std::size_t back = from < kPreludeMark - 1 ? from : kPreludeMark - 1;
  const auto at = bytes.find(std::string_view(kMark, kPreludeMark), from - back);
  if (at == std::string_view::npos) return std::nullopt;
  return at;
}

bool is_http_integration(std::string_view content_type) {
  return is_media_type(content_type, "application/vnd.awslambda.http-integration-response");
}

bool is_json_type(std::string_view content_type) {
  return content_type.empty() || is_media_type(content_type, "application/json");
}

std::string checked_error_type(std::string_view type) {
  const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  for (const std::string_view kind : {"Runtime.", "Function."})
    for (auto at = type.find(kind); at != std::string_view::npos; at = type.find(kind, at + 1)) {
      const auto word = type.substr(at + kind.size());
      if (word.size() > 1 && word[0] >= 'A' && word[0] <= 'Z' && letter(word[1]) &&
          type.size() < kErrorTypeMax)
        return std::string(type);
    }
  return type.starts_with("Function.") ? "Function.Unknown" : "Runtime.Unknown";
}

bool is_error_with_cause(std::string_view content_type) {
  return content_type == "application/vnd.aws.lambda.error.cause+json";
}

std::string without_cause(std::string_view body) {
  namespace json = boost::json;
  boost::system::error_code failed;
  auto value = json::parse({body.data(), body.size()}, failed);
  if (failed || !value.is_object()) return "\"Invalid error body\"";
  std::string text = "{\"errorMessage\":";
  const auto member = [&value](std::string_view name) -> std::string_view {
    const auto* found = value.get_object().if_contains(name);
    return found && found->is_string()
               ? std::string_view(found->get_string().data(), found->get_string().size())
               : std::string_view();
  };
  wire::append_json_string(text, member("errorMessage"));
  text += ",\"errorType\":";
  wire::append_json_string(text, member("errorType"));
  const auto* trace = value.get_object().if_contains("stackTrace");
  if (trace && trace->is_array() && !trace->get_array().empty())
    text += ",\"stackTrace\":" + json::serialize(*trace);
  return text + '}';
}

std::string error_object(std::string_view body, std::string_view type) {
  namespace json = boost::json;
  boost::system::error_code ec;
  auto value = json::parse({body.data(), body.size()}, ec);
  if (!ec && value.is_object()) {
    auto& object = value.get_object();
    const bool complete = object.contains("errorType") && object.contains("errorMessage");
    if (complete) return std::string(body);
    if (!object.contains("errorType")) object["errorType"] = checked_error_type(type);
    if (!object.contains("errorMessage")) object["errorMessage"] = "";
    return json::serialize(value);
  }
  std::string text = "{\"errorType\":";
  wire::append_json_string(text, checked_error_type(type));
  text += ",\"errorMessage\":";
  if (!ec && value.is_string()) body = {value.get_string().data(), value.get_string().size()};
  wire::append_json_string(text, body.substr(0, kMessageMax));
  text += '}';
  return text;
}

bool is_function_error(const engine::Failure& failure) {
  switch (failure.outcome) {
    case Outcome::function_error:
    case Outcome::crash:
    case Outcome::out_of_memory:
    case Outcome::timeout:
    case Outcome::init_failed:
      return true;
    case Outcome::ok:
    case Outcome::refused:
    case Outcome::cancelled:
    case Outcome::platform_error:
      return false;
  }
  return false;
}

std::string error_payload(const engine::Failure& failure, std::string_view request_id) {
  if (!failure.error_json.empty()) return failure.error_json;
  const std::string id(request_id);
  if (failure.outcome == Outcome::timeout)
    return error_json("Sandbox.Timedout", "RequestId: " + id + " Error: " + failure.message);
  if (failure.exit == "exit status 0")
    return error_json("Runtime.ExitError",
                      "RequestId: " + id + " Error: Runtime exited without providing a reason");
  if (!failure.exit.empty())
    return error_json("Runtime.ExitError",
                      "RequestId: " + id + " Error: Runtime exited with error: " + failure.exit);
  if (failure.outcome == Outcome::crash && failure.phase == telemetry::Phase::reply)
    return error_json("Runtime.TruncatedResponse",
                      "RequestId: " + id + " Error: " + failure.message);
  if (failure.outcome == Outcome::init_failed && failure.phase == telemetry::Phase::start)
    return error_json(failure.message.starts_with("enter ") ? "Runtime.InvalidWorkingDir"
                                                            : "Runtime.InvalidEntrypoint",
                      "RequestId: " + id + " Error: " + failure.message);
  if (is_function_error(failure))
    return error_json("Runtime.Unknown", "RequestId: " + id + " Error: " + failure.message);
  return error_json("Sandbox.Failure", "RequestId: " + id + " Error: " + failure.message);
}

}  // namespace mayfly::dialects::lambda
