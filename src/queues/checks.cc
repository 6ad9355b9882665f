#include "queues/checks.h"

#include <algorithm>

namespace mayfly::queues {
namespace {

constexpr std::uint32_t kInternalSecondsMax = 366u * 24 * 3600;
constexpr std::uint32_t kInternalBytesMax = 256u << 20;

Error invalid(std::string message) {
  return Error{Code::invalid_argument, std::move(message)};
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

Status check_name(const QueueInfo& info) {
  std::string_view name = info.name;
  if (name.size() > kNameBytesMax)
    return invalid("The name of a queue has at most 80 characters, with .fifo.");
  if (is_internal(info.name)) name.remove_prefix(1);
  const bool fifo = name.ends_with(".fifo");
  if (fifo != info.settings.fifo)
    return invalid("The name of a fifo queue ends with .fifo, and no other's: " + info.name + ".");
  if (fifo) name.remove_suffix(5);
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_char))
    return invalid("The name of a queue is made of letters, digits, hyphens and underscores.");
  return ok();
}

Status check_range(const char* what, std::uint32_t value, std::uint32_t min, std::uint32_t max) {
  if (value >= min && value <= max) return ok();
  return invalid(std::string(what) + " is " + std::to_string(value) + "; it must be between " +
                 std::to_string(min) + " and " + std::to_string(max) + ".");
}

}  // namespace

bool is_internal(const std::string& name) {
  return name.starts_with('.');
}

Status check_queue(const QueueInfo& info) {
  MAYFLY_TRY(check_name(info));
  const QueueSettings& s = info.settings;
  const bool internal = is_internal(info.name);
  const auto seconds_max = [&](std::uint32_t max) { return internal ? kInternalSecondsMax : max; };
  MAYFLY_TRY(check_range("visibility_timeout_s", s.visibility_timeout_s, 0, kSecondsMax));
  MAYFLY_TRY(check_range("delay_s", s.delay_s, 0, seconds_max(900)));
  MAYFLY_TRY(check_range("retention_s", s.retention_s, internal ? 1 : 60, seconds_max(1'209'600)));
  MAYFLY_TRY(check_range("message_bytes_max", s.message_bytes_max, internal ? 1 : 1024,
                         internal ? kInternalBytesMax : 1'048'576));
  MAYFLY_TRY(check_range("receive_wait_s", s.receive_wait_s, 0, 20));
  if (!s.dead_letter_queue.empty())
    MAYFLY_TRY(check_range("receive_count_max", s.receive_count_max, 0, 1000));
  if (!s.fifo && (s.content_deduplication || s.deduplicate_by_group))
    return invalid("Only fifo queues know deduplication.");
  return ok();
}

Status check_message(const QueueInfo& queue, const NewMessage& message) {
  const QueueSettings& s = queue.settings;
  std::uint64_t size = message.body.size();
  for (const auto& a : message.attributes) size += a.name.size() + a.type.size() + a.value.size();
  if (size > s.message_bytes_max)
    return Error{Code::too_large, "The message has " + std::to_string(size) +
                                      " bytes with its attributes; queue " + queue.name +
                                      " takes " + std::to_string(s.message_bytes_max) +
                                      " (its setting message_bytes_max)."};
  if (message.delay_s) {
    MAYFLY_TRY(check_range("The delay in seconds", *message.delay_s, 0,
                           is_internal(queue.name) ? kInternalSecondsMax : 900));
    if (s.fifo && *message.delay_s != s.delay_s)
      return invalid("Messages of a fifo queue have the delay of their queue.");
  }
  if (!s.fifo) {
    if (!message.deduplication_id.empty())
      return invalid("Only fifo queues take a deduplication id.");
    return ok();
  }
  if (message.group.empty())
    return invalid("A message for a fifo queue needs a group (--group, in JSON \"group\").");
  if (message.deduplication_id.empty() && !s.content_deduplication)
    return invalid(
        "A message for this queue needs a deduplication id: its content_deduplication is off.");
  return ok();
}

}  // namespace mayfly::queues
