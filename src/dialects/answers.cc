#include "dialects/answers.h"

#include "gateway/errors.h"

#include <fmt/format.h>

namespace mayfly::dialects {

std::string trace_of(const wire::Headers& headers) {
  if (const auto trace = headers.find("x-amzn-trace-id")) return std::string(*trace);
  return std::string(headers.find("traceparent").value_or(""));
}

io::HttpResponse http_answer(engine::Answer& answer) {
  auto head = wire::decode_response_head(answer.reply.head);
  if (head.has_error()) return bad_answer(answer, head.error());
  io::HttpResponse response;
  response.head = std::move(*head);
  response.body = std::move(answer.reply.body);
  response.more = std::move(answer.reply.more);
  return response;
}

io::HttpResponse bad_answer(engine::Answer& answer, const Error& problem) {
  engine::Failure failure;
  failure.outcome = telemetry::Outcome::function_error;
  failure.party = telemetry::Party::function;
  failure.phase = telemetry::Phase::reply;
  failure.code = Code::function_error;
  failure.message =
      fmt::format("function {} gave no valid answer: {}", answer.function, problem.message);
  answer.receipt.rejected(failure);
  return gateway::failure_response(failure, answer.function, answer.request_id);
}

}  // namespace mayfly::dialects
