#include <boost/json/parse.hpp>
#include <boost/json/stream_parser.hpp>

#include "dialects/native/state.h"

namespace mayfly::dialects::native {
namespace {

constexpr std::size_t kPayloadDepthMax = 512;

std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = static_cast<std::uint8_t>(bytes[i]) << 16;
    if (i + 1 < bytes.size()) group |= static_cast<std::uint8_t>(bytes[i + 1]) << 8;
    if (i + 2 < bytes.size()) group |= static_cast<std::uint8_t>(bytes[i + 2]);
    out += kDigits[group >> 18];
    out += kDigits[(group >> 12) & 63];
    out += i + 1 < bytes.size() ? kDigits[(group >> 6) & 63] : '=';
    out += i + 2 < bytes.size() ? kDigits[group & 63] : '=';
  }
  return out;
}

bool serves_http(functions::Model model) {
  return model == functions::Model::http || model == functions::Model::http_port ||
         model == functions::Model::stdio;
}

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

void add_answer_headers(io::HttpResponse& response, const engine::Answer& answer,
                        const std::string& log_tail) {
  auto& headers = response.head.headers;
  headers.set("X-Mayfly-Request-Id", answer.request_id);
  headers.set("X-Mayfly-Cold", answer.cold ? "1" : "0");
  headers.set("X-Mayfly-Duration-Us",
              std::to_string(answer.queue_us + answer.start_us + answer.init_us + answer.run_us));
  if (!log_tail.empty()) headers.set("X-Mayfly-Log-Tail", base64(log_tail));
}

}  // namespace

Reply Api::State::invoke(Call call) {
  auto query = query_of(call, {"log"});
  if (query.has_error()) co_return query.error();
  const auto want_log = flag_in(*query, "log");
  if (want_log.has_error()) co_return want_log.error();
  auto version = parts.catalogue.find_qualified(call.name);
  if (!version) co_return no_such_function(call.name);

  std::string setting = "setting http.body_bytes_max";
  auto payload = co_await io::read_all(std::move(call.http.body), std::move(call.http.more),
                                       facts.body_bytes_max, std::move(setting));
  if (payload.has_error()) co_return payload.error();
  const auto model = co_await parts.dispatcher.model_of(version);
  if (model.has_error()) co_return model.error();
  if (serves_http(*model))
    co_return co_await invoke_http(std::move(call), version, std::move(*payload), *want_log);
  if (payload->find_first_not_of(" \t\r\n") == std::string::npos) *payload = "null";
  if (auto valid = check_json(*payload); valid.has_error()) co_return valid.error();
  co_return co_await invoke_event(std::move(call), version, std::move(*payload), *want_log);
}

io::Task<io::HttpResponse> Api::State::invoke_event(Call call, functions::VersionPtr version,
                                                    std::string payload, bool want_log) {
  engine::Invocation invocation;
  invocation.request_id = call.request_id;
  invocation.version = version;
  invocation.source = "invoke";
  invocation.arrived = call.arrived;
  invocation.kind = engine::PayloadKind::event;
  invocation.body = std::move(payload);
  invocation.want_log_tail = want_log;
  if (const auto trace = call.http.head.headers.find("traceparent"); trace)
    invocation.trace_id = *trace;

  auto answer = co_await parts.dispatcher.invoke(std::move(invocation));
  io::HttpResponse response;
  if (answer.failure) {
    response = failure_reply(*answer.failure, answer.request_id, http_status(*answer.failure));
    add_answer_headers(response, answer, answer.failure->log_tail);
    co_return response;
  }
  response.head.status = 200;
  response.head.headers.set("Content-Type", "application/json");
  add_answer_headers(response, answer, answer.reply.log_tail);
  response.body = std::move(answer.reply.body);
  response.more = std::move(answer.reply.more);
  co_return response;
}

io::Task<io::HttpResponse> Api::State::invoke_http(Call call, functions::VersionPtr version,
                                                   std::string payload, bool want_log) {
  // A request of our own: the caller's credential is none of the function's business.
  io::HttpRequest request;
  request.head.method = "POST";
  request.head.target = "/";
  request.head.remote_ip = call.http.head.remote_ip;
  request.head.remote_port = call.http.head.remote_port;
  request.head.headers.set("Host", "mayfly");
  const auto type = call.http.head.headers.find("Content-Type");
  request.head.headers.set("Content-Type", type ? std::string(*type) : "application/json");
  request.head.headers.set("Content-Length", std::to_string(payload.size()));
  request.body = std::move(payload);

  gateway::RouteMatch match;
  match.version = version;
  match.route_key = "$default";
  match.path = "/";
  auto invocation =
      co_await parts.http_dialect.to_invocation(std::move(request), match, call.request_id);
  if (invocation.has_error()) co_return error_reply(invocation.error(), call.request_id);
  invocation->request_id = call.request_id;
  invocation->version = version;
  invocation->source = "invoke";
  invocation->arrived = call.arrived;
  invocation->want_log_tail = want_log;

  auto answer = co_await parts.dispatcher.invoke(std::move(*invocation));
  io::HttpResponse response;
  engine::Answer head;  // what the headers tell, kept from the move below
  head.request_id = answer.request_id;
  head.cold = answer.cold;
  head.queue_us = answer.queue_us;
  head.start_us = answer.start_us;
  head.init_us = answer.init_us;
  head.run_us = answer.run_us;
  const std::string log_tail = answer.failure ? answer.failure->log_tail : answer.reply.log_tail;
  if (answer.failure)
    response = failure_reply(*answer.failure, answer.request_id, http_status(*answer.failure));
  else
    response = parts.http_dialect.to_response(std::move(answer), false);
  add_answer_headers(response, head, log_tail);
  co_return response;
}

}  // namespace mayfly::dialects::native
