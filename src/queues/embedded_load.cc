// What the engine reads: its index when it starts, bodies that are not in memory.

#include <boost/asio/co_spawn.hpp>

#include "base/ids.h"
#include "base/log.h"
#include "queues/embedded_engine.h"

namespace mayfly::queues {
namespace {

constexpr std::size_t kLoadedAtOnce = 512;
constexpr std::uint64_t kLoadedBytesMax = 4u << 20;

using Records = std::unordered_map<std::uint64_t, Result<std::string>>;

// Reads records on a thread that may block. Messages that stand close together are read in one go;
// the range is bounded by them, so that what was deleted before them costs nothing.
struct ReadRecords {
  store::Store* store;
  std::uint64_t queue;
  std::vector<std::uint64_t> sequences;  // ascending

  Records operator()() const {
    Records records;
    if (sequences.empty()) return records;
    records.reserve(sequences.size());
    if (sequences.back() - sequences.front() < 2 * sequences.size()) {
      const auto status =
          store->scan({message_key(Kind::message, queue, sequences.front()),
                       message_key(Kind::message, queue, sequences.back() + 1)},
                      [&](std::string_view key, std::string_view value) {
                        records.insert_or_assign(sequence_of(key), std::string(value));
                        return true;
                      });
      if (status.has_value()) return records;
      records.clear();
    }
    for (const auto sequence : sequences)
      records.insert_or_assign(sequence, store->get(message_key(Kind::message, queue, sequence)));
    return records;
  }
};

}  // namespace

Status Engine::load() {
  store::Store& store = parts_.store;
  auto secret = store.get(kSecretKey);
  if (secret.has_error()) {
    if (secret.error().code != Code::not_found) return secret.error();
    std::string fresh(Receipts::kSecretBytes, '\0');
    random_bytes({reinterpret_cast<std::uint8_t*>(fresh.data()), fresh.size()});
    MAYFLY_TRY(
        store.commit(store::Transaction().put(kSecretKey, fresh), store::Durability::synced));
    secret = std::move(fresh);
  }
  if (secret->size() != Receipts::kSecretBytes)
    return Error{Code::corrupt, "The key of the queues' receipts on the store is damaged."};
  receipts_ = std::make_unique<Receipts>(*secret);

  std::vector<StoredQueue> queues;
  Status failed = ok();
  MAYFLY_TRY(store.scan({kQueuePrefix, store::prefix_end(kQueuePrefix)},
                        [&](std::string_view, std::string_view value) {
                          auto queue = decode_queue(value);
                          if (queue.has_error())
                            failed = queue.error();
                          else
                            queues.push_back(std::move(*queue));
                          return failed.has_value();
                        }));
  MAYFLY_TRY(failed);
  for (const auto& queue : queues) {
    next_queue_id_ = std::max(next_queue_id_, queue.id + 1);
    MAYFLY_TRY(load_queue(queue));
  }
  // Ids are never used again, so that receipts of a queue that is gone stay void.
  if (auto next = store.get(kNextQueueId); next.has_value())
    next_queue_id_ =
        std::max<std::uint64_t>(next_queue_id_, std::strtoull(next->c_str(), nullptr, 10));
  return ok();
}

Status Engine::load_queue(const StoredQueue& stored) {
  auto queue = std::make_shared<Queue>();
  queue->id = stored.id;
  queue->info = std::make_shared<QueueInfo>(stored.info);
  queue->state = std::make_unique<QueueState>(stored.info.settings.fifo, usage_);
  std::uint64_t first = 0;
  if (auto record = parts_.store.get(watermark_key(stored.id)); record.has_value()) {
    auto watermark = decode_watermark(*record);
    if (watermark.has_error()) return watermark.error();
    queue->next_sequence = watermark->next;
    first = watermark->first;
  }
  MAYFLY_TRY(load_messages(*queue, first));
  queue->watermark = 0;  // the next message writes a new one
  queue->finished = queue->next_sequence;
  MAYFLY_TRY(load_duplicates(*queue));
  queues_.emplace(stored.info.name, queue);
  reschedule(*queue);
  return ok();
}

Status Engine::load_messages(Queue& queue, std::uint64_t first) {
  std::unordered_map<std::uint64_t, StoredReception> receptions;
  Status failed = ok();
  MAYFLY_TRY(parts_.store.scan({message_key(Kind::reception, queue.id, first),
                                message_key(Kind::reception, queue.id + 1, 0)},
                               [&](std::string_view key, std::string_view value) {
                                 auto reception = decode_reception(value);
                                 if (reception.has_error())
                                   failed = reception.error();
                                 else
                                   receptions.emplace(sequence_of(key), *reception);
                                 return failed.has_value();
                               }));
  MAYFLY_TRY(failed);
  const Millis time = now();
  const std::int64_t wall = wall_now();
  const bool own = queue.info->name.starts_with('.');
  const auto visit = [&](std::string_view key, std::string_view value) {
    auto head = decode_head(value);
    if (head.has_error()) {
      failed = head.error();
      return false;
    }
    QueueState::Arrival arrival;
    arrival.sequence = sequence_of(key);
    // A wall clock that was set back must not make messages younger than now, nor hide them for
    // longer than was asked.
    arrival.arrived = time - std::max<std::int64_t>(0, wall - head->arrived_ms);
    arrival.due = time;
    if (head->visible_at_ms > wall)
      arrival.due += std::min(head->visible_at_ms - wall, head->visible_at_ms - head->arrived_ms);
    arrival.bytes = static_cast<std::uint32_t>(value.size());
    arrival.group = head->group;
    queue.next_sequence = std::max(queue.next_sequence, arrival.sequence + 1);
    Entry& entry = queue.state->add(std::move(arrival), time);
    if (const auto found = receptions.find(entry.sequence); found != receptions.end()) {
      const StoredReception& r = found->second;
      constexpr Millis kHiddenMax = 12 * 3600 * 1000;
      const Millis asked = r.noted_ms > 0 ? r.visible_at_ms - r.noted_ms : kHiddenMax;
      // Who receives from the platform's own queues went with the server.
      const Millis hidden = own ? 0 : std::min<Millis>(r.visible_at_ms - wall, asked);
      queue.state->restore(entry, r.count, r.nonce, time + hidden, r.first_ms, time);
    }
    return true;
  };
  MAYFLY_TRY(parts_.store.scan(
      {message_key(Kind::message, queue.id, first), message_key(Kind::message, queue.id + 1, 0)},
      visit));
  return failed;
}

Status Engine::load_duplicates(Queue& queue) {
  Status failed = ok();
  const Millis time = now();
  const std::int64_t wall = wall_now();
  MAYFLY_TRY(parts_.store.scan(
      {message_key(Kind::duplicate, queue.id, 0), message_key(Kind::duplicate, queue.id + 1, 0)},
      [&](std::string_view key, std::string_view value) {
        auto record = decode_duplicate(value);
        if (record.has_error()) {
          failed = record.error();
          return false;
        }
        const Millis age = std::max<std::int64_t>(0, wall - record->arrived_ms);
        queue.duplicates.add(record->key, sequence_of(key), time - age, false);
        return true;
      }));
  return failed;
}

void Engine::start_loading(const QueueRef& queue) {
  if (queue->loading) return;
  std::vector<std::uint64_t> wanted;
  std::uint64_t bytes = 0;
  for (const Entry* entry : queue->state->upcoming(kLoadedAtOnce)) {
    if (entry->record) continue;
    if (!wanted.empty() && bytes + entry->bytes > kLoadedBytesMax) break;
    wanted.push_back(entry->sequence);
    bytes += entry->bytes;
  }
  if (wanted.empty()) return;
  queue->loading = true;
  boost::asio::co_spawn(parts_.loop, load_bodies(queue, std::move(wanted)),
                        [](std::exception_ptr failed) {
                          if (failed) log::error("reading messages of a queue broke off");
                        });
}

io::Task<void> Engine::load_bodies(QueueRef queue, std::vector<std::uint64_t> wanted) {
  const auto alive = alive_;
  std::sort(wanted.begin(), wanted.end());
  ReadRecords reading{&parts_.store, queue->id, std::move(wanted)};  // gcc 12: no temporary
  Records records = co_await parts_.pool.run(std::move(reading));
  if (!*alive) co_return;
  queue->loading = false;
  if (!queue->removed) finish_loading(queue, records);
}

void Engine::finish_loading(const QueueRef& queue, Records& records) {
  std::vector<Entry*> missing;
  Status failed = ok();
  for (Entry* entry : queue->state->upcoming(2 * kLoadedAtOnce)) {
    const auto found = records.find(entry->sequence);
    if (entry->record || found == records.end()) continue;
    if (found->second.has_value())
      queue->state->give_record(*entry, std::make_unique<std::string>(std::move(*found->second)));
    else if (found->second.error().code == Code::not_found)
      missing.push_back(entry);
    else
      failed = found->second.error();
  }
  for (Entry* entry : missing) {
    log::error("queue {}: message {} is not on the store", queue->info->name, entry->sequence);
    queue->state->erase(*entry);
  }
  const auto alive = alive_;
  while (failed.has_error() && !queue->receivers.empty()) {
    Receiver& receiver = *queue->receivers.front();
    receiver.status = failed;
    end_receiver(*queue, receiver);
    if (!*alive || queue->removed) return;
  }
  serve_all(queue);
  if (!*alive || queue->removed) return;
  // Who would not wait, or no longer, was only kept until now.
  while (!queue->loading && !queue->receiver_times.empty() &&
         *queue->receiver_times.begin() <= now()) {
    const auto overdue =
        std::find_if(queue->receivers.begin(), queue->receivers.end(),
                     [this](const Receiver* receiver) { return receiver->until <= now(); });
    end_receiver(*queue, **overdue);
    if (!*alive || queue->removed) return;
  }
  reschedule(*queue);
}

// Records of messages that are busy, from memory or the store.
io::Task<Engine::Records> Engine::records_of(QueueRef queue, std::vector<std::uint64_t> sequences) {
  Records records;
  std::vector<std::uint64_t> wanted;
  for (const auto sequence : sequences) {
    const Held* held = queue->state->find(sequence);
    if (held != nullptr && held->entry->record)
      records.emplace(sequence, *held->entry->record);
    else
      wanted.push_back(sequence);
  }
  if (wanted.empty()) co_return records;
  std::sort(wanted.begin(), wanted.end());
  ReadRecords reading{&parts_.store, queue->id, std::move(wanted)};
  Records read = co_await parts_.pool.run(std::move(reading));
  for (auto& [sequence, record] : read) records.insert_or_assign(sequence, std::move(record));
  co_return records;
}

io::Task<Result<std::vector<StoredMessage>>> Engine::messages_of(
    QueueRef queue, std::vector<std::uint64_t> sequences) {
  std::vector<StoredMessage> messages;
  const auto alive = alive_;
  Records records = co_await records_of(queue, sequences);
  if (!*alive) co_return Error{Code::unavailable, "The queues are being stopped."};
  for (const auto sequence : sequences) {
    const auto found = records.find(sequence);
    if (found == records.end()) co_return Error{Code::corrupt, "A message is not on the store."};
    if (found->second.has_error()) co_return found->second.error();
    auto message = decode_message(*found->second);
    if (message.has_error()) co_return message.error();
    messages.push_back(std::move(*message));
  }
  co_return messages;
}

io::Task<Result<std::vector<Message>>> Engine::peek(std::string name, std::uint32_t max) {
  auto found = queue_of(name);
  if (found.has_error()) co_return found.error();
  const QueueRef queue = *found;
  std::vector<std::uint64_t> sequences, wanted;
  Records records;
  for (const Entry* entry = queue->state->oldest(); entry != nullptr && sequences.size() < max;
       entry = entry->newer) {
    if (entry->sequence < queue->purge_floor) continue;
    sequences.push_back(entry->sequence);
    if (entry->record)
      records.emplace(entry->sequence, *entry->record);
    else
      wanted.push_back(entry->sequence);
  }
  if (!wanted.empty()) {
    ReadRecords reading{&parts_.store, queue->id, std::move(wanted)};
    Records read = co_await parts_.pool.run(std::move(reading));
    for (auto& [sequence, record] : read) records.insert_or_assign(sequence, std::move(record));
  }
  std::vector<Message> messages;
  const Entry* entry = queue->removed ? nullptr : queue->state->oldest();
  for (const auto sequence : sequences) {
    while (entry != nullptr && entry->sequence < sequence) entry = entry->newer;
    if (entry == nullptr || entry->sequence != sequence) continue;  // gone meanwhile
    const auto record = records.find(sequence);
    if (record == records.end() || record->second.has_error()) continue;
    auto stored = decode_message(*record->second);
    if (stored.has_error()) co_return stored.error();
    messages.push_back(make_message(*queue, *entry, std::move(*stored)));
  }
  co_return messages;
}

}  // namespace mayfly::queues
