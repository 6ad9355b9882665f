// StartMessageMoveTask and its kin: the messages of a dead-letter queue go back.

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.h"
#include "dialects/sqs/sqs.h"
#include "dialects/sqs/values.h"

namespace mayfly::dialects::sqs {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using queues::MoveTask;

namespace {

constexpr std::uint32_t kPerSourceShown = 10;

const char* status_of(const MoveTask& task) {
  switch (task.state) {
    case MoveTask::State::running:
      return "RUNNING";
    case MoveTask::State::completed:
      return "COMPLETED";
    case MoveTask::State::cancelling:
      return "CANCELLING";
    case MoveTask::State::cancelled:
      return "CANCELLED";
    case MoveTask::State::failed:
      break;
  }
  return "FAILED";
}

std::string handle_of(const MoveTask& task, const std::string& source_arn) {
  std::string handle;
  append_base64(handle,
                json::serialize(json::object{{"taskId", task.id}, {"sourceArn", source_arn}}));
  return handle;
}

// The task's id; empty when it is no handle.
std::string id_in(std::string_view handle) {
  const auto bytes = decode_base64(handle);
  if (!bytes) return {};
  boost::system::error_code failed;
  const json::value parsed = json::parse(*bytes, failed);
  if (failed || !parsed.is_object()) return {};
  return std::string(text_of(parsed.get_object(), "taskId"));
}

}  // namespace

io::Task<Outcome<json::object>> Sqs::start_move(Call call) {
  const queues::QueuePtr source = by_arn(text_of(call.input, "SourceArn"));
  if (!source)
    co_return no_such_resource(
        "The resource that you specified for the SourceArn parameter doesn't exist.");
  if (sources_of(source->name).empty())
    co_return invalid_parameter("Source queue must be configured as a Dead Letter Queue.");
  MoveTask wanted;
  wanted.source = source->name;
  if (const auto arn = text_of(call.input, "DestinationArn"); !arn.empty()) {
    const queues::QueuePtr destination = by_arn(arn);
    if (!destination)
      co_return no_such_resource(
          "The resource that you specified for the DestinationArn parameter doesn't exist.");
    if (destination == source || destination->settings.fifo != source->settings.fifo)
      co_return invalid_parameter(
          "The destination must be another queue, of the same type as the source.");
    wanted.destination = destination->name;
  }
  auto rate = number_in(call.input, "MaxNumberOfMessagesPerSecond", 1, 500);
  if (rate.has_error()) co_return std::move(rate).error();
  wanted.per_second = rate->value_or(0);
  auto starting = parts_.moves.start(std::move(wanted));
  const auto task = co_await std::move(starting);
  if (task.has_error()) {
    if (task.error().code == Code::already_exists)
      co_return prefixed("UnsupportedOperation",
                         "There is already a task running. Only one active task is allowed for a "
                         "source queue arn at a given time.");
    co_return engine_fault(task.error());
  }
  co_return json::object{{"TaskHandle", handle_of(*task, arn_of(source->name))}};
}

Outcome<json::object> Sqs::list_moves(const Call& call) const {
  const queues::QueuePtr source = by_arn(text_of(call.input, "SourceArn"));
  if (!source)
    return no_such_resource(
        "The resource that you specified for the SourceArn parameter doesn't exist.");
  auto max = number_in(call.input, "MaxResults", 1, kPerSourceShown);
  if (max.has_error()) return std::move(max).error();
  const std::string source_arn = arn_of(source->name);
  json::array results;
  for (const auto& task : parts_.moves.of(source->name)) {
    if (results.size() >= max->value_or(1)) break;
    json::object one{{"Status", status_of(task)},
                     {"SourceArn", source_arn},
                     {"ApproximateNumberOfMessagesMoved", task.moved},
                     {"ApproximateNumberOfMessagesToMove", task.to_move},
                     {"StartedTimestamp", task.started_ms}};
    if (task.active()) one["TaskHandle"] = handle_of(task, source_arn);
    if (!task.destination.empty()) one["DestinationArn"] = arn_of(task.destination);
    if (task.per_second) one["MaxNumberOfMessagesPerSecond"] = task.per_second;
    if (!task.failure.empty()) one["FailureReason"] = task.failure;
    results.push_back(std::move(one));
  }
  json::object answer;
  if (!results.empty()) answer["Results"] = std::move(results);
  return answer;
}

io::Task<Outcome<json::object>> Sqs::cancel_move(Call call) {
  std::string id = id_in(text_of(call.input, "TaskHandle"));
  auto cancelling = parts_.moves.cancel(std::move(id));
  const auto task = co_await std::move(cancelling);
  if (task.has_value()) co_return json::object{{"ApproximateNumberOfMessagesMoved", task->moved}};
  if (task.error().code == Code::not_found) co_return no_such_resource("Task does not exist.");
  if (task.error().code == Code::conflict)
    co_return prefixed("UnsupportedOperation", "The task is not running.");
  co_return engine_fault(task.error());
}

}  // namespace mayfly::dialects::sqs
