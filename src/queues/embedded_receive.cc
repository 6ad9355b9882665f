// Receiving: what is taken, by whom, in what order; and what is moved instead.

#include <algorithm>

#include "base/ids.h"
#include "base/log.h"
#include "queues/checks.h"
#include "queues/embedded_engine.h"

namespace mayfly::queues {
namespace {

constexpr std::size_t kStaleEntriesMax = 2000;  // that one call passes over
constexpr Millis kReceiveRetryMs = 1000;
constexpr Millis kNoteAfterMs = 200;
constexpr std::uint32_t kMovedAtOnceMax = 1000;
constexpr std::uint64_t kMovedBytesMax = 8u << 20;

// Takes a receiver out of the line when its coroutine ends, in whatever way.
class InLine {
 public:
  InLine(QueueRef queue, Receiver& receiver) : queue_(std::move(queue)), receiver_(receiver) {
    queue_->receivers.push_back(&receiver_);
    queue_->receiver_times.insert(receiver_.until);
  }
  ~InLine() {
    if (receiver_.done) return;  // end_receiver did
    queue_->receivers.remove(&receiver_);
    const auto time = queue_->receiver_times.find(receiver_.until);
    if (time != queue_->receiver_times.end()) queue_->receiver_times.erase(time);
  }
  InLine(const InLine&) = delete;
  InLine& operator=(const InLine&) = delete;

 private:
  QueueRef queue_;
  Receiver& receiver_;
};

}  // namespace

// Makes messages free again that are busy, unless they are handed on.
class BusyGuard {
 public:
  BusyGuard(Engine& engine, QueueRef queue)
      : engine_(engine), alive_(engine.alive_), queue_(std::move(queue)) {}
  ~BusyGuard() {
    if (!*alive_ || queue_->removed || sequences_.empty()) return;
    for (const auto sequence : sequences_) {
      Held* held = queue_->state->find(sequence);
      if (held != nullptr && held->entry->place == Place::busy)
        queue_->state->end_busy(*held, engine_.now());
    }
    engine_.serve_all(queue_);
    engine_.reschedule(*queue_);
  }
  BusyGuard(const BusyGuard&) = delete;
  BusyGuard& operator=(const BusyGuard&) = delete;

  void add(Entry& entry) {
    queue_->state->make_busy(entry);
    sequences_.push_back(entry.sequence);
  }
  const std::vector<std::uint64_t>& sequences() const { return sequences_; }
  // Somebody else sees to this one.
  void hand_on(std::uint64_t sequence) { std::erase(sequences_, sequence); }
  void hand_on_all() { sequences_.clear(); }

 private:
  Engine& engine_;
  std::shared_ptr<bool> alive_;
  QueueRef queue_;
  std::vector<std::uint64_t> sequences_;
};

std::uint64_t Engine::new_nonce() {
  std::uint32_t low = 0;
  random_bytes({reinterpret_cast<std::uint8_t*>(&low), sizeof low});
  return epoch_ | low;
}

std::string Engine::seal(const Queue& queue, const Entry& entry, std::uint64_t nonce) {
  return receipts_->seal({queue.id, entry.sequence, nonce});
}

Message Engine::make_message(Queue& queue, const Entry& entry, StoredMessage&& stored) const {
  Message message;
  message.id = std::move(stored.id);
  message.body = std::move(stored.body);
  message.attributes = std::move(stored.attributes);
  message.trace_header = std::move(stored.trace_header);
  message.sender = std::move(stored.sender);
  message.group = std::move(stored.group);
  message.deduplication_id = std::move(stored.deduplication_id);
  message.sequence = entry.sequence;
  message.sent = from_epoch_us(stored.sent_ms * 1000);
  message.receive_count = entry.received;
  if (const Held* held = queue.state->find(entry.sequence); held != nullptr && entry.received > 0)
    message.first_received = from_epoch_us(held->first_ms * 1000);
  message.dead_letter_source = std::move(stored.dead_letter_source);
  message.dead_letter_reason = std::move(stored.dead_letter_reason);
  return message;
}

void Engine::note_reception(store::Transaction& transaction, Queue& queue, const Held& held) {
  held.entry->noted = 1;
  transaction.put(message_key(Kind::reception, queue.id, held.entry->sequence),
                  encode(StoredReception{held.entry->received, held.first_ms, to_wall(held.until),
                                         held.nonce, wall_now()}));
}

// Of the messages that have been received a while ago and are still there. Most are settled before,
// and nothing has to be written of them at all.
void Engine::note_receptions(Queue& queue) {
  store::Transaction behind;
  for (const std::uint64_t sequence : std::exchange(queue.unnoted, {})) {
    const Held* held = queue.state->find(sequence);
    if (held == nullptr || held->entry->noted || sequence < queue.purge_floor) continue;
    if (held->entry->place == Place::busy)
      queue.unnoted.push_back(sequence);  // on its way out; once more, should that fail
    else
      note_reception(behind, queue, *held);
  }
  queue.note_at = now() + kNoteAfterMs;
  if (!behind.empty()) write_behind(std::move(behind));
}

// Too often received: the message is on its way to the dead letters then.
ChangePtr Engine::send_to_dead_letters(const QueueRef& queue, Entry& entry) {
  const QueueSettings& settings = queue->info->settings;
  if (settings.receive_count_max == 0 || entry.received < settings.receive_count_max)
    return nullptr;
  const auto target = queues_.find(settings.dead_letter_queue);
  // Without such a queue, or with one of the other kind, the message stays where it is.
  if (target == queues_.end() || target->second == queue) return nullptr;
  if (target->second->info->settings.fifo != settings.fifo) return nullptr;
  auto stored = decode_message(*entry.record);
  if (stored.has_error()) return nullptr;
  stored->dead_letter_source = queue->info->name;
  stored->dead_letter_reason =
      "Received " + std::to_string(entry.received) + " times and never settled.";
  auto change = std::make_shared<Change>();
  change->retry_after = now() + kReceiveRetryMs;
  depart(*change, queue, entry);
  arrive(*change, target->second, std::move(*stored), 0, std::nullopt);
  submit(change);
  return change;
}

void Engine::take(const QueueRef& queue, Receiver& receiver, bool& wants_load) {
  QueueState& state = *queue->state;
  const QueueSettings& settings = queue->info->settings;
  const Millis time = now();
  const Millis retention = Millis{settings.retention_s} * 1000;
  const Millis until =
      time + Millis{receiver.options.visibility_s.value_or(settings.visibility_timeout_s)} * 1000;
  const bool limited = !is_internal(queue->info->name);
  store::Transaction behind;
  Attempts::Taken taken;
  const Group* group = nullptr;
  std::size_t stale = 0;
  while (receiver.messages.size() < receiver.options.max && stale < kStaleEntriesMax) {
    Entry* entry = state.next(group);
    if (entry == nullptr) break;
    if (entry->sequence < queue->purge_floor || entry->arrived + retention <= time) {
      ++stale;
      behind.remove(message_key(Kind::message, queue->id, entry->sequence));
      if (entry->noted) behind.remove(message_key(Kind::reception, queue->id, entry->sequence));
      state.erase(*entry);
      continue;
    }
    if (limited && state.in_flight() >= kInFlightMax) {
      if (receiver.messages.empty() && !settings.fifo)
        receiver.status = Error{Code::resource_exhausted,
                                "120000 messages of the queue are in flight; settle some first."};
      break;
    }
    if (!entry->record) {
      wants_load = receiver.messages.empty();
      break;
    }
    if (auto moved = send_to_dead_letters(queue, *entry)) {
      receiver.dead_letters.push_back(std::move(moved));
      ++stale;
      group = nullptr;
      continue;
    }
    auto stored = decode_message(*entry->record);
    if (stored.has_error()) {  // its record stays on the store, for whoever looks into it
      log::error("queue {}: message {}: {}", queue->info->name, entry->sequence,
                 stored.error().describe());
      state.erase(*entry);
      continue;
    }
    const Held& held = state.hold(*entry, new_nonce(), until, wall_now());
    group = entry->group;
    Message message = make_message(*queue, *entry, std::move(*stored));
    message.receipt = seal(*queue, *entry, held.nonce);
    receiver.messages.push_back(std::move(message));
    taken.emplace_back(entry->sequence, held.nonce);
    if (entry->noted || settings.fifo) {  // its group stays locked, also after a kill
      note_reception(behind, *queue, held);
    } else {
      if (queue->unnoted.empty()) queue->note_at = time + kNoteAfterMs;
      queue->unnoted.push_back(entry->sequence);
    }
    // Who may ask again is answered from memory.
    if (usage_->body_bytes > parts_.settings.memory_bytes_max &&
        receiver.options.attempt_id.empty())
      state.drop_record(*entry);
  }
  if (settings.fifo && !receiver.options.attempt_id.empty() && !taken.empty())
    queue->attempts.add(receiver.options.attempt_id, std::move(taken), time);
  if (!behind.empty()) write_behind(std::move(behind));
}

// The same answer once more, while nothing has happened to the messages of the first.
bool Engine::repeat_attempt(const QueueRef& queue, Receiver& receiver) {
  const std::string& id = receiver.options.attempt_id;
  if (id.empty() || !queue->state->fifo()) return false;
  const auto* taken = queue->attempts.find(id, now());
  if (taken == nullptr) return false;
  QueueState& state = *queue->state;
  for (const auto& [sequence, nonce] : *taken) {
    const Held* held = state.find(sequence);
    if (held == nullptr || held->nonce != nonce || held->entry->place != Place::in_flight ||
        !held->entry->record) {
      queue->attempts.forget(id);
      return false;
    }
  }
  const Millis until =
      now() +
      Millis{receiver.options.visibility_s.value_or(queue->info->settings.visibility_timeout_s)} *
          1000;
  store::Transaction behind;
  for (const auto& [sequence, nonce] : *taken) {
    Held& held = *state.find(sequence);
    auto stored = decode_message(*held.entry->record);
    if (stored.has_error()) continue;
    state.set_until(held, until);
    note_reception(behind, *queue, held);
    Message message = make_message(*queue, *held.entry, std::move(*stored));
    message.receipt = seal(*queue, *held.entry, nonce);
    receiver.messages.push_back(std::move(message));
  }
  write_behind(std::move(behind));
  return true;
}

// Gives the receiver what there is; it is done then, or has to wait.
void Engine::serve(const QueueRef& queue, Receiver& receiver) {
  bool wants_load = false;
  take(queue, receiver, wants_load);
  receiver.done = !receiver.messages.empty() || receiver.status.has_error();
  if (receiver.done) return;
  if (wants_load) start_loading(queue);
  if (!queue->loading && receiver.until <= now()) receiver.done = true;
}

void Engine::end_receiver(Queue& queue, Receiver& receiver) {
  queue.receivers.remove(&receiver);
  queue.receiver_times.erase(queue.receiver_times.find(receiver.until));
  receiver.done = true;
  receiver.waiter.notify();
}

void Engine::serve_all(const QueueRef& queue) {
  const auto alive = alive_;
  while (*alive && !queue->removed && !queue->receivers.empty() && queue->state->has_ready()) {
    Receiver& receiver = *queue->receivers.front();
    serve(queue, receiver);
    if (!receiver.done) return;
    end_receiver(*queue, receiver);
  }
}

io::Task<Result<std::vector<Message>>> Engine::receive(std::string name, ReceiveOptions options) {
  auto found = queue_of(name);
  if (found.has_error()) co_return found.error();
  const QueueRef queue = *found;
  Receiver receiver;
  receiver.until = now() + options.wait.count();
  receiver.options = std::move(options);
  if (receiver.options.visibility_s.value_or(0) > kSecondsMax)
    co_return Error{Code::invalid_argument, "Messages can be hidden for at most 43200 seconds."};
  if (receiver.options.max == 0) co_return std::vector<Message>();
  if (!repeat_attempt(queue, receiver)) {
    // Who waits already is served first.
    if (queue->receivers.empty())
      serve(queue, receiver);
    else if (!queue->loading && receiver.until <= now())
      receiver.done = true;
    if (!receiver.done) {
      InLine line(queue, receiver);
      reschedule(*queue);
      co_await receiver.waiter.wait();
      if (!receiver.done)
        co_return Error{Code::cancelled, "The caller did not wait for a message."};
    }
  }
  if (!queue->removed) reschedule(*queue);
  // A message that is not given out here any more can be found among the dead letters.
  for (const ChangePtr& moved : receiver.dead_letters) {
    if (!moved->done) co_await moved->waiter.wait();
    if (!moved->done) co_return Error{Code::cancelled, "The caller did not wait for a message."};
  }
  if (receiver.status.has_error()) co_return receiver.status.error();
  co_return std::move(receiver.messages);
}

io::Task<std::vector<Status>> Engine::change_visibility(std::string name,
                                                        std::vector<Visibility> changes) {
  std::vector<Status> statuses(changes.size(), ok());
  auto found = queue_of(name);
  if (found.has_error()) {
    statuses.assign(changes.size(), found.error());
    co_return statuses;
  }
  const QueueRef queue = *found;
  store::Transaction behind;
  bool freed = false;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Entry* entry = nullptr;
    const Holding holding = look_up(*queue, changes[i].receipt, true, entry);
    if (holding == Holding::invalid) {
      statuses[i] = Error{Code::invalid_argument, "This is no receipt of queue " + name + "."};
    } else if (changes[i].seconds > kSecondsMax) {
      statuses[i] =
          Error{Code::invalid_argument, "Messages can be hidden for at most 43200 seconds."};
    } else if (holding != Holding::holds) {
      statuses[i] = Error{Code::not_found, "The message is not held by this receipt any more."};
    } else {
      Held& held = *queue->state->find(entry->sequence);
      queue->state->set_until(held, now() + Millis{changes[i].seconds} * 1000);
      if (changes[i].uncount && entry->received > 0) --entry->received;
      note_reception(behind, *queue, held);
      if (changes[i].seconds == 0) {
        queue->state->give_back(held, QueueState::End::back);
        freed = true;
      }
    }
  }
  if (!behind.empty()) write_behind(std::move(behind));
  if (freed) serve_all(queue);
  reschedule(*queue);
  co_return statuses;
}

io::Task<Status> Engine::dead_letter(std::string name, std::vector<std::string> receipts,
                                     std::string to, std::string reason) {
  auto from = queue_of(name);
  if (from.has_error()) co_return from.error();
  auto target = queue_of(to);
  if (target.has_error()) co_return target.error();
  const QueueRef queue = *from;
  if (queue->info->settings.fifo != (*target)->info->settings.fifo || *target == queue)
    co_return Error{Code::invalid_argument,
                    "Dead letters of a fifo queue go to another fifo queue, and of others to "
                    "others: " +
                        to + "."};
  BusyGuard busy(*this, queue);
  for (const auto& receipt : receipts) {
    Entry* entry = nullptr;
    const Holding holding = look_up(*queue, receipt, true, entry);
    if (holding == Holding::invalid)
      co_return Error{Code::invalid_argument, "This is no receipt of queue " + name + "."};
    if (holding != Holding::holds)
      co_return Error{Code::conflict, "A message is not held by this receipt any more."};
    busy.add(*entry);
  }
  auto stored = co_await messages_of(queue, busy.sequences());
  if (stored.has_error()) co_return stored.error();
  target = queue_of(to);  // it may have gone meanwhile
  if (target.has_error()) co_return target.error();
  auto change = std::make_shared<Change>();
  for (std::size_t i = 0; i < stored->size(); ++i) {
    Held* held = queue->removed ? nullptr : queue->state->find(busy.sequences()[i]);
    if (held == nullptr) continue;  // purged
    StoredMessage& message = (*stored)[i];
    message.dead_letter_source = name;
    message.dead_letter_reason = reason;
    depart(*change, queue, *held->entry);
    arrive(*change, *target, std::move(message), 0, std::nullopt);
  }
  busy.hand_on_all();
  co_return co_await run_change(std::move(change));
}

io::Task<Result<std::uint32_t>> Engine::move(std::string from, std::string to, std::uint32_t max) {
  auto source = queue_of(from);
  if (source.has_error()) co_return source.error();
  if (!to.empty())
    if (auto target = queue_of(to); target.has_error()) co_return target.error();
  const QueueRef queue = *source;
  BusyGuard busy(*this, queue);
  std::uint64_t bytes = 0;
  const Group* group = nullptr;
  while (busy.sequences().size() < std::min(max, kMovedAtOnceMax) && bytes < kMovedBytesMax) {
    Entry* entry = queue->state->next(group);
    if (entry == nullptr) break;
    if (entry->sequence < queue->purge_floor) {
      queue->state->erase(*entry);
      continue;
    }
    group = entry->group;
    bytes += entry->bytes;
    busy.add(*entry);
  }
  const std::vector<std::uint64_t> sequences = busy.sequences();
  auto stored = co_await messages_of(queue, sequences);
  if (stored.has_error()) co_return stored.error();
  auto change = std::make_shared<Change>();
  for (std::size_t i = 0; i < stored->size(); ++i) {
    Held* held = queue->removed ? nullptr : queue->state->find(sequences[i]);
    if (held == nullptr) continue;  // purged
    StoredMessage& message = (*stored)[i];
    auto target = queue_of(to.empty() ? message.dead_letter_source : to);
    if (target.has_error() || *target == queue ||
        (*target)->info->settings.fifo != queue->info->settings.fifo)
      continue;  // the guard gives it back
    message.dead_letter_source.clear();
    message.dead_letter_reason.clear();
    busy.hand_on(sequences[i]);
    depart(*change, queue, *held->entry);
    arrive(*change, *target, std::move(message), 0, std::nullopt);
  }
  const auto moved = static_cast<std::uint32_t>(change->arrivals.size());
  if (moved == 0) {
    if (sequences.empty()) co_return 0u;
    co_return Error{Code::not_found,
                    "The queues that these messages came from are gone, or of "
                    "another kind; name the queue to move them to."};
  }
  const Status status = co_await run_change(std::move(change));
  if (status.has_error()) co_return status.error();
  co_return moved;
}

}  // namespace mayfly::queues
