#pragma once
// The embedded engine's own view of itself; others see embedded.h. Its parts stand in
// embedded.cc (life, queues), embedded_change.cc (what is written), embedded_receive.cc,
// embedded_load.cc (what is read).
//
// Whatever changes the state does so in one turn of the loop or in a completion of the committer,
// never between two suspensions of a caller's coroutine: a caller may go away at any time.

#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <list>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "io/waiter.h"
#include "queues/embedded.h"
#include "queues/queue_state.h"
#include "queues/receipts.h"
#include "queues/record.h"
#include "queues/window.h"

namespace mayfly::queues {

struct Receiver;

struct Queue : std::enable_shared_from_this<Queue> {
  std::uint64_t id = 0;
  QueuePtr info;
  std::unique_ptr<QueueState> state;
  DuplicateWindow duplicates;
  Attempts attempts;
  std::uint64_t next_sequence = 1;
  std::uint64_t watermark = 0;    // on the store, or on its way there
  std::uint64_t finished = 1;     // no arrival below it is still being written
  std::uint64_t purge_floor = 0;  // what is below it is gone from the store
  bool removed = false;
  bool loading = false;
  std::list<Receiver*> receivers;        // in the order in which they came
  std::multiset<Millis> receiver_times;  // until when they wait
  std::vector<std::uint64_t> unnoted;    // receptions that the store is not told of yet
  Millis note_at = 0;                    // when it is; with unnoted
  Millis scheduled = INT64_MAX;          // its place in Engine::schedule_
};
using QueueRef = std::shared_ptr<Queue>;

using ChangeHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// Messages that come and go in one transaction, and what follows when it is durable or has failed.
struct Change : ChangeHook {
  struct Arrival {
    QueueRef queue;
    QueueState::Arrival entry;
    std::string group;
    std::size_t put = 0;  // of the transaction: its record
    std::optional<DuplicateKey> duplicate;
  };
  struct Departure {
    QueueRef queue;
    std::uint64_t sequence = 0;  // busy
  };
  std::vector<Arrival> arrivals;
  std::vector<Departure> departures;
  store::Transaction transaction;
  std::function<void(const Status&)> after;
  Millis retry_after = 0;  // a failed departure is not tried again before
  bool wrote_watermark = false;
  bool done = false;
  Status status;
  io::Waiter waiter;

  // Once it was submitted, and waited for.
  Status outcome() const;
};
using ChangePtr = std::shared_ptr<Change>;

// One call of receive() that waits.
struct Receiver {
  ReceiveOptions options;
  Millis until = 0;
  std::vector<Message> messages;
  std::vector<ChangePtr> dead_letters;  // that it met, on their way
  Status status;
  bool done = false;
  io::Waiter waiter;
};

class Engine final : public EmbeddedEngine {
 public:
  explicit Engine(EmbeddedParts parts);
  ~Engine() override;
  Status load();

  io::Task<Status> create(QueueInfo info) override;
  io::Task<Status> update(QueueInfo info, QueuePtr basis) override;
  io::Task<Status> remove(std::string name) override;
  QueuePtr find(const std::string& name) const override;
  std::vector<QueuePtr> list() const override;
  Result<Counts> counts(const std::string& name) const override;
  io::Task<std::vector<Result<Sent>>> send(std::string queue,
                                           std::vector<NewMessage> messages) override;
  io::Task<Result<std::vector<Message>>> receive(std::string queue,
                                                 ReceiveOptions options) override;
  io::Task<std::vector<Status>> settle(std::string queue,
                                       std::vector<std::string> receipts) override;
  io::Task<std::vector<Status>> change_visibility(std::string queue,
                                                  std::vector<Visibility> changes) override;
  io::Task<Status> dead_letter(std::string queue, std::vector<std::string> receipts, std::string to,
                               std::string reason) override;
  io::Task<Result<std::uint32_t>> move(std::string from, std::string to,
                                       std::uint32_t max) override;
  io::Task<Status> purge(std::string queue) override;
  io::Task<Result<std::vector<Message>>> peek(std::string queue, std::uint32_t max) override;
  io::Task<Result<std::vector<Sent>>> commit(Batch batch) override;
  io::Task<void> stop() override;
  void run_due() override;
  Memory memory() const override { return {usage_->messages, usage_->body_bytes}; }

 private:
  friend class BusyGuard;
  class NameGuard;
  struct Wakeup;

  // Time. Wall clock times are translated as of now, so that jumps of it change nothing that is
  // under way.
  Millis now() const;
  std::int64_t wall_now() const { return to_epoch_ms(parts_.clock.wall_now()); }
  std::int64_t to_wall(Millis time) const { return wall_now() + (time - now()); }
  Millis to_steady(std::int64_t wall_ms) const { return now() + (wall_ms - wall_now()); }
  void reschedule(Queue& queue);
  std::optional<Millis> next_due(const Queue& queue) const;
  void arm_timer();
  void run_queue(const QueueRef& queue, Millis now);
  void expire(Queue& queue, Millis now);
  void tend_graveyard();

  Result<QueueRef> queue_of(const std::string& name) const;
  io::Task<Status> lock_name(std::string name);
  Status load_queue(const StoredQueue& stored);
  Status load_messages(Queue& queue, std::uint64_t first);
  Status load_duplicates(Queue& queue);

  // Changes.
  Result<Sent> add_new(Change& change, const QueueRef& queue, NewMessage&& message,
                       std::vector<std::pair<std::size_t, DuplicateKey>>* pending,
                       std::size_t index);
  bool repeats_pending(const Batch& batch) const;
  Sent arrive(Change& change, const QueueRef& queue, StoredMessage message, Millis delay,
              std::optional<DuplicateKey> duplicate);
  void depart(Change& change, const QueueRef& queue, Entry& entry);
  void submit(const ChangePtr& change);
  void finish(Change& change, const Status& status, store::Transaction& written);
  void finish_arrival(Change::Arrival& arrival, bool written, store::Transaction& transaction,
                      Millis now);
  io::Task<Status> run_change(ChangePtr change);

  // Settling.
  enum class Holding { holds, gone, busy, lost, invalid };
  Holding look_up(Queue& queue, std::string_view receipt, bool strict, Entry*& entry);

  // Receiving.
  void serve(const QueueRef& queue, Receiver& receiver);
  void serve_all(const QueueRef& queue);
  void end_receiver(Queue& queue, Receiver& receiver);
  bool repeat_attempt(const QueueRef& queue, Receiver& receiver);
  void take(const QueueRef& queue, Receiver& receiver, bool& wants_load);
  ChangePtr send_to_dead_letters(const QueueRef& queue, Entry& entry);
  Message make_message(Queue& queue, const Entry& entry, StoredMessage&& stored) const;
  std::string seal(const Queue& queue, const Entry& entry, std::uint64_t nonce);
  void note_reception(store::Transaction& transaction, Queue& queue, const Held& held);
  void note_receptions(Queue& queue);
  void write_behind(store::Transaction transaction);
  std::uint64_t new_nonce();

  // Reading.
  using Records = std::unordered_map<std::uint64_t, Result<std::string>>;
  void start_loading(const QueueRef& queue);
  io::Task<void> load_bodies(QueueRef queue, std::vector<std::uint64_t> wanted);
  void finish_loading(const QueueRef& queue, Records& records);
  io::Task<Records> records_of(QueueRef queue, std::vector<std::uint64_t> sequences);
  io::Task<Result<std::vector<StoredMessage>>> messages_of(QueueRef queue,
                                                           std::vector<std::uint64_t> sequences);

  const EmbeddedParts parts_;
  std::unique_ptr<Receipts> receipts_;
  std::uint64_t next_queue_id_ = 1;
  std::uint64_t epoch_ = 0;  // high bits of the nonces of this run
  std::map<std::string, QueueRef> queues_;
  std::unordered_set<std::string> locked_names_;
  const std::shared_ptr<Usage> usage_ = std::make_shared<Usage>();
  std::vector<std::unique_ptr<QueueState>> graveyard_;
  std::set<std::pair<Millis, QueueRef>> schedule_;
  boost::asio::steady_timer timer_;
  Millis armed_ = INT64_MAX;
  std::uint64_t pending_ = 0;  // writes under way
  // Of these, the ones that somebody waits for.
  boost::intrusive::list<Change, boost::intrusive::base_hook<ChangeHook>,
                         boost::intrusive::constant_time_size<false>>
      changes_;
  bool stopping_ = false;
  io::Waiter stopped_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace mayfly::queues
