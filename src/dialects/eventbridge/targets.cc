// Targets of EventBridge's rules.

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "dialects/aws_values.h"
#include "dialects/eventbridge/eventbridge.h"

namespace mayfly::dialects::eventbridge {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using triggers::RuleTarget;

namespace {

constexpr std::size_t kTargetsAtOnceMax = 100;
constexpr std::string_view kUnderstood[] = {"Id",
                                            "Arn",
                                            "Input",
                                            "InputPath",
                                            "RetryPolicy",
                                            "InputTransformer",
                                            "SqsParameters",
                                            "DeadLetterConfig"};

Result<RuleTarget> target_of(const json::object& input) {
  RuleTarget target;
  target.id = text_member(input, "Id");
  target.arn = text_member(input, "Arn");
  auto parsed = triggers::parse_target(target.arn);
  if (parsed.has_error()) return parsed.error();
  target.target = std::move(*parsed);
  target.input = text_member(input, "Input");
  target.input_path = text_member(input, "InputPath");
  if (const auto* transformer = object_member(input, "InputTransformer")) {
    target.transformer.emplace();
    target.transformer->paths = map_member(*transformer, "InputPathsMap");
    target.transformer->text = text_member(*transformer, "InputTemplate");
  }
  if (const auto* sqs = object_member(input, "SqsParameters"))
    target.group = text_member(*sqs, "MessageGroupId");
  if (const auto* letter = object_member(input, "DeadLetterConfig")) {
    const auto queue = triggers::parse_target(text_member(*letter, "Arn"));
    if (queue.has_error()) return queue.error();
    target.dead_letter = triggers::to_text(*queue);
  }
  if (const auto* retry = object_member(input, "RetryPolicy")) {
    const std::int64_t attempts = number_member(*retry, "MaximumRetryAttempts", -1);
    const std::int64_t age = number_member(*retry, "MaximumEventAgeInSeconds", -1);
    if (attempts > 185 || (age >= 0 && (age < 60 || age > 86'400)))
      return Error{Code::invalid_argument,
                   "RetryPolicy allows 0 to 185 attempts and ages of 60 to 86400 seconds."};
    if (attempts >= 0) target.retries = static_cast<std::uint32_t>(attempts);
    if (age >= 0) target.max_age_s = age;
  }
  json::object other;
  for (const auto& [name, value] : input)
    if (std::find(std::begin(kUnderstood), std::end(kUnderstood), name) == std::end(kUnderstood))
      other[name] = value;
  if (!other.empty()) target.other = json::serialize(other);
  if (target.other.size() > 16'384)
    return Error{Code::invalid_argument, "The parameters of a target have at most 16 KB."};
  return target;
}

json::object target_info(const RuleTarget& target, const std::string& region,
                         const std::string& account) {
  json::object out;
  boost::system::error_code failed;
  if (json::value other = json::parse(target.other, failed); !failed && other.is_object())
    out = std::move(other.get_object());
  out["Id"] = target.id;
  out["Arn"] = target.arn.empty() ? triggers::to_arn(target.target, region, account) : target.arn;
  if (!target.input.empty()) out["Input"] = target.input;
  if (!target.input_path.empty()) out["InputPath"] = target.input_path;
  if (target.transformer) {
    json::object paths;
    for (const auto& [name, path] : target.transformer->paths) paths[name] = path;
    out["InputTransformer"] = json::object{{"InputPathsMap", std::move(paths)},
                                           {"InputTemplate", target.transformer->text}};
  }
  if (!target.group.empty()) out["SqsParameters"] = json::object{{"MessageGroupId", target.group}};
  if (const auto letter = triggers::parse_target(target.dead_letter); letter.has_value())
    out["DeadLetterConfig"] = json::object{{"Arn", triggers::to_arn(*letter, region, account)}};
  json::object retry;
  if (target.retries) retry["MaximumRetryAttempts"] = *target.retries;
  if (target.max_age_s) retry["MaximumEventAgeInSeconds"] = *target.max_age_s;
  if (!retry.empty()) out["RetryPolicy"] = std::move(retry);
  return out;
}

json::object failures(json::array failed) {
  const auto count = static_cast<std::int64_t>(failed.size());
  return {{"FailedEntryCount", count}, {"FailedEntries", std::move(failed)}};
}

}  // namespace

EventBridge::Answer EventBridge::put_targets(Call call) {
  auto rule = rule_of(call.input, "Rule");
  if (rule.has_error()) co_return std::move(rule).error();
  const auto inputs = objects_member(call.input, "Targets");
  if (inputs.empty() || inputs.size() > kTargetsAtOnceMax)
    co_return aws::Fault{"ValidationException", "Targets must hold 1 to 100 targets."};
  std::vector<RuleTarget> targets;
  for (const auto* input : inputs) {
    auto target = target_of(*input);
    if (target.has_error())
      co_return aws::Fault{"ValidationException",
                           "Target " + text_member(*input, "Id") + ": " + target.error().message};
    targets.push_back(std::move(*target));
  }
  auto putting = parts_.buses.put_targets((*rule)->bus, (*rule)->name, std::move(targets));
  const Status put = co_await std::move(putting);
  if (put.has_error()) co_return bus_fault(put.error());
  co_return failures({});
}

EventBridge::Answer EventBridge::remove_targets(Call call) {
  auto rule = rule_of(call.input, "Rule");
  if (rule.has_error()) co_return std::move(rule).error();
  json::array failed;
  std::vector<std::string> ids;
  for (auto& id : texts_member(call.input, "Ids")) {
    if ((*rule)->targets.contains(id)) {
      ids.push_back(std::move(id));
    } else {
      failed.push_back(json::object{{"TargetId", id},
                                    {"ErrorCode", "ResourceNotFoundException"},
                                    {"ErrorMessage", "The rule has no target of this id."}});
    }
  }
  auto removing = parts_.buses.remove_targets((*rule)->bus, (*rule)->name, std::move(ids));
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return bus_fault(removed.error());
  co_return failures(std::move(failed));
}

Outcome<json::object> EventBridge::list_targets(const Call& call) const {
  auto rule = rule_of(call.input, "Rule");
  if (rule.has_error()) return std::move(rule).error();
  const std::int64_t limit = number_member(call.input, "Limit", 100);
  if (limit < 1 || limit > 100) return aws::Fault{"ValidationException", "Limit must be 1 to 100."};
  std::vector<const RuleTarget*> targets;
  for (const auto& [id, target] : (*rule)->targets) targets.push_back(&target);
  const auto [page, next] =
      page_of(targets, text_member(call.input, "NextToken"), static_cast<std::size_t>(limit),
              [](const RuleTarget* target) { return target->id; });
  json::array out;
  for (const auto* target : page)
    out.push_back(target_info(*target, parts_.region, parts_.account));
  json::object answer{{"Targets", std::move(out)}};
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

}  // namespace mayfly::dialects::eventbridge
