#include "queues/window.h"

namespace mayfly::queues {

const DuplicateWindow::Seen* DuplicateWindow::find(const DuplicateKey& key, Millis now) const {
  const auto found = seen_.find(key);
  if (found == seen_.end() || found->second.at + kWindowMs <= now) return nullptr;
  return &found->second;
}

void DuplicateWindow::add(const DuplicateKey& key, std::uint64_t sequence, Millis now,
                          bool pending) {
  Kept kept;
  kept.sequence = sequence;
  kept.pending = pending;
  kept.at = now;
  seen_.insert_or_assign(key, kept);
  order_.push_back({now, sequence, key});
}

void DuplicateWindow::confirm(const DuplicateKey& key, std::uint64_t sequence) {
  const auto found = seen_.find(key);
  if (found != seen_.end() && found->second.sequence == sequence) found->second.pending = false;
}

void DuplicateWindow::withdraw(const DuplicateKey& key, std::uint64_t sequence) {
  const auto found = seen_.find(key);
  if (found != seen_.end() && found->second.sequence == sequence) seen_.erase(found);
}

std::optional<std::uint64_t> DuplicateWindow::expire(Millis now) {
  std::optional<std::uint64_t> below;
  while (!order_.empty() && order_.front().at + kWindowMs <= now) {
    below = order_.front().sequence + 1;
    withdraw(order_.front().key, order_.front().sequence);
    order_.pop_front();
  }
  return below;
}

void DuplicateWindow::clear() {
  seen_.clear();
  order_.clear();
}

std::optional<Millis> DuplicateWindow::next_due() const {
  if (order_.empty()) return std::nullopt;
  return order_.front().at + kWindowMs;
}

const Attempts::Taken* Attempts::find(const std::string& id, Millis now) {
  expire(now);
  const auto found = taken_.find(id);
  return found == taken_.end() ? nullptr : &found->second.taken;
}

void Attempts::add(const std::string& id, Taken taken, Millis now) {
  expire(now);
  taken_.insert_or_assign(id, Kept{now, std::move(taken)});
  order_.emplace_back(now, id);
}

void Attempts::expire(Millis now) {
  while (!order_.empty() && order_.front().first + kWindowMs <= now) {
    const auto found = taken_.find(order_.front().second);
    if (found != taken_.end() && found->second.at + kWindowMs <= now) taken_.erase(found);
    order_.pop_front();
  }
}

}  // namespace mayfly::queues
