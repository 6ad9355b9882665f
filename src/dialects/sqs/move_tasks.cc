// StartMessageMoveTask and its kin: the messages of a dead-letter queue go back. Tasks are known
// while the server runs; after a restart what was moved is moved, and a new task takes the rest.

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/array.hpp>

#include "base/base64.h"
#include "base/ids.h"
#include "base/log.h"
#include "dialects/sqs/sqs.h"
#include "dialects/sqs/values.h"

namespace mayfly::dialects::sqs {

namespace asio = boost::asio;
namespace json = boost::json;
using aws::Call;
using aws::Outcome;

namespace {

constexpr std::uint32_t kStep = 100;     // messages of one transaction
constexpr std::size_t kTasksMax = 1000;  // remembered
constexpr std::uint32_t kPerSourceShown = 10;

}  // namespace

struct Sqs::MoveTask {
  enum class State { running, completed, cancelling, cancelled, failed };
  State state = State::running;
  std::string handle, source, destination;  // destination empty: where each came from
  std::string source_arn, destination_arn, failure;
  std::uint32_t per_second = 0;  // 0: as fast as it goes
  std::uint64_t moved = 0, to_move = 0;
  std::int64_t started_ms = 0;
  std::unique_ptr<asio::steady_timer> pause;

  bool active() const { return state == State::running || state == State::cancelling; }
  const char* status() const {
    switch (state) {
      case State::running:
        return "RUNNING";
      case State::completed:
        return "COMPLETED";
      case State::cancelling:
        return "CANCELLING";
      case State::cancelled:
        return "CANCELLED";
      case State::failed:
        break;
    }
    return "FAILED";
  }
};

io::Task<Outcome<json::object>> Sqs::start_move(Call call) {
  const std::string_view source_arn = text_of(call.input, "SourceArn");
  const std::string_view destination_arn = text_of(call.input, "DestinationArn");
  const queues::QueuePtr source = by_arn(source_arn);
  if (!source)
    co_return no_such_resource(
        "The resource that you specified for the SourceArn parameter doesn't exist.");
  if (sources_of(source->name).empty())
    co_return invalid_parameter("Source queue must be configured as a Dead Letter Queue.");
  auto task = std::make_shared<MoveTask>();
  if (!destination_arn.empty()) {
    const queues::QueuePtr destination = by_arn(destination_arn);
    if (!destination)
      co_return no_such_resource(
          "The resource that you specified for the DestinationArn parameter doesn't exist.");
    if (destination == source || destination->settings.fifo != source->settings.fifo)
      co_return invalid_parameter(
          "The destination must be another queue, of the same type as the source.");
    task->destination = destination->name;
    task->destination_arn = destination_arn;
  }
  for (const auto& other : moves_)
    if (other->active() && other->source == source->name)
      co_return prefixed("UnsupportedOperation",
                         "There is already a task running. Only one active task is allowed for a "
                         "source queue arn at a given time.");
  auto rate = number_in(call.input, "MaxNumberOfMessagesPerSecond", 1, 500);
  if (rate.has_error()) co_return std::move(rate).error();
  task->per_second = rate->value_or(0);
  task->source = source->name;
  task->source_arn = source_arn;
  append_base64(task->handle, "{\"taskId\":\"" + new_uuid() + "\",\"sourceArn\":\"" +
                                  arn_of(source->name) + "\"}");
  task->started_ms = to_epoch_ms(parts_.clock.wall_now());
  if (const auto counts = parts_.engine.counts(source->name); counts.has_value())
    task->to_move = counts->visible;
  moves_.push_front(task);
  if (moves_.size() > kTasksMax && !moves_.back()->active()) moves_.pop_back();
  asio::co_spawn(parts_.loop, run_move(task), [task](std::exception_ptr failed) {
    if (!failed) return;
    log::error("the move of messages of queue {} broke off", task->source);
    task->state = MoveTask::State::failed;
  });
  co_return json::object{{"TaskHandle", task->handle}};
}

io::Task<void> Sqs::run_move(MoveTaskPtr task) {
  using State = MoveTask::State;
  const std::uint32_t step = task->per_second ? std::min(kStep, task->per_second) : kStep;
  while (task->state == State::running && !stopping_) {
    auto moving = parts_.engine.move(task->source, task->destination, step);
    const auto moved = co_await std::move(moving);
    if (moved.has_error()) {
      task->failure = moved.error().describe();
      task->state = State::failed;
      co_return;
    }
    task->moved += *moved;
    if (*moved == 0) {
      task->state = State::completed;
      co_return;
    }
    if (task->per_second == 0) continue;
    task->pause = std::make_unique<asio::steady_timer>(parts_.loop);
    task->pause->expires_after(microseconds(1'000'000ll * *moved / task->per_second));
    auto pausing = task->pause->async_wait(asio::as_tuple(asio::use_awaitable));
    co_await std::move(pausing);
  }
  task->state = State::cancelled;
}

Outcome<json::object> Sqs::list_moves(const Call& call) const {
  const queues::QueuePtr source = by_arn(text_of(call.input, "SourceArn"));
  if (!source)
    return no_such_resource(
        "The resource that you specified for the SourceArn parameter doesn't exist.");
  auto max = number_in(call.input, "MaxResults", 1, kPerSourceShown);
  if (max.has_error()) return std::move(max).error();
  json::array results;
  for (const auto& task : moves_) {
    if (task->source != source->name || results.size() >= max->value_or(1)) continue;
    json::object one{{"Status", task->status()},
                     {"SourceArn", task->source_arn},
                     {"ApproximateNumberOfMessagesMoved", task->moved},
                     {"ApproximateNumberOfMessagesToMove", task->to_move},
                     {"StartedTimestamp", task->started_ms}};
    if (task->active()) one["TaskHandle"] = task->handle;
    if (!task->destination_arn.empty()) one["DestinationArn"] = task->destination_arn;
    if (task->per_second) one["MaxNumberOfMessagesPerSecond"] = task->per_second;
    if (!task->failure.empty()) one["FailureReason"] = task->failure;
    results.push_back(std::move(one));
  }
  json::object answer;
  if (!results.empty()) answer["Results"] = std::move(results);
  return answer;
}

Outcome<json::object> Sqs::cancel_move(const Call& call) {
  const std::string_view handle = text_of(call.input, "TaskHandle");
  for (const auto& task : moves_) {
    if (task->handle != handle) continue;
    if (task->state != MoveTask::State::running)
      return prefixed("UnsupportedOperation", "The task is not running.");
    task->state = MoveTask::State::cancelling;
    if (task->pause) task->pause->cancel();
    return json::object{{"ApproximateNumberOfMessagesMoved", task->moved}};
  }
  return no_such_resource("Task does not exist.");
}

void Sqs::stop() {
  stopping_ = true;
  for (const auto& task : moves_)
    if (task->pause) task->pause->cancel();
}

}  // namespace mayfly::dialects::sqs
