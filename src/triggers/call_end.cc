// How calls end: the record, the message and what goes to destinations are one transaction.

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/ids.h"
#include "base/log.h"
#include "telemetry/bytes.h"
#include "triggers/call_state.h"
#include "wire/http_message.h"

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

double random_unit() {
  std::uint64_t bits = 0;
  random_bytes({reinterpret_cast<std::uint8_t*>(&bits), sizeof bits});
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

// The text as a JSON value: itself when it is one, else a string.
json::value as_json(std::string_view text) {
  if (text.empty()) return nullptr;
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 256;
  json::value value = json::parse(text, failed, {}, options);
  if (!failed) return value;
  std::string quoted;  // what is no UTF-8 is made so
  wire::append_json_string(quoted, text);
  value = json::parse(quoted, failed);
  return failed ? json::value(nullptr) : value;
}

json::value request_payload(const CallMessage& message) {
  if (message.spilled_bytes > 0)
    return json::object{{"spilledBytes", message.spilled_bytes}, {"callId", message.id}};
  if (message.kind == engine::PayloadKind::http)
    return json::object{{"request", as_json(message.head)}, {"body", as_json(message.body)}};
  return as_json(message.body);
}

json::value response_payload(const Attempt& result) {
  if (result.end == Attempt::End::succeeded) return as_json(result.body);
  if (!result.error_json.empty()) return as_json(result.error_json);
  return json::object{{"errorMessage", result.error}, {"errorType", result.error_code}};
}

// Lambda's invocation record for destinations.
std::string outcome_json(const Running& call, const std::string& condition,
                         const std::string& function_arn, std::int64_t now_us) {
  const Attempt& result = call.result;
  const std::string version = result.version.empty() ? "$LATEST" : result.version;
  json::object response{{"statusCode", 200}, {"executedVersion", version}};
  if (result.end != Attempt::End::succeeded) response["functionError"] = "Unhandled";
  if (result.end != Attempt::End::succeeded && result.status == 404) response["statusCode"] = 404;
  const json::object record{{"version", "1.0"},
                            {"timestamp", to_rfc3339(from_epoch_us(now_us))},
                            {"requestContext",
                             {{"requestId", call.id},
                              {"functionArn", function_arn + ":" + version},
                              {"condition", condition},
                              {"approximateInvokeCount", call.attempt}}},
                            {"requestPayload", request_payload(call.message)},
                            {"responseContext", std::move(response)},
                            {"responsePayload", response_payload(result)}};
  return json::serialize(record);
}

Delivery callback_of(const Running& call, std::int64_t now_us) {
  const Attempt& result = call.result;
  const CallMessage& message = call.message;
  Delivery delivery;
  const bool good = result.end == Attempt::End::succeeded;
  delivery.body =
      good || !result.body.empty() ? result.body : json::serialize(response_payload(result));
  delivery.source = "callback";
  delivery.content_type = result.type.empty() ? "application/json" : result.type;
  const std::string id = message.alias.empty() ? call.id : message.alias;
  const double seconds_taken = static_cast<double>(now_us - message.accepted_us) / 1e6;
  delivery.headers = {{"X-Call-Id", id},
                      {"X-Duration-Seconds", fmt::format("{:.6f}", seconds_taken)},
                      {"X-Function-Status", std::to_string(result.status)},
                      {"X-Function-Name", message.target.name}};
  return delivery;
}

void fill_from(CallRecord& record, const Running& call, const CallSettings& settings,
               std::int64_t now_us) {
  const Attempt& result = call.result;
  const bool good = result.end == Attempt::End::succeeded;
  record.state = good ? CallState::succeeded : CallState::failed;
  record.attempts = call.attempt;
  record.ended_us = now_us;
  record.next_us = 0;
  record.status = result.status;
  record.duration_us = result.duration_us;
  record.result = result.body.substr(0, settings.result_bytes_max);
  record.result_cut = result.cut || result.body.size() > settings.result_bytes_max;
  record.result_type = result.type;
  if (!good) {
    record.error_code = result.error_code;
    record.error = result.error;
    record.error_json = result.error_json;
  }
  std::string message = encode(call.message);
  if (!good || (call.message.spilled_bytes == 0 && message.size() <= settings.keep_payload_bytes))
    record.message = std::move(message);
}

}  // namespace

// True: it will come again, and nothing is over.
io::Task<bool> AsyncCalls::State::retry(RunningPtr call, CallRecord* record) {
  const Attempt& result = call->result;
  const auto settings = settings_of(call->message);
  if (result.hopeless || static_cast<std::int64_t>(call->attempt) > settings.retries)
    co_return false;
  const auto wait = backoff(call->attempt, milliseconds(parts.settings.backoff_ms),
                            milliseconds(parts.settings.backoff_ms_max), random_unit());
  const std::int64_t next = now_us() + wait.count() * 1'000'000;
  if (next - call->message.accepted_us > settings.max_age_s * 1'000'000) co_return false;
  record->attempts = call->attempt;
  record->next_us = next;
  record->error_code = result.error_code;
  record->error = result.error;
  record->error_json = result.error_json;
  store::Transaction transaction;
  transaction.put(call_key(call->id), encode(*record));
  io::Task<Status> committing =
      parts.committer.commit(std::move(transaction), store::Durability::buffered);
  if (const Status kept = co_await std::move(committing); kept.has_error())
    log::error("the failed attempt of call {} is not recorded: {}", call->id,
               kept.error().describe());
  put_off.insert(call->id);
  io::Task<void> back = give_back(call, static_cast<std::uint32_t>(wait.count()));
  co_await std::move(back);
  co_return true;
}

io::Task<Status> AsyncCalls::State::add_outcome(queues::Batch* batch, RunningPtr call,
                                                std::string condition) {
  const CallMessage& message = call->message;
  const bool good = call->result.end == Attempt::End::succeeded;
  const auto settings = settings_of(message);
  const std::uint32_t hops = message.hops + 1;
  const std::string& wanted = good ? settings.on_success : settings.on_failure;
  if (!wanted.empty()) {
    auto target = parse_target(wanted);
    if (target.has_error()) co_return target.error();
    Target own = message.target;
    own.qualifier.clear();
    Delivery delivery;
    delivery.body =
        outcome_json(*call, condition, to_arn(own, parts.region, parts.account), now_us());
    delivery.id = call->id;
    delivery.source = "destination";
    delivery.trace_id = message.trace_id;
    MAYFLY_CO_TRY(co_await add_delivery(batch, std::move(*target), std::move(delivery), hops));
  }
  if (!good && !settings.dead_letter.empty()) {
    auto target = parse_target(settings.dead_letter);
    if (target.has_error()) co_return target.error();
    Delivery delivery;
    delivery.body =
        message.spilled_bytes > 0 ? json::serialize(request_payload(message)) : message.body;
    delivery.id = call->id + ".dead";
    delivery.source = "dead_letter";
    delivery.trace_id = message.trace_id;
    delivery.attributes = {{"RequestID", call->id},
                           {"ErrorCode", std::to_string(call->result.status)},
                           {"ErrorMessage", call->result.error.substr(0, 1024)},
                           {"Condition", condition},
                           {"Target", to_text(message.target)}};
    MAYFLY_CO_TRY(co_await add_delivery(batch, std::move(*target), std::move(delivery), hops));
  }
  if (!message.callback_url.empty()) {
    auto target = parse_target(message.callback_url);
    if (target.has_error()) co_return target.error();
    Delivery delivery = callback_of(*call, now_us());
    MAYFLY_CO_TRY(co_await add_delivery(batch, std::move(*target), std::move(delivery), hops));
  }
  co_return ok();
}

io::Task<void> AsyncCalls::State::end(RunningPtr call) {
  const bool good = call->result.end == Attempt::End::succeeded;
  CallRecord record = first_record(call->message);
  if (call->attempt > 1 || !good) {
    io::Task<Result<CallRecord>> reading = read_record(call->id);
    if (auto known = co_await std::move(reading); known.has_value()) record = std::move(*known);
  }
  if (call->cancelled) {
    io::Task<void> ending = end_cancelled(call);
    co_await std::move(ending);
    co_return;
  }
  if (!good) {
    io::Task<bool> retrying = retry(call, &record);
    const bool again = co_await std::move(retrying);
    if (again) co_return;
  }
  call->ending = true;
  const auto settings = settings_of(call->message);
  const bool old = !good && !call->result.hopeless &&
                   static_cast<std::int64_t>(call->attempt) <= settings.retries;
  const std::string condition = good ? "Success" : old ? "EventAgeExceeded" : "RetriesExhausted";
  fill_from(record, *call, parts.settings, now_us());

  queues::Batch batch;
  io::Task<Status> adding = add_outcome(&batch, call, condition);
  Status sent = co_await std::move(adding);
  for (int round = 0; round < 2; ++round) {
    if (round == 1 || sent.has_error()) {
      // The call is over whether its destination can be reached or not; the record says so.
      log::error("the outcome of call {} of {} goes nowhere: {}", call->id, record.target,
                 sent.error().describe());
      record.error += (record.error.empty() ? "" : " ") +
                      ("Its outcome could not be handed on: " + sent.error().message);
      batch = queues::Batch();
    }
    const bool bare = batch.sends.empty();
    batch.done.push_back({call->queue, call->receipt});
    batch.also.put(call_key(call->id), encode(record));
    if (call->marked) batch.also.remove(std::string(kMarkPrefix) + call->id);
    auto committing = parts.queues.commit(std::move(batch));
    const auto committed = co_await std::move(committing);
    if (committed.has_value()) break;
    if (bare || committed.error().code == Code::io_error ||
        committed.error().code == Code::conflict) {
      // It comes again when its hold ends: at least once.
      log::error("the end of call {} is not recorded: {}", call->id, committed.error().describe());
      co_return;
    }
    sent = committed.error();
  }
  if (good && call->message.spilled_bytes > 0) spill.remove(call->id);
}

// The record says it already; its message goes, and leaves the payload for run_again().
io::Task<void> AsyncCalls::State::end_cancelled(RunningPtr call) {
  io::Task<Result<CallRecord>> reading = read_record(call->id);
  Result<CallRecord> record = co_await std::move(reading);
  queues::Batch batch;
  if (record.has_value()) {
    record->message = encode(call->message);
    batch.also.put(call_key(call->id), encode(*record));
  }
  batch.also.remove(std::string(kCancelPrefix) + call->id);
  batch.done.push_back({call->queue, call->receipt});
  auto committing = parts.queues.commit(std::move(batch));
  const auto committed = co_await std::move(committing);
  if (committed.has_value()) cancelled.erase(call->id);
}

}  // namespace mayfly::triggers
