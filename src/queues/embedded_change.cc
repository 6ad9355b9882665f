// What the engine writes: messages that come, messages that go, and both together.

#include <openssl/evp.h>

#include <cassert>
#include <cstdlib>

#include "base/ids.h"
#include "queues/checks.h"
#include "queues/embedded_engine.h"

namespace mayfly::queues {
namespace {

// Sequences that may be given out before the store is told of more.
constexpr std::uint64_t kWatermarkStep = 100'000;

Error cancelled() {
  return Error{Code::cancelled, "The caller did not wait for the answer."};
}

DuplicateKey duplicate_key(const QueueSettings& settings, const NewMessage& message) {
  std::string text;
  if (settings.deduplicate_by_group) text = message.group + '\0';
  text += message.deduplication_id.empty() ? sha256_hex(message.body) : message.deduplication_id;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    std::abort();
  DuplicateKey key;
  std::memcpy(key.data(), digest.data(), key.size());
  return key;
}

}  // namespace

// A duplicate of a message that is still being written is noted in pending: it is one only if that
// one becomes durable.
Result<Sent> Engine::add_new(Change& change, const QueueRef& queue, NewMessage&& message,
                             std::vector<std::pair<std::size_t, DuplicateKey>>* pending,
                             std::size_t index) {
  const QueueSettings& settings = queue->info->settings;
  MAYFLY_TRY(check_message(*queue->info, message));
  std::optional<DuplicateKey> key;
  if (settings.fifo) {
    if (message.deduplication_id.empty()) message.deduplication_id = sha256_hex(message.body);
    key = duplicate_key(settings, message);
    if (const auto* seen = queue->duplicates.find(*key, now())) {
      if (seen->pending) pending->emplace_back(index, *key);
      return Sent{receipts_->message_id(queue->id, seen->sequence), seen->sequence, true};
    }
  }
  StoredMessage stored;
  stored.sent_ms = wall_now();
  stored.group = std::move(message.group);
  stored.deduplication_id = std::move(message.deduplication_id);
  stored.trace_header = std::move(message.trace_header);
  stored.sender = std::move(message.sender);
  stored.attributes = std::move(message.attributes);
  stored.body = std::move(message.body);
  const Millis delay = Millis{message.delay_s.value_or(settings.delay_s)} * 1000;
  return arrive(change, queue, std::move(stored), delay, key);
}

Sent Engine::arrive(Change& change, const QueueRef& queue, StoredMessage message, Millis delay,
                    std::optional<DuplicateKey> duplicate) {
  const Millis time = now();
  const std::uint64_t sequence = queue->next_sequence++;
  if (sequence >= queue->watermark) {
    queue->watermark = sequence + kWatermarkStep;
    const Entry* oldest = queue->state->oldest();
    const StoredWatermark watermark{queue->watermark,
                                    oldest != nullptr ? oldest->sequence : queue->finished};
    change.transaction.put(watermark_key(queue->id), encode(watermark));
    change.wrote_watermark = true;
  }
  if (message.id.empty()) message.id = receipts_->message_id(queue->id, sequence);
  message.arrived_ms = wall_now();
  Millis due = queue->state->due_behind(message.group, time + delay);
  message.visible_at_ms = due > time ? message.arrived_ms + (due - time) : 0;

  Change::Arrival arrival;
  arrival.queue = queue;
  arrival.put = change.transaction.puts.size();
  arrival.duplicate = duplicate;
  std::string record = encode(message);
  arrival.entry.sequence = sequence;
  arrival.entry.arrived = time;
  arrival.entry.due = due;
  arrival.entry.bytes = static_cast<std::uint32_t>(record.size());
  if (queue->info->settings.fifo) arrival.group = std::move(message.group);
  change.transaction.put(message_key(Kind::message, queue->id, sequence), std::move(record));
  if (duplicate) {
    queue->duplicates.add(*duplicate, sequence, time, true);
    change.transaction.put(message_key(Kind::duplicate, queue->id, sequence),
                           encode(StoredDuplicate{message.arrived_ms, *duplicate}));
  }
  change.arrivals.push_back(std::move(arrival));
  return Sent{std::move(message.id), sequence, false};
}

void Engine::depart(Change& change, const QueueRef& queue, Entry& entry) {
  if (entry.place != Place::busy) queue->state->make_busy(entry);
  change.departures.push_back({queue, entry.sequence});
  change.transaction.remove(message_key(Kind::message, queue->id, entry.sequence));
  if (entry.noted)
    change.transaction.remove(message_key(Kind::reception, queue->id, entry.sequence));
}

void Engine::submit(const ChangePtr& change) {
  ++pending_;
  changes_.push_back(*change);
  parts_.committer.submit(
      std::move(change->transaction), store::Durability::synced,
      [this, alive = alive_, change](const Status& status, store::Transaction& written) {
        if (*alive) finish(*change, status, written);
      });
}

Status Change::outcome() const {
  return done ? status : Status(cancelled());
}

io::Task<Status> Engine::run_change(ChangePtr change) {
  submit(change);
  if (!change->done) co_await change->waiter.wait();
  co_return change->outcome();
}

void Engine::finish_arrival(Change::Arrival& arrival, bool written, store::Transaction& transaction,
                            Millis time) {
  Queue& queue = *arrival.queue;
  queue.finished = arrival.entry.sequence + 1;
  if (!written) {
    if (arrival.duplicate) queue.duplicates.withdraw(*arrival.duplicate, arrival.entry.sequence);
    return;
  }
  if (arrival.duplicate) queue.duplicates.confirm(*arrival.duplicate, arrival.entry.sequence);
  if (queue.removed) return;
  if (usage_->body_bytes + arrival.entry.bytes <= parts_.settings.memory_bytes_max)
    arrival.entry.record =
        std::make_unique<std::string>(std::move(transaction.puts[arrival.put].value));
  arrival.entry.group = arrival.group;
  queue.state->add(std::move(arrival.entry), time);
}

void Engine::finish(Change& change, const Status& status, store::Transaction& written) {
  const Millis time = now();
  const auto alive = alive_;
  --pending_;
  if (change.is_linked()) change.unlink();
  std::vector<QueueRef> touched;
  const auto touch = [&touched](const QueueRef& queue) {
    if (std::find(touched.begin(), touched.end(), queue) == touched.end()) touched.push_back(queue);
  };
  for (auto& arrival : change.arrivals) {
    touch(arrival.queue);
    if (status.has_error() && change.wrote_watermark) arrival.queue->watermark = 0;
    finish_arrival(arrival, status.has_value(), written, time);
  }
  for (const auto& departure : change.departures) {
    if (departure.queue->removed) continue;
    touch(departure.queue);
    QueueState& state = *departure.queue->state;
    Held* held = state.find(departure.sequence);
    if (held == nullptr || held->entry->place != Place::busy) continue;  // purged meanwhile
    if (status.has_value()) {
      state.erase(*held->entry);
      continue;
    }
    if (change.retry_after > 0) {
      held->was_ready = false;
      held->until = change.retry_after;
    }
    state.end_busy(*held, time);
  }
  if (change.after) change.after(status);
  change.done = true;
  change.status = status;
  change.waiter.notify();
  for (const auto& queue : touched) {
    if (!*alive) return;
    serve_all(queue);
    reschedule(*queue);
  }
  if (pending_ == 0 && stopping_) stopped_.notify();
}

void Engine::write_behind(store::Transaction transaction) {
  ++pending_;
  parts_.committer.submit(std::move(transaction), store::Durability::buffered,
                          [this, alive = alive_](const Status& status, store::Transaction&) {
                            ignore(status, "nobody was promised it");
                            if (*alive && --pending_ == 0 && stopping_) stopped_.notify();
                          });
}

io::Task<std::vector<Result<Sent>>> Engine::send(std::string name,
                                                 std::vector<NewMessage> messages) {
  std::vector<Result<Sent>> sent;
  sent.reserve(messages.size());
  auto found = queue_of(name);
  if (found.has_error()) {
    sent.assign(messages.size(), found.error());
    co_return sent;
  }
  const QueueRef queue = *found;
  auto change = std::make_shared<Change>();
  change->arrivals.reserve(messages.size());
  change->transaction.puts.reserve(messages.size() + 1);
  std::vector<std::pair<std::size_t, DuplicateKey>> pending;
  for (std::size_t i = 0; i < messages.size(); ++i)
    sent.push_back(add_new(*change, queue, std::move(messages[i]), &pending, i));
  if (change->arrivals.empty() && pending.empty()) co_return sent;
  submit(change);  // as run_change(), without a coroutine of its own for every message
  if (!change->done) co_await change->waiter.wait();
  const Status status = change->outcome();
  if (status.has_error())
    for (auto& result : sent)
      if (result.has_value() && !result->duplicate) result = status.error();
  for (const auto& [index, key] : pending) {
    const auto* seen = queue->duplicates.find(key, now());
    if (seen == nullptr || seen->pending || seen->sequence != sent[index]->sequence)
      sent[index] = Error{Code::io_error, "The message that this one repeats was not written."};
  }
  co_return sent;
}

// strict: only by the receipt of the reception that holds the message now.
Engine::Holding Engine::look_up(Queue& queue, std::string_view receipt, bool strict,
                                Entry*& entry) {
  const auto where = receipts_->open(receipt);
  if (!where || where->queue != queue.id) return Holding::invalid;
  if (where->sequence < queue.purge_floor) return Holding::gone;
  Held* held = queue.state->find(where->sequence);
  if (held == nullptr) {
    if (where->nonce >> 32 == epoch_ >> 32) return Holding::gone;
    // Of an earlier run, which was killed before it could note the reception.
    entry = queue.state->oldest();
    while (entry != nullptr && entry->sequence < where->sequence) entry = entry->newer;
    if (entry == nullptr || entry->sequence != where->sequence) return Holding::gone;
    return entry->place == Place::ready && !strict ? Holding::holds : Holding::lost;
  }
  entry = held->entry;
  if (entry->place == Place::busy) return Holding::busy;
  if (entry->place == Place::in_flight && held->nonce == where->nonce) return Holding::holds;
  // Nobody else's work is disturbed by it, and who has done the work may say so.
  if (!strict && !queue.state->fifo()) return Holding::holds;
  return Holding::lost;
}

io::Task<std::vector<Status>> Engine::settle(std::string name, std::vector<std::string> receipts) {
  std::vector<Status> statuses(receipts.size(), ok());
  auto found = queue_of(name);
  if (found.has_error()) {
    statuses.assign(receipts.size(), found.error());
    co_return statuses;
  }
  const QueueRef queue = *found;
  auto change = std::make_shared<Change>();
  std::vector<std::size_t> going;
  std::vector<std::pair<std::size_t, std::uint64_t>> busy;  // index, sequence
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    Entry* entry = nullptr;
    const Holding holding = look_up(*queue, receipts[i], false, entry);
    if (holding == Holding::holds) {
      depart(*change, queue, *entry);
      going.push_back(i);
    } else if (holding == Holding::busy) {
      busy.emplace_back(i, entry->sequence);
    } else if (holding == Holding::lost) {
      statuses[i] = Error{Code::conflict,
                          "The receipt has expired: the message is visible again, or another has "
                          "received it."};
    } else if (holding == Holding::invalid) {
      statuses[i] = Error{Code::invalid_argument, "This is no receipt of queue " + name + "."};
    }
  }
  if (going.empty() && busy.empty()) co_return statuses;
  const Status status = co_await run_change(std::move(change));
  for (const std::size_t i : going) statuses[i] = status;
  // Whoever was at work on these has finished by now.
  for (const auto& [i, sequence] : busy)
    if (!queue->removed && queue->state->find(sequence) != nullptr)
      statuses[i] = Error{Code::unavailable, "Another was at work on the message, and failed."};
  co_return statuses;
}

bool Engine::repeats_pending(const Batch& batch) const {
  for (const auto& [name, message] : batch.sends) {
    const auto found = queues_.find(name);
    if (found == queues_.end() || !found->second->state->fifo()) continue;
    const auto key = duplicate_key(found->second->info->settings, message);
    const auto* seen = found->second->duplicates.find(key, now());
    if (seen != nullptr && seen->pending) return true;
  }
  return false;
}

io::Task<Result<std::vector<Sent>>> Engine::commit(Batch batch) {
  // What repeats a message that is still being written has to know first whether it was.
  while (repeats_pending(batch)) {
    auto barrier = std::make_shared<Change>();
    MAYFLY_CO_TRY(co_await run_change(std::move(barrier)));
  }
  if (stopping_) co_return Error{Code::unavailable, "The queues are being stopped."};
  auto change = std::make_shared<Change>();
  std::vector<std::pair<QueueRef, Entry*>> done;
  for (const auto& receipt : batch.done) {
    auto queue = queue_of(receipt.queue);
    if (queue.has_error()) co_return queue.error();
    Entry* entry = nullptr;
    const Holding holding = look_up(**queue, receipt.receipt, true, entry);
    if (holding == Holding::invalid)
      co_return Error{Code::invalid_argument, "This is no receipt of queue " + receipt.queue + "."};
    if (holding != Holding::holds)
      co_return Error{Code::conflict, "A message is not held by this receipt any more."};
    done.emplace_back(*queue, entry);
  }
  std::vector<QueueRef> targets;
  for (const auto& [name, message] : batch.sends) {
    auto queue = queue_of(name);
    if (queue.has_error()) co_return queue.error();
    if (auto checked = check_message(*(*queue)->info, message); checked.has_error())
      co_return checked.error();
    targets.push_back(*queue);
  }
  // From here on nothing is refused, so nothing has to be taken back.
  change->transaction = std::move(batch.also);
  for (const auto& [queue, entry] : done)
    if (entry->place != Place::busy) depart(*change, queue, *entry);  // named twice: once is enough
  std::vector<Sent> sent;
  std::vector<std::pair<std::size_t, DuplicateKey>> pending;
  for (std::size_t i = 0; i < batch.sends.size(); ++i) {
    auto added = add_new(*change, targets[i], std::move(batch.sends[i].second), &pending, i);
    sent.push_back(std::move(*added));
  }
  submit(change);
  if (!change->done) co_await change->waiter.wait();
  if (const Status status = change->outcome(); status.has_error()) co_return status.error();
  co_return sent;
}

}  // namespace mayfly::queues
