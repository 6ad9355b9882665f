#include "telemetry/log_gate.h"

#include <fmt/format.h>

#include <algorithm>

namespace mayfly::telemetry {
namespace {

constexpr std::size_t kGenerationMax = 16 * 1024;
constexpr std::uint64_t kBarred = UINT64_MAX;

}  // namespace

std::uint64_t cut_line(LogLine& line, std::uint64_t max) {
  if (line.text.size() <= max) return 0;
  const std::size_t before = line.text.size();
  const auto mark_for = [](std::size_t cut) {
    return fmt::format(" ...[{} bytes cut: over telemetry.log_line_bytes_max]", cut);
  };
  // The mark is part of the bound, unless the bound is too small to hold it.
  const std::size_t room = mark_for(before).size();
  std::size_t keep = max > 2 * room ? max - room : max;
  // Not in the middle of a UTF-8 character: step back over its continuation bytes.
  for (int i = 0; i < 3 && keep > 0; ++i) {
    if ((static_cast<unsigned char>(line.text[keep]) & 0xc0) != 0x80) break;
    --keep;
  }
  line.text.resize(keep);
  line.text += mark_for(before - keep);
  return before - keep;
}

LogGate::Verdict LogGate::admit(const LogLine& line) {
  if (line.request_id.empty() || line.stream == LogLine::Stream::platform) return Verdict::pass;
  std::lock_guard lock(mutex_);
  auto found = young_.find(line.request_id);
  if (found == young_.end()) {
    std::uint64_t before = 0;
    if (const auto moved = old_.find(line.request_id); moved != old_.end()) {
      before = moved->second;
      old_.erase(moved);
    }
    if (young_.size() >= kGenerationMax) {
      old_ = std::move(young_);
      young_.clear();
    }
    found = young_.emplace(line.request_id, before).first;
  }
  if (found->second == kBarred) return Verdict::drop;
  found->second += line.text.size() + 1;
  if (found->second <= limits_.log_bytes_per_invocation_max) return Verdict::pass;
  found->second = kBarred;
  return Verdict::pass_with_mark;
}

std::shared_ptr<void> LogGate::follow(std::string function, Telemetry::LogListener listener) {
  auto entry = std::make_shared<Listener>();
  entry->function = std::move(function);
  entry->call = std::move(listener);
  auto following = following_;
  {
    std::lock_guard lock(following->mutex);
    auto next = std::make_shared<Listeners>(*following->listeners);
    next->push_back(entry);
    following->count.store(next->size());
    following->listeners = std::move(next);
  }
  return std::shared_ptr<void>(entry.get(), [entry, following](void*) {
    {
      std::lock_guard lock(following->mutex);
      auto next = std::make_shared<Listeners>(*following->listeners);
      next->erase(std::remove(next->begin(), next->end(), entry), next->end());
      following->count.store(next->size());
      following->listeners = std::move(next);
    }
    std::lock_guard lock(entry->mutex);  // waits for a call that runs on another thread
    entry->gone = true;
  });
}

void LogGate::tell(const LogLine& line) {
  if (following_->count.load(std::memory_order_relaxed) == 0) return;
  std::shared_ptr<const Listeners> listeners;
  {
    std::lock_guard lock(following_->mutex);
    listeners = following_->listeners;
  }
  for (const auto& listener : *listeners) {
    if (!listener->function.empty() && listener->function != line.function) continue;
    std::lock_guard lock(listener->mutex);
    if (!listener->gone) listener->call(line);
  }
}

}  // namespace mayfly::telemetry
