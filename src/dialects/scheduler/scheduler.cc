#include "dialects/scheduler/scheduler.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "aws/session.h"
#include "dialects/aws_values.h"
#include "dialects/scheduler/contract.h"

namespace mayfly::dialects::scheduler {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using triggers::Schedule;

namespace {

constexpr std::string_view kTargetKey = "scheduler.target";  // the target as the client gave it

std::optional<WallTime> time_member(const json::object& input, std::string_view key) {
  const auto* value = input.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const double seconds = value->to_number<double>();
  if (!std::isfinite(seconds) || std::abs(seconds) > 1e11) return std::nullopt;
  return from_epoch_us(static_cast<std::int64_t>(seconds * 1e6));
}

double epoch_s(WallTime time) {
  return static_cast<double>(to_epoch_us(time)) / 1e6;
}

std::string group_of(const json::object& input) {
  const std::string group = text_member(input, "GroupName");
  return group.empty() ? "default" : group;
}

Outcome<void> take_target(const json::object& target, Schedule& schedule) {
  const std::string arn = text_member(target, "Arn");
  const auto parsed = triggers::parse_target(arn);
  if (parsed.has_error()) return validation("Target.Arn: " + parsed.error().message);
  schedule.target = triggers::to_text(*parsed);
  schedule.input = text_member(target, "Input");
  if (const auto* letter = object_member(target, "DeadLetterConfig")) {
    const auto queue = triggers::parse_target(text_member(*letter, "Arn"));
    if (queue.has_error())
      return validation("Target.DeadLetterConfig.Arn: " + queue.error().message);
    schedule.dead_letter = triggers::to_text(*queue);
  }
  if (const auto* retry = object_member(target, "RetryPolicy")) {
    const std::int64_t attempts = number_member(*retry, "MaximumRetryAttempts", -1);
    const std::int64_t age = number_member(*retry, "MaximumEventAgeInSeconds", -1);
    if (attempts > 185 || (age >= 0 && (age < 60 || age > 86'400)))
      return validation("RetryPolicy allows 0 to 185 attempts and ages of 60 to 86400 seconds.");
    if (attempts >= 0) schedule.retries = static_cast<std::uint32_t>(attempts);
    if (age >= 0) schedule.max_age_s = age;
  }
  schedule.other[std::string(kTargetKey)] = json::serialize(target);
  return boost::system::in_place_value;
}

Outcome<Schedule> schedule_of(const json::object& input) {
  Schedule schedule;
  schedule.group = group_of(input);
  schedule.name = text_member(input, "Name");
  schedule.expression = text_member(input, "ScheduleExpression");
  schedule.description = text_member(input, "Description");
  if (auto zone = text_member(input, "ScheduleExpressionTimezone"); !zone.empty())
    schedule.zone = std::move(zone);
  const std::string state = text_member(input, "State");
  if (!state.empty() && state != "ENABLED" && state != "DISABLED")
    return validation("State must be ENABLED or DISABLED.");
  schedule.enabled = state != "DISABLED";
  schedule.start = time_member(input, "StartDate");
  schedule.end = time_member(input, "EndDate");
  const std::string after = text_member(input, "ActionAfterCompletion");
  if (!after.empty() && after != "NONE" && after != "DELETE")
    return validation("ActionAfterCompletion must be NONE or DELETE.");
  schedule.remove_when_over = after == "DELETE";
  const auto* window = object_member(input, "FlexibleTimeWindow");
  const std::string mode = window != nullptr ? text_member(*window, "Mode") : std::string();
  if (mode != "OFF" && mode != "FLEXIBLE")
    return validation("FlexibleTimeWindow.Mode must be OFF or FLEXIBLE.");
  if (mode == "FLEXIBLE") {
    const std::int64_t minutes = number_member(*window, "MaximumWindowInMinutes", 0);
    if (minutes < 1 || minutes > 1440)
      return validation("FlexibleTimeWindow.MaximumWindowInMinutes must be 1 to 1440.");
    schedule.window_s = static_cast<std::uint32_t>(minutes * 60);
  }
  const auto* target = object_member(input, "Target");
  if (target == nullptr) return validation("Target must be an object.");
  AWS_TRY(take_target(*target, schedule));
  return schedule;
}

json::object target_info(const Schedule& schedule, const std::string& region,
                         const std::string& account) {
  if (const auto kept = schedule.other.find(std::string(kTargetKey));
      kept != schedule.other.end()) {
    boost::system::error_code failed;
    json::value value = json::parse(kept->second, failed);
    if (!failed && value.is_object()) return std::move(value.get_object());
  }
  json::object out;
  const auto target = triggers::parse_target(schedule.target);
  out["Arn"] = target.has_value() ? triggers::to_arn(*target, region, account) : schedule.target;
  out["RoleArn"] = "";
  if (!schedule.input.empty()) out["Input"] = schedule.input;
  return out;
}

aws::Fault no_schedule(const std::string& name) {
  return {"ResourceNotFoundException", "Schedule " + name + " does not exist.", 404};
}

}  // namespace

aws::Fault validation(std::string message) {
  return {"ValidationException", std::move(message)};
}

aws::Fault schedule_fault(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return {"ResourceNotFoundException", error.message, 404};
    case Code::invalid_argument:
    case Code::too_large:
      return validation(error.message);
    case Code::already_exists:
    case Code::conflict:
      return {"ConflictException", error.message, 409};
    case Code::resource_exhausted:
      return {"ServiceQuotaExceededException", error.message, 402};
    default:
      return aws::fault_of(error);
  }
}

const aws::Contract& Scheduler::contract() const {
  return scheduler_contract();
}

std::vector<aws::Need> Scheduler::needs(const Call& call) const {
  const std::string_view operation = call.operation->name;
  const std::string action = "scheduler:" + std::string(operation);
  const std::string start = "arn:aws:scheduler:" + parts_.region + ":" + parts_.account + ":";
  if (std::string named = text_member(call.input, "ResourceArn"); !named.empty())
    return {{action, std::move(named)}};
  const std::string name = text_member(call.input, "Name");
  if (name.empty()) return {{action, "*"}};
  if (operation.ends_with("ScheduleGroup")) return {{action, start + "schedule-group/" + name}};
  return {{action, start + "schedule/" + group_of(call.input) + "/" + name}};
}

io::Task<Outcome<json::object>> Scheduler::call(Call call) {
  switch (static_cast<Op>(call.operation->tag)) {
    case Op::create_schedule:
    case Op::update_schedule:
      return put_schedule(std::move(call));
    case Op::delete_schedule:
      return delete_schedule(std::move(call));
    case Op::get_schedule:
      return answered(get_schedule(call));
    case Op::list_schedules:
      return answered(list_schedules(call));
    case Op::create_group:
      return create_group(std::move(call));
    case Op::delete_group:
      return delete_group(std::move(call));
    case Op::get_group:
      return answered(get_group(call));
    case Op::list_groups:
      return answered(list_groups(call));
    case Op::list_tags:
      return answered(list_tags(call));
    case Op::tag:
    case Op::untag:
      return change_tags(std::move(call));
  }
  return answered(aws::Fault{"UnknownOperationException", "There is no such operation."});
}

std::string Scheduler::arn_of(const Schedule& schedule) const {
  return "arn:aws:scheduler:" + parts_.region + ":" + parts_.account + ":schedule/" +
         schedule.group + "/" + schedule.name;
}

Scheduler::Answer Scheduler::put_schedule(Call call) {
  auto schedule = schedule_of(call.input);
  if (schedule.has_error()) co_return std::move(schedule).error();
  const std::string arn = arn_of(*schedule);
  if (!groups_.contains(schedule->group))
    co_return aws::Fault{"ResourceNotFoundException",
                         "Schedule group " + schedule->group + " does not exist.", 404};
  auto writing = static_cast<Op>(call.operation->tag) == Op::create_schedule
                     ? parts_.schedules.create(std::move(*schedule))
                     : parts_.schedules.update(std::move(*schedule));
  const auto written = co_await std::move(writing);
  if (written.has_error()) co_return schedule_fault(written.error());
  co_return Object{{"ScheduleArn", arn}};
}

Scheduler::Answer Scheduler::delete_schedule(Call call) {
  const std::string group = group_of(call.input);
  if (group == kRuleGroup) co_return no_schedule(text_member(call.input, "Name"));
  auto removing = parts_.schedules.remove(group, text_member(call.input, "Name"));
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return schedule_fault(removed.error());
  co_return Object{};
}

Outcome<json::object> Scheduler::get_schedule(const Call& call) const {
  const std::string name = text_member(call.input, "Name");
  const auto found = parts_.schedules.find(group_of(call.input), name);
  if (found.has_error() || found->schedule.group == kRuleGroup) return no_schedule(name);
  const Schedule& schedule = found->schedule;
  json::object window{{"Mode", schedule.window_s == 0 ? "OFF" : "FLEXIBLE"}};
  if (schedule.window_s != 0) window["MaximumWindowInMinutes"] = (schedule.window_s + 59) / 60;
  json::object out{{"Name", schedule.name},
                   {"GroupName", schedule.group},
                   {"Arn", arn_of(schedule)},
                   {"ScheduleExpression", schedule.expression},
                   {"ScheduleExpressionTimezone", schedule.zone},
                   {"State", schedule.enabled ? "ENABLED" : "DISABLED"},
                   {"ActionAfterCompletion", schedule.remove_when_over ? "DELETE" : "NONE"},
                   {"FlexibleTimeWindow", std::move(window)},
                   {"Target", target_info(schedule, parts_.region, parts_.account)},
                   {"CreationDate", epoch_s(schedule.created)},
                   {"LastModificationDate", epoch_s(schedule.modified)}};
  if (!schedule.description.empty()) out["Description"] = schedule.description;
  if (schedule.start) out["StartDate"] = epoch_s(*schedule.start);
  if (schedule.end) out["EndDate"] = epoch_s(*schedule.end);
  return out;
}

Outcome<json::object> Scheduler::list_schedules(const Call& call) const {
  const std::string group = text_member(call.input, "GroupName");
  const std::string prefix = text_member(call.input, "NamePrefix");
  const std::string state = text_member(call.input, "State");
  const std::int64_t max = number_member(call.input, "MaxResults", 100);
  if (max < 1 || max > 100) return validation("MaxResults must be 1 to 100.");
  if (!group.empty() && !groups_.contains(group))
    return aws::Fault{"ResourceNotFoundException", "Schedule group " + group + " does not exist.",
                      404};
  std::vector<Schedule> schedules;
  for (auto& info : parts_.schedules.list()) {
    const Schedule& one = info.schedule;
    if (one.group == kRuleGroup || (!group.empty() && one.group != group) ||
        !one.name.starts_with(prefix) ||
        (!state.empty() && state != (one.enabled ? "ENABLED" : "DISABLED")))
      continue;
    schedules.push_back(one);
  }
  const auto key = [](const Schedule& one) { return one.group + "/" + one.name; };
  std::sort(schedules.begin(), schedules.end(),
            [&key](const Schedule& a, const Schedule& b) { return key(a) < key(b); });
  const auto [page, next] =
      page_of(schedules, text_member(call.input, "NextToken"), static_cast<std::size_t>(max), key);
  json::array out;
  for (const auto& one : page) {
    const auto target = triggers::parse_target(one.target);
    out.push_back(json::object{
        {"Name", one.name},
        {"GroupName", one.group},
        {"Arn", arn_of(one)},
        {"State", one.enabled ? "ENABLED" : "DISABLED"},
        {"Target",
         json::object{{"Arn", target.has_value()
                                  ? triggers::to_arn(*target, parts_.region, parts_.account)
                                  : one.target}}},
        {"CreationDate", epoch_s(one.created)},
        {"LastModificationDate", epoch_s(one.modified)}});
  }
  json::object answer{{"Schedules", std::move(out)}};
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

}  // namespace mayfly::dialects::scheduler
