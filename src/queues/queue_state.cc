#include "queues/queue_state.h"

#include <algorithm>
#include <cassert>

namespace mayfly::queues {

void Line::push_back(Entry& entry) {
  entry.prev = last;
  entry.next = nullptr;
  (last != nullptr ? last->next : first) = &entry;
  last = &entry;
}

void Line::push_sorted(Entry& entry) {
  if (last == nullptr || last->sequence < entry.sequence) return push_back(entry);
  Entry* behind = first;
  while (behind->sequence < entry.sequence) behind = behind->next;
  entry.prev = behind->prev;
  entry.next = behind;
  (behind->prev != nullptr ? behind->prev->next : first) = &entry;
  behind->prev = &entry;
}

void Line::remove(Entry& entry) {
  (entry.prev != nullptr ? entry.prev->next : first) = entry.next;
  (entry.next != nullptr ? entry.next->prev : last) = entry.prev;
  entry.prev = entry.next = nullptr;
}

QueueState::QueueState(bool fifo, std::shared_ptr<Usage> usage)
    : fifo_(fifo), usage_(std::move(usage)) {}

QueueState::~QueueState() {
  while (!discard(1'000'000)) {
  }
}

bool QueueState::discard(std::size_t max) {
  for (std::size_t left = max; left > 0 && oldest_ != nullptr; --left) {
    Entry* entry = oldest_;
    oldest_ = entry->newer;
    drop_record(*entry);
    --usage_->messages;
    delete entry;
  }
  if (oldest_ != nullptr) return false;
  for (std::size_t left = max; left > 0 && !groups_.empty(); --left) groups_.erase(groups_.begin());
  return groups_.empty();
}

Group& QueueState::group_of(std::string_view name) {
  auto& group = groups_[std::string(name)];
  if (!group) {
    group = std::make_unique<Group>();
    group->name = name;
  }
  return *group;
}

Millis QueueState::due_behind(std::string_view group, Millis due) const {
  if (!fifo_) return due;
  const auto found = groups_.find(std::string(group));
  if (found == groups_.end() || found->second->delayed == 0) return due;
  return std::max(due, found->second->last_due);
}

Entry& QueueState::add(Arrival arrival, Millis now) {
  auto* entry = new Entry;
  assert(newest_ == nullptr || newest_->sequence < arrival.sequence);
  entry->sequence = arrival.sequence;
  entry->arrived = arrival.arrived;
  entry->bytes = arrival.bytes;
  entry->older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = entry;
  newest_ = entry;
  ++usage_->messages;
  if (arrival.record) give_record(*entry, std::move(arrival.record));
  Millis due = arrival.due;
  if (fifo_) {
    due = due_behind(arrival.group, due);
    entry->group = &group_of(arrival.group);
    ++entry->group->members;
  }
  if (due <= now) {
    enqueue(*entry, End::back);
    return *entry;
  }
  entry->place = Place::delayed;
  ++delayed_count_;
  delayed_.push_back({due, entry->sequence, entry});
  std::push_heap(delayed_.begin(), delayed_.end());
  if (entry->group != nullptr) {
    ++entry->group->delayed;
    entry->group->last_due = due;
  }
  return *entry;
}

void QueueState::enqueue(Entry& entry, End end) {
  entry.place = Place::ready;
  ++visible_;
  if (!fifo_) {
    entry.returned = end == End::front;
    return (entry.returned ? returned_ : ready_).push_back(entry);
  }
  entry.group->line.push_sorted(entry);
  if (entry.group->held == 0) queue_group(*entry.group);
}

void QueueState::leave_line(Entry& entry) {
  --visible_;
  if (!fifo_) return (entry.returned ? returned_ : ready_).remove(entry);
  entry.group->line.remove(entry);
  if (entry.group->line.first == nullptr) unqueue_group(*entry.group);
}

void QueueState::queue_group(Group& group) {
  if (group.queued || group.line.first == nullptr) return;
  group.queued = true;
  group.prev = last_group_;
  group.next = nullptr;
  (last_group_ != nullptr ? last_group_->next : first_group_) = &group;
  last_group_ = &group;
}

void QueueState::unqueue_group(Group& group) {
  if (!group.queued) return;
  group.queued = false;
  (group.prev != nullptr ? group.prev->next : first_group_) = group.next;
  (group.next != nullptr ? group.next->prev : last_group_) = group.prev;
  group.prev = group.next = nullptr;
}

void QueueState::lock(Entry& entry) {
  ++in_flight_;
  if (entry.group == nullptr) return;
  ++entry.group->held;
  unqueue_group(*entry.group);
}

void QueueState::unlock(Entry& entry) {
  --in_flight_;
  if (entry.group != nullptr && --entry.group->held == 0) queue_group(*entry.group);
}

Entry* QueueState::next(const Group* group) const {
  if (!fifo_) return returned_.first != nullptr ? returned_.first : ready_.first;
  if (group != nullptr && group->line.first != nullptr) return group->line.first;
  return first_group_ != nullptr ? first_group_->line.first : nullptr;
}

std::vector<Entry*> QueueState::upcoming(std::size_t max) const {
  std::vector<Entry*> out;
  if (!fifo_) {
    for (const Line* line : {&returned_, &ready_})
      for (Entry* at = line->first; at != nullptr && out.size() < max; at = at->next)
        out.push_back(at);
    return out;
  }
  constexpr int kOfOneGroup = 10;
  for (const Group* group = first_group_; group != nullptr && out.size() < max;
       group = group->next) {
    int taken = 0;
    for (Entry* at = group->line.first; at != nullptr && taken < kOfOneGroup; at = at->next) {
      out.push_back(at);
      ++taken;
    }
  }
  return out;
}

Held& QueueState::hold(Entry& entry, std::uint64_t nonce, Millis until, std::int64_t wall_ms) {
  leave_line(entry);
  lock(entry);
  entry.place = Place::in_flight;
  Held& held = held_[entry.sequence];
  if (entry.received == 0) held.first_ms = wall_ms;
  entry.received = entry.received + 1;
  held.entry = &entry;
  held.nonce = nonce;
  held.was_ready = false;
  set_until(held, until);
  return held;
}

void QueueState::restore(Entry& entry, std::uint32_t received, std::uint64_t nonce, Millis until,
                         std::int64_t first_ms, Millis now) {
  entry.received = received;
  entry.noted = 1;
  Held& held = held_[entry.sequence];
  held.entry = &entry;
  held.nonce = nonce;
  held.first_ms = first_ms;
  held.until = until;
  if (until <= now || entry.place != Place::ready) return;
  leave_line(entry);
  lock(entry);
  entry.place = Place::in_flight;
  set_until(held, until);
}

Held* QueueState::find(std::uint64_t sequence) {
  const auto found = held_.find(sequence);
  return found == held_.end() ? nullptr : &found->second;
}

void QueueState::drop_deadline(Held& held) {
  if (!held.timed) return;
  deadlines_.erase(held.deadline);
  held.timed = false;
}

void QueueState::set_until(Held& held, Millis until) {
  drop_deadline(held);
  held.until = until;
  held.deadline = deadlines_.emplace(until, held.entry->sequence);
  held.timed = true;
}

void QueueState::give_back(Held& held, End end) {
  drop_deadline(held);
  Entry& entry = *held.entry;
  enqueue(entry, end);
  unlock(entry);
}

void QueueState::untake(Held& held) {
  Entry& entry = *held.entry;
  entry.received = entry.received - 1;
  give_back(held, End::front);
  if (entry.received == 0) held_.erase(entry.sequence);
}

void QueueState::make_busy(Entry& entry) {
  Held& held = held_[entry.sequence];
  held.entry = &entry;
  held.was_ready = entry.place == Place::ready;
  if (held.was_ready) {
    leave_line(entry);
    lock(entry);
  } else {
    drop_deadline(held);
  }
  entry.place = Place::busy;
}

void QueueState::end_busy(Held& held, Millis now) {
  Entry& entry = *held.entry;
  if (!held.was_ready && held.until > now) {
    entry.place = Place::in_flight;
    return set_until(held, held.until);
  }
  give_back(held, End::front);
  if (entry.received == 0) held_.erase(entry.sequence);
}

void QueueState::erase(Entry& entry) {
  if (entry.place == Place::ready) {
    leave_line(entry);
  } else if (entry.place == Place::delayed) {
    --delayed_count_;
    if (entry.group != nullptr) --entry.group->delayed;
  } else {
    unlock(entry);
  }
  const auto found = held_.find(entry.sequence);
  if (found != held_.end()) {
    drop_deadline(found->second);
    held_.erase(found);
  }
  if (entry.group != nullptr && --entry.group->members == 0) {
    unqueue_group(*entry.group);
    groups_.erase(groups_.find(entry.group->name));
  }
  (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
  (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
  drop_record(entry);
  --usage_->messages;
  delete &entry;
}

void QueueState::forget_delayed(std::uint64_t below) {
  std::erase_if(delayed_, [below](const Delayed& d) { return d.sequence < below; });
  std::make_heap(delayed_.begin(), delayed_.end());
}

void QueueState::drop_record(Entry& entry) {
  if (!entry.record) return;
  usage_->body_bytes -= entry.bytes;
  entry.record.reset();
}

void QueueState::give_record(Entry& entry, std::unique_ptr<std::string> record) {
  drop_record(entry);
  entry.record = std::move(record);
  usage_->body_bytes += entry.bytes;
}

bool QueueState::run_due(Millis now, std::size_t max) {
  bool some = false;
  for (; max > 0 && !delayed_.empty() && delayed_.front().due <= now; --max) {
    Entry& entry = *delayed_.front().entry;
    std::pop_heap(delayed_.begin(), delayed_.end());
    delayed_.pop_back();
    --delayed_count_;
    if (entry.group != nullptr) --entry.group->delayed;
    enqueue(entry, End::back);
    some = true;
  }
  for (; max > 0 && !deadlines_.empty() && deadlines_.begin()->first <= now; --max) {
    Held* held = find(deadlines_.begin()->second);
    give_back(*held, End::front);
    some = true;
  }
  return some;
}

std::optional<Millis> QueueState::next_due() const {
  std::optional<Millis> due;
  if (!delayed_.empty()) due = delayed_.front().due;
  if (!deadlines_.empty()) due = std::min(due.value_or(INT64_MAX), deadlines_.begin()->first);
  return due;
}

}  // namespace mayfly::queues
