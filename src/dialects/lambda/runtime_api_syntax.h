#pragma once
// The text forms of the Lambda Runtime API (version 2018-06-01), without I/O.
// Pure; fuzzed.

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "engine/invocation.h"

namespace mayfly::dialects::lambda {

struct RuntimeApiCall {
  enum class Kind { unknown, ping, next, response, error, init_error, restore_next, restore_error };
  Kind kind = Kind::unknown;
  std::string_view id;  // of the invocation, with response and error; a view into the path
};

// path: the path of a request's target, as received.
RuntimeApiCall split_runtime_api_path(std::string_view path);

// An answer of the type application/vnd.awslambda.http-integration-response is
// a JSON prelude, 8 NUL bytes, and the body. Where the NULs begin in bytes;
// nullopt when they are not (all) there yet. from: how many bytes earlier calls
// have seen.
constexpr std::size_t kPreludeMark = 8;
std::optional<std::size_t> find_prelude_end(std::string_view bytes, std::size_t from = 0);

// True for the media type of such an answer, with or without parameters.
bool is_http_integration(std::string_view content_type);
bool is_json_type(std::string_view content_type);

// Error types must hold Runtime.Word or Function.Word; others become
// Runtime.Unknown, or Function.Unknown when they begin so.
std::string checked_error_type(std::string_view type);

// The error of a function as one JSON object with errorType and errorMessage:
// body itself when it is an object (with what it lacks added), else body as the
// message. type: the error type header, may be empty.
std::string error_object(std::string_view body, std::string_view type);

// An error of the type application/vnd.aws.lambda.error.cause+json: without its
// errorCause, which is for X-Ray.
bool is_error_with_cause(std::string_view content_type);
std::string without_cause(std::string_view body);

// ---- what a caller of Invoke is told of a call that failed: the payload that
// goes with X-Amz-Function-Error. Source: the emulator's fatalerror, rapid and
// rie.

// {"errorType","errorMessage"}
std::string error_json(std::string_view type, std::string_view message);

// True when it is the function's own failure, which Lambda answers with 200 and
// X-Amz-Function-Error; else the platform or the caller is to blame.
bool is_function_error(const engine::Failure& failure);

// {"errorType","errorMessage",...}: the function's own words when it had any,
// else what Lambda says of a program that exited, was late or broke off.
std::string error_payload(const engine::Failure& failure, std::string_view request_id);

}  // namespace mayfly::dialects::lambda
