#include "triggers/async_calls.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>

#include "base/ids.h"
#include "base/log.h"
#include "telemetry/bytes.h"
#include "triggers/call_state.h"

namespace mayfly::triggers {
namespace {

constexpr std::uint32_t kHopsMax = 16;
constexpr std::size_t kAliasMax = 128;
constexpr std::size_t kKeyMax = 256;
constexpr int kConflictsMax = 8;

// Time and id: what an idempotency key or an alias leads to.
std::string encode_pointer(std::int64_t time_us, std::string_view id) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.signed_number(time_us);
  out.text(id);
  return bytes;
}

bool is_visible_ascii(std::string_view text) {
  for (const char c : text)
    if (c <= ' ' || c > '~') return false;
  return true;
}

Status check(const NewCall& call, const CallSettings& settings) {
  const auto& message = call.message;
  if (message.alias.size() > kAliasMax || !is_visible_ascii(message.alias))
    return Error{Code::invalid_argument,
                 "X-Call-Id must be up to 128 printable ASCII characters without blanks."};
  if (call.idempotency_key.size() > kKeyMax || !is_visible_ascii(call.idempotency_key))
    return Error{Code::invalid_argument,
                 "Idempotency-Key must be up to 256 printable ASCII characters without blanks."};
  if (message.body.size() > settings.payload_bytes_max)
    return Error{Code::too_large, fmt::format("The payload has {} bytes; {} are allowed (setting "
                                              "calls.payload_bytes_max).",
                                              message.body.size(), settings.payload_bytes_max)};
  if (message.hops > kHopsMax)
    return Error{Code::invalid_argument,
                 fmt::format("This call is the {}th in a chain of destinations: they seem to lead "
                             "in a circle.",
                             message.hops)};
  if (message.callback_url.empty()) return ok();
  auto callback = parse_target(message.callback_url);
  if (callback.has_error() || callback->kind != Target::Kind::webhook)
    return Error{Code::invalid_argument, "X-Callback-Url must be an http or https address."};
  return ok();
}

std::string queue_of(const Target& target) {
  if (target.kind == Target::Kind::function) return std::string(kLanePrefix) + target.name;
  return std::string(kDeliveryPrefix).append(kind_name(target.kind));
}

CallMessage message_of(Target target, Delivery delivery) {
  CallMessage message;
  message.target = std::move(target);
  message.body = std::move(delivery.body);
  message.content_type = delivery.content_type;
  message.source = delivery.source.empty() ? "event" : delivery.source;
  message.trace_id = delivery.trace_id;
  message.delivery = std::move(delivery);
  message.delivery.body.clear();
  return message;
}

}  // namespace

void spawn_logged(boost::asio::io_context& loop, io::Task<void> task, const char* what) {
  boost::asio::co_spawn(loop, std::move(task), [what](std::exception_ptr failed) {
    if (!failed) return;
    try {
      std::rethrow_exception(failed);
    } catch (const std::exception& thrown) {
      log::error("{} broke off: {}", what, thrown.what());
    }
  });
}

void PreparedCall::add_to(queues::Batch& batch) && {
  batch.sends.emplace_back(std::move(queue), std::move(message));
  if (batch.also.puts.empty()) batch.also.puts.reserve(puts.size() + 1);  // the message, too
  for (auto& entry : puts) batch.also.put(std::move(entry.key), std::move(entry.value));
}

AsyncCalls::AsyncCalls(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {
  // The state outlives the targets' use of it only as long as this object does.
  state_->parts.targets.register_kind(
      Target::Kind::function, [state = state_.get()](Target target, Delivery delivery) {
        return state->deliver(std::move(target), std::move(delivery));
      });
}
AsyncCalls::~AsyncCalls() = default;

io::Task<Result<AcceptedCall>> AsyncCalls::accept(NewCall&& call) {
  return state_->accept(std::move(call));
}
io::Task<Result<PreparedCall>> AsyncCalls::prepare(NewCall call) {
  return state_->prepare(std::move(call));
}
io::Task<Status> AsyncCalls::add_delivery(queues::Batch* batch, Target target, Delivery delivery,
                                          std::uint32_t hops) {
  return state_->add_delivery(batch, std::move(target), std::move(delivery), hops);
}
io::Task<Result<CallPage>> AsyncCalls::list(CallFilter filter) {
  return state_->list(std::move(filter));
}
io::Task<Result<CallRecord>> AsyncCalls::cancel(std::string id) {
  return state_->cancel(std::move(id));
}
io::Task<Result<AcceptedCall>> AsyncCalls::run_again(std::string id) {
  return state_->run_again(std::move(id));
}

io::Task<Status> AsyncCalls::State::deliver(Target target, Delivery delivery) {
  NewCall call;
  // What is delivered twice under one id becomes one call.
  call.idempotency_key = delivery.id.size() <= kKeyMax && is_visible_ascii(delivery.id)
                             ? delivery.id
                             : sha256_hex(delivery.id);
  call.message = message_of(std::move(target), std::move(delivery));
  io::Task<Result<AcceptedCall>> accepting = accept(std::move(call));
  const Result<AcceptedCall> accepted = co_await std::move(accepting);
  if (accepted.has_error()) co_return accepted.error();
  co_return ok();
}

// A queue of the platform's own: made when its first call comes.
io::Task<Status> AsyncCalls::State::make_queue(std::string queue) {
  queues::QueueInfo info;
  info.name = queue;
  info.settings.visibility_timeout_s = parts.settings.hold_s;
  info.settings.retention_s = 1'209'600;
  info.settings.message_bytes_max =
      static_cast<std::uint32_t>(parts.settings.inline_bytes_max) + (1u << 20);
  Status made = ok();
  const auto known = parts.queues.find(queue);
  if (!known) {
    io::Task<Status> making = parts.queues.create(std::move(info));
    made = co_await std::move(making);
    if (made.has_error() && made.error().code == Code::already_exists) made = ok();
  } else if (known->settings.message_bytes_max < info.settings.message_bytes_max) {
    // calls.inline_bytes_max has grown since.
    io::Task<Status> updating = parts.queues.update(std::move(info));
    made = co_await std::move(updating);
  }
  if (made.has_error()) co_return made;
  ready_queues.insert(queue);
  start_lane(lane_of(queue));
  co_return ok();
}

// What a call needs before it can be written, but for most: a queue, a file for its payload.
io::Task<Status> AsyncCalls::State::make_way(CallMessage* message, std::string queue) {
  if (!ready_queues.contains(queue)) {
    io::Task<Status> making = make_queue(std::move(queue));
    if (Status made = co_await std::move(making); made.has_error()) co_return made;
  }
  if (message->body.size() <= parts.settings.inline_bytes_max) co_return ok();
  message->spilled_bytes = message->body.size();
  Spill* const files = &spill;
  auto writing = parts.pool.run([files, id = message->id, body = std::move(message->body)] {
    return files->write(id, body);
  });
  message->body.clear();
  Status written = co_await std::move(writing);
  co_return written;
}

Status AsyncCalls::State::begin(NewCall& call, PreparedCall& prepared) {
  if (stopping) return Error{Code::unavailable, "The server is stopping."};
  MAYFLY_TRY(check(call, parts.settings));
  CallMessage& message = call.message;
  prepared.queue = queue_of(message.target);
  message.accepted_us = now_us();
  message.id = prepared.id = ids.next(message.accepted_us);
  return ok();
}

bool AsyncCalls::State::has_way(const CallMessage& message, const std::string& queue) const {
  return message.body.size() <= parts.settings.inline_bytes_max && ready_queues.contains(queue);
}

void AsyncCalls::State::write_out(const CallMessage& message, PreparedCall& prepared) {
  prepared.puts.reserve(2);
  prepared.puts.push_back({call_key(message.id), encode_first_record(message)});
  if (!message.alias.empty())
    prepared.puts.push_back({std::string(kAliasPrefix) + message.alias,
                             encode_pointer(message.accepted_us, message.id)});
  prepared.message.body = encode(message);
  ++records;
}

io::Task<Result<PreparedCall>> AsyncCalls::State::prepare(NewCall call) {
  PreparedCall prepared;
  if (const Status begun = begin(call, prepared); begun.has_error()) co_return begun.error();
  if (!has_way(call.message, prepared.queue)) {
    io::Task<Status> making = make_way(&call.message, prepared.queue);
    if (const Status made = co_await std::move(making); made.has_error()) co_return made.error();
  }
  write_out(call.message, prepared);
  co_return prepared;
}

io::Task<Result<AcceptedCall>> AsyncCalls::State::accept(NewCall&& call) {
  accepted_at = parts.clock.steady_now();
  if (!call.idempotency_key.empty()) {
    io::Task<Result<AcceptedCall>> once = accept_once(std::move(call));
    Result<AcceptedCall> accepted = co_await std::move(once);
    co_return accepted;
  }
  // As prepare(), without a coroutine of its own for every call.
  PreparedCall prepared;
  if (const Status begun = begin(call, prepared); begun.has_error()) co_return begun.error();
  if (!has_way(call.message, prepared.queue)) {
    io::Task<Status> making = make_way(&call.message, prepared.queue);
    if (const Status made = co_await std::move(making); made.has_error()) co_return made.error();
  }
  write_out(call.message, prepared);
  AcceptedCall accepted{prepared.id, false};
  queues::Batch batch;
  std::move(prepared).add_to(batch);
  io::Task<Result<std::vector<queues::Sent>>> committing = parts.queues.commit(std::move(batch));
  const Result<std::vector<queues::Sent>> sent = co_await std::move(committing);
  if (sent.has_error()) co_return sent.error();
  co_return accepted;
}

io::Task<Result<AcceptedCall>> AsyncCalls::State::accept_once(NewCall call) {
  const std::string key =
      std::string(kIdempotencyPrefix) +
      sha256_hex(to_text(call.message.target) + std::string(1, '\0') + call.idempotency_key);
  for (int round = 0; round < kConflictsMax; ++round) {
    auto reading = parts.pool.run([store = &parts.store, key] { return store->get(key); });
    const Result<std::string> known = co_await std::move(reading);
    std::optional<std::string> before;
    if (known.has_value()) {
      before = *known;
      telemetry::ByteReader in(*known);
      const std::int64_t since = in.signed_number();
      const std::string id(in.text());
      const std::int64_t age_s = (now_us() - since) / 1'000'000;
      if (in.good() && age_s < parts.settings.idempotency_s) co_return AcceptedCall{id, true};
    } else if (known.error().code != Code::not_found) {
      co_return known.error();
    }
    NewCall copy = call;
    io::Task<Result<PreparedCall>> preparing = prepare(std::move(copy));
    Result<PreparedCall> prepared = co_await std::move(preparing);
    if (prepared.has_error()) co_return prepared.error();
    AcceptedCall accepted{prepared->id, false};
    queues::Batch batch;
    std::move(*prepared).add_to(batch);
    batch.also.require(key, before);
    batch.also.put(key, encode_pointer(now_us(), accepted.id));
    io::Task<Result<std::vector<queues::Sent>>> committing = parts.queues.commit(std::move(batch));
    const Result<std::vector<queues::Sent>> sent = co_await std::move(committing);
    if (sent.has_value()) co_return accepted;
    --records;
    spill.remove(accepted.id);
    if (sent.error().code != Code::conflict) co_return sent.error();
  }
  co_return Error{Code::conflict, "Many calls with this Idempotency-Key came at once."};
}

io::Task<Status> AsyncCalls::State::add_delivery(queues::Batch* batch, Target target,
                                                 Delivery delivery, std::uint32_t hops) {
  if (target.kind == Target::Kind::queue) {
    if (const auto queue = parts.queues.find(target.name)) {
      batch->sends.emplace_back(target.name, to_message(std::move(delivery), queue->settings.fifo));
      co_return ok();
    }
  }
  NewCall call;
  call.message = message_of(std::move(target), std::move(delivery));
  call.message.hops = hops;
  io::Task<Result<PreparedCall>> preparing = prepare(std::move(call));
  Result<PreparedCall> prepared = co_await std::move(preparing);
  if (prepared.has_error()) co_return prepared.error();
  std::move(*prepared).add_to(*batch);
  co_return ok();
}

functions::AsyncSettings AsyncCalls::State::settings_of(const CallMessage& message) const {
  functions::AsyncSettings settings;
  if (message.target.kind == Target::Kind::function) {
    const auto version = parts.find_version(message.target.name, message.target.qualifier);
    if (version) settings = version->settings.async;
    if (parts.find_own_settings)
      if (auto own = parts.find_own_settings(message.target.name, message.target.qualifier)) {
        own->dead_letter = std::move(settings.dead_letter);
        settings = std::move(*own);
      }
  }
  if (message.retries) settings.retries = static_cast<std::int32_t>(*message.retries);
  if (message.max_age_s) settings.max_age_s = *message.max_age_s;
  if (!message.dead_letter.empty()) settings.dead_letter = message.dead_letter;
  if (settings.retries < 0) settings.retries = static_cast<std::int32_t>(parts.settings.retries);
  if (settings.max_age_s < 0) settings.max_age_s = parts.settings.max_age_s;
  return settings;
}

Status check_async_targets(const functions::AsyncSettings& settings) {
  const auto check = [](const char* key, const std::string& text) -> Status {
    if (text.empty()) return ok();
    auto target = parse_target(text);
    if (target.has_error())
      return Error{Code::invalid_argument, fmt::format("{}: {}", key, target.error().message)};
    return ok();
  };
  MAYFLY_TRY(check("async.on_success", settings.on_success));
  MAYFLY_TRY(check("async.on_failure", settings.on_failure));
  return check("async.dead_letter", settings.dead_letter);
}

}  // namespace mayfly::triggers
