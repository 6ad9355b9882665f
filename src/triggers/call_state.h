#pragma once
// Internal: what accepting, running and ending calls share (files async_calls.cc, call_lanes.cc,
// call_attempt.cc, call_end.cc, call_lookup.cc).

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "engine/park.h"
#include "triggers/async_calls.h"
#include "triggers/pace.h"
#include "triggers/spill.h"

namespace mayfly::triggers {

inline constexpr std::string_view kCallPrefix = "calls/r/";         // id -> CallRecord
inline constexpr std::string_view kIdempotencyPrefix = "calls/k/";  // hash -> time, id
inline constexpr std::string_view kAliasPrefix = "calls/n/";        // X-Call-Id -> time, id
inline constexpr std::string_view kCancelPrefix = "calls/x/";       // id: still in its queue
// Internal queues: dialects do not show them.
inline constexpr std::string_view kLanePrefix = ".calls-";        // + function
inline constexpr std::string_view kDeliveryPrefix = ".deliver-";  // + kind

inline constexpr std::string_view kMarkPrefix = "calls/e/";  // id -> CallMark

inline std::string call_key(std::string_view id) {
  return std::string(kCallPrefix).append(id);
}

// What came of one attempt.
struct Attempt {
  enum class End : std::uint8_t {
    succeeded,
    failed,
    refused,      // no capacity: does not count
    unavailable,  // the server is stopping: does not count
    cancelled,
  };
  End end = End::failed;
  bool hopeless = false;  // no retry helps
  int status = 0;
  std::string body, type;
  bool cut = false;  // body is not whole
  std::string error_code, error, error_json;
  std::uint32_t retry_after_s = 0;
  bool reached = false;  // an instance
  std::uint64_t waited_us = 0, duration_us = 0;
  std::string version;  // "$LATEST" or a number
};

// One call that is begun.
struct Running {
  std::string id, queue, receipt;
  CallMessage message;
  std::uint32_t attempt = 1;
  std::uint32_t received = 1;
  SteadyTime began;
  boost::asio::cancellation_signal cancel;
  bool cancelled = false;   // by a person
  bool given_back = false;  // by stop()
  bool ending = false;      // its end is being written
  bool marked = false;      // its effects are done: a mark in the store
  Attempt result;
  engine::Park over;
};
using RunningPtr = std::shared_ptr<Running>;

struct Lane {
  Lane(std::string q, std::uint32_t limit) : queue(std::move(q)), window(limit) {}
  std::string queue;
  Window window;
  std::uint32_t begun = 0;
  engine::Park room;  // its loop waits here for a call to end
  boost::asio::cancellation_signal stop;
  bool looping = false;
};
using LanePtr = std::shared_ptr<Lane>;

struct AsyncCalls::State : std::enable_shared_from_this<AsyncCalls::State> {
  explicit State(Parts p) : parts(std::move(p)), spill(parts.spill_folder), sweep(parts.loop) {}

  // async_calls.cc
  io::Task<Result<PreparedCall>> prepare(NewCall call);
  Status begin(NewCall& call, PreparedCall& prepared);
  bool has_way(const CallMessage& message, const std::string& queue) const;
  io::Task<Status> make_way(CallMessage* message, std::string queue);
  void write_out(const CallMessage& message, PreparedCall& prepared);
  io::Task<Result<AcceptedCall>> accept(NewCall&& call);
  io::Task<Result<AcceptedCall>> accept_once(NewCall call);
  io::Task<Status> add_delivery(queues::Batch* batch, Target target, Delivery delivery,
                                std::uint32_t hops);
  io::Task<Status> make_queue(std::string queue);
  io::Task<Status> deliver(Target target, Delivery delivery);

  // call_lanes.cc
  LanePtr lane_of(const std::string& queue);
  std::uint32_t room(const Lane& lane, SteadyTime now) const;
  void start_lane(LanePtr lane);
  io::Task<void> run_lane(LanePtr lane);
  io::Task<void> take(LanePtr lane, queues::Message message);
  io::Task<void> run(LanePtr lane, RunningPtr call);
  io::Task<void> give_back(RunningPtr call, std::uint32_t seconds);
  io::Task<void> hold_calls();
  io::Task<void> sweep_records();
  void call_over(LanePtr lane, const RunningPtr& call);

  // call_attempt.cc: result and over of the call are set.
  io::Task<void> attempt(RunningPtr call);
  void start_attempt(RunningPtr call);

  // call_end.cc
  io::Task<void> end(RunningPtr call);
  io::Task<void> end_cancelled(RunningPtr call);
  io::Task<bool> retry(RunningPtr call, CallRecord* record);
  io::Task<Status> add_outcome(queues::Batch* batch, RunningPtr call, std::string condition);

  // call_lookup.cc
  io::Task<Result<CallRecord>> read_record(std::string id);
  io::Task<Result<std::string>> resolve(std::string id);
  io::Task<Result<CallRecord>> look_up(std::string id);  // both
  io::Task<Result<CallPage>> list(CallFilter filter);
  io::Task<Result<CallRecord>> cancel(std::string id);
  io::Task<Result<AcceptedCall>> run_again(std::string id);
  void overlay(CallRecord& record) const;

  functions::AsyncSettings settings_of(const CallMessage& message) const;
  std::int64_t now_us() const { return to_epoch_us(parts.clock.wall_now()); }

  Parts parts;
  Spill spill;
  CallIds ids;
  std::map<std::string, LanePtr> lanes;  // by queue
  std::set<std::string> ready_queues;    // that are known to exist
  std::unordered_map<std::string, RunningPtr> running;
  std::unordered_set<std::string> cancelled;  // in their queues still
  std::unordered_set<std::string> put_off;    // hidden until their next attempt, since the start
  SteadyTime accepted_at{};                   // the last one; the epoch: long ago
  std::uint64_t records = 0;                  // about how many there are
  bool started = false, stopping = false;
  std::uint32_t tasks = 0;  // lanes and calls
  engine::Park quiet;
  boost::asio::steady_timer sweep;
};

// Removes records of calls that are over: those past keep_s, and so many of the oldest beyond;
// aliases and idempotency keys that have expired. How many records went. Blocks.
std::uint64_t sweep_once(store::Store& store, Spill& spill, const CallSettings& settings,
                         std::int64_t now_us, std::uint64_t over);

// Spawns on the loop; a failure is logged with what.
void spawn_logged(boost::asio::io_context& loop, io::Task<void> task, const char* what);

}  // namespace mayfly::triggers
