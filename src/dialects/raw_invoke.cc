#include "dialects/raw_invoke.h"

namespace mayfly::dialects {

engine::Invocation raw_invocation(functions::VersionPtr version, functions::Model model,
                                  std::string payload, std::string content_type) {
  engine::Invocation invocation;
  invocation.version = std::move(version);
  invocation.source = "invoke";
  invocation.arrived = std::chrono::steady_clock::now();
  if (!functions::takes_http(model)) {
    invocation.kind = engine::PayloadKind::event;
  } else {
    invocation.kind = engine::PayloadKind::http;
    wire::RequestHead head;
    head.method = "POST";
    head.target = "/";
    head.remote_ip = "127.0.0.1";
    head.headers.add("Host", "mayfly");
    head.headers.add("Content-Type", content_type.empty() ? "application/json" : content_type);
    head.headers.add("Content-Length", std::to_string(payload.size()));
    invocation.head = wire::encode_request_head(head, "/", "");
  }
  invocation.body = std::move(payload);
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
