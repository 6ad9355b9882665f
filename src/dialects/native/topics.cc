// /v1/topics, /v1/subscriptions: publish/subscribe. Reference: docs/reference/topics.md.

#include "triggers/topics.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.h"
#include "base/ids.h"
#include "dialects/native/state.h"
#include "triggers/topic_forms.h"
#include "wire/utf8.h"

namespace mayfly::dialects::native {

namespace json = boost::json;
using triggers::Publication;
using triggers::Subscription;
using triggers::Topic;

namespace {

constexpr std::size_t kTopicBytesMax = 1u << 20;

Result<bool> flag_of(const json::object& object, std::string_view key, bool fallback) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return fallback;
  if (!value->is_bool()) return invalid(std::string(key) + " must be true or false.");
  return value->get_bool();
}

json::object render(const Topic& topic, const triggers::Topics& topics) {
  json::object tags;
  for (const auto& [name, value] : topic.tags) tags[name] = value;
  json::object out{{"name", topic.name},
                   {"arn", topics.arn(topic.name)},
                   {"fifo", topic.fifo},
                   {"content_deduplication", topic.content_deduplication},
                   {"deduplicate_by_group", topic.deduplicate_by_group},
                   {"tags", std::move(tags)},
                   {"created", to_rfc3339(topic.created)},
                   {"subscriptions", topics.subscriptions(topic.name).size()}};
  if (const auto name = topic.other.find("DisplayName"); name != topic.other.end())
    out["display_name"] = name->second;
  return out;
}

json::object render(const Subscription& subscription, const triggers::Topics& topics) {
  const auto letter = triggers::parse_target(subscription.dead_letter);
  json::object out{{"id", subscription.id},
                   {"arn", topics.arn(subscription)},
                   {"topic", subscription.topic},
                   {"target", triggers::to_text(subscription.target)},
                   {"form", triggers::form_name(subscription.form)},
                   {"confirmed", subscription.confirmed},
                   {"dead_letter", letter.has_value() ? letter->name : std::string()},
                   {"created", to_rfc3339(subscription.created)}};
  out["filter"] = nullptr;
  if (!subscription.filter.empty()) {
    boost::system::error_code failed;
    out["filter"] = json::parse(subscription.filter, failed);
    out["filter_scope"] = subscription.filter_on_body ? "body" : "attributes";
  }
  if (subscription.retries) out["retries"] = *subscription.retries;
  return out;
}

Result<Topic> topic_from(const std::string& name, const json::object& body) {
  Topic topic;
  topic.name = name;
  auto fifo = flag_of(body, "fifo", name.ends_with(".fifo"));
  auto content = flag_of(body, "content_deduplication", false);
  auto group = flag_of(body, "deduplicate_by_group", false);
  for (const auto* flag : {&fifo, &content, &group})
    if (flag->has_error()) return flag->error();
  topic.fifo = *fifo;
  topic.content_deduplication = *content;
  topic.deduplicate_by_group = *group;
  if (const std::string display = text_of(body, "display_name"); !display.empty())
    topic.other["DisplayName"] = display;
  if (const auto* tags = body.if_contains("tags")) {
    if (!tags->is_object()) return invalid("tags must be an object.");
    for (const auto& [key, value] : tags->get_object()) {
      if (!value.is_string()) return invalid("tags must hold texts.");
      topic.tags[std::string(key)] = std::string(value.get_string());
    }
  }
  return topic;
}

Status settings_from(const json::object& body, Subscription& subscription) {
  subscription.filter.clear();
  if (const auto* filter = body.if_contains("filter"); filter != nullptr && !filter->is_null()) {
    if (!filter->is_object())
      return invalid("filter must be an object (docs/reference/topics.md).");
    if (!filter->get_object().empty()) subscription.filter = json::serialize(*filter);
  }
  const std::string scope = text_of(body, "filter_scope");
  if (!scope.empty() && scope != "body" && scope != "attributes")
    return invalid("filter_scope must be attributes or body.");
  subscription.filter_on_body = scope == "body";
  const std::string form = text_of(body, "form");
  const auto known = triggers::form_from_name(form.empty() ? "envelope" : form);
  if (!known) return invalid("form must be envelope, raw or cloudevent.");
  subscription.form = *known;
  std::string letter = text_of(body, "dead_letter");
  if (!letter.empty() && letter.find(':') == std::string::npos) letter = "queue:" + letter;
  if (!letter.empty()) {
    auto target = triggers::parse_target(letter);
    if (target.has_error()) return invalid("dead_letter: " + target.error().message);
    letter = triggers::to_text(*target);
  }
  subscription.dead_letter = letter;
  subscription.retries.reset();
  if (const auto* retries = body.if_contains("retries"); retries != nullptr) {
    if (!retries->is_int64() || retries->get_int64() < 0 || retries->get_int64() > 100)
      return invalid("retries must be 0 to 100.");
    subscription.retries = static_cast<std::uint32_t>(retries->get_int64());
  }
  return ok();
}

// {"name": "text"} or {"name": {"type", "value"}}; Binary values are base64.
Status attributes_from(const json::object& body, Publication& publication) {
  const auto* attributes = body.if_contains("attributes");
  if (attributes == nullptr) return ok();
  if (!attributes->is_object()) return invalid("attributes must be an object.");
  for (const auto& [name, value] : attributes->get_object()) {
    queues::MessageAttribute attribute{std::string(name), "String", ""};
    if (const auto* text = value.if_string()) {
      attribute.value = std::string(*text);
    } else if (value.is_number()) {
      attribute.type = "Number";
      attribute.value = json::serialize(value);
    } else if (const auto* object = value.if_object()) {
      attribute.type = text_of(*object, "type");
      attribute.value = text_of(*object, "value");
    }
    if (attribute.type.starts_with("Binary")) {
      auto bytes = decode_base64(attribute.value);
      if (!bytes) return invalid("attributes: " + attribute.name + " is no base64.");
      attribute.value = std::move(*bytes);
    }
    if (attribute.type.empty() || attribute.value.empty())
      return invalid("attributes: " + attribute.name +
                     " must be a text, a number, or {\"type\", \"value\"}.");
    publication.attributes.push_back(std::move(attribute));
  }
  return ok();
}

Result<std::vector<Publication>> publications_from(const wire::Headers& headers, std::string body) {
  std::vector<Publication> out;
  if (triggers::cloud_event_form(headers) != triggers::CloudEventForm::none) {
    auto events = triggers::read_cloud_events(headers, std::move(body));
    if (events.has_error()) return events.error();
    for (auto& event : *events) {
      Publication publication;
      publication.message =
          wire::is_utf8(event.data) ? event.data : triggers::write_structured_event(event);
      publication.deduplication_id.clear();
      publication.event = std::move(event);
      out.push_back(std::move(publication));
    }
    return out;
  }
  auto object =
      parse_object(body, {"message", "subject", "attributes", "group", "deduplication_id"});
  if (object.has_error()) return object.error();
  Publication publication;
  const auto* message = object->if_contains("message");
  if (message == nullptr) return invalid("message is missing.");
  publication.message =
      message->is_string() ? std::string(message->get_string()) : json::serialize(*message);
  publication.subject = text_of(*object, "subject");
  publication.group = text_of(*object, "group");
  publication.deduplication_id = text_of(*object, "deduplication_id");
  MAYFLY_TRY(attributes_from(*object, publication));
  out.push_back(std::move(publication));
  return out;
}

json::array render(const std::vector<Result<triggers::Published>>& results) {
  json::array messages;
  for (const auto& result : results) {
    json::object message;
    if (result.has_error()) {
      message["error"] = json::object{{"code", code_name(result.error().code)},
                                      {"message", result.error().message}};
    } else {
      message["message_id"] = result->message_id;
      message["deliveries"] = result->deliveries;
      message["duplicate"] = result->duplicate;
      if (result->sequence != 0) message["sequence"] = triggers::sequence_text(result->sequence);
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

Error no_topic(const std::string& name) {
  return Error{Code::not_found,
               "There is no topic \"" + name + "\"; `mayfly topic ls` lists them."};
}
Error no_subscription(const std::string& id) {
  return Error{Code::not_found, "There is no subscription \"" + id + "\"."};
}

}  // namespace

Reply Api::State::put_topic(Call call) {
  std::vector<std::string_view> known{"fifo", "content_deduplication", "deduplicate_by_group",
                                      "display_name", "tags"};
  auto reading = object_of(call, std::move(known));
  auto body = co_await std::move(reading);
  if (body.has_error()) co_return body.error();
  auto topic = topic_from(call.name, *body);
  if (topic.has_error()) co_return topic.error();
  if (const auto there = parts.topics->find(call.name)) {
    if (!body->contains("tags")) topic->tags = there->tags;
    for (const auto& [name, value] : there->other) topic->other.emplace(name, value);
    auto updating = parts.topics->update(std::move(*topic));
    const Status updated = co_await std::move(updating);
    if (updated.has_error()) co_return updated.error();
    const auto now = parts.topics->find(call.name);
    if (!now) co_return no_topic(call.name);
    co_return json_reply(200, render(*now, *parts.topics));
  }
  auto creating = parts.topics->create(std::move(*topic));
  const auto made = co_await std::move(creating);
  if (made.has_error()) co_return made.error();
  co_return json_reply(201, render(**made, *parts.topics));
}

// The same target once more: its settings change.
Reply Api::State::subscribe(Call call) {
  std::vector<std::string_view> known{"target",      "filter",  "filter_scope", "form",
                                      "dead_letter", "retries", "confirm"};
  auto reading = object_of(call, std::move(known));
  auto body = co_await std::move(reading);
  if (body.has_error()) co_return body.error();
  Subscription subscription;
  subscription.topic = call.name;
  auto target = triggers::parse_target(text_of(*body, "target"));
  if (target.has_error()) co_return target.error();
  subscription.target = std::move(*target);
  if (Status good = settings_from(*body, subscription); good.has_error()) co_return good.error();
  const auto confirm = flag_of(*body, "confirm", false);
  if (confirm.has_error()) co_return confirm.error();
  subscription.confirmed = !*confirm;
  for (const auto& one : parts.topics->subscriptions(call.name)) {
    if (one->target != subscription.target) continue;
    subscription.id = one->id;
    subscription.other = one->other;
    auto updating = parts.topics->update_subscription(std::move(subscription));
    const Status updated = co_await std::move(updating);
    if (updated.has_error()) co_return updated.error();
    const auto now = parts.topics->find_subscription(one->id);
    if (!now) co_return no_subscription(one->id);
    co_return json_reply(200, render(*now, *parts.topics));
  }
  auto subscribing = parts.topics->subscribe(std::move(subscription));
  const auto made = co_await std::move(subscribing);
  if (made.has_error()) co_return made.error();
  co_return json_reply(201, render(**made, *parts.topics));
}

Reply Api::State::publish(Call call) {
  const auto topic = parts.topics->find(call.name);
  if (!topic) co_return no_topic(call.name);
  const auto query = query_of(call, {"group"});
  if (query.has_error()) co_return query.error();
  std::string setting = "1 MB for what is published at once";
  auto body = co_await io::read_all(std::move(call.http.body), std::move(call.http.more),
                                    kTopicBytesMax, std::move(setting));
  if (body.has_error()) co_return body.error();
  auto publications = publications_from(call.http.head.headers, std::move(*body));
  if (publications.has_error()) co_return publications.error();
  for (auto& publication : *publications) {
    if (!topic->fifo) continue;
    if (publication.group.empty()) publication.group = text_in(*query, "group");
    // A CloudEvent is itself by its source and its id.
    if (publication.event && publication.deduplication_id.empty())
      publication.deduplication_id =
          sha256_hex(publication.event->source + "\n" + publication.event->id);
  }
  const bool one = publications->size() == 1;
  auto publishing = parts.topics->publish(call.name, std::move(*publications));
  const auto results = co_await std::move(publishing);
  if (results.has_error()) co_return results.error();
  if (one && results->front().has_error()) co_return results->front().error();
  json::array messages = render(*results);
  if (one) co_return json_reply(200, messages.front().as_object());
  json::object answer;
  answer["messages"] = std::move(messages);
  co_return json_reply(200, answer);
}

Reply Api::State::dispatch_topics(Endpoint endpoint, Call call) {
  switch (endpoint) {
    case Endpoint::put_image:
    case Endpoint::list_images:
    case Endpoint::delete_image:
      return images(endpoint, std::move(call));
    case Endpoint::list_keys:
      return list_keys(std::move(call));
    case Endpoint::create_key:
      return create_key(std::move(call));
    case Endpoint::delete_key:
      return delete_key(std::move(call));
    case Endpoint::list_topics:
    case Endpoint::put_topic:
    case Endpoint::get_topic:
    case Endpoint::delete_topic:
    case Endpoint::publish:
    case Endpoint::subscribe:
    case Endpoint::list_topic_subscriptions:
    case Endpoint::list_subscriptions:
    case Endpoint::get_subscription:
    case Endpoint::delete_subscription:
      return topic_requests(endpoint, std::move(call));
    case Endpoint::put_events:
    case Endpoint::list_buses:
    case Endpoint::put_bus:
    case Endpoint::get_bus:
    case Endpoint::delete_bus:
    case Endpoint::list_rules:
    case Endpoint::put_rule:
    case Endpoint::get_rule:
    case Endpoint::delete_rule:
    case Endpoint::enable_rule:
    case Endpoint::disable_rule:
      return event_requests(endpoint, std::move(call));
    default:
      return info(std::move(call));
  }
}

Reply Api::State::topic_requests(Endpoint endpoint, Call call) {
  if (parts.topics == nullptr) co_return Error{Code::unsupported, "This server has no topics."};
  triggers::Topics& topics = *parts.topics;
  if (endpoint == Endpoint::list_topics) {
    json::array list;
    for (const auto& topic : topics.list()) list.push_back(render(*topic, topics));
    co_return json_reply(200, json::object{{"topics", std::move(list)}});
  }
  if (endpoint == Endpoint::list_subscriptions || endpoint == Endpoint::list_topic_subscriptions) {
    if (!call.name.empty() && !topics.find(call.name)) co_return no_topic(call.name);
    json::array list;
    for (const auto& one : topics.subscriptions(call.name)) list.push_back(render(*one, topics));
    co_return json_reply(200, json::object{{"subscriptions", std::move(list)}});
  }
  if (endpoint == Endpoint::get_topic) {
    const auto topic = topics.find(call.name);
    if (!topic) co_return no_topic(call.name);
    co_return json_reply(200, render(*topic, topics));
  }
  if (endpoint == Endpoint::get_subscription) {
    const auto one = topics.find_subscription(call.name);
    if (!one) co_return no_subscription(call.name);
    co_return json_reply(200, render(*one, topics));
  }
  if (endpoint == Endpoint::delete_topic || endpoint == Endpoint::delete_subscription) {
    auto removing = endpoint == Endpoint::delete_topic ? topics.remove(call.name)
                                                       : topics.unsubscribe(call.name);
    const Status removed = co_await std::move(removing);
    if (removed.has_error()) co_return removed.error();
    co_return json_reply(200, json::object{{"removed", call.name}});
  }
  Reply reply = endpoint == Endpoint::put_topic   ? put_topic(std::move(call))
                : endpoint == Endpoint::subscribe ? subscribe(std::move(call))
                                                  : publish(std::move(call));
  auto answer = co_await std::move(reply);
  co_return answer;
}

}  // namespace mayfly::dialects::native
