// Event buses, events and tags of EventBridge.

#include <boost/json/serialize.hpp>
#include <cmath>
#include <map>

#include "dialects/aws_values.h"
#include "dialects/eventbridge/contract.h"
#include "dialects/eventbridge/eventbridge.h"

namespace mayfly::dialects::eventbridge {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using triggers::Bus;
using triggers::Event;

namespace {

constexpr std::int64_t kPageMax = 100;
constexpr std::size_t kEntriesMax = 10;
constexpr std::size_t kTagsMax = 50;

double epoch_s(WallTime time) {
  return static_cast<double>(to_epoch_us(time)) / 1e6;
}

Event event_of(const json::object& entry) {
  Event event;
  event.source = text_member(entry, "Source");
  event.detail_type = text_member(entry, "DetailType");
  event.detail = text_member(entry, "Detail");
  event.resources = texts_member(entry, "Resources");
  event.trace_id = text_member(entry, "TraceHeader");
  if (const auto* time = entry.if_contains("Time"); time != nullptr && time->is_number()) {
    const double seconds = time->to_number<double>();
    if (std::isfinite(seconds) && std::abs(seconds) < 1e11)
      event.time = from_epoch_us(static_cast<std::int64_t>(seconds * 1e6));
  }
  return event;
}

json::object failed_entry(const Error& error) {
  std::string code = "InternalFailure";
  if (error.code == Code::invalid_argument)
    code = error.message.starts_with("Detail is malformed") ? "MalformedDetail" : "InvalidArgument";
  if (error.code == Code::too_large) code = "EntryTooLarge";
  if (error.code == Code::not_found) code = "InvalidArgument";
  return {{"ErrorCode", code}, {"ErrorMessage", error.message}};
}

// What an ARN of EventBridge names: a bus, or a rule of one.
struct Resource {
  std::string bus, rule;
};

Outcome<Resource> resource_of(const std::string& arn) {
  if (const auto at = arn.find(":event-bus/"); at != std::string::npos)
    return Resource{arn.substr(at + 11), ""};
  const auto at = arn.find(":rule/");
  if (!arn.starts_with("arn:aws:events:") || at == std::string::npos)
    return aws::Fault{"ValidationException", "ResourceARN names neither a rule nor an event bus."};
  const std::string rest = arn.substr(at + 6);
  const auto slash = rest.rfind('/');
  if (slash == std::string::npos) return Resource{std::string(triggers::kDefaultBus), rest};
  return Resource{rest.substr(0, slash), rest.substr(slash + 1)};
}

}  // namespace

json::object EventBridge::bus_info(const Bus& bus) const {
  json::object out{{"Name", bus.name}, {"Arn", parts_.buses.bus_arn(bus.name)}};
  if (!bus.description.empty()) out["Description"] = bus.description;
  if (bus.created != WallTime{}) {
    out["CreationTime"] = epoch_s(bus.created);
    out["LastModifiedTime"] = epoch_s(bus.modified);
  }
  return out;
}

EventBridge::Answer EventBridge::create_bus(Call call) {
  Bus bus;
  bus.name = text_member(call.input, "Name");
  bus.description = text_member(call.input, "Description");
  bus.tags = tags_member(call.input, "Tags");
  const std::string name = bus.name;
  const std::string description = bus.description;
  auto creating = parts_.buses.create(std::move(bus));
  const auto made = co_await std::move(creating);
  if (made.has_error()) co_return bus_fault(made.error());
  Object answer{{"EventBusArn", parts_.buses.bus_arn(name)}};
  if (!description.empty()) answer["Description"] = description;
  co_return answer;
}

EventBridge::Answer EventBridge::update_bus(Call call) {
  const auto there = parts_.buses.find(bus_name(text_member(call.input, "Name")));
  if (!there) co_return not_found("There is no such event bus.");
  Bus bus = *there;
  bus.description = text_member(call.input, "Description");
  const std::string name = bus.name;
  auto updating = parts_.buses.update(std::move(bus));
  const Status updated = co_await std::move(updating);
  if (updated.has_error()) co_return bus_fault(updated.error());
  co_return Object{{"Arn", parts_.buses.bus_arn(name)}, {"Name", name}};
}

EventBridge::Answer EventBridge::delete_bus(Call call) {
  auto removing = parts_.buses.remove(bus_name(text_member(call.input, "Name")));
  const Status removed = co_await std::move(removing);
  if (removed.has_error() && removed.error().code != Code::not_found)
    co_return bus_fault(removed.error());
  co_return Object{};
}

Outcome<json::object> EventBridge::describe_bus(const Call& call) const {
  const std::string name = bus_name(text_member(call.input, "Name"));
  const auto bus = parts_.buses.find(name);
  if (!bus) return not_found("Event bus " + name + " does not exist.");
  return bus_info(*bus);
}

Outcome<json::object> EventBridge::list_buses(const Call& call) const {
  const std::int64_t limit = number_member(call.input, "Limit", kPageMax);
  if (limit < 1 || limit > kPageMax)
    return aws::Fault{"ValidationException", "Limit must be 1 to 100."};
  auto buses = parts_.buses.list();
  const std::string prefix = text_member(call.input, "NamePrefix");
  std::erase_if(buses, [&](const auto& bus) { return !bus->name.starts_with(prefix); });
  const auto [page, next] =
      page_of(buses, text_member(call.input, "NextToken"), static_cast<std::size_t>(limit),
              [](const triggers::BusPtr& bus) { return bus->name; });
  json::array out;
  for (const auto& bus : page) out.push_back(bus_info(*bus));
  json::object answer{{"EventBuses", std::move(out)}};
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

// Entries for one bus go together; each has its own result, in the order of the request.
EventBridge::Answer EventBridge::put_events(Call call) {
  const auto entries = objects_member(call.input, "Entries");
  if (entries.empty() || entries.size() > kEntriesMax)
    co_return aws::Fault{"ValidationException", "Entries must hold 1 to 10 events."};
  std::map<std::string, std::vector<std::size_t>> by_bus;
  for (std::size_t i = 0; i < entries.size(); ++i)
    by_bus[bus_name(text_member(*entries[i], "EventBusName"))].push_back(i);
  std::vector<json::object> results(entries.size());
  std::int64_t failed = 0;
  for (const auto& [bus, places] : by_bus) {
    std::vector<Event> events;
    for (const std::size_t place : places) events.push_back(event_of(*entries[place]));
    auto putting = parts_.buses.put(bus, std::move(events));
    const auto put = co_await std::move(putting);
    for (std::size_t k = 0; k < places.size(); ++k) {
      const bool bad = put.has_error() || (*put)[k].has_error();
      failed += bad ? 1 : 0;
      results[places[k]] = bad ? failed_entry(put.has_error() ? put.error() : (*put)[k].error())
                               : json::object{{"EventId", (*put)[k]->event_id}};
    }
  }
  json::array out;
  for (auto& result : results) out.push_back(std::move(result));
  co_return Object{{"FailedEntryCount", failed}, {"Entries", std::move(out)}};
}

Outcome<json::object> EventBridge::list_tags(const Call& call) const {
  auto resource = resource_of(text_member(call.input, "ResourceARN"));
  if (resource.has_error()) return std::move(resource).error();
  if (resource->rule.empty()) {
    const auto bus = parts_.buses.find(resource->bus);
    if (!bus) return not_found("Event bus " + resource->bus + " does not exist.");
    return Object{{"Tags", tags_list(bus->tags)}};
  }
  const auto rule = parts_.buses.find_rule(resource->bus, resource->rule);
  if (!rule) return not_found("Rule " + resource->rule + " does not exist.");
  return Object{{"Tags", tags_list(rule->tags)}};
}

EventBridge::Answer EventBridge::change_tags(Call call) {
  auto resource = resource_of(text_member(call.input, "ResourceARN"));
  if (resource.has_error()) co_return std::move(resource).error();
  const auto bus = parts_.buses.find(resource->bus);
  const auto rule = parts_.buses.find_rule(resource->bus, resource->rule);
  if (resource->rule.empty() ? bus == nullptr : rule == nullptr)
    co_return not_found("There is no such rule or event bus.");
  auto tags = resource->rule.empty() ? bus->tags : rule->tags;
  if (static_cast<Op>(call.operation->tag) == Op::untag) {
    for (const auto& key : texts_member(call.input, "TagKeys")) tags.erase(key);
  } else {
    for (const auto& [key, value] : tags_member(call.input, "Tags")) tags[key] = value;
  }
  if (tags.size() > kTagsMax)
    co_return aws::Fault{"LimitExceededException", "There are at most 50 tags."};
  Status changed = ok();
  if (resource->rule.empty()) {
    Bus copy = *bus;
    copy.tags = std::move(tags);
    auto updating = parts_.buses.update(std::move(copy));
    changed = co_await std::move(updating);
  } else {
    auto tagging = parts_.buses.tag_rule(resource->bus, resource->rule, std::move(tags));
    changed = co_await std::move(tagging);
  }
  if (changed.has_error()) co_return bus_fault(changed.error());
  co_return Object{};
}

}  // namespace mayfly::dialects::eventbridge
