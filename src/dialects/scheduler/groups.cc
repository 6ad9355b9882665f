// Groups of schedules, and their tags.

#include "dialects/aws_values.h"
#include "dialects/scheduler/contract.h"
#include "dialects/scheduler/scheduler.h"
#include "telemetry/bytes.h"

namespace mayfly::dialects::scheduler {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;

namespace {

constexpr std::string_view kPrefix = "scheduler/g/";  // name -> Group
constexpr std::string_view kDefault = "default";
constexpr std::size_t kGroupsMax = 500;
constexpr std::size_t kTagsMax = 200;

aws::Fault no_group(const std::string& name) {
  return {"ResourceNotFoundException", "Schedule group " + name + " does not exist.", 404};
}

bool is_name(const std::string& name) {
  if (name.empty() || name.size() > 64) return false;
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
          c == '_' || c == '.'))
      return false;
  return true;
}

}  // namespace

std::string Scheduler::encode(const Group& group) {
  std::string bytes;
  telemetry::ByteWriter out(bytes);
  out.byte(1);
  out.text(group.name);
  out.number(group.tags.size());
  for (const auto& [key, value] : group.tags) {
    out.text(key);
    out.text(value);
  }
  out.signed_number(to_epoch_us(group.created));
  out.signed_number(to_epoch_us(group.modified));
  return bytes;
}

Status Scheduler::open() {
  groups_[std::string(kDefault)].name = std::string(kDefault);
  Status failed = ok();
  store::Store::Scan range;
  range.first = std::string(kPrefix);
  range.last = store::prefix_end(kPrefix);
  MAYFLY_TRY(parts_.store.scan(range, [&](std::string_view, std::string_view value) {
    telemetry::ByteReader in(value);
    Group group;
    const bool known = in.byte() == 1;
    group.name = std::string(in.text());
    for (std::uint64_t n = in.number(); n > 0 && in.good(); --n) {
      std::string key(in.text());
      group.tags[std::move(key)] = std::string(in.text());
    }
    group.created = from_epoch_us(in.signed_number());
    group.modified = from_epoch_us(in.signed_number());
    if (!known || !in.good() || !in.at_end()) {
      failed = Error{Code::corrupt, "A stored group of schedules is broken."};
      return false;
    }
    const std::string name = group.name;
    groups_[name] = std::move(group);
    return true;
  }));
  return failed;
}

io::Task<Status> Scheduler::write(Group group) {
  queues::Batch batch;
  batch.also.put(std::string(kPrefix) + group.name, encode(group));
  auto committing = parts_.queues.commit(std::move(batch));
  const auto committed = co_await std::move(committing);
  if (committed.has_error()) co_return committed.error();
  const std::string name = group.name;
  groups_[name] = std::move(group);
  co_return ok();
}

json::object Scheduler::group_info(const Group& group) const {
  json::object out{{"Name", group.name},
                   {"Arn", "arn:aws:scheduler:" + parts_.region + ":" + parts_.account +
                               ":schedule-group/" + group.name},
                   {"State", "ACTIVE"}};
  if (group.created != WallTime{}) {
    out["CreationDate"] = static_cast<double>(to_epoch_us(group.created)) / 1e6;
    out["LastModificationDate"] = static_cast<double>(to_epoch_us(group.modified)) / 1e6;
  }
  return out;
}

Scheduler::Answer Scheduler::create_group(Call call) {
  Group group;
  group.name = text_member(call.input, "Name");
  group.tags = tags_member(call.input, "Tags");
  if (!is_name(group.name) || group.name == kRuleGroup)
    co_return validation("The name of a schedule group has 1 to 64 of A-Z a-z 0-9 - _ .");
  if (groups_.contains(group.name))
    co_return aws::Fault{"ConflictException", "Schedule group " + group.name + " already exists.",
                         409};
  if (groups_.size() >= kGroupsMax)
    co_return aws::Fault{"ServiceQuotaExceededException", "There are 500 schedule groups already.",
                         402};
  if (group.tags.size() > kTagsMax) co_return validation("A group has at most 200 tags.");
  group.created = group.modified = parts_.clock.wall_now();
  json::object answer{{"ScheduleGroupArn", group_info(group).at("Arn")}};
  auto writing = write(std::move(group));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return schedule_fault(written.error());
  co_return answer;
}

// With its schedules, as Scheduler does.
Scheduler::Answer Scheduler::delete_group(Call call) {
  const std::string name = text_member(call.input, "Name");
  if (name == kDefault) co_return validation("The default schedule group stays.");
  if (!groups_.contains(name)) co_return no_group(name);
  for (const auto& info : parts_.schedules.list()) {
    if (info.schedule.group != name) continue;
    auto removing = parts_.schedules.remove(name, info.schedule.name);
    const Status removed = co_await std::move(removing);
    if (removed.has_error() && removed.error().code != Code::not_found)
      co_return schedule_fault(removed.error());
  }
  queues::Batch batch;
  batch.also.remove(std::string(kPrefix) + name);
  auto committing = parts_.queues.commit(std::move(batch));
  const auto committed = co_await std::move(committing);
  if (committed.has_error()) co_return schedule_fault(committed.error());
  groups_.erase(name);
  co_return Object{};
}

Outcome<json::object> Scheduler::get_group(const Call& call) const {
  const std::string name = text_member(call.input, "Name");
  const auto found = groups_.find(name);
  if (found == groups_.end()) return no_group(name);
  return group_info(found->second);
}

Outcome<json::object> Scheduler::list_groups(const Call& call) const {
  const std::string prefix = text_member(call.input, "NamePrefix");
  const std::int64_t max = number_member(call.input, "MaxResults", 100);
  if (max < 1 || max > 100) return validation("MaxResults must be 1 to 100.");
  std::vector<const Group*> groups;
  for (const auto& [name, group] : groups_)
    if (name.starts_with(prefix)) groups.push_back(&group);
  const auto [page, next] =
      page_of(groups, text_member(call.input, "NextToken"), static_cast<std::size_t>(max),
              [](const Group* group) { return group->name; });
  json::array out;
  for (const auto* group : page) out.push_back(group_info(*group));
  json::object answer{{"ScheduleGroups", std::move(out)}};
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

// The name of a group that is there.
Outcome<std::string> Scheduler::group_in(const std::string& arn) const {
  const auto at = arn.find(":schedule-group/");
  if (at == std::string::npos) return validation("ResourceArn names no schedule group.");
  std::string name = arn.substr(at + 16);
  if (!groups_.contains(name)) return no_group(name);
  return Outcome<std::string>(boost::system::in_place_value, std::move(name));
}

Outcome<json::object> Scheduler::list_tags(const Call& call) const {
  auto name = group_in(text_member(call.input, "ResourceArn"));
  if (name.has_error()) return std::move(name).error();
  return Object{{"Tags", tags_list(groups_.at(*name).tags)}};
}

Scheduler::Answer Scheduler::change_tags(Call call) {
  auto name = group_in(text_member(call.input, "ResourceArn"));
  if (name.has_error()) co_return std::move(name).error();
  Group group = groups_.at(*name);
  if (static_cast<Op>(call.operation->tag) == Op::untag) {
    for (const auto& key : texts_member(call.input, "TagKeys")) group.tags.erase(key);
  } else {
    for (const auto& [key, value] : tags_member(call.input, "Tags")) group.tags[key] = value;
  }
  if (group.tags.size() > kTagsMax) co_return validation("A group has at most 200 tags.");
  group.modified = parts_.clock.wall_now();
  auto writing = write(std::move(group));
  const Status written = co_await std::move(writing);
  if (written.has_error()) co_return schedule_fault(written.error());
  co_return Object{};
}

}  // namespace mayfly::dialects::scheduler
