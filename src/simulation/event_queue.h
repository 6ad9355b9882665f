#pragma once
// What happens next on the virtual clock: a heap of events, equal times in the order in which they
// were added. Thread-compatible.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace mayfly::simulation {

class EventQueue {
 public:
  struct Event {
    std::int64_t at_us = 0;
    std::uint32_t kind = 0;
    std::uint32_t id = 0;
    std::uint64_t detail = 0;
    std::uint64_t order = 0;  // set by push
  };

  void push(Event event) {
    event.order = next_order_++;
    std::size_t hole = heap_.size();
    heap_.push_back(event);
    while (hole > 0) {
      const std::size_t parent = (hole - 1) / kWays;
      if (!earlier(event, heap_[parent])) break;
      heap_[hole] = heap_[parent];
      hole = parent;
    }
    heap_[hole] = event;
  }
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  const Event& top() const { return heap_.front(); }
  Event pop() {
    const Event first = heap_.front();
    const Event last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(last);
    return first;
  }

 private:
  static constexpr std::size_t kWays = 4;
  static bool earlier(const Event& a, const Event& b) {
    return a.at_us != b.at_us ? a.at_us < b.at_us : a.order < b.order;
  }
  void sink(const Event& event) {
    const std::size_t size = heap_.size();
    std::size_t hole = 0;
    for (;;) {
      const std::size_t first = hole * kWays + 1;
      if (first >= size) break;
      std::size_t least = first;
      const std::size_t end = std::min(first + kWays, size);
      for (std::size_t i = first + 1; i < end; ++i)
        if (earlier(heap_[i], heap_[least])) least = i;
      if (!earlier(heap_[least], event)) break;
      heap_[hole] = heap_[least];
      hole = least;
    }
    heap_[hole] = event;
  }

  std::vector<Event> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace mayfly::simulation
