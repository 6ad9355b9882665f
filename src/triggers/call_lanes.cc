// Lanes: for each internal queue one loop that takes calls as far as they can run, and one task for
// each call that is begun.

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <cmath>

#include "base/ids.h"
#include "base/log.h"
#include "triggers/call_state.h"

namespace mayfly::triggers {
namespace {

namespace asio = boost::asio;

constexpr std::uint32_t kTakeMax = 64;
constexpr std::uint32_t kRefusedMax = 30;
constexpr milliseconds kWait{20'000};
constexpr milliseconds kAfterError{1'000};
constexpr milliseconds kMoment{100};
constexpr milliseconds kSweepEvery{60'000};

// False: cancelled.
io::Task<bool> sleep_for(asio::steady_timer* timer, SteadyTime::duration time) {
  timer->expires_after(time);
  boost::system::error_code failed;
  auto token = asio::redirect_error(asio::use_awaitable, failed);
  co_await timer->async_wait(token);
  co_return !failed;
}

}  // namespace

LanePtr AsyncCalls::State::lane_of(const std::string& queue) {
  LanePtr& lane = lanes[queue];
  if (!lane) lane = std::make_shared<Lane>(queue, parts.settings.concurrency_max);
  return lane;
}

std::uint32_t AsyncCalls::State::room(const Lane& lane, SteadyTime now) const {
  const std::uint32_t room = lane.window.room(lane.begun, now);
  if (!parts.begun_most || !lane.queue.starts_with(kLanePrefix)) return room;
  const bool accepting = now - accepted_at < kMoment;
  const std::uint32_t most = parts.begun_most(lane.queue.substr(kLanePrefix.size()), accepting);
  return std::min(room, most > lane.begun ? most - lane.begun : 0);
}

void AsyncCalls::State::start_lane(LanePtr lane) {
  if (!started || stopping || lane->looping) return;
  lane->looping = true;
  ++tasks;
  auto self = shared_from_this();
  const auto slot = lane->stop.slot();
  asio::co_spawn(parts.loop, run_lane(lane),
                 asio::bind_cancellation_slot(slot, [self, lane](std::exception_ptr failed) {
                   lane->looping = false;
                   if (failed && !self->stopping)
                     log::error("the loop of the queue {} broke off", lane->queue);
                   if (--self->tasks == 0) self->quiet.wake();
                 }));
}

io::Task<void> AsyncCalls::State::run_lane(LanePtr lane) {
  asio::steady_timer timer(parts.loop);
  while (!stopping) {
    const SteadyTime now = parts.clock.steady_now();
    if (const SteadyTime until = lane->window.paused_until(); now < until) {
      if (!co_await sleep_for(&timer, until - now)) co_return;
      continue;
    }
    const std::uint32_t room = this->room(*lane, now);
    if (room == 0) {
      if (!co_await lane->room.wait()) co_return;
      continue;
    }
    queues::ReceiveOptions options;
    options.max = std::min(room, kTakeMax);
    options.wait = kWait;
    options.visibility_s = parts.settings.hold_s;
    auto receiving = parts.queues.receive(lane->queue, std::move(options));
    Result<std::vector<queues::Message>> got = co_await std::move(receiving);
    if (got.has_error()) {
      if (got.error().code == Code::not_found) {
        // The function is gone, and its queue with it; the next call makes it anew.
        ready_queues.erase(lane->queue);
        co_return;
      }
      if (stopping || got.error().code == Code::cancelled) co_return;
      log::error("cannot take calls from {}: {}", lane->queue, got.error().describe());
      if (!co_await sleep_for(&timer, kAfterError)) co_return;
      continue;
    }
    for (auto& message : *got) {
      ++lane->begun;
      ++tasks;
      spawn_logged(parts.loop, take(lane, std::move(message)), "an async call");
    }
  }
}

io::Task<void> AsyncCalls::State::take(LanePtr lane, queues::Message message) {
  const auto self = shared_from_this();
  auto call = std::make_shared<Running>();
  call->queue = lane->queue;
  call->receipt = std::move(message.receipt);
  call->received = message.receive_count;
  call->began = parts.clock.steady_now();
  auto decoded = decode_message(message.body);
  if (decoded.has_error()) {
    log::error("an async call in {} is not readable and is dropped: {}", lane->queue,
               decoded.error().message);
    std::vector<std::string> receipts{call->receipt};
    auto settling = parts.queues.settle(lane->queue, std::move(receipts));
    co_await std::move(settling);
  } else {
    call->message = std::move(*decoded);
    call->id = call->message.id;
    running[call->id] = call;
    io::Task<void> task = run(lane, call);
    co_await std::move(task);
  }
  call_over(lane, call);
}

void AsyncCalls::State::call_over(LanePtr lane, const RunningPtr& call) {
  if (const auto found = running.find(call->id); found != running.end() && found->second == call)
    running.erase(found);
  --lane->begun;
  lane->room.wake();
  if (--tasks == 0) quiet.wake();
}

io::Task<void> AsyncCalls::State::run(LanePtr lane, RunningPtr call) {
  const bool known = put_off.erase(call->id) > 0;
  if (cancelled.contains(call->id)) {
    io::Task<void> ending = end_cancelled(call);
    co_await std::move(ending);
    co_return;
  }
  if (call->received > 1) {
    // It was received before: how often it was run is in its record.
    io::Task<Result<CallRecord>> reading = read_record(call->id);
    const Result<CallRecord> record = co_await std::move(reading);
    if (record.has_value()) call->attempt = record->attempts + 1;
    const std::int64_t early_us = record.has_value() ? record->next_us - now_us() : 0;
    if (!known && early_us > 1'000'000 && record->state == CallState::waiting) {
      // Its hiding was forgotten (a power cut), the record was not. Once, and no longer than any
      // attempt waits: it may be the clock that is wrong.
      put_off.insert(call->id);
      const std::int64_t most_us = std::int64_t{parts.settings.backoff_ms_max} * 1000;
      io::Task<void> back = give_back(
          call, static_cast<std::uint32_t>((std::min(early_us, most_us) + 999'999) / 1'000'000));
      co_await std::move(back);
      co_return;
    }
  }
  start_attempt(call);
  co_await call->over.wait();
  const Attempt& result = call->result;
  const SteadyTime now = parts.clock.steady_now();
  if (result.reached) lane->window.on_ran(microseconds(result.waited_us), now);
  if (call->cancelled) {
    io::Task<void> ending = end_cancelled(call);
    co_await std::move(ending);
    co_return;
  }
  switch (result.end) {
    case Attempt::End::refused: {
      lane->window.on_refused(seconds(result.retry_after_s), now);
      // Not at once: the loop may be in a receive already.
      io::Task<void> back =
          give_back(call, std::clamp<std::uint32_t>(result.retry_after_s, 1, kRefusedMax));
      co_await std::move(back);
      break;
    }
    case Attempt::End::unavailable:
    case Attempt::End::cancelled: {
      io::Task<void> back = give_back(call, 0);
      co_await std::move(back);
      break;
    }
    case Attempt::End::succeeded:
    case Attempt::End::failed: {
      io::Task<void> ending = end(call);
      co_await std::move(ending);
      break;
    }
  }
}

io::Task<void> AsyncCalls::State::give_back(RunningPtr call, std::uint32_t hidden_s) {
  std::vector<queues::QueueEngine::Visibility> changes;
  changes.push_back({call->receipt, hidden_s});
  auto changing = parts.queues.change_visibility(call->queue, std::move(changes));
  const std::vector<Status> changed = co_await std::move(changing);
  for (const auto& status : changed)
    ignore(status, "not held any more: it is visible, or comes again at the end of its hold");
}

// What runs for longer than its message is hidden stays hidden.
io::Task<void> AsyncCalls::State::hold_calls() {
  const auto self = shared_from_this();
  asio::steady_timer timer(parts.loop);
  const auto every = milliseconds(parts.settings.hold_s * 1000 / 3 + 1);
  while (!stopping) {
    if (!co_await sleep_for(&timer, every)) co_return;
    std::map<std::string, std::vector<queues::QueueEngine::Visibility>> changes;
    const SteadyTime old = parts.clock.steady_now() - every / 2;
    for (const auto& [id, call] : running)
      if (call->began < old) changes[call->queue].push_back({call->receipt, parts.settings.hold_s});
    for (auto& [queue, list] : changes) {
      auto changing = parts.queues.change_visibility(queue, std::move(list));
      co_await std::move(changing);
    }
  }
}

io::Task<void> AsyncCalls::State::sweep_records() {
  const auto self = shared_from_this();
  while (!stopping) {
    if (!co_await sleep_for(&sweep, kSweepEvery)) co_return;
    const auto settings = parts.settings;
    const std::int64_t now = now_us();
    const std::uint64_t over = records > settings.records_max ? records - settings.records_max : 0;
    auto sweeping = parts.pool.run([store = &parts.store, files = &spill, settings, now, over] {
      return sweep_once(*store, *files, settings, now, over);
    });
    const std::uint64_t removed = co_await std::move(sweeping);
    records -= std::min(records, removed);
  }
}

void AsyncCalls::start() {
  State& state = *state_;
  state.started = true;
  for (const auto& [queue, lane] : state.lanes) state.start_lane(lane);
  spawn_logged(state.parts.loop, state.hold_calls(), "holding async calls");
  spawn_logged(state.parts.loop, state.sweep_records(), "sweeping records of async calls");
}

io::Task<void> AsyncCalls::stop(milliseconds grace) {
  const auto state = state_;
  state->stopping = true;
  state->sweep.cancel();
  for (const auto& [queue, lane] : state->lanes)
    if (lane->looping) lane->stop.emit(asio::cancellation_type::terminal);
  asio::steady_timer timer(state->parts.loop);
  timer.expires_after(grace);
  timer.async_wait([state](const boost::system::error_code& failed) {
    if (failed) return;
    for (const auto& [id, call] : state->running) {
      call->given_back = true;
      call->cancel.emit(asio::cancellation_type::terminal);
    }
  });
  while (state->tasks > 0)
    if (!co_await state->quiet.wait()) break;
  timer.cancel();
}

}  // namespace mayfly::triggers
