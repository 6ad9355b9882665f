// The life of the engine and of its queues: making, changing and removing them, and time.

#include "queues/embedded.h"

#include <boost/asio/post.hpp>

#include "base/ids.h"
#include "queues/checks.h"
#include "queues/embedded_engine.h"

namespace mayfly::queues {
namespace {

// In one turn of the loop, so that a million messages that are due hold up nobody.
constexpr std::size_t kEntriesPerTurn = 2000;
constexpr Millis kRetryMs = 1000;
constexpr Millis kDuplicatesSlackMs = 10'000;

Error not_found(const std::string& name) {
  return Error{Code::not_found,
               "There is no queue " + name + "; `mayfly queue ls` lists the queues."};
}

}  // namespace

struct Engine::Wakeup {
  Engine* engine;
  std::shared_ptr<bool> alive;
  void operator()(const boost::system::error_code& failed) const {
    if (!*alive || failed) return;
    engine->armed_ = INT64_MAX;
    engine->run_due();
  }
};

// Holds a queue's name while the queue is made, changed or removed.
class Engine::NameGuard {
 public:
  NameGuard(Engine& engine, std::string name)
      : engine_(engine), alive_(engine.alive_), name_(std::move(name)) {
    engine_.locked_names_.insert(name_);
  }
  ~NameGuard() {
    if (*alive_) engine_.locked_names_.erase(name_);
  }
  NameGuard(const NameGuard&) = delete;
  NameGuard& operator=(const NameGuard&) = delete;

 private:
  Engine& engine_;
  std::shared_ptr<bool> alive_;
  std::string name_;
};

Engine::Engine(EmbeddedParts parts) : parts_(std::move(parts)), timer_(parts_.loop) {
  std::string bytes(8, '\0');
  random_bytes({reinterpret_cast<std::uint8_t*>(bytes.data()), 4});
  for (const char c : bytes) epoch_ = epoch_ << 8 | static_cast<std::uint8_t>(c);
}

Engine::~Engine() {
  *alive_ = false;
  // Coroutines that wait here would wait for ever: they end with what they wait for.
  while (!changes_.empty()) {
    Change& change = changes_.front();
    change.unlink();
    change.waiter.drop();
  }
  for (const auto& [name, queue] : queues_) {
    // They leave the list when the loop unwinds them, which is later.
    const auto receivers = queue->receivers;
    for (Receiver* receiver : receivers) receiver->waiter.drop();
  }
}

Millis Engine::now() const {
  return std::chrono::duration_cast<milliseconds>(parts_.clock.steady_now().time_since_epoch())
      .count();
}

Result<QueueRef> Engine::queue_of(const std::string& name) const {
  if (stopping_) return Error{Code::unavailable, "The queues are being stopped."};
  const auto found = queues_.find(name);
  if (found == queues_.end()) return not_found(name);
  return found->second;
}

QueuePtr Engine::find(const std::string& name) const {
  const auto found = queues_.find(name);
  return found == queues_.end() ? nullptr : found->second->info;
}

std::vector<QueuePtr> Engine::list() const {
  std::vector<QueuePtr> all;
  for (const auto& [name, queue] : queues_) all.push_back(queue->info);
  return all;
}

Result<Counts> Engine::counts(const std::string& name) const {
  const auto found = queues_.find(name);
  if (found == queues_.end()) return not_found(name);
  const QueueState& state = *found->second->state;
  Counts counts;
  counts.visible = state.visible();
  counts.in_flight = state.in_flight();
  counts.delayed = state.delayed();
  if (const Entry* oldest = state.oldest())
    counts.oldest = from_epoch_us(to_wall(oldest->arrived) * 1000);
  return counts;
}

// Resumes when nobody else is changing the queue of this name.
io::Task<Status> Engine::lock_name(std::string name) {
  for (;;) {
    if (stopping_) co_return Error{Code::unavailable, "The queues are being stopped."};
    if (!locked_names_.contains(name)) co_return ok();
    auto barrier = std::make_shared<Change>();
    MAYFLY_CO_TRY(co_await run_change(std::move(barrier)));
  }
}

io::Task<Status> Engine::create(QueueInfo info) {
  MAYFLY_CO_TRY(check_queue(info));
  MAYFLY_CO_TRY(co_await lock_name(info.name));
  const auto found = queues_.find(info.name);
  if (found != queues_.end()) {
    if (same_settings(found->second->info->settings, info.settings)) co_return ok();
    co_return Error{Code::already_exists,
                    "There is a queue " + info.name + " already, with other settings."};
  }
  NameGuard guard(*this, info.name);
  StoredQueue stored{next_queue_id_++, std::move(info)};
  if (stored.info.created == WallTime()) stored.info.created = parts_.clock.wall_now();
  stored.info.modified = stored.info.created;
  auto change = std::make_shared<Change>();
  change->transaction.put(kQueuePrefix + stored.info.name, encode(stored));
  change->transaction.put(kNextQueueId, std::to_string(next_queue_id_));
  change->after = [this, stored = std::move(stored)](const Status& status) {
    if (status.has_error()) return;
    auto queue = std::make_shared<Queue>();
    queue->id = stored.id;
    queue->info = std::make_shared<QueueInfo>(stored.info);
    queue->state = std::make_unique<QueueState>(stored.info.settings.fifo, usage_);
    queues_.emplace(stored.info.name, std::move(queue));
  };
  co_return co_await run_change(std::move(change));
}

io::Task<Status> Engine::update(QueueInfo info, QueuePtr basis) {
  MAYFLY_CO_TRY(check_queue(info));
  MAYFLY_CO_TRY(co_await lock_name(info.name));
  auto found = queue_of(info.name);
  if (found.has_error()) co_return found.error();
  const QueueRef queue = *found;
  if (info.settings.fifo != queue->info->settings.fifo)
    co_return Error{Code::invalid_argument, "A queue cannot become fifo, nor stop being it."};
  if (basis && basis != queue->info)
    co_return Error{Code::conflict, "Queue " + info.name + " was changed meanwhile."};
  NameGuard guard(*this, info.name);
  info.created = queue->info->created;
  info.modified = parts_.clock.wall_now();
  const StoredQueue stored{queue->id, std::move(info)};
  auto change = std::make_shared<Change>();
  change->transaction.put(kQueuePrefix + stored.info.name, encode(stored));
  change->after = [this, queue, stored](const Status& status) {
    if (status.has_error()) return;
    queue->info = std::make_shared<QueueInfo>(stored.info);
    serve_all(queue);
    reschedule(*queue);
  };
  co_return co_await run_change(std::move(change));
}

io::Task<Status> Engine::remove(std::string name) {
  MAYFLY_CO_TRY(co_await lock_name(name));
  auto found = queue_of(name);
  if (found.has_error()) co_return found.error();
  const QueueRef queue = *found;
  NameGuard guard(*this, name);
  auto change = std::make_shared<Change>();
  change->transaction.remove(kQueuePrefix + name);
  change->transaction.remove(watermark_key(queue->id));
  for (const Kind kind : {Kind::message, Kind::reception, Kind::duplicate})
    change->transaction.delete_ranges.emplace_back(message_key(kind, queue->id, 0),
                                                   message_key(kind, queue->id + 1, 0));
  // What is sent from here on would be deleted after its sender was told that it is safe.
  queues_.erase(name);
  change->after = [this, queue, name](const Status& status) {
    if (status.has_error()) {
      queues_.emplace(name, queue);
      return;
    }
    queue->removed = true;
    graveyard_.push_back(std::move(queue->state));
    tend_graveyard();
    while (!queue->receivers.empty()) {
      Receiver& receiver = *queue->receivers.front();
      receiver.status = not_found(name);
      end_receiver(*queue, receiver);
    }
  };
  co_return co_await run_change(std::move(change));
}

io::Task<Status> Engine::purge(std::string name) {
  auto found = queue_of(name);
  if (found.has_error()) co_return found.error();
  const QueueRef queue = *found;
  const std::uint64_t floor = queue->next_sequence;
  auto change = std::make_shared<Change>();
  for (const Kind kind : {Kind::message, Kind::reception})
    change->transaction.delete_ranges.emplace_back(message_key(kind, queue->id, 0),
                                                   message_key(kind, queue->id, floor));
  if (queue->watermark > floor)
    change->transaction.put(watermark_key(queue->id),
                            encode(StoredWatermark{queue->watermark, floor}));
  // All that was sent before has been added by then: completions come in order. Memory follows by
  // and by; until then receivers pass over what is below the floor.
  change->after = [this, queue, floor](const Status& status) {
    if (status.has_error() || queue->removed) return;
    queue->purge_floor = floor;
    queue->state->forget_delayed(floor);
    reschedule(*queue);
  };
  co_return co_await run_change(std::move(change));
}

io::Task<void> Engine::stop() {
  stopping_ = true;
  for (const auto& [name, queue] : queues_) {
    const QueueRef kept = queue;
    while (!kept->receivers.empty()) end_receiver(*kept, *kept->receivers.front());
    note_receptions(*kept);
  }
  while (pending_ > 0) co_await stopped_.wait();
  timer_.cancel();
}

std::optional<Millis> Engine::next_due(const Queue& queue) const {
  std::optional<Millis> due = queue.state->next_due();
  const auto lower = [&due](Millis time) { due = std::min(due.value_or(INT64_MAX), time); };
  if (const Entry* oldest = queue.state->oldest()) {
    if (oldest->sequence < queue.purge_floor) return INT64_MIN;
    Millis end = oldest->arrived + Millis{queue.info->settings.retention_s} * 1000;
    if (oldest->place == Place::busy || oldest->place == Place::delayed)
      end = std::max(end, now() + kRetryMs);
    lower(end);
  }
  if (!queue.receiver_times.empty() && !queue.loading) lower(*queue.receiver_times.begin());
  if (!queue.unnoted.empty()) lower(queue.note_at);
  if (const auto end = queue.duplicates.next_due()) lower(*end + kDuplicatesSlackMs);
  return due;
}

void Engine::reschedule(Queue& queue) {
  if (queue.removed) return;
  const auto due = next_due(queue);
  // A place that is too early costs one look; moving it with each message would cost more.
  if (!due || *due >= queue.scheduled) return;
  QueueRef ref = queue.shared_from_this();
  schedule_.erase({queue.scheduled, ref});
  queue.scheduled = *due;
  schedule_.emplace(*due, std::move(ref));
  arm_timer();
}

void Engine::arm_timer() {
  if (schedule_.empty() || stopping_) return;
  const Millis first = schedule_.begin()->first;
  if (first >= armed_) return;
  armed_ = first;
  timer_.expires_after(milliseconds(std::max<Millis>(first, now()) - now()));
  timer_.async_wait(Wakeup{this, alive_});
}

void Engine::run_due() {
  const Millis time = now();
  std::vector<QueueRef> due;
  while (!schedule_.empty() && schedule_.begin()->first <= time) {
    due.push_back(schedule_.begin()->second);
    due.back()->scheduled = INT64_MAX;
    schedule_.erase(schedule_.begin());
  }
  const auto alive = alive_;
  for (const auto& queue : due) {
    if (!queue->removed) run_queue(queue, time);
    if (!*alive) return;
  }
  arm_timer();
}

void Engine::run_queue(const QueueRef& queue, Millis time) {
  if (queue->state->run_due(time, kEntriesPerTurn)) serve_all(queue);
  if (queue->removed) return;
  expire(*queue, time);
  if (!queue->unnoted.empty() && queue->note_at <= time) note_receptions(*queue);
  while (!queue->loading && !queue->receiver_times.empty() &&
         *queue->receiver_times.begin() <= time) {
    const auto overdue =
        std::find_if(queue->receivers.begin(), queue->receivers.end(),
                     [time](const Receiver* receiver) { return receiver->until <= time; });
    end_receiver(*queue, **overdue);
  }
  if (!queue->removed) reschedule(*queue);
}

// What was purged, what is too old, and what is remembered no longer.
void Engine::expire(Queue& queue, Millis time) {
  QueueState& state = *queue.state;
  std::size_t left = kEntriesPerTurn;
  for (; left > 0 && state.oldest() != nullptr && state.oldest()->sequence < queue.purge_floor;
       --left)
    state.erase(*state.oldest());
  store::Transaction gone;
  const Millis retention = Millis{queue.info->settings.retention_s} * 1000;
  for (; left > 0 && state.oldest() != nullptr; --left) {
    Entry& oldest = *state.oldest();
    if (oldest.arrived + retention > time) break;
    if (oldest.place == Place::busy || oldest.place == Place::delayed) break;
    gone.remove(message_key(Kind::message, queue.id, oldest.sequence));
    if (oldest.noted) gone.remove(message_key(Kind::reception, queue.id, oldest.sequence));
    state.erase(oldest);
  }
  if (const auto below = queue.duplicates.expire(time))
    gone.delete_ranges.emplace_back(message_key(Kind::duplicate, queue.id, 0),
                                    message_key(Kind::duplicate, queue.id, *below));
  if (!gone.empty()) write_behind(std::move(gone));
}

void Engine::tend_graveyard() {
  if (graveyard_.empty()) return;
  if (graveyard_.back()->discard(kEntriesPerTurn)) graveyard_.pop_back();
  boost::asio::post(parts_.loop, [this, alive = alive_] {
    if (*alive) tend_graveyard();
  });
}

Result<std::unique_ptr<EmbeddedEngine>> make_embedded_engine(EmbeddedParts parts) {
  auto engine = std::make_unique<Engine>(std::move(parts));
  MAYFLY_TRY(engine->load());
  return std::unique_ptr<EmbeddedEngine>(std::move(engine));
}

}  // namespace mayfly::queues
