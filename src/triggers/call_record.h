#pragma once
// What is kept of an async call: the message that waits in a queue, and the record that people look
// up. Plain values and their stored forms. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/invocation.h"
#include "triggers/targets.h"

namespace mayfly::triggers {

// A call on its way: the body of a message in an internal queue.
struct CallMessage {
  std::string id;     // of the call
  std::string alias;  // the caller's own id (X-Call-Id); may be empty
  Target target;
  Delivery delivery;                                      // targets that are no functions
  engine::PayloadKind kind = engine::PayloadKind::event;  // functions
  std::string head;                                       // functions, kind http
  std::string client_context;                             // functions, kind event
  std::string body;                                       // empty when it is spilled
  std::uint64_t spilled_bytes = 0;                        // then the body is in a file
  std::string content_type, source, trace_id, callback_url;
  std::int64_t accepted_us = 0;  // Unix epoch
  std::string again_of;          // the call that this runs once more
  std::uint32_t hops = 0;        // destinations that led here, one after another
  // In place of the function's settings: schedules and deliveries have their own.
  std::optional<std::uint32_t> retries;
  std::optional<std::int64_t> max_age_s;
  std::string dead_letter;
};
std::string encode(const CallMessage& message);
Result<CallMessage> decode_message(std::string_view bytes);

enum class CallState : std::uint8_t { waiting, running, succeeded, failed, cancelled };
std::string_view state_name(CallState state);
std::optional<CallState> state_from_name(std::string_view name);
constexpr bool is_over(CallState state) {
  return state != CallState::waiting && state != CallState::running;
}

struct CallRecord {
  std::string id, alias;
  std::string target;    // "function:hello", "https://..."
  std::string function;  // name, when the target is one
  std::string source;
  CallState state = CallState::waiting;  // stored as waiting while it runs
  std::uint32_t attempts = 0;
  std::int64_t accepted_us = 0, ended_us = 0;  // Unix epoch; 0: not yet
  std::int64_t next_us = 0;                    // waiting after a failure: not before
  // Of the last attempt that failed; empty when none has.
  std::string error_code, error, error_json;
  // Of the attempt that ended the call.
  int status = 0;  // HTTP-model functions and webhooks
  std::uint64_t duration_us = 0;
  std::string result, result_type;
  bool result_cut = false;
  std::string again_of;  // the call whose payload this runs once more
  std::string message;   // CallMessage, for running it again; empty when it was not kept
};
std::string encode(const CallRecord& record);
Result<CallRecord> decode_record(std::string_view bytes);

// The record of a call that has just been accepted.
CallRecord first_record(const CallMessage& message);
std::string encode_first_record(const CallMessage& message);  // encode(first_record(message))

// Ids that sort by time and stay unique within a process: version 7 UUIDs (RFC 9562) with a counter
// under the millisecond. One loop.
class CallIds {
 public:
  std::string next(std::int64_t now_us);

 private:
  std::uint64_t last_ = 0;
};
// The first id of that time: for scans. Microseconds of the epoch.
std::string first_id_at(std::int64_t epoch_us);
bool is_call_id(std::string_view text);

}  // namespace mayfly::triggers
