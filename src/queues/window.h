#pragma once
// What a fifo queue remembers for five minutes: which messages were sent, so that a second sending
// is none, and which receive calls were answered, so that a second asking gets the same answer.

#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "queues/queue_state.h"
#include "queues/record.h"

namespace mayfly::queues {

inline constexpr Millis kWindowMs = 5 * 60 * 1000;

class DuplicateWindow {
 public:
  struct Seen {
    std::uint64_t sequence = 0;
    bool pending = true;  // its message is not durable yet
  };
  // What is still inside the window.
  const Seen* find(const DuplicateKey& key, Millis now) const;
  void add(const DuplicateKey& key, std::uint64_t sequence, Millis now, bool pending);
  void confirm(const DuplicateKey& key, std::uint64_t sequence);
  void withdraw(const DuplicateKey& key, std::uint64_t sequence);
  // Forgets what has left the window. Some was: the sequence below which nothing is kept.
  std::optional<std::uint64_t> expire(Millis now);
  void clear();
  std::optional<Millis> next_due() const;

 private:
  struct Hash {
    std::size_t operator()(const DuplicateKey& key) const {
      std::size_t value;  // the key is a hash itself
      std::memcpy(&value, key.data(), sizeof value);
      return value;
    }
  };
  struct Kept : Seen {
    Millis at = 0;
  };
  struct Added {
    Millis at;
    std::uint64_t sequence;
    DuplicateKey key;
  };
  std::unordered_map<DuplicateKey, Kept, Hash> seen_;
  std::deque<Added> order_;
};

// ReceiveRequestAttemptId: what a receive call was given. In memory only.
class Attempts {
 public:
  using Taken = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // sequence, nonce
  const Taken* find(const std::string& id, Millis now);
  void add(const std::string& id, Taken taken, Millis now);
  void forget(const std::string& id) { taken_.erase(id); }

 private:
  void expire(Millis now);
  struct Kept {
    Millis at;
    Taken taken;
  };
  std::unordered_map<std::string, Kept> taken_;
  std::deque<std::pair<Millis, std::string>> order_;
};

}  // namespace mayfly::queues
