// /v1/events, /v1/buses, /v1/rules: event buses. Reference: docs/reference/topics.md.

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "dialects/native/state.h"
#include "triggers/event_bus.h"

namespace mayfly::dialects::native {

namespace json = boost::json;
using triggers::Event;
using triggers::Rule;
using triggers::RuleTarget;

namespace {

constexpr std::size_t kEventsBytesMax = 1u << 20;
constexpr std::size_t kEventsMax = 1000;

json::object render(const RuleTarget& target) {
  const auto letter = triggers::parse_target(target.dead_letter);
  json::object out{{"id", target.id}, {"target", triggers::to_text(target.target)}};
  boost::system::error_code failed;
  if (!target.input.empty()) out["input"] = json::parse(target.input, failed);
  if (!target.input_path.empty()) out["input_path"] = target.input_path;
  if (target.transformer) {
    json::object paths;
    for (const auto& [name, path] : target.transformer->paths) paths[name] = path;
    out["transform"] =
        json::object{{"paths", std::move(paths)}, {"template", target.transformer->text}};
  }
  if (target.cloud_event) out["form"] = "cloudevent";
  if (!target.group.empty()) out["group"] = target.group;
  if (letter.has_value()) out["dead_letter"] = letter->name;
  if (target.retries) out["retries"] = *target.retries;
  if (target.max_age_s) out["max_age_s"] = *target.max_age_s;
  return out;
}

json::object render(const Rule& rule, const triggers::EventBuses& buses) {
  json::array targets;
  for (const auto& [id, target] : rule.targets) targets.push_back(render(target));
  json::object out{{"name", rule.name},
                   {"bus", rule.bus},
                   {"arn", buses.rule_arn(rule)},
                   {"enabled", rule.enabled},
                   {"description", rule.description},
                   {"targets", std::move(targets)},
                   {"created", to_rfc3339(rule.created)}};
  boost::system::error_code failed;
  if (!rule.pattern.empty()) out["pattern"] = json::parse(rule.pattern, failed);
  if (!rule.schedule.empty()) out["schedule"] = rule.schedule;
  return out;
}

Result<RuleTarget> target_from(const json::value& value, std::size_t place) {
  RuleTarget target;
  target.id = std::to_string(place + 1);
  if (const auto* text = value.if_string()) {
    auto parsed = triggers::parse_target(*text);
    if (parsed.has_error()) return parsed.error();
    target.target = std::move(*parsed);
    return target;
  }
  const auto* object = value.if_object();
  if (object == nullptr) return invalid("targets holds texts or objects.");
  for (const auto& [key, ignored] : *object) {
    static constexpr std::string_view kKeys[] = {"id",        "target",   "input", "input_path",
                                                 "transform", "form",     "group", "dead_letter",
                                                 "retries",   "max_age_s"};
    if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys))
      return invalid("targets: unknown key \"" + std::string(key) + "\".");
  }
  auto parsed = triggers::parse_target(text_of(*object, "target"));
  if (parsed.has_error()) return parsed.error();
  target.target = std::move(*parsed);
  if (const std::string id = text_of(*object, "id"); !id.empty()) target.id = id;
  if (const auto* input = object->if_contains("input")) target.input = json::serialize(*input);
  target.input_path = text_of(*object, "input_path");
  if (const auto* transform = object->if_contains("transform")) {
    if (!transform->is_object()) return invalid("targets: transform must be an object.");
    target.transformer.emplace();
    target.transformer->text = text_of(transform->get_object(), "template");
    if (const auto* paths = transform->get_object().if_contains("paths");
        paths != nullptr && paths->is_object())
      for (const auto& [name, path] : paths->get_object())
        if (path.is_string())
          target.transformer->paths[std::string(name)] = std::string(path.get_string());
  }
  const std::string form = text_of(*object, "form");
  if (!form.empty() && form != "cloudevent") return invalid("targets: form must be cloudevent.");
  target.cloud_event = form == "cloudevent";
  target.group = text_of(*object, "group");
  if (const std::string letter = text_of(*object, "dead_letter"); !letter.empty())
    target.dead_letter = letter.find(':') == std::string::npos ? "queue:" + letter : letter;
  if (const auto* retries = object->if_contains("retries"); retries != nullptr) {
    if (!retries->is_int64() || retries->get_int64() < 0 || retries->get_int64() > 185)
      return invalid("targets: retries must be 0 to 185.");
    target.retries = static_cast<std::uint32_t>(retries->get_int64());
  }
  if (const auto* age = object->if_contains("max_age_s"); age != nullptr) {
    if (!age->is_int64() || age->get_int64() < 0 || age->get_int64() > 1'209'600)
      return invalid("targets: max_age_s must be 0 to 1209600.");
    target.max_age_s = age->get_int64();
  }
  return target;
}

Result<Event> event_from(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return invalid("An event must be a JSON object.");
  Event event;
  event.source = text_of(*object, "source");
  event.detail_type =
      text_of(*object, object->contains("detail-type") ? "detail-type" : "detail_type");
  const auto* detail = object->if_contains("detail");
  event.detail = detail == nullptr ? "{}" : json::serialize(*detail);
  if (const auto* resources = object->if_contains("resources")) {
    if (!resources->is_array()) return invalid("resources must be a list.");
    for (const auto& resource : resources->get_array())
      if (resource.is_string()) event.resources.emplace_back(resource.get_string());
  }
  if (const std::string time = text_of(*object, "time"); !time.empty()) {
    auto parsed = triggers::parse_timestamp(time);
    if (parsed.has_error()) return parsed.error();
    event.time = *parsed;
  }
  return event;
}

Result<std::vector<Event>> events_from(const wire::Headers& headers, std::string body) {
  std::vector<Event> out;
  if (triggers::cloud_event_form(headers) != triggers::CloudEventForm::none) {
    auto read = triggers::read_cloud_events(headers, std::move(body));
    if (read.has_error()) return read.error();
    for (auto& event : *read) out.push_back(triggers::event_of(std::move(event)));
    return out;
  }
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  if (failed) return invalid("The body is not valid JSON (" + failed.message() + ").");
  json::array one;
  if (!value.is_array()) one.push_back(value);
  const json::array& list = value.is_array() ? value.get_array() : one;
  if (list.empty() || list.size() > kEventsMax) return invalid("Put 1 to 1000 events at once.");
  for (const auto& item : list) {
    auto event = event_from(item);
    if (event.has_error()) return event.error();
    out.push_back(std::move(*event));
  }
  return out;
}

// Out of line, as are the others: GCC 12 does not compile nested lists of initialisers in
// coroutines.
json::object render(const std::vector<Result<triggers::PutResult>>& results) {
  json::array list;
  for (const auto& result : results) {
    json::object entry;
    if (result.has_error()) {
      entry["error"] = json::object{{"code", code_name(result.error().code)},
                                    {"message", result.error().message}};
    } else {
      entry["id"] = result->event_id;
      entry["deliveries"] = result->deliveries;
    }
    list.push_back(std::move(entry));
  }
  json::object out;
  out["events"] = std::move(list);
  return out;
}

json::object render(const triggers::Bus& bus, const triggers::EventBuses& buses) {
  json::object out;
  out["name"] = bus.name;
  out["arn"] = buses.bus_arn(bus.name);
  out["description"] = bus.description;
  out["rules"] = buses.rules(bus.name).size();
  return out;
}

std::string bus_in(const Query& query) {
  const std::string bus = text_in(query, "bus");
  return bus.empty() ? std::string(triggers::kDefaultBus) : bus;
}

Error no_rule(const std::string& bus, const std::string& name) {
  return Error{Code::not_found, "There is no rule \"" + name + "\" on event bus \"" + bus + "\"."};
}

}  // namespace

// Events, or CloudEvents in any form. The answer has an id or an error for each.
Reply Api::State::put_events(Call call) {
  const auto query = query_of(call, {"bus"});
  if (query.has_error()) co_return query.error();
  std::string setting = "1 MB for events that are put at once";
  auto body = co_await io::read_all(std::move(call.http.body), std::move(call.http.more),
                                    kEventsBytesMax, std::move(setting));
  if (body.has_error()) co_return body.error();
  auto events = events_from(call.http.head.headers, std::move(*body));
  if (events.has_error()) co_return events.error();
  const bool one = events->size() == 1;
  auto putting = parts.buses->put(bus_in(*query), std::move(*events));
  const auto results = co_await std::move(putting);
  if (results.has_error()) co_return results.error();
  if (one && results->front().has_error()) co_return results->front().error();
  co_return json_reply(200, render(*results));
}

// The whole rule: targets that the body does not name go.
Reply Api::State::put_rule(Call call) {
  const auto query = query_of(call, {"bus"});
  if (query.has_error()) co_return query.error();
  std::vector<std::string_view> known{"pattern", "schedule", "description", "enabled", "targets"};
  auto reading = object_of(call, std::move(known));
  auto body = co_await std::move(reading);
  if (body.has_error()) co_return body.error();
  Rule rule;
  rule.bus = bus_in(*query);
  rule.name = call.name;
  if (const auto* pattern = body->if_contains("pattern")) rule.pattern = json::serialize(*pattern);
  rule.schedule = text_of(*body, "schedule");
  rule.description = text_of(*body, "description");
  if (const auto* enabled = body->if_contains("enabled"); enabled != nullptr) {
    if (!enabled->is_bool()) co_return invalid("enabled must be true or false.");
    rule.enabled = enabled->get_bool();
  }
  std::vector<RuleTarget> targets;
  if (const auto* list = body->if_contains("targets"); list != nullptr) {
    if (!list->is_array()) co_return invalid("targets must be a list.");
    for (std::size_t i = 0; i < list->get_array().size(); ++i) {
      auto target = target_from(list->get_array()[i], i);
      if (target.has_error()) co_return target.error();
      targets.push_back(std::move(*target));
    }
  }
  const std::string bus = rule.bus;
  auto putting = parts.buses->put_rule(std::move(rule));
  const auto made = co_await std::move(putting);
  if (made.has_error()) co_return made.error();
  std::vector<std::string> gone;
  if (body->contains("targets") && *made)
    for (const auto& [id, target] : (*made)->targets)
      if (std::none_of(targets.begin(), targets.end(),
                       [&id = id](const RuleTarget& one) { return one.id == id; }))
        gone.push_back(id);
  if (!gone.empty()) {
    auto removing = parts.buses->remove_targets(bus, call.name, std::move(gone));
    const Status removed = co_await std::move(removing);
    if (removed.has_error()) co_return removed.error();
  }
  if (!targets.empty()) {
    auto adding = parts.buses->put_targets(bus, call.name, std::move(targets));
    const Status added = co_await std::move(adding);
    if (added.has_error()) co_return added.error();
  }
  const auto now = parts.buses->find_rule(bus, call.name);
  if (!now) co_return no_rule(bus, call.name);
  co_return json_reply(200, render(*now, *parts.buses));
}

Reply Api::State::delete_rule(Call call) {
  const auto query = query_of(call, {"bus"});
  if (query.has_error()) co_return query.error();
  const std::string bus = bus_in(*query);
  const auto rule = parts.buses->find_rule(bus, call.name);
  if (!rule) co_return no_rule(bus, call.name);
  std::vector<std::string> ids;
  for (const auto& [id, target] : rule->targets) ids.push_back(id);
  auto emptying = parts.buses->remove_targets(bus, call.name, std::move(ids));
  const Status emptied = co_await std::move(emptying);
  if (emptied.has_error()) co_return emptied.error();
  auto removing = parts.buses->remove_rule(bus, call.name);
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return removed.error();
  co_return json_reply(200, json::object{{"removed", call.name}});
}

Reply Api::State::rule_requests(Endpoint endpoint, Call call) {
  const auto query = query_of(call, {"bus"});
  if (query.has_error()) co_return query.error();
  const std::string bus = bus_in(*query);
  if (endpoint == Endpoint::list_rules) {
    if (!parts.buses->find(bus))
      co_return Error{Code::not_found, "There is no event bus \"" + bus + "\"."};
    json::array list;
    for (const auto& rule : parts.buses->rules(bus)) list.push_back(render(*rule, *parts.buses));
    co_return json_reply(200, json::object{{"rules", std::move(list)}});
  }
  if (endpoint == Endpoint::enable_rule || endpoint == Endpoint::disable_rule) {
    auto switching = parts.buses->enable_rule(bus, call.name, endpoint == Endpoint::enable_rule);
    const Status switched = co_await std::move(switching);
    if (switched.has_error()) co_return switched.error();
  }
  const auto rule = parts.buses->find_rule(bus, call.name);
  if (!rule) co_return no_rule(bus, call.name);
  co_return json_reply(200, render(*rule, *parts.buses));
}

Reply Api::State::bus_requests(Endpoint endpoint, Call call) {
  if (endpoint == Endpoint::list_buses) {
    json::array list;
    for (const auto& bus : parts.buses->list()) list.push_back(render(*bus, *parts.buses));
    co_return json_reply(200, json::object{{"buses", std::move(list)}});
  }
  if (endpoint == Endpoint::delete_bus) {
    auto removing = parts.buses->remove(call.name);
    const Status removed = co_await std::move(removing);
    if (removed.has_error()) co_return removed.error();
    co_return json_reply(200, json::object{{"removed", call.name}});
  }
  if (endpoint == Endpoint::put_bus) {
    std::vector<std::string_view> known{"description"};
    auto reading = object_of(call, std::move(known));
    const auto body = co_await std::move(reading);
    if (body.has_error()) co_return body.error();
    triggers::Bus bus;
    const auto there = parts.buses->find(call.name);
    if (there) bus = *there;
    bus.name = call.name;
    bus.description = text_of(*body, "description");
    if (there) {
      auto updating = parts.buses->update(std::move(bus));
      const Status updated = co_await std::move(updating);
      if (updated.has_error()) co_return updated.error();
    } else {
      auto creating = parts.buses->create(std::move(bus));
      const auto made = co_await std::move(creating);
      if (made.has_error()) co_return made.error();
    }
  }
  const auto bus = parts.buses->find(call.name);
  if (!bus) co_return Error{Code::not_found, "There is no event bus \"" + call.name + "\"."};
  co_return json_reply(200, render(*bus, *parts.buses));
}

Reply Api::State::event_requests(Endpoint endpoint, Call call) {
  if (parts.buses == nullptr) co_return Error{Code::unsupported, "This server has no event buses."};
  Reply reply;
  switch (endpoint) {
    case Endpoint::put_events:
      reply = put_events(std::move(call));
      break;
    case Endpoint::put_rule:
      reply = put_rule(std::move(call));
      break;
    case Endpoint::delete_rule:
      reply = delete_rule(std::move(call));
      break;
    case Endpoint::list_rules:
    case Endpoint::get_rule:
    case Endpoint::enable_rule:
    case Endpoint::disable_rule:
      reply = rule_requests(endpoint, std::move(call));
      break;
    default:
      reply = bus_requests(endpoint, std::move(call));
  }
  auto answer = co_await std::move(reply);
  co_return answer;
}

}  // namespace mayfly::dialects::native
