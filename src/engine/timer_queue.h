#pragma once
// Many timers on one kernel timer: deadlines, keep-alives, graces. Entries of one duration stand in
// one list in the order of their expiry, so arming and disarming cost a few stores; a call needs no
// timer of its own. Expiry is noticed up to a millisecond late. On one loop only.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "base/clock.h"

namespace mayfly::engine {

class TimerQueue {
 public:
  struct Link {
    Link* prev = nullptr;
    Link* next = nullptr;
  };

  // One timer; disarms itself when it ends. Does not move.
  class Entry : private Link {
   public:
    using Fire = void (*)(void*);
    Entry() = default;
    Entry(Fire fire, void* target) : fire_(fire), target_(target) {}
    ~Entry() { disarm(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    void set(Fire fire, void* target) {
      fire_ = fire;
      target_ = target;
    }
    bool armed() const { return next != nullptr; }
    void disarm();

   private:
    friend class TimerQueue;
    Fire fire_ = nullptr;
    void* target_ = nullptr;
    SteadyTime expiry_;
  };

  TimerQueue(boost::asio::any_io_executor executor, const Clock& clock);
  ~TimerQueue();

  // Fires once, `after` from now; re-arms when armed.
  void arm(Entry& entry, milliseconds after);

  // Fires what is due. Called by the kernel timer; public for tests on a virtual clock.
  void run_due();

  // No further wake-ups; entries stay where they are.
  void stop();

 private:
  struct List {
    milliseconds after;
    Link head;
    bool empty() const { return head.next == &head; }
    Entry& front() { return static_cast<Entry&>(*head.next); }
  };
  struct Wakeup;

  List& list_of(milliseconds after);
  void schedule();

  boost::asio::steady_timer timer_;
  const Clock& clock_;
  std::vector<std::unique_ptr<List>> lists_;  // a handful of distinct durations
  SteadyTime scheduled_ = SteadyTime::max();
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace mayfly::engine
