// Invoke in its three forms, and the answer as Lambda's clients look for it.

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>

#include "base/base64.h"
#include "dialects/answers.h"
#include "dialects/aws_values.h"
#include "dialects/lambda/runtime_api_syntax.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/event_stream.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/raw_invoke.h"
#include "telemetry/report_lines.h"
#include "triggers/async_calls.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using functions::VersionPtr;

namespace {

using Ending = telemetry::Outcome;

constexpr std::size_t kEventDepthMax = 512;
constexpr std::size_t kClientContextMax = 3583;

aws::Fault no_json(const std::string& why) {
  aws::Fault fault = invalid_parameter("Could not parse request body into json: " + why);
  fault.code = "InvalidRequestContentException";
  return fault;
}

// An empty payload is an empty event.
Outcome<void> check_event(std::string& payload) {
  if (payload.find_first_not_of(" \t\r\n") == std::string::npos) {
    payload = "{}";
    return boost::system::in_place_value;
  }
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = kEventDepthMax;
  unsigned char buffer[4096];
  json::stream_parser parser(json::storage_ptr(), options, buffer);
  const std::size_t used = parser.write(payload.data(), payload.size(), failed);
  if (!failed) parser.finish(failed);
  if (failed) return no_json(failed.message() + " near byte " + std::to_string(used));
  return boost::system::in_place_value;
}

aws::Fault too_large(std::size_t limit, std::string_view operation, std::string_view setting) {
  aws::Fault fault = invalid_parameter("Request must be smaller than " + std::to_string(limit) +
                                       " bytes for the " + std::string(operation) +
                                       " operation (setting " + std::string(setting) + ")");
  fault.code = "RequestTooLargeException";
  fault.status = 413;
  return fault;
}

Outcome<std::string> client_context(const json::object& input) {
  const std::string text = text_member(input, "ClientContext");
  if (text.empty()) return Outcome<std::string>(boost::system::in_place_value, "");
  if (text.size() > kClientContextMax)
    return invalid_parameter("The client context is longer than 3583 bytes.");
  auto context = decode_base64(text);
  std::string checked = context.value_or("");
  if (!context || check_event(checked).has_error())
    return no_json("The client context must be base64 of JSON.");
  return Outcome<std::string>(boost::system::in_place_value, std::move(*context));
}

// The failures that are the function's own: an answer with status 200.
aws::Fault failure_fault(const engine::Failure& failure, bool reserved) {
  if (failure.outcome == Ending::refused)
    return too_many(failure.message,
                    reserved ? "ReservedFunctionConcurrentInvocationLimitExceeded"
                             : "ConcurrentInvocationLimitExceeded",
                    std::max<std::uint32_t>(1, failure.retry_after_s));
  return lambda_fault({failure.code, failure.message, "", 0});
}

// The end of the call's log with START, END and REPORT around it; "" when nobody asked for it.
std::string log_result(const engine::Answer& answer, const functions::Version& version,
                       WallTime now) {
  std::string encoded;
  if (answer.report.request_id.empty()) return encoded;
  std::string tail = answer.failure ? answer.failure->log_tail : answer.reply.log_tail;
  if (answer.failure && answer.failure->outcome == Ending::timeout) {
    if (!tail.empty() && !tail.ends_with('\n')) tail += '\n';
    tail +=
        telemetry::timeout_line(now, answer.request_id, milliseconds(version.settings.timeout_ms)) +
        "\n\n";
  }
  const auto& logs = version.settings.logs;
  if (functions::logs_json(version.settings)) {
    using Level = telemetry::SystemLogLevel;
    const Level level = logs.system_level == "DEBUG"  ? Level::debug
                        : logs.system_level == "WARN" ? Level::warn
                                                      : Level::info;
    append_base64(encoded, telemetry::log_with_records(now, answer.report, tail, level));
  } else {
    append_base64(encoded, telemetry::log_with_report(answer.report, tail));
  }
  return encoded;
}

io::HttpResponse buffered(engine::Answer answer, const functions::Version& version, WallTime now) {
  io::HttpResponse response;
  if (answer.failure) {
    response.body = lambda::error_payload(*answer.failure, answer.request_id);
    response.head.headers.set("X-Amz-Function-Error", "Unhandled");
    response.head.headers.set("Content-Type", "application/json");
  } else if (answer.reply.kind == engine::PayloadKind::http) {
    // What a web application says is the payload; its status is the status of nothing here.
    response = http_answer(answer);
    std::string type(response.head.headers.find("Content-Type").value_or("application/json"));
    response.head = {};
    response.head.headers.set("Content-Type", type);
  } else {
    response.body = std::move(answer.reply.body);
    response.more = std::move(answer.reply.more);
    response.head.headers.set("Content-Type", "application/json");
  }
  response.head.status = 200;
  response.head.headers.set("X-Amz-Executed-Version", version_text(version));
  if (const std::string log = log_result(answer, version, now); !log.empty())
    response.head.headers.set("X-Amz-Log-Result", log);
  answer.receipt.answered(200);
  return response;
}

io::HttpResponse streamed(engine::Answer answer, const functions::Version& version, WallTime now) {
  StreamEnd end;
  end.log_result = log_result(answer, version, now);
  io::HttpResponse response;
  if (answer.failure) {
    end.error_code = "Unhandled";
    end.error_details = lambda::error_payload(*answer.failure, answer.request_id);
    response.more = make_event_stream("", nullptr, std::move(end));
  } else {
    io::HttpResponse plain;
    if (answer.reply.kind == engine::PayloadKind::http) {
      plain = http_answer(answer);
    } else {
      plain.body = std::move(answer.reply.body);
      plain.more = std::move(answer.reply.more);
    }
    response.more = make_event_stream(std::move(plain.body), std::move(plain.more), std::move(end));
  }
  response.head.status = 200;
  response.head.headers.set("Content-Type", "application/vnd.amazon.eventstream");
  response.head.headers.set("X-Amz-Executed-Version", version_text(version));
  answer.receipt.answered(200);
  return response;
}

}  // namespace

io::Task<Outcome<engine::Answer>> LambdaApi::run(VersionPtr version, Call call, std::string body,
                                                 std::string client_context) {
  auto learning = parts_.dispatcher.model_of(version);
  auto model = co_await std::move(learning);
  // The invocation of what does not start yields the user's own error, and leaves a record.
  const functions::Model how = model.has_value() ? *model : functions::Model::event;
  if (!functions::takes_http(how))
    if (auto good = check_event(body); good.has_error()) co_return good.error();
  std::string type = "application/json";
  auto invocation = raw_invocation(std::move(version), how, std::move(body), std::move(type));
  invocation.request_id = std::move(call.request_id);
  invocation.trace_id = text_member(call.input, "TraceId");
  invocation.client_context = std::move(client_context);
  invocation.want_log_tail = text_member(call.input, "LogType") == "Tail";
  auto invoking = parts_.dispatcher.invoke(std::move(invocation));
  engine::Answer answer = co_await std::move(invoking);
  if (answer.failure && !lambda::is_function_error(*answer.failure)) {
    aws::Fault fault = failure_fault(
        *answer.failure,
        parts_.catalogue.belongings(answer.function).reserved_concurrency.has_value());
    answer.receipt.answered(fault.status);
    co_return fault;
  }
  co_return Outcome<engine::Answer>(boost::system::in_place_value, std::move(answer));
}

LambdaApi::Response LambdaApi::invoke_event(FunctionRef ref, VersionPtr version, Call call,
                                            std::string body) {
  if (body.size() > parts_.settings.event_payload_bytes_max)
    co_return too_large(parts_.settings.event_payload_bytes_max, "InvokeFunction",
                        "lambda.event_payload_bytes_max");
  if (!functions::takes_http(version->model))
    if (auto good = check_event(body); good.has_error()) co_return good.error();
  triggers::NewCall wanted;
  auto context = client_context(call.input);
  if (context.has_error()) co_return std::move(context).error();
  auto& message = wanted.message;
  message.target.name = ref.name;
  message.target.qualifier = ref.qualifier == "$LATEST" ? "" : ref.qualifier;
  message.body = std::move(body);
  message.content_type = "application/json";
  message.client_context = std::move(*context);
  message.source = "async";
  message.trace_id = text_member(call.input, "TraceId");
  auto accepting = parts_.calls.accept(std::move(wanted));
  auto accepted = co_await std::move(accepting);
  if (accepted.has_error()) co_return lambda_fault(accepted.error());
  io::HttpResponse response;
  response.head.status = 202;
  // The id under which the function sees the call, and under which it can be looked up.
  response.head.headers.set("x-amzn-RequestId", accepted->id);
  co_return std::move(response);
}

LambdaApi::Response LambdaApi::invoke(Call call, std::string body) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const Op op = static_cast<Op>(call.operation->tag);
  if (auto good = refuse_unserved(call.input); good.has_error()) co_return good.error();
  std::string how = text_member(call.input, "InvocationType");
  if (op == Op::invoke_async) how = "Event";
  if (how == "DryRun") {
    io::HttpResponse response;
    response.head.status = 204;
    co_return std::move(response);
  }
  if (how == "Event" && op != Op::invoke_with_response_stream) {
    Response accepting = invoke_event(std::move(ref), *version, std::move(call), std::move(body));
    co_return co_await std::move(accepting);
  }
  if (!how.empty() && how != "RequestResponse")
    co_return validation(how.substr(0, 100), "invocationType",
                         "Member must satisfy enum value set: [Event, RequestResponse, DryRun]");
  if (body.size() > parts_.settings.payload_bytes_max)
    co_return too_large(parts_.settings.payload_bytes_max, "InvokeFunction",
                        "lambda.payload_bytes_max");
  auto context = client_context(call.input);
  if (context.has_error()) co_return std::move(context).error();
  auto running = run(*version, std::move(call), std::move(body), std::move(*context));
  auto answer = co_await std::move(running);
  if (answer.has_error()) co_return std::move(answer).error();
  const WallTime now = parts_.clock.wall_now();
  if (op == Op::invoke_with_response_stream) co_return streamed(std::move(*answer), **version, now);
  co_return buffered(std::move(*answer), **version, now);
}

}  // namespace mayfly::dialects::lambda_api
