// Log groups: listed, made, changed, removed.

#include <algorithm>
#include <set>

#include "dialects/aws_values.h"
#include "dialects/logs/contract.h"
#include "dialects/logs/logs.h"

namespace mayfly::dialects::logs {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;

namespace {

constexpr std::size_t kGroupTagsMax = 50;
constexpr std::int64_t kRetentions[] = {1,    3,    5,    7,    14,   30,  60,  90,
                                        120,  150,  180,  365,  400,  545, 731, 1096,
                                        1827, 2192, 2557, 2922, 3288, 3653};

bool is_group_name(std::string_view name) {
  return !name.empty() && name.size() <= 512 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-/.#").find(c) != std::string_view::npos;
  });
}

aws::Fault group_fault(const Error& error) {
  if (error.code == Code::resource_exhausted) return {"LimitExceededException", error.message};
  return aws::fault_of(error);
}

}  // namespace

std::string group_named(const json::object& input) {
  std::string group;
  for (const char* member : {"logGroupName", "logGroupIdentifier", "resourceArn"})
    if (group.empty()) group = text_member(input, member);
  if (const auto at = group.find(":log-group:"); at != std::string::npos) group.erase(0, at + 11);
  if (group.ends_with(":*")) group.resize(group.size() - 2);
  return group;
}

bool Logs::is_function_group(const std::string& group) const {
  return group.starts_with(kGroupPrefix) &&
         parts_.catalogue.find(group.substr(kGroupPrefix.size()), "") != nullptr;
}

Outcome<json::object> Logs::describe_groups(const Call& call) const {
  const std::string prefix = text_member(call.input, "logGroupNamePrefix");
  const std::string part = text_member(call.input, "logGroupNamePattern");
  const std::int64_t limit = number_member(call.input, "limit", 50);
  if (limit < 1 || limit > 50)
    return aws::Fault{"InvalidParameterException", "limit must be from 1 to 50."};
  std::map<std::string, Group> named = parts_.groups.all();
  for (const auto& version : parts_.catalogue.list())
    named.try_emplace(std::string(kGroupPrefix) + version->function, Group{version->created_us});
  std::vector<std::pair<std::string, Group>> all;
  for (auto& [name, group] : named)
    if (name.starts_with(prefix) && name.find(part) != std::string::npos)
      all.emplace_back(name, std::move(group));
  const auto [page, next] =
      page_of(all, text_member(call.input, "nextToken"), static_cast<std::size_t>(limit),
              [](const auto& one) { return one.first; });
  json::array groups;
  for (const auto& [name, group] : page) {
    const std::string arn =
        "arn:aws:logs:" + parts_.region + ":" + parts_.account + ":log-group:" + name;
    Object info{{"logGroupName", name},   {"arn", arn + ":*"},
                {"logGroupArn", arn},     {"creationTime", group.created_us / 1000},
                {"metricFilterCount", 0}, {"storedBytes", 0}};
    if (group.retention_days > 0) info["retentionInDays"] = group.retention_days;
    groups.push_back(std::move(info));
  }
  Object out{{"logGroups", std::move(groups)}};
  if (!next.empty()) out["nextToken"] = next;
  return out;
}

Outcome<Group> Logs::changed_group(const Call& call, const std::string& name) const {
  const auto op = static_cast<Op>(call.operation->tag);
  const Group* there = parts_.groups.find(name);
  Group group = there ? *there : Group{to_epoch_us(SystemClock().wall_now())};
  if (op == Op::create_group) {
    if (there)
      return aws::Fault{"ResourceAlreadyExistsException", "The specified log group already exists"};
    if (!is_group_name(name))
      return aws::Fault{"InvalidParameterException",
                        "logGroupName has 1 to 512 of a-z, A-Z, 0-9, '_', '-', '/', '.', '#'."};
    group.tags = map_member(call.input, "tags");
  } else if (!there && !is_function_group(name)) {
    return no_group();
  }
  if (op == Op::put_retention) {
    group.retention_days = number_member(call.input, "retentionInDays", 0);
    if (std::find(std::begin(kRetentions), std::end(kRetentions), group.retention_days) ==
        std::end(kRetentions))
      return aws::Fault{"InvalidParameterException",
                        "retentionInDays is one of those that CloudWatch Logs has: 1, 3, 5, 7, "
                        "14, 30, 60, 90 ..."};
  } else if (op == Op::remove_retention) {
    group.retention_days = 0;
  } else if (op == Op::tag) {
    for (auto& [key, value] : map_member(call.input, "tags")) group.tags[key] = value;
  } else if (op == Op::untag) {
    for (const char* member : {"tagKeys", "tags"})
      for (const auto& key : texts_member(call.input, member)) group.tags.erase(key);
  }
  if (group.tags.size() > kGroupTagsMax)
    return aws::Fault{"TooManyTagsException", "A log group has up to 50 tags."};
  for (const auto& [key, value] : group.tags)
    if (key.empty() || key.size() > 128 || value.size() > 256)
      return aws::Fault{"InvalidParameterException",
                        "A tag has a key of 1 to 128 characters and a value of up to 256."};
  return group;
}

Logs::Answer Logs::change_group(Call call) {
  const std::string name = group_named(call.input);
  if (static_cast<Op>(call.operation->tag) == Op::remove_group) {
    if (!parts_.groups.find(name) && !is_function_group(name)) co_return no_group();
    auto removing = parts_.groups.remove(name);
    const Status removed = co_await std::move(removing);
    if (removed.has_error()) co_return group_fault(removed.error());
    co_return Object();
  }
  auto group = changed_group(call, name);
  if (group.has_error()) co_return std::move(group).error();
  auto putting = parts_.groups.put(name, std::move(*group));
  const Status put = co_await std::move(putting);
  if (put.has_error()) co_return group_fault(put.error());
  co_return Object();
}

Outcome<json::object> Logs::list_group_tags(const Call& call) const {
  const std::string name = group_named(call.input);
  const Group* group = parts_.groups.find(name);
  if (!group && !is_function_group(name)) return no_group();
  Object tags;
  if (group)
    for (const auto& [key, value] : group->tags) tags[key] = value;
  return Object{{"tags", std::move(tags)}};
}

}  // namespace mayfly::dialects::logs
