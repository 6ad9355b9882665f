#include "triggers/poller.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace mayfly::triggers {
namespace {

using State = QueueTriggers::State;

constexpr milliseconds kLongWait{86'400'000};  // a receive without end
constexpr milliseconds kRoomFirst{20}, kRoomMost{1'000};
constexpr std::size_t kMessagesAtOnce = 100;  // then others have their turn on the loop
constexpr milliseconds kLookForQueue{5'000};
constexpr std::uint32_t kMarginSeconds = 30;
constexpr std::uint32_t kVisibilityMax = 43'200;

// Messages to ask for, so that the event stays near its limit.
std::uint32_t chunk_of(const Source& source, std::size_t event_max, std::size_t bytes,
                       std::size_t wanted) {
  const std::size_t left = bytes >= event_max ? 0 : event_max - bytes;
  const std::size_t fit = std::clamp<std::size_t>(
      left / std::max<std::size_t>(1, source.message_bytes), 1, kMessagesAtOnce);
  return static_cast<std::uint32_t>(std::min(fit, wanted));
}

io::Task<bool> wait_for_room(std::shared_ptr<State> state, std::shared_ptr<Poller> poller,
                             milliseconds longest) {
  engine::TimerQueue::Entry timer(&engine::Park::wake_by, &poller->source->room);
  state->timers.arm(timer, longest);
  auto waiting = poller->source->room.wait();
  const bool go_on = co_await std::move(waiting);
  co_return go_on && !poller->ended;
}

// Until the function has room for one more batch.
io::Task<bool> have_room(std::shared_ptr<State> state, std::shared_ptr<Poller> poller,
                         functions::VersionPtr version) {
  Source& source = *poller->source;
  milliseconds patience = kRoomFirst;
  while (!poller->ended) {
    std::uint32_t most = std::min(source.limit, state->parts.runner.share(version).batches);
    most = std::min(most, source.mapping->most_at_once());
    const bool by_batches = source.status.running >= most;
    const auto pause =
        std::chrono::ceil<milliseconds>(source.not_before - state->parts.clock.steady_now());
    if (!by_batches && pause <= milliseconds(0) &&
        state->parts.runner.room(version) > source.entering)
      co_return true;
    if (pause > patience) patience = pause;
    // A batch that ends wakes it. Nothing tells when the machine has room again: that is looked at
    // in growing steps, kRoomMost at most.
    auto waiting = wait_for_room(state, poller, by_batches ? kLongWait : patience);
    const bool go_on = co_await std::move(waiting);
    if (!go_on) break;
    patience = std::min(patience * 2, kRoomMost);
  }
  co_return false;
}

// Until somebody says that functions or queues have changed; nobody says so of queues.
io::Task<bool> rest(std::shared_ptr<State> state, std::shared_ptr<Poller> poller, bool for_queue) {
  engine::TimerQueue::Entry timer(&engine::Park::wake_by, &poller->source->rest);
  if (for_queue) state->timers.arm(timer, kLookForQueue);
  auto waiting = poller->source->rest.wait();
  const bool go_on = co_await std::move(waiting);
  co_return go_on && !poller->ended;
}

void give_back(const std::shared_ptr<State>& state, const Mapping& mapping,
               const std::vector<queues::Message>& messages) {
  std::vector<queues::QueueEngine::Visibility> changes;
  for (const auto& message : messages) changes.push_back({message.receipt, 0, true});
  if (changes.empty()) return;
  boost::asio::co_spawn(state->parts.loop,
                        state->parts.queues.change_visibility(mapping.queue, std::move(changes)),
                        [](const std::exception_ptr& failed, const std::vector<Status>&) {
                          if (failed) log::error("giving messages back to a queue threw");
                        });
}

struct Gathered {
  std::vector<queues::Message> messages;
  bool queue_gone = false;
};

// A batch: the first message is waited for as long as it takes, the others for the window.
io::Task<Gathered> gather(std::shared_ptr<State> state, std::shared_ptr<Poller> poller,
                          std::uint32_t hold_s, std::uint32_t most) {
  Source& source = *poller->source;
  const auto mapping = source.mapping;
  // Who gave it a window prefers large batches to early ones.
  const std::size_t batch =
      mapping->window_s > 0 ? mapping->batch : std::min<std::size_t>(mapping->batch, most);
  const std::size_t event_max = state->parts.settings.event_bytes_max;
  Gathered out;
  std::size_t bytes = 0;
  SteadyTime until{};
  queues::ReceiveOptions options;
  options.visibility_s = hold_s;
  options.wait = kLongWait;
  while (!poller->ended && out.messages.size() < batch && bytes < event_max) {
    options.max = chunk_of(source, event_max, bytes, batch - out.messages.size());
    auto receiving = state->parts.queues.receive(mapping->queue, options);
    auto received = co_await std::move(receiving);
    if (received.has_error()) {
      out.queue_gone = received.error().code == Code::not_found;
      if (!out.queue_gone && received.error().code != Code::cancelled)
        source.status.last_result = "PROBLEM: receive: " + received.error().message;
      break;
    }
    const bool full = received->size() >= options.max;
    for (auto& message : *received) {
      const std::size_t size = event_bytes(message);
      bytes += size;
      source.message_bytes = (source.message_bytes * 15 + size) / 16;
      out.messages.push_back(std::move(message));
    }
    if (received->empty()) break;
    if (mapping->window_s == 0) {
      if (!full) break;
      options.wait = milliseconds(0);
      co_await boost::asio::post(state->parts.loop, boost::asio::use_awaitable);
      continue;
    }
    const auto now = state->parts.clock.steady_now();
    if (until == SteadyTime{}) until = now + seconds(mapping->window_s);
    options.wait = std::chrono::duration_cast<milliseconds>(until - now);
    if (options.wait <= milliseconds(0)) break;
  }
  co_return out;
}

}  // namespace

std::uint32_t hold_seconds(const Mapping& mapping, const queues::QueueInfo& queue,
                           const functions::Version& version) {
  const std::uint64_t run_s = (version.settings.timeout_ms + 999u) / 1000u;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(
      kVisibilityMax, std::max<std::uint64_t>(queue.settings.visibility_timeout_s,
                                              run_s + mapping.window_s + kMarginSeconds)));
}

io::Task<void> poll(std::shared_ptr<State> state, std::shared_ptr<Poller> poller) {
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  const SourcePtr source = poller->source;
  const auto mapping = source->mapping;
  milliseconds pause{0};
  while (!poller->ended) {
    const auto version = state->parts.runner.find(mapping->function, mapping->qualifier);
    const auto queue = state->parts.queues.find(mapping->queue);
    source->status.state = !version ? TriggerStatus::State::no_function
                           : !queue ? TriggerStatus::State::no_queue
                                    : TriggerStatus::State::enabled;
    if (!version || !queue) {
      auto resting = rest(state, poller, version != nullptr);
      const bool go_on = co_await std::move(resting);
      if (!go_on) break;
      continue;
    }
    auto asking = have_room(state, poller, version);
    const bool room = co_await std::move(asking);
    if (!room) continue;
    const auto counts = state->parts.queues.counts(mapping->queue);
    if (source->status.running == 0 && counts.has_value() && counts->visible == 0)
      source->limit = mapping->least_at_once();
    auto gathering = gather(state, poller, hold_seconds(*mapping, *queue, *version),
                            state->parts.runner.share(version).messages);
    Gathered gathered = co_await std::move(gathering);
    state->counters_of(*source).add(TriggerCounters::polled, gathered.messages.size());
    if (poller->ended || source->removed) {
      give_back(state, *mapping, gathered.messages);
      break;
    }
    if (!state->parts.runner.find(mapping->function, mapping->qualifier)) {
      give_back(state, *mapping, gathered.messages);  // it went while nothing came
      continue;
    }
    if (gathered.messages.empty()) {
      if (gathered.queue_gone) {
        pause = milliseconds(0);
        continue;  // finds out by itself
      }
      // An engine that answers at once without messages is stopping, or has a problem.
      pause = std::clamp(pause * 2, milliseconds(10), kRoomMost);
      auto waiting = wait_for_room(state, poller, pause);
      const bool go_on = co_await std::move(waiting);
      if (!go_on) break;
      continue;
    }
    pause = milliseconds(0);
    state->batch_begins(source);
    boost::asio::co_spawn(state->parts.loop, run_batch(state, source, std::move(gathered.messages)),
                          [state, source](const std::exception_ptr& failed) {
                            if (failed) log::error("a batch of a queue's messages threw");
                            state->batch_over(source);
                          });
  }
}

}  // namespace mayfly::triggers
