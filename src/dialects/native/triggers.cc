// Endpoints of queue triggers (event source mappings).

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "dialects/native/state.h"
#include "triggers/queue_trigger.h"

namespace mayfly::dialects::native {

namespace json = boost::json;

namespace {

json::object render(const triggers::Mapping& mapping, const triggers::TriggerStatus& status) {
  boost::system::error_code failed;
  json::value value = json::parse(triggers::mapping_to_json(mapping), failed);
  json::object object = failed ? json::object() : std::move(value.get_object());
  object["state"] = triggers::state_name(status.state);
  object["last_result"] =
      status.last_result.empty() ? "No records processed" : status.last_result.c_str();
  object["running"] = status.running;
  object["batches"] = status.batches;
  object["handled"] = status.handled;
  object["failed"] = status.failed;
  object["filtered"] = status.filtered;
  object["given_up"] = status.given_up;
  return object;
}

Error no_such_trigger(const std::string& id) {
  return Error{Code::not_found, "There is no trigger \"" + id +
                                    "\"; `mayfly trigger ls` lists them, and QUEUE:FUNCTION names "
                                    "one as well as its id."};
}

}  // namespace

Reply Api::State::dispatch_events(Endpoint endpoint, Call call) {
  switch (endpoint) {
    case Endpoint::list_triggers:
      return list_triggers(std::move(call));
    case Endpoint::create_trigger:
      return create_trigger(std::move(call));
    case Endpoint::get_trigger:
      return get_trigger(std::move(call));
    case Endpoint::update_trigger:
      return update_trigger(std::move(call));
    case Endpoint::delete_trigger:
      return delete_trigger(std::move(call));
    case Endpoint::list_state:
      return list_state(std::move(call));
    case Endpoint::get_state:
      return get_state(std::move(call));
    case Endpoint::put_state:
      return put_state(std::move(call));
    case Endpoint::delete_state:
      return delete_state(std::move(call));
    default:
      return dispatch_topics(endpoint, std::move(call));
  }
}

Reply Api::State::list_triggers(Call call) {
  auto query = query_of(call, {"queue", "function"});
  if (query.has_error()) co_return query.error();
  const std::string queue = text_in(*query, "queue"), function = text_in(*query, "function");
  json::array array;
  for (const auto& mapping : parts.triggers->list()) {
    if (!queue.empty() && mapping.queue != queue) continue;
    if (!function.empty() && mapping.function != function && mapping.qualified() != function)
      continue;
    array.push_back(render(mapping, parts.triggers->status(mapping.id)));
  }
  json::object object;
  object["triggers"] = std::move(array);
  co_return json_reply(200, object);
}

Reply Api::State::create_trigger(Call call) {
  std::vector<std::string_view> known = triggers::mapping_keys();
  auto body = co_await object_of(call, known);
  if (body.has_error()) co_return body.error();
  auto mapping = triggers::mapping_from_json(json::serialize(*body), {});
  if (mapping.has_error()) co_return mapping.error();
  auto creating = parts.triggers->create(std::move(*mapping));
  auto created = co_await std::move(creating);
  if (created.has_error()) co_return created.error();
  co_return json_reply(201, render(*created, parts.triggers->status(created->id)));
}

Reply Api::State::get_trigger(Call call) {
  const auto mapping = parts.triggers->find(call.name);
  if (!mapping) co_return no_such_trigger(call.name);
  co_return json_reply(200, render(*mapping, parts.triggers->status(mapping->id)));
}

Reply Api::State::update_trigger(Call call) {
  std::vector<std::string_view> known = triggers::mapping_keys();
  auto body = co_await object_of(call, known);
  if (body.has_error()) co_return body.error();
  const auto before = parts.triggers->find(call.name);
  if (!before) co_return no_such_trigger(call.name);
  auto mapping = triggers::mapping_from_json(json::serialize(*body), *before);
  if (mapping.has_error()) co_return mapping.error();
  auto updating = parts.triggers->update(std::move(*mapping));
  auto updated = co_await std::move(updating);
  if (updated.has_error()) co_return updated.error();
  co_return json_reply(200, render(*updated, parts.triggers->status(updated->id)));
}

Reply Api::State::delete_trigger(Call call) {
  auto removing = parts.triggers->remove(call.name);
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return removed.error();
  json::object object;
  object["removed"] = call.name;
  co_return json_reply(200, object);
}

}  // namespace mayfly::dialects::native
