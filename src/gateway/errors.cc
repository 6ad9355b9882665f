#include "gateway/errors.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "wire/http_message.h"

namespace mayfly::gateway {

int http_status(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return 400;
    case Code::not_found:
      return 404;
    case Code::already_exists:
    case Code::conflict:
      return 409;
    case Code::unauthenticated:
      return 401;
    case Code::permission_denied:
      return 403;
    case Code::too_large:
      return 413;
    case Code::resource_exhausted:
      return 429;
    case Code::deadline_exceeded:
      return 504;
    case Code::unavailable:
    case Code::cancelled:
      return 503;
    case Code::unsupported:
      return 501;
    case Code::function_error:
      return 502;
    case Code::io_error:
    case Code::corrupt:
    case Code::internal:
      return 500;
  }
  return 500;
}

int http_status(const engine::Failure& failure) {
  using telemetry::Outcome;
  // A request body that broke a limit or its coding on the way in: the code says which.
  if (failure.party == telemetry::Party::client && failure.code != Code::cancelled)
    return http_status(failure.code);
  switch (failure.outcome) {
    case Outcome::function_error:
    case Outcome::crash:
    case Outcome::out_of_memory:
    case Outcome::init_failed:
      return 502;
    case Outcome::timeout:
      return 504;
    case Outcome::refused:
      return failure.code == Code::unavailable ? 503 : 429;
    case Outcome::cancelled:
      return 503;
    case Outcome::ok:
    case Outcome::platform_error:
      break;
  }
  return http_status(failure.code);
}

namespace {

io::HttpResponse make(int status, Code code, std::string_view message, telemetry::Party party,
                      telemetry::Phase phase, const std::string& request_id) {
  std::string body = "{\"error\":{\"code\":\"";
  body.append(code_name(code)).append("\",\"message\":");
  wire::append_json_string(body, message);
  body.append(",\"party\":\"").append(telemetry::party_name(party));
  body.append("\",\"phase\":\"").append(telemetry::phase_name(phase));
  body.append("\",\"request_id\":");
  wire::append_json_string(body, request_id);
  body += "}}\n";
  io::HttpResponse response = io::json_response(status, std::move(body));
  std::string mark(code_name(code));
  mark.append("; party=").append(telemetry::party_name(party));
  mark.append("; phase=").append(telemetry::phase_name(phase));
  response.head.headers.add("X-Mayfly-Error", mark);
  response.head.headers.add("X-Mayfly-Request-Id", request_id);
  return response;
}

std::string public_message(const engine::Failure& failure, const std::string& function,
                           const std::string& request_id) {
  const bool init = failure.phase == telemetry::Phase::init;
  return "Function " + function + (init ? " failed in its initialisation" : " failed") +
         ". 'mayfly invocations --request " + request_id + "' shows why, 'mayfly logs " + function +
         "' what it wrote.";
}

}  // namespace

io::HttpResponse failure_response(const engine::Failure& failure, const std::string& function,
                                  const std::string& request_id) {
  const int status = http_status(failure);
  io::HttpResponse response = make(
      status, failure.code,
      failure.quotes_function ? public_message(failure, function, request_id) : failure.message,
      failure.party, failure.phase, request_id);
  if (status == 429 || failure.retry_after_s > 0)
    response.head.headers.add("Retry-After",
                              std::to_string(std::max(failure.retry_after_s, std::uint32_t{1})));
  return response;
}

io::HttpResponse error_response(const Error& error, telemetry::Party party, telemetry::Phase phase,
                                const std::string& request_id) {
  // A client that stops sending is late itself; the other deadlines are ours or the function's.
  const bool slow_client =
      error.code == Code::deadline_exceeded && party == telemetry::Party::client;
  const int status = slow_client ? 408 : http_status(error.code);
  io::HttpResponse response = make(status, error.code, error.message, party, phase, request_id);
  if (status == 429) response.head.headers.add("Retry-After", "1");
  return response;
}

}  // namespace mayfly::gateway
