#pragma once
// What queues are on the store: keys, and records that begin with a version byte. Numbers in keys
// are big-endian, so that keys are in the order of the numbers. docs/internals/queues.md.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "queues/engine.h"

namespace mayfly::queues {

inline constexpr char kQueuePrefix[] = "queue/";  // + name: StoredQueue
inline constexpr char kNextQueueId[] = "queues/next_id";
inline constexpr char kSecretKey[] = "queues/key";

enum class Kind : char {
  // + queue id + sequence: StoredMessage. Put once and removed once (store/rocksdb_families.h): a
  // sequence is never used again, and what is moved or sent again gets a new one.
  message = 'm',
  reception = 'r',  // + queue id + sequence: StoredReception
  duplicate = 'd',  // + queue id + sequence: StoredDuplicate
  watermark = 'w',  // + queue id: StoredWatermark
};

// "q", kind, queue id, sequence.
std::string message_key(Kind kind, std::uint64_t queue, std::uint64_t sequence);
std::string watermark_key(std::uint64_t queue);
// The sequence at the end of a message_key.
std::uint64_t sequence_of(std::string_view key);

struct StoredQueue {
  std::uint64_t id = 0;
  QueueInfo info;
};
std::string encode(const StoredQueue& queue);
Result<StoredQueue> decode_queue(std::string_view record);
bool same_settings(const QueueSettings& a, const QueueSettings& b);

// Everything of a message that does not change while it is in a queue.
struct StoredMessage {
  std::string id;                  // a UUID
  std::int64_t sent_ms = 0;        // wall clock
  std::int64_t arrived_ms = 0;     // in this queue
  std::int64_t visible_at_ms = 0;  // 0: at once
  std::string group, deduplication_id;
  std::string trace_header, sender;
  std::string dead_letter_source, dead_letter_reason;
  std::vector<MessageAttribute> attributes;
  std::string body;
};
std::string encode(const StoredMessage& message);
Result<StoredMessage> decode_message(std::string_view record);

// What the index in memory needs of it; the views point into record.
struct MessageHead {
  std::int64_t arrived_ms = 0, visible_at_ms = 0;
  std::string_view group;
};
Result<MessageHead> decode_head(std::string_view record);

struct StoredReception {
  std::uint32_t count = 0;
  std::int64_t first_ms = 0;
  std::int64_t visible_at_ms = 0;
  std::uint64_t nonce = 0;
  std::int64_t noted_ms = 0;  // when this was written; 0: records of older versions do not say
};
std::string encode(const StoredReception& reception);
Result<StoredReception> decode_reception(std::string_view record);

using DuplicateKey = std::array<char, 16>;  // a hash of scope and id

struct StoredDuplicate {
  std::int64_t arrived_ms = 0;
  DuplicateKey key{};
};
std::string encode(const StoredDuplicate& duplicate);
Result<StoredDuplicate> decode_duplicate(std::string_view record);

// Sequences at or above `next` were never given out; below `first` no message is left.
struct StoredWatermark {
  std::uint64_t next = 0, first = 0;
};
std::string encode(const StoredWatermark& watermark);
Result<StoredWatermark> decode_watermark(std::string_view record);

}  // namespace mayfly::queues
