#include "dialects/raw_invoke.h"

#include "triggers/event_post.h"

namespace mayfly::dialects {

engine::Invocation raw_invocation(functions::VersionPtr version, functions::Model model,
                                  std::string payload, std::string content_type) {
  engine::Invocation invocation;
  invocation.version = std::move(version);
  invocation.source = "invoke";
  invocation.arrived = std::chrono::steady_clock::now();
  invocation.kind = engine::PayloadKind::event;
  invocation.body = std::move(payload);
  if (functions::takes_http(model)) triggers::make_post(invocation, content_type);
  return invocation;
}

io::Task<Result<std::string>> raw_answer(engine::Answer answer, std::size_t limit) {
  if (answer.failure) {
    co_return Error{answer.failure->code, answer.failure->message,
                    std::string(telemetry::phase_name(answer.failure->phase)), 0};
  }
  auto reading = io::read_all(std::move(answer.reply.body), std::move(answer.reply.more), limit,
                              "setting engine.response_bytes_max");
  Result<std::string> body = co_await std::move(reading);
  co_return body;
}

}  // namespace mayfly::dialects
