#include "gateway/async_door.h"

namespace mayfly::gateway {
namespace {

std::string text_of(const wire::RequestHead& head, std::string_view name) {
  return std::string(head.headers.find(name).value_or(""));
}

triggers::NewCall call_of(engine::Invocation& invocation, AsyncWish& wish) {
  triggers::NewCall call;
  auto& message = call.message;
  message.target.kind = triggers::Target::Kind::function;
  message.target.name = invocation.version->function;
  if (invocation.version->number > 0)
    message.target.qualifier = std::to_string(invocation.version->number);
  message.kind = invocation.kind;
  message.head = std::move(invocation.head);
  message.body = std::move(invocation.body);
  message.client_context = std::move(invocation.client_context);
  message.trace_id = std::move(invocation.trace_id);
  message.source = "async";
  message.alias = std::move(wish.call_id);
  message.callback_url = std::move(wish.callback_url);
  call.idempotency_key = std::move(wish.idempotency_key);
  return call;
}

}  // namespace

AsyncWish async_wish(const wire::RequestHead& head, bool by_path) {
  AsyncWish wish;
  const auto flag = head.headers.find("X-Mayfly-Async");
  wish.wanted = by_path || (flag && (*flag == "1" || wire::equal_ignoring_case(*flag, "true")));
  if (!wish.wanted) return wish;
  wish.call_id = text_of(head, "X-Call-Id");
  wish.callback_url = text_of(head, "X-Callback-Url");
  wish.idempotency_key = text_of(head, "Idempotency-Key");
  return wish;
}

io::Task<Result<io::HttpResponse>> accept_call(const AcceptCall& accept,
                                               engine::Invocation& invocation, AsyncWish& wish,
                                               std::size_t body_limit) {
  if (invocation.more) {
    auto reading = io::read_all(std::move(invocation.body), std::move(invocation.more), body_limit,
                                "setting calls.payload_bytes_max");
    Result<std::string> body = co_await std::move(reading);
    if (body.has_error()) co_return body.error();
    invocation.body = std::move(*body);
  }
  std::string name = wish.call_id;
  triggers::NewCall call = call_of(invocation, wish);
  io::Task<Result<triggers::AcceptedCall>> accepting = accept(std::move(call));
  const Result<triggers::AcceptedCall> accepted = co_await std::move(accepting);
  if (accepted.has_error()) co_return accepted.error();
  if (name.empty()) name = accepted->id;
  io::HttpResponse response = io::json_response(202, "{\"call_id\":\"" + accepted->id + "\"}\n");
  response.head.headers.add("X-Call-Id", name);
  response.head.headers.add("X-Mayfly-Call-Id", accepted->id);
  if (accepted->duplicate) response.head.headers.add("X-Mayfly-Duplicate", "1");
  co_return response;
}

}  // namespace mayfly::gateway
