// /v1/schedules. Schedules of other groups than "default" have ?group=.

#include "triggers/schedules.h"

#include "dialects/native/state.h"
#include "dialects/scheduler/scheduler.h"

namespace mayfly::dialects::native {
namespace {

namespace json = boost::json;

constexpr std::size_t kScheduleBytesMax = 1u << 20;

json::object render(const triggers::ScheduleInfo& info) {
  json::value value = json::parse(triggers::schedule_to_json(info.schedule));
  json::object& object = value.get_object();
  object["next"] = info.next ? json::value(to_rfc3339(*info.next)) : json::value(nullptr);
  object["last"] = info.last ? json::value(to_rfc3339(*info.last)) : json::value(nullptr);
  object["ticks"] = info.ticks;
  object["skipped"] = info.skipped;
  return std::move(object);
}

// The schedules behind rules of event buses belong to their rules.
Status check_group(const std::string& group) {
  if (group != dialects::scheduler::kRuleGroup) return ok();
  return Error{Code::permission_denied, "The group " + group +
                                            " belongs to the rules of event buses; `mayfly rule` "
                                            "changes those."};
}

}  // namespace

Reply Api::State::put_schedule(Call call) {
  const auto query = query_of(call, {"group", "create"});
  if (query.has_error()) co_return query.error();
  const auto only_new = flag_in(*query, "create");
  if (only_new.has_error()) co_return only_new.error();
  std::string setting = "1 MB for schedules";
  auto body = co_await io::read_all(std::move(call.http.body), std::move(call.http.more),
                                    kScheduleBytesMax, std::move(setting));
  if (body.has_error()) co_return body.error();
  auto schedule = triggers::schedule_from_json(*body);
  if (schedule.has_error()) co_return schedule.error();
  schedule->name = call.name;
  if (const std::string group = text_in(*query, "group"); !group.empty()) schedule->group = group;
  MAYFLY_CO_TRY(check_group(schedule->group));
  const bool known = parts.schedules->find(schedule->group, schedule->name).has_value();
  auto writing = known && !*only_new ? parts.schedules->update(std::move(*schedule))
                                     : parts.schedules->create(std::move(*schedule));
  const auto written = co_await std::move(writing);
  if (written.has_error()) co_return written.error();
  co_return json_reply(known ? 200 : 201, render(*written));
}

Reply Api::State::schedules(Endpoint endpoint, Call call) {
  if (parts.schedules == nullptr)
    co_return Error{Code::unsupported, "This server has no schedules."};
  if (endpoint == Endpoint::put_schedule) {
    Reply putting = put_schedule(std::move(call));
    auto put = co_await std::move(putting);
    co_return put;
  }
  const auto query = query_of(call, {"group"});
  if (query.has_error()) co_return query.error();
  std::string group = text_in(*query, "group");
  if (endpoint == Endpoint::list_schedules) {
    json::array list;
    for (const auto& info : parts.schedules->list())
      if (info.schedule.group != dialects::scheduler::kRuleGroup &&
          (group.empty() || info.schedule.group == group))
        list.push_back(render(info));
    co_return json_reply(200, json::object{{"schedules", std::move(list)}});
  }
  MAYFLY_CO_TRY(check_group(group));
  if (group.empty()) group = "default";
  Status done = ok();
  json::object object;
  if (endpoint == Endpoint::enable_schedule || endpoint == Endpoint::disable_schedule) {
    auto changing =
        parts.schedules->enable(group, call.name, endpoint == Endpoint::enable_schedule);
    const auto changed = co_await std::move(changing);
    if (changed.has_error()) co_return changed.error();
    object = render(*changed);
  } else if (endpoint == Endpoint::run_schedule) {
    auto running = parts.schedules->run_now(group, call.name);
    done = co_await std::move(running);
    object["run"] = call.name;
  } else if (endpoint == Endpoint::delete_schedule) {
    auto removing = parts.schedules->remove(group, call.name);
    done = co_await std::move(removing);
    object["removed"] = call.name;
  } else {
    const auto found = parts.schedules->find(group, call.name);
    if (found.has_error()) co_return found.error();
    object = render(*found);
  }
  if (done.has_error()) co_return done.error();
  co_return json_reply(200, object);
}

}  // namespace mayfly::dialects::native
