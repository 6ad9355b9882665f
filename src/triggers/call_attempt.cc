// One attempt of a call: the invocation of a function, or a delivery.

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "triggers/call_state.h"
#include "triggers/event_post.h"
#include "triggers/services.h"
#include "wire/http_message.h"

namespace mayfly::triggers {
namespace {

namespace asio = boost::asio;

// What clients of HTTP try again, too.
bool is_http_failure(int status) {
  return status >= 500 || status == 429 || status == 408;
}

engine::Invocation invocation_of(const Running& call, functions::VersionPtr version,
                                 std::string body) {
  const CallMessage& message = call.message;
  engine::Invocation invocation;
  invocation.request_id = call.id;
  invocation.version = std::move(version);
  invocation.source = message.source;
  invocation.background = true;
  invocation.attempt = call.attempt;
  invocation.trace_id = message.trace_id;
  invocation.client_context = message.client_context;
  invocation.kind = message.kind;
  invocation.head = message.head;
  invocation.body = std::move(body);
  if (message.kind == engine::PayloadKind::event &&
      functions::takes_http(invocation.version->model))
    make_post(invocation, message.content_type,
              {{"X-Mayfly-Source", message.source}, {"X-Mayfly-Call-Id", message.id}});
  return invocation;
}

Attempt failed(std::string code, std::string text) {
  Attempt attempt;
  attempt.error_code = std::move(code);
  attempt.error = std::move(text);
  return attempt;
}

int status_of(const engine::Failure& failure) {
  switch (failure.outcome) {
    case telemetry::Outcome::timeout:
      return 504;
    case telemetry::Outcome::crash:
    case telemetry::Outcome::out_of_memory:
      return 502;
    default:
      return 500;
  }
}

Attempt from_failure(const engine::Failure& failure) {
  using telemetry::Outcome;
  Attempt attempt = failed(std::string(code_name(failure.code)), failure.message);
  attempt.error_json = failure.error_json;
  attempt.status = status_of(failure);
  attempt.retry_after_s = failure.retry_after_s;
  if (failure.outcome == Outcome::refused) {
    attempt.end = Attempt::End::refused;
    attempt.status = 429;
  } else if (failure.outcome == Outcome::cancelled) {
    attempt.end = Attempt::End::cancelled;
  } else if (failure.code == Code::unavailable && failure.phase == telemetry::Phase::accept) {
    attempt.end = Attempt::End::unavailable;
  }
  return attempt;
}

// Reads to the end, and keeps what fits: the function's answer is over only then.
io::Task<Status> read_answer(engine::Reply* reply, std::size_t limit, Attempt* attempt) {
  attempt->body = std::move(reply->body);
  Status read = ok();
  while (reply->more) {
    io::Task<Result<std::string>> reading = reply->more->read();
    Result<std::string> piece = co_await std::move(reading);
    if (piece.has_error()) {
      read = piece.error();
      break;
    }
    if (piece->empty()) break;
    if (attempt->body.size() < limit) attempt->body += *piece;
    attempt->cut = attempt->cut || attempt->body.size() > limit;
  }
  reply->more.reset();
  if (attempt->body.size() > limit) {
    attempt->cut = true;
    attempt->body.resize(limit);
  }
  co_return read;
}

void judge_http(const std::string& head, Attempt& attempt) {
  auto decoded = wire::decode_response_head(head);
  if (decoded.has_error()) {
    attempt =
        failed("function_error", "The function's answer is malformed: " + decoded.error().message);
    attempt.status = 502;
    return;
  }
  attempt.status = decoded->status;
  attempt.type = std::string(decoded->headers.find("Content-Type").value_or(""));
  if (!is_http_failure(attempt.status)) {
    attempt.end = Attempt::End::succeeded;
    return;
  }
  attempt.end = Attempt::End::failed;
  attempt.error_code = "function_error";
  attempt.error = "The function answered with HTTP status " + std::to_string(attempt.status) + ".";
}

// What an attempt that was cut off after its effects were committed has come to.
io::Task<std::optional<Attempt>> find_marked(std::shared_ptr<AsyncCalls::State> state,
                                             std::string key) {
  auto reading = state->parts.pool.run(
      [store = &state->parts.store, key = std::move(key)] { return store->get(key); });
  const Result<std::string> bytes = co_await std::move(reading);
  if (bytes.has_error()) co_return std::nullopt;
  auto mark = decode_mark(*bytes);
  if (mark.has_error()) co_return std::nullopt;
  Attempt attempt;
  attempt.end = Attempt::End::succeeded;
  attempt.type = "application/json";
  attempt.status = 200;
  attempt.body = std::move(mark->result);
  attempt.cut = mark->cut;
  co_return attempt;
}

io::Task<Attempt> call_function(std::shared_ptr<AsyncCalls::State> state, RunningPtr call,
                                std::string body) {
  const CallMessage& message = call->message;
  const auto version = state->parts.find_version(message.target.name, message.target.qualifier);
  if (!version) {
    Attempt none = failed("not_found", "There is no function " + to_text(message.target) + ".");
    none.hopeless = true;
    none.status = 404;
    co_return none;
  }
  engine::Invocation invocation = invocation_of(*call, version, std::move(body));
  const auto settlement = std::make_shared<CallSettlement>();
  settlement->mark_key = std::string(kMarkPrefix) + call->id;
  settlement->now_us = state->now_us();
  settlement->result_bytes_max = state->parts.settings.result_bytes_max;
  // Whether an answer in HTTP is a success is not known when effects are committed.
  if (invocation.kind == engine::PayloadKind::event) invocation.settlement = settlement;
  io::Task<engine::Answer> invoking = state->parts.invoke(std::move(invocation));
  engine::Answer answer = co_await std::move(invoking);
  call->marked = settlement->marked;
  Attempt attempt;
  std::optional<Attempt> marked;
  if (answer.failure && answer.failure->code == Code::conflict) {
    io::Task<std::optional<Attempt>> finding = find_marked(state, settlement->mark_key);
    marked = co_await std::move(finding);
  }
  if (marked) {
    attempt = std::move(*marked);
    call->marked = true;
  } else if (answer.failure) {
    attempt = from_failure(*answer.failure);
  } else {
    const std::size_t limit =
        std::max(state->parts.settings.inline_bytes_max, state->parts.settings.result_bytes_max);
    io::Task<Status> reading = read_answer(&answer.reply, limit, &attempt);
    const Status read = co_await std::move(reading);
    if (read.has_error()) {
      attempt = failed("function_error", "The answer broke off: " + read.error().message);
      attempt.status = 502;
    } else if (answer.reply.kind == engine::PayloadKind::http) {
      judge_http(answer.reply.head, attempt);
    } else {
      attempt.end = Attempt::End::succeeded;
      attempt.type = "application/json";
      attempt.status = 200;
    }
  }
  answer.receipt.answered(attempt.status);
  attempt.reached = !answer.instance.empty();
  attempt.waited_us = answer.queue_us;
  attempt.duration_us = answer.start_us + answer.init_us + answer.run_us;
  attempt.version = version->number == 0 ? "$LATEST" : std::to_string(version->number);
  co_return attempt;
}

io::Task<Attempt> run_delivery(std::shared_ptr<AsyncCalls::State> state, RunningPtr call,
                               std::string body) {
  Delivery delivery = call->message.delivery;
  delivery.body = std::move(body);
  if (delivery.id.empty()) delivery.id = call->id;
  const SteadyTime began = state->parts.clock.steady_now();
  io::Task<Status> delivering =
      state->parts.targets.deliver(call->message.target, std::move(delivery));
  const Status delivered = co_await std::move(delivering);
  Attempt attempt;
  attempt.reached = true;
  attempt.duration_us = static_cast<std::uint64_t>(to_us(state->parts.clock.steady_now() - began));
  if (!delivered.has_error()) {
    attempt.end = Attempt::End::succeeded;
    co_return attempt;
  }
  attempt.error_code = std::string(code_name(delivered.error().code));
  attempt.error = delivered.error().describe();
  attempt.hopeless =
      !is_retryable(delivered.error().code) && delivered.error().code != Code::not_found;
  co_return attempt;
}

}  // namespace

io::Task<void> AsyncCalls::State::attempt(RunningPtr call) {
  auto self = shared_from_this();
  std::string body = call->message.body;
  if (call->message.spilled_bytes > 0) {
    auto reading =
        parts.pool.run([files = &spill, id = call->id, bytes = call->message.spilled_bytes] {
          return files->read(id, bytes);
        });
    Result<std::string> read = co_await std::move(reading);
    if (read.has_error()) {
      call->result = failed("corrupt", read.error().describe());
      call->result.hopeless = true;
      co_return;
    }
    body = std::move(*read);
  }
  io::Task<Attempt> task = call->message.target.kind == Target::Kind::function
                               ? call_function(self, call, std::move(body))
                               : run_delivery(self, call, std::move(body));
  call->result = co_await std::move(task);
}

// On its own, so that cancelling it leaves the task that ends the call alone.
void AsyncCalls::State::start_attempt(RunningPtr call) {
  const auto slot = call->cancel.slot();
  asio::co_spawn(parts.loop, attempt(call),
                 asio::bind_cancellation_slot(slot, [call](std::exception_ptr broken) {
                   if (broken) call->result.end = Attempt::End::cancelled;
                   call->over.wake();
                 }));
}

}  // namespace mayfly::triggers
