// Event source mappings: queue triggers under the names of Lambda. Sources are SQS queues of this
// server.

#include <algorithm>

#include "dialects/aws_values.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/pages.h"
#include "functions/pollers.h"
#include "triggers/queue_trigger.h"

namespace mayfly::dialects::lambda_api {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using triggers::Mapping;

namespace {

aws::Fault no_mapping() {
  return not_found("The resource you requested does not exist.");
}

// A number within bounds, where input has it.
Outcome<void> take_number(const json::object& input, std::string_view member, std::int64_t low,
                          std::int64_t high, std::uint32_t& into) {
  if (!input.contains(member)) return boost::system::in_place_value;
  const std::int64_t number = number_member(input, member, low);
  if (number < low || number > high)
    return validation(
        std::to_string(number), member,
        "Member must have value from " + std::to_string(low) + " to " + std::to_string(high));
  into = static_cast<std::uint32_t>(number);
  return boost::system::in_place_value;
}

// False, {} and []: nothing is asked for.
bool asks_nothing(const json::value& value) {
  if (const bool* flag = value.if_bool()) return !*flag;
  if (const auto* object = value.if_object()) return object->empty();
  const auto* list = value.if_array();
  return list != nullptr && list->empty();
}

// What is of streams and brokers only.
Outcome<void> check_stream_members(const json::object& input) {
  for (const std::string_view member :
       {"StartingPosition", "StartingPositionTimestamp", "Topics", "Queues",
        "SelfManagedEventSource", "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError",
        "MaximumRetryAttempts", "TumblingWindowInSeconds", "ParallelizationFactor",
        "SourceAccessConfigurations", "LoggingConfig", "AmazonManagedKafkaEventSourceConfig",
        "SelfManagedKafkaEventSourceConfig", "DocumentDBEventSourceConfig"})
    if (input.contains(member) && !asks_nothing(input.at(member)))
      return invalid_parameter(std::string(member) +
                               " is not for mappings of SQS queues, the one kind of event source "
                               "that this server has.");
  return boost::system::in_place_value;
}

// ScalingConfig and ProvisionedPollerConfig; an empty one takes away what was set.
Outcome<void> take_scaling(const json::object& input, Mapping& mapping) {
  if (const auto* scaling = object_member(input, "ScalingConfig")) {
    mapping.concurrency = 0;
    AWS_TRY(take_number(*scaling, "MaximumConcurrency", 2, 1000, mapping.concurrency));
  }
  if (const auto* pollers = object_member(input, "ProvisionedPollerConfig")) {
    if (!text_member(*pollers, "PollerGroupName").empty())
      return invalid_parameter(
          "ProvisionedPollerConfig.PollerGroupName is not for mappings of SQS queues.");
    const bool some = pollers->contains("MinimumPollers") || pollers->contains("MaximumPollers");
    mapping.minimum_pollers = some ? functions::kMinimumPollers : 0;
    mapping.maximum_pollers = some ? functions::kMaximumPollersDefault : 0;
    AWS_TRY(take_number(*pollers, "MinimumPollers", functions::kMinimumPollers,
                        functions::kMinimumPollersMax, mapping.minimum_pollers));
    AWS_TRY(take_number(*pollers, "MaximumPollers", functions::kMinimumPollers,
                        functions::kMaximumPollersMax, mapping.maximum_pollers));
    if (mapping.minimum_pollers > mapping.maximum_pollers)
      return invalid_parameter(
          "ProvisionedPollerConfig: MinimumPollers must not be greater than MaximumPollers.");
  }
  if (mapping.maximum_pollers != 0 && mapping.concurrency != 0)
    return invalid_parameter(
        "ScalingConfig.MaximumConcurrency and ProvisionedPollerConfig cannot be used together: an "
        "empty object takes away the one that is set.");
  return boost::system::in_place_value;
}

Outcome<void> take_metrics(const json::object& input, Mapping& mapping) {
  const auto* config = object_member(input, "MetricsConfig");
  if (config == nullptr) return boost::system::in_place_value;
  mapping.metrics.clear();
  for (const auto& metric : texts_member(*config, "Metrics")) {
    if (metric == "ErrorCount" || metric == "KafkaMetrics")
      return invalid_parameter("MetricsConfig: " + metric +
                               " is not for mappings of SQS queues; EventCount is.");
    if (metric != "EventCount")
      return validation(metric.substr(0, 100), "metricsConfig.metrics",
                        "Member must satisfy enum value set: [EventCount, ErrorCount, "
                        "KafkaMetrics]");
    if (!mapping.metrics.empty())
      return validation("[EventCount, EventCount]", "metricsConfig.metrics",
                        "Member must not have the same value twice");
    mapping.metrics.push_back(metric);
  }
  return boost::system::in_place_value;
}

Outcome<void> take_destination(const json::object& input, Mapping& mapping) {
  const auto* destinations = object_member(input, "DestinationConfig");
  if (destinations == nullptr) return boost::system::in_place_value;
  if (const auto* success = object_member(*destinations, "OnSuccess");
      success != nullptr && !text_member(*success, "Destination").empty())
    return invalid_parameter(
        "DestinationConfig.OnSuccess is not for event source mappings; OnFailure is.");
  const auto* failure = object_member(*destinations, "OnFailure");
  const std::string arn = failure ? text_member(*failure, "Destination") : std::string();
  mapping.on_failure.clear();
  if (arn.empty()) return boost::system::in_place_value;
  const auto target = triggers::parse_target(arn);
  if (target.has_error())
    return invalid_parameter("DestinationConfig.OnFailure: " + target.error().message);
  mapping.on_failure = triggers::to_text(*target);
  return boost::system::in_place_value;
}

Outcome<void> take_members(const json::object& input, Mapping& mapping) {
  AWS_TRY(check_stream_members(input));
  if (input.contains("Enabled")) mapping.enabled = flag_member(input, "Enabled");
  AWS_TRY(take_number(input, "BatchSize", 1, 10'000, mapping.batch));
  AWS_TRY(take_number(input, "MaximumBatchingWindowInSeconds", 0, 300, mapping.window_s));
  AWS_TRY(take_scaling(input, mapping));
  AWS_TRY(take_metrics(input, mapping));
  AWS_TRY(take_destination(input, mapping));
  AWS_TRY(check_kms_key(input, "KMSKeyArn"));
  if (input.contains("KMSKeyArn")) mapping.kms_key = text_member(input, "KMSKeyArn");
  if (const auto* criteria = object_member(input, "FilterCriteria")) {
    mapping.filters.clear();
    for (const auto* filter : objects_member(*criteria, "Filters"))
      mapping.filters.push_back(text_member(*filter, "Pattern"));
  }
  if (input.contains("FunctionResponseTypes")) {
    mapping.partial = false;
    for (const auto& type : texts_member(input, "FunctionResponseTypes")) {
      if (type != "ReportBatchItemFailures")
        return validation(type.substr(0, 100), "functionResponseTypes",
                          "Member must satisfy enum value set: [ReportBatchItemFailures]");
      mapping.partial = true;
    }
  }
  if (input.contains("Tags")) mapping.tags = map_member(input, "Tags");
  const bool batches =
      input.contains("BatchSize") || input.contains("MaximumBatchingWindowInSeconds");
  if (batches && mapping.batch > 10 && !mapping.queue.ends_with(".fifo") && mapping.window_s == 0)
    return invalid_parameter(
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater "
        "than 10");
  return boost::system::in_place_value;
}

}  // namespace

LambdaApi::Object LambdaApi::mapping_info(const Mapping& mapping, std::string_view state) const {
  const auto status = parts_.triggers.status(mapping.id);
  Object out;
  out["UUID"] = mapping.id;
  out["EventSourceMappingArn"] = "arn:aws:lambda:" + home_.region + ":" + home_.account +
                                 std::string(kMappingArn) + mapping.id;
  out["EventSourceArn"] = "arn:aws:sqs:" + home_.region + ":" + home_.account + ":" + mapping.queue;
  out["FunctionArn"] = home_.arn(mapping.function, mapping.qualifier);
  out["BatchSize"] = mapping.batch;
  out["MaximumBatchingWindowInSeconds"] = mapping.window_s;
  out["LastModified"] = static_cast<double>(mapping.modified_us) / 1e6;
  out["LastProcessingResult"] =
      status.last_result.empty() ? "No records processed" : status.last_result;
  out["State"] = state.empty() ? (mapping.enabled ? "Enabled" : "Disabled") : state;
  out["StateTransitionReason"] = "USER_INITIATED";
  if (!mapping.filters.empty()) {
    json::array filters;
    for (const auto& pattern : mapping.filters) filters.push_back(Object{{"Pattern", pattern}});
    out["FilterCriteria"] = Object{{"Filters", std::move(filters)}};
  }
  if (mapping.partial) out["FunctionResponseTypes"] = json::array{"ReportBatchItemFailures"};
  if (mapping.concurrency > 0)
    out["ScalingConfig"] = Object{{"MaximumConcurrency", mapping.concurrency}};
  if (mapping.maximum_pollers > 0)
    out["ProvisionedPollerConfig"] = Object{{"MinimumPollers", mapping.minimum_pollers},
                                            {"MaximumPollers", mapping.maximum_pollers}};
  if (!mapping.metrics.empty())
    out["MetricsConfig"] =
        Object{{"Metrics", json::array(mapping.metrics.begin(), mapping.metrics.end())}};
  if (!mapping.kms_key.empty()) out["KMSKeyArn"] = mapping.kms_key;
  if (!mapping.on_failure.empty()) {
    const auto target = triggers::parse_target(mapping.on_failure);
    if (target.has_value())
      out["DestinationConfig"] =
          Object{{"OnFailure",
                  Object{{"Destination", triggers::to_arn(*target, home_.region, home_.account)}}}};
  }
  return out;
}

LambdaApi::Answer LambdaApi::create_mapping(Call call) {
  FunctionRef ref;
  auto version = version_of(call.input, ref);
  if (version.has_error()) co_return std::move(version).error();
  const std::string arn = text_member(call.input, "EventSourceArn");
  const auto source = triggers::parse_target(arn);
  if (source.has_error() || source->kind != triggers::Target::Kind::queue ||
      !arn.starts_with("arn:"))
    co_return invalid_parameter(
        "EventSourceArn must be the ARN of an SQS queue: the one kind of event source that this "
        "server has.");
  Mapping mapping;
  mapping.queue = source->name;
  mapping.function = ref.name;
  mapping.qualifier = ref.qualifier == "$LATEST" ? "" : ref.qualifier;
  mapping.partial = false;
  auto taken = take_members(call.input, mapping);
  if (taken.has_error()) co_return std::move(taken).error();
  auto creating = parts_.triggers.create(std::move(mapping));
  auto created = co_await std::move(creating);
  if (created.has_error()) {
    if (created.error().code == Code::not_found)
      co_return invalid_parameter(
          "Error occurred while ReceiveMessage. SQS Error Code: "
          "AWS.SimpleQueueService.NonExistentQueue. " +
          created.error().message);
    if (created.error().code == Code::already_exists)
      co_return conflict("An event source mapping with SQS arn (\" " + arn +
                         " \") and function (\" " + ref.name +
                         " \") already exists. Please update or delete the existing mapping.");
    co_return lambda_fault(created.error());
  }
  co_return mapping_info(*created, "Creating");
}

LambdaApi::Answer LambdaApi::update_mapping(Call call) {
  const auto before = parts_.triggers.find(text_member(call.input, "UUID"));
  if (!before) co_return no_mapping();
  Mapping mapping = *before;
  if (call.input.contains("FunctionName")) {
    FunctionRef ref;
    auto version = version_of(call.input, ref);
    if (version.has_error()) co_return std::move(version).error();
    mapping.function = ref.name;
    mapping.qualifier = ref.qualifier == "$LATEST" ? "" : ref.qualifier;
  }
  auto taken = take_members(call.input, mapping);
  if (taken.has_error()) co_return std::move(taken).error();
  auto updating = parts_.triggers.update(std::move(mapping));
  auto updated = co_await std::move(updating);
  if (updated.has_error()) co_return lambda_fault(updated.error());
  co_return mapping_info(*updated, "Updating");
}

LambdaApi::Answer LambdaApi::delete_mapping(Call call) {
  const auto before = parts_.triggers.find(text_member(call.input, "UUID"));
  if (!before) co_return no_mapping();
  Object out = mapping_info(*before, "Deleting");
  auto removing = parts_.triggers.remove(before->id);
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return lambda_fault(removed.error());
  co_return out;
}

LambdaApi::Answer LambdaApi::get_mapping(Call call) {
  const auto mapping = parts_.triggers.find(text_member(call.input, "UUID"));
  if (!mapping) co_return no_mapping();
  co_return mapping_info(*mapping);
}

LambdaApi::Answer LambdaApi::list_mappings(Call call) {
  FunctionRef ref;
  if (call.input.contains("FunctionName")) {
    auto version = version_of(call.input, ref);
    if (version.has_error()) co_return std::move(version).error();
  }
  std::string queue;
  if (const std::string arn = text_member(call.input, "EventSourceArn"); !arn.empty()) {
    const auto source = triggers::parse_target(arn);
    if (source.has_error()) co_return invalid_parameter(source.error().message);
    queue = source->name;
  }
  std::vector<Mapping> all;
  for (auto& mapping : parts_.triggers.list()) {
    if (!queue.empty() && mapping.queue != queue) continue;
    if (!ref.name.empty() && mapping.function != ref.name) continue;
    if (!ref.qualifier.empty() && mapping.qualifier != ref.qualifier) continue;
    all.push_back(std::move(mapping));
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  auto page = lambda_page(all, call.input, 100, [](const Mapping& one) { return one.id; });
  if (page.has_error()) co_return std::move(page).error();
  json::array list;
  for (const auto& mapping : page->first) list.push_back(mapping_info(mapping));
  Object out{{"EventSourceMappings", std::move(list)}};
  if (!page->second.empty()) out["NextMarker"] = page->second;
  co_return out;
}

}  // namespace mayfly::dialects::lambda_api
