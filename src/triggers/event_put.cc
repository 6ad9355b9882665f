// Events on their way: one batch for all that a call of put() causes.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/ids.h"
#include "base/log.h"
#include "triggers/event_state.h"
#include "wire/http_message.h"
#include "wire/utf8.h"

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

constexpr std::string_view kEventHops = "mayfly-hops";
constexpr std::size_t kInputBytesMax = 1u << 20;

std::size_t size_of(const Event& event) {
  std::size_t size = event.source.size() + event.detail_type.size() + event.detail.size();
  for (const auto& resource : event.resources) size += resource.size();
  return size + (event.time ? 14 : 0);
}

// Whether the event is a tick of this rule's schedule.
bool is_tick_of(const Event& event, const std::string& rule_arn) {
  return event.source == "aws.events" && event.resources.size() == 1 &&
         event.resources.front() == rule_arn;
}

}  // namespace

Result<json::value> EventBuses::State::check(const Event& event) const {
  if (event.source.empty()) return invalid("Source is required.");
  if (event.detail_type.empty()) return invalid("DetailType is required.");
  if (!wire::is_utf8(event.source) || !wire::is_utf8(event.detail_type))
    return invalid("Source and DetailType must be UTF-8.");
  if (const std::size_t size = size_of(event); size > parts.settings.entry_bytes_max)
    return Error{Code::too_large, fmt::format("The event has {} bytes; {} are allowed (setting "
                                              "events.entry_bytes_max).",
                                              size, parts.settings.entry_bytes_max)};
  boost::system::error_code failed;
  json::value detail = json::parse(event.detail, failed);
  if (failed || !detail.is_object())
    return invalid("Detail is malformed: it must be a JSON object.");
  return detail;
}

Result<Outgoing> EventBuses::State::outgoing(const CompiledRule& rule, const RuleTarget& target,
                                             const Event& event, const json::value& whole,
                                             WallTime now) const {
  Outgoing out;
  out.target = target.target;
  out.dead_letter = target.dead_letter;
  out.retries = target.retries;
  out.max_age_s = target.max_age_s;
  out.hops = event.hops + 1;
  Delivery& delivery = out.delivery;
  delivery.id = event.id + "/" + rule.info->name + "/" + target.id;
  delivery.source = "event";
  delivery.trace_id = event.trace_id;
  delivery.group = target.group;
  if (target.target.kind == Target::Kind::topic || target.target.kind == Target::Kind::bus)
    delivery.attributes[std::string(kEventHops)] = std::to_string(out.hops);

  const bool function = target.target.kind == Target::Kind::function;
  const bool http = function && parts.takes_http(target.target);
  const bool as_is = target.input.empty() && target.input_path.empty() && !target.transformer;
  if (as_is && (target.cloud_event || http)) {
    const CloudEvent cloud_event = cloud_event_of(event, now);
    if (http) {
      out.kind = engine::PayloadKind::http;
      out.head = event_request(cloud_event);
      delivery.body = cloud_event.data;
    } else if (target.target.kind == Target::Kind::webhook) {
      delivery.body = cloud_event.data;
      delivery.headers = binary_event_headers(cloud_event);
      delivery.content_type = wire::is_field_value(cloud_event.data_content_type)
                                  ? cloud_event.data_content_type
                                  : std::string();
    } else {
      delivery.body = write_structured_event(cloud_event);
    }
    return out;
  }
  if (!target.input.empty()) {
    delivery.body = target.input;
  } else if (!target.input_path.empty()) {
    const json::value* part = rule.paths.at(target.id).find(whole);
    delivery.body = part != nullptr ? json::serialize(*part) : "null";
  } else if (target.transformer) {
    const RuleFacts facts{rule.arn, rule.info->name, to_rfc3339(now)};
    auto text = transform(*target.transformer, whole, facts, kInputBytesMax);
    if (text.has_error()) return text.error();
    delivery.body = std::move(*text);
  } else {
    delivery.body = json::serialize(whole);
  }
  return out;
}

std::vector<Outgoing> EventBuses::State::route(const BusState& bus, const Event& event,
                                               const json::value& whole, WallTime now) const {
  std::vector<Outgoing> outgoings;
  for (const auto& [name, rule] : bus.rules) {
    if (!rule.info->enabled) continue;
    const bool matches = (rule.pattern && rule.pattern->matches(whole)) ||
                         (!rule.info->schedule.empty() && is_tick_of(event, rule.arn));
    if (!matches) continue;
    for (const auto& [id, target] : rule.info->targets) {
      auto out = outgoing(rule, target, event, whole, now);
      if (out.has_value()) {
        outgoings.push_back(std::move(*out));
      } else {
        log::warn("target {} of rule {} gets no event: {}", id, name, out.error().message);
      }
    }
  }
  return outgoings;
}

io::Task<Result<std::vector<Result<PutResult>>>> EventBuses::State::put(std::string bus,
                                                                        std::vector<Event> events) {
  const auto found = buses.find(bus);
  if (found == buses.end())
    co_return Error{Code::not_found, fmt::format("There is no event bus \"{}\".", bus)};
  const WallTime now = parts.clock.wall_now();
  std::vector<Result<PutResult>> results;
  std::vector<Outgoing> outgoings;
  for (auto& event : events) {
    auto detail = check(event);
    if (detail.has_error()) {
      results.emplace_back(detail.error());
      continue;
    }
    if (event.id.empty()) event.id = new_uuid();
    const json::value whole = event_json(event, *detail, now, parts.region, parts.account);
    auto routed = route(found->second, event, whole, now);
    results.emplace_back(PutResult{event.id, static_cast<std::uint32_t>(routed.size())});
    std::move(routed.begin(), routed.end(), std::back_inserter(outgoings));
  }
  queues::Batch batch;
  for (auto& out : outgoings) {
    io::Task<Status> adding = fanout.add(&batch, std::move(out));
    MAYFLY_CO_TRY(co_await std::move(adding));
  }
  if (batch.sends.empty()) co_return results;  // nobody to tell
  io::Task<Result<std::vector<queues::Sent>>> committing = parts.queues.commit(std::move(batch));
  const auto sent = co_await std::move(committing);
  if (sent.has_error()) co_return sent.error();
  co_return results;
}

namespace {

// What is in EventBridge's form is that event; anything else is the detail of one.
Event event_from(const Delivery& delivery) {
  Event event;
  boost::system::error_code failed;
  const json::value value = json::parse(delivery.body, failed);
  const auto* object = failed ? nullptr : value.if_object();
  const auto text = [&](std::string_view name) {
    const auto* found = object->if_contains(name);
    const auto* string = found != nullptr ? found->if_string() : nullptr;
    return string != nullptr ? std::string(*string) : std::string();
  };
  const auto* detail = object != nullptr ? object->if_contains("detail") : nullptr;
  if (detail != nullptr && detail->is_object() && !text("source").empty() &&
      !text("detail-type").empty()) {
    event.id = text("id");
    event.source = text("source");
    event.detail_type = text("detail-type");
    event.detail = json::serialize(*detail);
    if (auto time = parse_timestamp(text("time")); time.has_value()) event.time = *time;
    if (const auto* list = object->if_contains("resources"); list != nullptr && list->is_array())
      for (const auto& resource : list->get_array())
        if (resource.is_string()) event.resources.emplace_back(resource.get_string());
    return event;
  }
  event.id = delivery.id;
  event.source = "mayfly." + (delivery.source.empty() ? "event" : delivery.source);
  event.detail_type = "Delivery";
  json::object wrapped;
  if (failed) {
    wrapped["data"] = wire::is_utf8(delivery.body) ? delivery.body : std::string();
  } else if (object == nullptr) {
    wrapped["data"] = value;
  }
  event.detail = object != nullptr ? delivery.body : json::serialize(wrapped);
  return event;
}

}  // namespace

io::Task<Status> EventBuses::deliver(Target target, Delivery delivery) {
  Event event = event_from(delivery);
  event.trace_id = delivery.trace_id;
  if (const auto hops = delivery.attributes.find(std::string(kEventHops));
      hops != delivery.attributes.end())
    std::from_chars(hops->second.data(), hops->second.data() + hops->second.size(), event.hops);
  std::vector<Event> events;
  events.push_back(std::move(event));
  io::Task<Result<std::vector<Result<PutResult>>>> putting =
      state_->put(target.name, std::move(events));
  const auto put = co_await std::move(putting);
  if (put.has_error()) co_return put.error();
  if (put->front().has_error()) co_return put->front().error();
  co_return ok();
}

}  // namespace mayfly::triggers
