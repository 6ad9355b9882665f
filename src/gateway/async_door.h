#pragma once
// Calls that nobody waits for, at the gateway: which requests are such, and their answer (202).
// Pure but for accept_call().

#include <functional>
#include <string>
#include <string_view>

#include "engine/invocation.h"
#include "io/http.h"
#include "triggers/async_calls.h"

namespace mayfly::gateway {

using AcceptCall = std::function<io::Task<Result<triggers::AcceptedCall>>(triggers::NewCall&&)>;

// What the headers say: X-Mayfly-Async: 1 (or the path /async-function/), X-Call-Id,
// X-Callback-Url, Idempotency-Key.
struct AsyncWish {
  bool wanted = false;
  std::string call_id, callback_url, idempotency_key;
};
AsyncWish async_wish(const wire::RequestHead& head, bool by_path);

// Durable before the answer. Takes the invocation and the wish apart; they live until it returns.
// body_limit: bytes of a body that is still coming.
io::Task<Result<io::HttpResponse>> accept_call(const AcceptCall& accept,
                                               engine::Invocation& invocation, AsyncWish& wish,
                                               std::size_t body_limit);

}  // namespace mayfly::gateway
