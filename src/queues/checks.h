#pragma once
// What a queue may be called and set to, and what a message may be. The limits are those of SQS;
// the platform's own queues (names that begin with a dot) have only those that the engine needs.

#include "queues/engine.h"

namespace mayfly::queues {

inline constexpr std::uint64_t kInFlightMax = 120'000;
inline constexpr std::uint32_t kSecondsMax = 12 * 3600;  // visibility
inline constexpr std::uint32_t kNameBytesMax = 80;

bool is_internal(const std::string& name);
Status check_queue(const QueueInfo& info);
Status check_message(const QueueInfo& queue, const NewMessage& message);

}  // namespace mayfly::queues
