// Records of calls: looking up, listing, cancelling, running again, removing what is old.

#include <fmt/format.h>

#include "telemetry/bytes.h"
#include "triggers/call_state.h"

namespace mayfly::triggers {
namespace {

constexpr std::size_t kPageMax = 1000;
constexpr std::size_t kScannedMax = 20'000;
constexpr std::size_t kRemoveAtOnce = 1000;

Error no_call(const std::string& id) {
  return Error{Code::not_found,
               fmt::format("There is no call \"{}\"; records are kept for a time (setting "
                           "calls.keep_s).",
                           id.substr(0, 200))};
}

bool fits(const CallRecord& record, const CallFilter& filter) {
  if (!filter.function.empty() && record.function != filter.function) return false;
  if (!filter.state) return true;
  // What is stored as waiting may run.
  const auto wanted = *filter.state == CallState::running ? CallState::waiting : *filter.state;
  return record.state == wanted;
}

struct Found {
  std::vector<CallRecord> calls;
  std::string next;
  Status status;
};

Found scan_calls(store::Store& store, const CallFilter& filter, std::size_t limit) {
  Found found;
  store::Store::Scan range;
  range.first = std::string(kCallPrefix);
  range.last = filter.before.empty() ? store::prefix_end(kCallPrefix) : call_key(filter.before);
  range.reverse = true;
  std::size_t scanned = 0;
  found.status = store.scan(range, [&](std::string_view key, std::string_view value) {
    auto record = decode_record(value);
    if (record.has_value() && fits(*record, filter)) {
      record->result.clear();
      record->message.clear();
      found.calls.push_back(std::move(*record));
    }
    const bool full = found.calls.size() >= limit || ++scanned >= kScannedMax;
    if (full) found.next = std::string(key.substr(kCallPrefix.size()));
    return !full;
  });
  return found;
}

}  // namespace

io::Task<Result<std::string>> AsyncCalls::State::resolve(std::string id) {
  if (is_call_id(id)) {
    auto looking =
        parts.pool.run([store = &parts.store, key = call_key(id)] { return store->get(key); });
    const Result<std::string> known = co_await std::move(looking);
    if (known.has_value()) co_return id;
    if (known.error().code != Code::not_found) co_return known.error();
  }
  if (id.empty() || id.size() > 200) co_return no_call(id);
  auto reading = parts.pool.run(
      [store = &parts.store, key = std::string(kAliasPrefix) + id] { return store->get(key); });
  const Result<std::string> pointer = co_await std::move(reading);
  if (pointer.has_error() && pointer.error().code == Code::not_found) co_return no_call(id);
  if (pointer.has_error()) co_return pointer.error();
  telemetry::ByteReader in(*pointer);
  in.signed_number();
  std::string found(in.text());
  if (!in.good()) co_return Error{Code::corrupt, "The alias of a call is not readable."};
  co_return found;
}

io::Task<Result<CallRecord>> AsyncCalls::State::read_record(std::string id) {
  auto reading =
      parts.pool.run([store = &parts.store, key = call_key(id)] { return store->get(key); });
  const Result<std::string> bytes = co_await std::move(reading);
  if (bytes.has_error() && bytes.error().code == Code::not_found) co_return no_call(id);
  if (bytes.has_error()) co_return bytes.error();
  co_return decode_record(*bytes);
}

io::Task<Result<CallRecord>> AsyncCalls::State::look_up(std::string id) {
  io::Task<Result<std::string>> resolving = resolve(std::move(id));
  Result<std::string> resolved = co_await std::move(resolving);
  if (resolved.has_error()) co_return resolved.error();
  io::Task<Result<CallRecord>> reading = read_record(std::move(*resolved));
  Result<CallRecord> record = co_await std::move(reading);
  co_return record;
}

void AsyncCalls::State::overlay(CallRecord& record) const {
  const auto found = running.find(record.id);
  if (record.state != CallState::waiting || found == running.end()) return;
  record.state = CallState::running;
  record.attempts = found->second->attempt;
}

io::Task<Result<CallRecord>> AsyncCalls::find(std::string id) {
  const auto state = state_;
  io::Task<Result<CallRecord>> looking = state->look_up(std::move(id));
  Result<CallRecord> record = co_await std::move(looking);
  if (record.has_value()) state->overlay(*record);
  co_return record;
}

io::Task<Result<CallPage>> AsyncCalls::State::list(CallFilter filter) {
  CallPage page;
  const std::size_t limit = std::clamp<std::size_t>(filter.limit, 1, kPageMax);
  if (!filter.before.empty() && !is_call_id(filter.before))
    co_return Error{Code::invalid_argument, "before wants the id of a call."};
  if (filter.state == CallState::running) {
    std::vector<std::string> ids_now;
    for (const auto& [id, call] : running)
      if (filter.before.empty() || id < filter.before) ids_now.push_back(id);
    std::sort(ids_now.rbegin(), ids_now.rend());
    for (const auto& id : ids_now) {
      io::Task<Result<CallRecord>> reading = read_record(id);
      Result<CallRecord> record = co_await std::move(reading);
      if (record.has_error() || !fits(*record, filter)) continue;
      overlay(*record);
      record->result.clear();
      record->message.clear();
      page.calls.push_back(std::move(*record));
      if (page.calls.size() < limit) continue;
      page.next = id;
      break;
    }
    co_return page;
  }
  auto scanning = parts.pool.run(
      [store = &parts.store, filter, limit] { return scan_calls(*store, filter, limit); });
  Found found = co_await std::move(scanning);
  if (found.status.has_error()) co_return found.status.error();
  page.next = std::move(found.next);
  for (auto& record : found.calls) {
    overlay(record);
    if (!filter.state || record.state == *filter.state) page.calls.push_back(std::move(record));
  }
  co_return page;
}

io::Task<Result<CallRecord>> AsyncCalls::State::cancel(std::string id) {
  const auto self = shared_from_this();
  io::Task<Result<CallRecord>> looking = look_up(std::move(id));
  Result<CallRecord> record = co_await std::move(looking);
  if (record.has_error()) co_return record.error();
  RunningPtr call;
  if (const auto found = running.find(record->id); found != running.end()) call = found->second;
  if (is_over(record->state) || (call && call->ending))
    co_return Error{Code::conflict,
                    fmt::format("The call {} is over: it has {}.", record->id,
                                is_over(record->state) ? state_name(record->state) : "just ended")};
  // In memory first: whatever runs or comes up from now on sees it.
  cancelled.insert(record->id);
  if (call) {
    call->cancelled = true;
    record->attempts = call->attempt;
  }
  record->state = CallState::cancelled;
  record->ended_us = now_us();
  record->next_us = 0;
  store::Transaction transaction;
  transaction.put(call_key(record->id), encode(*record));
  transaction.put(std::string(kCancelPrefix) + record->id, "1");
  io::Task<Status> committing =
      parts.committer.commit(std::move(transaction), store::Durability::synced);
  const Status committed = co_await std::move(committing);
  if (committed.has_error()) {
    cancelled.erase(record->id);
    if (call) call->cancelled = false;
    co_return committed.error();
  }
  // After the record: its end writes the record too.
  if (call) call->cancel.emit(boost::asio::cancellation_type::terminal);
  co_return record;
}

io::Task<Result<AcceptedCall>> AsyncCalls::State::run_again(std::string id) {
  io::Task<Result<CallRecord>> looking = look_up(std::move(id));
  Result<CallRecord> record = co_await std::move(looking);
  if (record.has_error()) co_return record.error();
  if (!is_over(record->state))
    co_return Error{Code::conflict, fmt::format("The call {} is not over yet.", record->id)};
  if (record->message.empty())
    co_return Error{Code::conflict,
                    fmt::format("The payload of call {} was not kept: of calls that succeeded only "
                                "short ones are (setting calls.keep_payload_bytes); of a cancelled "
                                "one it is once its turn in the queue has come.",
                                record->id)};
  auto message = decode_message(record->message);
  if (message.has_error()) co_return message.error();
  NewCall call;
  if (message->spilled_bytes > 0) {
    auto loading =
        parts.pool.run([files = &spill, name = record->id, bytes = message->spilled_bytes] {
          return files->read(name, bytes);
        });
    Result<std::string> body = co_await std::move(loading);
    if (body.has_error()) co_return body.error();
    message->body = std::move(*body);
    message->spilled_bytes = 0;
  }
  call.message = std::move(*message);
  call.message.hops = 0;
  call.message.again_of = record->id;
  io::Task<Result<AcceptedCall>> accepting = accept(std::move(call));
  Result<AcceptedCall> accepted = co_await std::move(accepting);
  co_return accepted;
}

Status AsyncCalls::open() {
  State& state = *state_;
  store::Store& store = state.parts.store;
  const auto each = [&store](std::string_view prefix,
                             const std::function<bool(std::string_view, std::string_view)>& visit) {
    return store.scan({std::string(prefix), store::prefix_end(prefix)}, visit);
  };
  MAYFLY_TRY(each(kCancelPrefix, [&state](std::string_view key, std::string_view) {
    state.cancelled.emplace(key.substr(kCancelPrefix.size()));
    return true;
  }));
  MAYFLY_TRY(each(kCallPrefix, [&state](std::string_view, std::string_view) {
    ++state.records;
    return true;
  }));
  MAYFLY_TRY(state.spill.open([&store](const std::string& id) {
    const auto bytes = store.get(call_key(id));
    if (bytes.has_error()) return bytes.error().code != Code::not_found;
    const auto record = decode_record(*bytes);
    return record.has_error() || record->state != CallState::succeeded;
  }));
  for (const auto& queue : state.parts.queues.list()) {
    if (!queue->name.starts_with(kLanePrefix) && !queue->name.starts_with(kDeliveryPrefix))
      continue;
    state.lane_of(queue->name);  // the first call of this run sees to its settings
  }
  return ok();
}

namespace {

constexpr std::int64_t kQueueKeepsUs = 14ll * 24 * 3600 * 1'000'000;

// Aliases, marks and idempotency keys hold the time of their call in front.
void sweep_pointers(store::Store& store, std::string_view prefix, std::int64_t before_us) {
  std::vector<std::string> expired;
  const auto scanned = store.scan({std::string(prefix), store::prefix_end(prefix)},
                                  [&](std::string_view key, std::string_view value) {
                                    telemetry::ByteReader in(value);
                                    if (in.signed_number() < before_us) expired.emplace_back(key);
                                    return expired.size() < 10 * kRemoveAtOnce;
                                  });
  ignore(scanned, "what stays is looked at again at the next sweep");
  store::Transaction transaction;
  for (auto& key : expired) transaction.remove(std::move(key));
  if (!expired.empty())
    ignore(store.commit(transaction, store::Durability::buffered), "tried again at the next sweep");
}

}  // namespace

std::uint64_t sweep_once(store::Store& store, Spill& spill, const CallSettings& settings,
                         std::int64_t now_us, std::uint64_t over) {
  const std::int64_t kept_from = now_us - settings.keep_s * 1'000'000;
  std::uint64_t removed = 0;
  std::string from(kCallPrefix);
  bool more = true;
  while (more) {
    std::vector<std::string> keys;
    std::vector<std::string> files;
    more = false;
    const auto scanned = store.scan(
        {from, store::prefix_end(kCallPrefix)}, [&](std::string_view key, std::string_view value) {
          from = std::string(key) + '\0';
          const auto record = decode_record(value);
          const bool surplus = removed + keys.size() < over;
          if (record.has_value() && record->accepted_us >= kept_from && !surplus) return false;
          if (record.has_error() ||
              (is_over(record->state) && (record->ended_us < kept_from || surplus))) {
            keys.emplace_back(key);
            if (record.has_value() && record->state != CallState::succeeded)
              files.push_back(record->id);
          }
          more = keys.size() >= kRemoveAtOnce;
          return !more;
        });
    if (scanned.has_error() || keys.empty()) break;
    store::Transaction transaction;
    removed += keys.size();
    for (auto& key : keys) transaction.remove(std::move(key));
    if (store.commit(transaction, store::Durability::buffered).has_error()) break;
    for (const auto& id : files) spill.remove(id);
  }
  sweep_pointers(store, kAliasPrefix, kept_from);
  // Of calls whose queue went before they ended: none of them comes again after that.
  sweep_pointers(store, kMarkPrefix, std::min(kept_from, now_us - kQueueKeepsUs));
  sweep_pointers(store, kIdempotencyPrefix, now_us - settings.idempotency_s * 1'000'000);
  return removed;
}

}  // namespace mayfly::triggers
