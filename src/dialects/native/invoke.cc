#include <boost/json/stream_parser.hpp>

#include "base/base64.h"
#include "dialects/answers.h"
#include "dialects/native/state.h"
#include "dialects/raw_invoke.h"
#include "gateway/errors.h"
#include "triggers/async_calls.h"

namespace mayfly::dialects::native {
namespace {

constexpr std::size_t kPayloadDepthMax = 512;

Status check_json(std::string_view payload) {
  boost::system::error_code failed;
  boost::json::parse_options options;
  options.max_depth = kPayloadDepthMax;
  boost::json::stream_parser parser(boost::json::storage_ptr(), options);
  const std::size_t used = parser.write(payload.data(), payload.size(), failed);
  if (!failed) parser.finish(failed);
  if (failed)
    return Error{Code::invalid_argument, "The payload is not valid JSON (" + failed.message() +
                                             " near byte " + std::to_string(used) + ")."};
  return ok();
}

// What the caller learns beside the answer; taken before the answer is moved on.
struct Facts {
  explicit Facts(const engine::Answer& answer)
      : request_id(answer.request_id),
        cold(answer.cold),
        duration_us(answer.queue_us + answer.start_us + answer.init_us + answer.run_us),
        log_tail(answer.failure ? answer.failure->log_tail : answer.reply.log_tail) {}

  void add_to(wire::Headers& headers) const {
    headers.set("X-Mayfly-Request-Id", request_id);
    headers.set("X-Mayfly-Cold", cold ? "1" : "0");
    headers.set("X-Mayfly-Duration-Us", std::to_string(duration_us));
    if (log_tail.empty()) return;
    std::string encoded;
    append_base64(encoded, log_tail);
    headers.set("X-Mayfly-Log-Tail", encoded);
  }

  std::string request_id;
  bool cold;
  std::uint64_t duration_us;
  std::string log_tail;
};

io::HttpResponse to_response(engine::Answer answer) {
  const Facts facts(answer);
  io::HttpResponse response;
  if (answer.failure) {
    response =
        failure_reply(*answer.failure, answer.request_id, gateway::http_status(*answer.failure));
  } else if (answer.reply.kind == engine::PayloadKind::http) {
    response = http_answer(answer);
  } else {
    response.head.headers.set("Content-Type", "application/json");
    response.body = std::move(answer.reply.body);
    response.more = std::move(answer.reply.more);
  }
  facts.add_to(response.head.headers);
  answer.receipt.answered(response.head.status);
  return response;
}

}  // namespace

// Functions that take HTTP get POST / when it runs, whatever they turn out to be.
Reply Api::State::invoke_async(Call call, functions::VersionPtr version, std::string payload) {
  if (parts.calls == nullptr)
    co_return Error{Code::unsupported, "This server takes no async calls."};
  if (!functions::takes_http(version->model)) {
    if (payload.find_first_not_of(" \t\r\n") == std::string::npos) payload = "null";
    if (auto valid = check_json(payload); valid.has_error()) co_return valid.error();
  }
  const auto& headers = call.http.head.headers;
  const auto text = [&headers](std::string_view name) {
    return std::string(headers.find(name).value_or(""));
  };
  triggers::NewCall wanted;
  auto& message = wanted.message;
  message.target.name = version->function;
  if (version->number > 0) message.target.qualifier = std::to_string(version->number);
  message.body = std::move(payload);
  message.content_type = text("Content-Type");
  message.source = "async";
  message.trace_id = trace_of(headers);
  message.alias = text("X-Call-Id");
  message.callback_url = text("X-Callback-Url");
  wanted.idempotency_key = text("Idempotency-Key");
  auto accepting = parts.calls->accept(std::move(wanted));
  const auto accepted = co_await std::move(accepting);
  if (accepted.has_error()) co_return accepted.error();
  boost::json::object object{{"call_id", accepted->id}, {"duplicate", accepted->duplicate}};
  auto response = json_reply(202, object);
  response.head.headers.set("X-Call-Id", accepted->id);
  co_return response;
}

Reply Api::State::invoke(Call call) {
  auto query = query_of(call, {"log", "async"});
  if (query.has_error()) co_return query.error();
  const auto want_log = flag_in(*query, "log");
  if (want_log.has_error()) co_return want_log.error();
  const auto async = flag_in(*query, "async");
  if (async.has_error()) co_return async.error();
  auto version = parts.catalogue.find_qualified(call.name);
  if (!version) co_return no_such_function(call.name);

  std::string setting = "setting http.body_bytes_max";
  auto payload = co_await io::read_all(std::move(call.http.body), std::move(call.http.more),
                                       facts.body_bytes_max, std::move(setting));
  if (payload.has_error()) co_return payload.error();
  if (*async) {
    Reply accepting = invoke_async(std::move(call), std::move(version), std::move(*payload));
    auto accepted = co_await std::move(accepting);
    co_return accepted;
  }
  auto model = co_await parts.dispatcher.model_of(version);
  // The invocation of what does not start yields the user's own error, and leaves a record.
  const bool starts = model.has_value();
  if (!starts) model = functions::Model::event;
  if (starts && !functions::takes_http(*model)) {
    if (payload->find_first_not_of(" \t\r\n") == std::string::npos) *payload = "null";
    if (auto valid = check_json(*payload); valid.has_error()) co_return valid.error();
  }

  const auto& headers = call.http.head.headers;
  std::string type(headers.find("Content-Type").value_or("application/json"));
  auto invocation = raw_invocation(version, *model, std::move(*payload), std::move(type));
  invocation.request_id = call.request_id;
  invocation.arrived = call.arrived;
  invocation.trace_id = trace_of(headers);
  invocation.want_log_tail = *want_log;
  auto answer = co_await parts.dispatcher.invoke(std::move(invocation));
  co_return to_response(std::move(answer));
}

}  // namespace mayfly::dialects::native
