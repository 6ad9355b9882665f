#pragma once
// What one queue holds, in memory: which messages there are, in what order they can be received,
// who is in flight until when. No store, no clock, no loop: times are handed in.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mayfly::queues {

using Millis = std::int64_t;  // of the steady clock

struct Group;

enum class Place : std::uint8_t {
  ready,
  delayed,
  in_flight,
  busy,  // on its way out of the queue: settled or moved, and that is not durable yet
};

// One message. Kept small: a queue may hold millions.
struct Entry {
  Entry *older = nullptr, *newer = nullptr;  // all of the queue, in the order of arrival
  Entry *prev = nullptr, *next = nullptr;    // the line in which it waits
  std::unique_ptr<std::string> record;       // StoredMessage; null: only on the store
  Group* group = nullptr;                    // fifo
  std::uint64_t sequence = 0;
  Millis arrived = 0;
  std::uint32_t bytes = 0;  // of the record
  std::uint32_t received : 28 = 0;
  std::uint32_t noted : 1 = 0;     // a reception of it is on the store, or on its way there
  std::uint32_t returned : 1 = 0;  // standard: waits in the line of those that came back
  Place place : 2 = Place::ready;
};
static_assert(sizeof(Entry) <= 80, "a million of these are held in memory");

// Entries that wait, doubly linked.
struct Line {
  Entry *first = nullptr, *last = nullptr;
  void push_back(Entry& entry);
  void push_sorted(Entry& entry);  // by sequence; near the front or the end it is quick
  void remove(Entry& entry);
};

// A message group: a line that is locked while one of its messages is held.
struct Group {
  std::string name;
  Line line;
  std::uint32_t members = 0, held = 0, delayed = 0;
  Millis last_due = 0;  // of the delayed ones: nothing may overtake them
  bool queued = false;  // in the line of groups that can be served
  Group *prev = nullptr, *next = nullptr;
};

// A message that was received at least once, or that is busy.
struct Held {
  Entry* entry = nullptr;
  std::uint64_t nonce = 0;
  Millis until = 0;
  std::int64_t first_ms = 0;  // wall clock
  bool timed = false;         // has a deadline among deadlines_
  bool was_ready = false;     // busy, and goes back into the line if that fails
  std::multimap<Millis, std::uint64_t>::iterator deadline;
};

// Of all queues of an engine.
struct Usage {
  std::uint64_t messages = 0;
  std::uint64_t body_bytes = 0;
};

class QueueState {
 public:
  // usage is shared: a receiver that is never resumed keeps its queue beyond the engine.
  QueueState(bool fifo, std::shared_ptr<Usage> usage);
  ~QueueState();
  QueueState(const QueueState&) = delete;
  QueueState& operator=(const QueueState&) = delete;

  struct Arrival {
    std::uint64_t sequence = 0;
    Millis arrived = 0;
    Millis due = 0;  // visible from then on
    std::uint32_t bytes = 0;
    std::unique_ptr<std::string> record;
    std::string_view group;  // fifo
  };
  // Sequences grow from call to call.
  Entry& add(Arrival arrival, Millis now);

  // When a message of this group that should be visible at due can be.
  Millis due_behind(std::string_view group, Millis due) const;

  // Receiving: entries in order. `group` is the one of which this call holds messages already, and
  // may take more.
  Entry* next(const Group* group) const;
  bool has_ready() const { return next(nullptr) != nullptr; }
  // The entries that receivers will want next, up to max.
  std::vector<Entry*> upcoming(std::size_t max) const;

  Held& hold(Entry& entry, std::uint64_t nonce, Millis until, std::int64_t wall_ms);
  // As found on the store: received before, and maybe still in flight.
  void restore(Entry& entry, std::uint32_t received, std::uint64_t nonce, Millis until,
               std::int64_t first_ms, Millis now);
  Held* find(std::uint64_t sequence);
  void set_until(Held& held, Millis until);  // in flight
  enum class End { front, back };
  void give_back(Held& held, End end);  // in flight
  void untake(Held& held);              // as if it had never been received
  void make_busy(Entry& entry);         // ready or in flight
  void end_busy(Held& held, Millis now);
  void erase(Entry& entry);  // not delayed, but for those of which forget_delayed was told
  void forget_delayed(std::uint64_t below);  // a sequence; they are to be erased next
  void drop_record(Entry& entry);
  void give_record(Entry& entry, std::unique_ptr<std::string> record);

  // Lets delayed and timed out messages become visible, at most max. True when some did.
  bool run_due(Millis now, std::size_t max);
  std::optional<Millis> next_due() const;

  Entry* oldest() const { return oldest_; }
  std::uint64_t visible() const { return visible_; }
  std::uint64_t in_flight() const { return in_flight_; }
  std::uint64_t delayed() const { return delayed_count_; }
  bool fifo() const { return fifo_; }

  // Frees up to max entries without regard to order: of a queue that is gone. True when empty.
  bool discard(std::size_t max);

 private:
  struct Delayed {
    Millis due;
    std::uint64_t sequence;
    Entry* entry;
    bool operator<(const Delayed& other) const {  // the heap's top is what is due first
      return due != other.due ? due > other.due : sequence > other.sequence;
    }
  };

  Group& group_of(std::string_view name);
  void enqueue(Entry& entry, End end);
  void leave_line(Entry& entry);
  void lock(Entry& entry);
  void unlock(Entry& entry);
  void queue_group(Group& group);
  void unqueue_group(Group& group);
  void drop_deadline(Held& held);

  const bool fifo_;
  const std::shared_ptr<Usage> usage_;
  Entry *oldest_ = nullptr, *newest_ = nullptr;
  Line returned_, ready_;  // standard: what came back unasked is served first
  Group *first_group_ = nullptr, *last_group_ = nullptr;
  std::unordered_map<std::string, std::unique_ptr<Group>> groups_;
  std::unordered_map<std::uint64_t, Held> held_;
  std::multimap<Millis, std::uint64_t> deadlines_;  // of those in flight
  std::vector<Delayed> delayed_;                    // a heap
  std::uint64_t visible_ = 0, in_flight_ = 0, delayed_count_ = 0;
};

}  // namespace mayfly::queues
