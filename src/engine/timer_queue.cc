#include "engine/timer_queue.h"

#include <algorithm>

namespace mayfly::engine {

void TimerQueue::Entry::disarm() {
  if (next == nullptr) return;
  prev->next = next;
  next->prev = prev;
  prev = next = nullptr;
}

struct TimerQueue::Wakeup {
  TimerQueue* queue;
  std::shared_ptr<bool> alive;
  void operator()(const boost::system::error_code& ec) const {
    if (!*alive || ec) return;
    queue->scheduled_ = SteadyTime::max();
    queue->run_due();
  }
};

TimerQueue::TimerQueue(boost::asio::any_io_executor executor, const Clock& clock)
    : timer_(std::move(executor)), clock_(clock) {}

TimerQueue::~TimerQueue() {
  *alive_ = false;
  for (auto& list : lists_)
    while (!list->empty()) list->front().disarm();
}

TimerQueue::List& TimerQueue::list_of(milliseconds after) {
  for (auto& list : lists_)
    if (list->after == after) return *list;
  // Durations that are not used any more give their list back, so that the scan stays short.
  if (lists_.size() >= 64) std::erase_if(lists_, [](const auto& list) { return list->empty(); });
  auto list = std::make_unique<List>();
  list->after = after;
  list->head.prev = list->head.next = &list->head;
  lists_.push_back(std::move(list));
  return *lists_.back();
}

void TimerQueue::arm(Entry& entry, milliseconds after) {
  entry.disarm();
  entry.expiry_ = clock_.steady_now() + after;
  List& list = list_of(after);
  entry.prev = list.head.prev;
  entry.next = &list.head;
  list.head.prev->next = &entry;
  list.head.prev = &entry;
  if (entry.expiry_ < scheduled_) schedule();
}

void TimerQueue::run_due() {
  const auto now = clock_.steady_now();
  const auto alive = alive_;
  // By index: what fires may arm new durations and so grow (or compact) the table.
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    while (i < lists_.size() && !lists_[i]->empty() && lists_[i]->front().expiry_ <= now) {
      Entry& entry = lists_[i]->front();
      entry.disarm();
      entry.fire_(entry.target_);
      if (!*alive) return;
    }
  }
  schedule();
}

void TimerQueue::schedule() {
  auto first = SteadyTime::max();
  for (auto& list : lists_)
    if (!list->empty()) first = std::min(first, list->front().expiry_);
  if (first == scheduled_ || first == SteadyTime::max()) return;
  scheduled_ = first;
  timer_.expires_after(std::max(first - clock_.steady_now(), SteadyTime::duration::zero()));
  timer_.async_wait(Wakeup{this, alive_});
}

void TimerQueue::stop() {
  timer_.cancel();
  scheduled_ = SteadyTime::max();
}

}  // namespace mayfly::engine
