// /v1/queues: docs/reference/queues.md.

#include <boost/json/array.hpp>
#include <limits>

#include "base/base64.h"
#include "dialects/native/state.h"
#include "queues/checks.h"
#include "queues/engine.h"

namespace mayfly::dialects::native {
namespace {

namespace json = boost::json;
using queues::QueueEngine;

constexpr std::uint32_t kMessagesMax = 1000;  // of one request
constexpr std::uint32_t kWaitMaxS = 20;
constexpr std::uint32_t kReasonBytesMax = 1024;

// Reads members of a request; the first that is wrong decides, and the rest read as nothing.
class Members {
 public:
  explicit Members(const json::object& from) : from_(from) {}

  std::string text(std::string_view name, std::string fallback = {}) {
    const auto* value = from_.if_contains(name);
    if (value == nullptr) return fallback;
    if (value->is_string()) return std::string(value->get_string());
    return wrong(name, "a string"), std::string();
  }
  std::optional<std::uint32_t> number(std::string_view name, std::uint32_t max) {
    const auto* value = from_.if_contains(name);
    if (value == nullptr) return std::nullopt;
    boost::system::error_code failed;
    const auto number = value->is_number() ? value->to_number<std::uint32_t>(failed) : max;
    if (value->is_number() && !failed && number <= max) return number;
    wrong(name, "a whole number from 0 to " + std::to_string(max));
    return std::nullopt;
  }
  void number_into(std::uint32_t& target, std::string_view name) {
    if (const auto value = number(name, std::numeric_limits<std::uint32_t>::max())) target = *value;
  }
  void flag_into(bool& target, std::string_view name) {
    const auto* value = from_.if_contains(name);
    if (value == nullptr) return;
    if (!value->is_bool()) return wrong(name, "true or false");
    target = value->get_bool();
  }
  std::vector<std::string> texts(std::string_view name) {
    std::vector<std::string> out;
    const auto* value = from_.if_contains(name);
    if (value == nullptr) return out;
    if (!value->is_array() || value->get_array().size() > kMessagesMax)
      return wrong(name, "a list of at most 1000 strings"), out;
    for (const auto& item : value->get_array()) {
      if (!item.is_string()) return wrong(name, "a list of strings"), out;
      out.emplace_back(item.get_string());
    }
    return out;
  }
  void texts_into(std::map<std::string, std::string>& target, std::string_view name) {
    const auto* value = from_.if_contains(name);
    if (value == nullptr) return;
    if (!value->is_object()) return wrong(name, "an object of strings");
    target.clear();
    for (const auto& [key, item] : value->get_object()) {
      if (!item.is_string()) return wrong(name, "an object of strings");
      target.emplace(key, std::string(item.get_string()));
    }
  }
  void wrong(std::string_view name, const std::string& wanted) {
    if (status_.has_value())
      status_ = invalid("\"" + std::string(name) + "\" wants " + wanted + ".");
  }
  const Status& status() const { return status_; }

 private:
  const json::object& from_;
  Status status_;
};

json::object settings_json(const queues::QueueSettings& s) {
  json::object out{{"fifo", s.fifo},
                   {"visibility_timeout_s", s.visibility_timeout_s},
                   {"delay_s", s.delay_s},
                   {"retention_s", s.retention_s},
                   {"message_bytes_max", s.message_bytes_max},
                   {"receive_wait_s", s.receive_wait_s}};
  if (s.fifo) {
    out["content_deduplication"] = s.content_deduplication;
    out["deduplicate_by_group"] = s.deduplicate_by_group;
  }
  if (!s.dead_letter_queue.empty()) out["dead_letter_queue"] = s.dead_letter_queue;
  if (s.receive_count_max != 0) out["receive_count_max"] = s.receive_count_max;
  return out;
}

json::object queue_json(QueueEngine& engine, const queues::QueueInfo& info) {
  json::object out{{"name", info.name},
                   {"created", to_rfc3339(info.created)},
                   {"modified", to_rfc3339(info.modified)},
                   {"settings", settings_json(info.settings)}};
  if (!info.tags.empty()) {
    json::object tags;
    for (const auto& [key, value] : info.tags) tags[key] = value;
    out["tags"] = std::move(tags);
  }
  if (const auto counts = engine.counts(info.name); counts.has_value()) {
    out["visible"] = counts->visible;
    out["in_flight"] = counts->in_flight;
    out["delayed"] = counts->delayed;
    if (counts->oldest) out["oldest"] = to_rfc3339(*counts->oldest);
  }
  return out;
}

std::string base64(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

json::object message_json(const queues::Message& message) {
  json::object out{{"id", message.id},
                   {"body", message.body},
                   {"sequence", message.sequence},
                   {"sent", to_rfc3339(message.sent)},
                   {"receive_count", message.receive_count}};
  if (!message.receipt.empty()) out["receipt"] = message.receipt;
  if (message.receive_count > 0) out["first_received"] = to_rfc3339(message.first_received);
  const auto text = [&out](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  text("group", message.group);
  text("deduplication_id", message.deduplication_id);
  text("sender", message.sender);
  text("trace_header", message.trace_header);
  text("dead_letter_source", message.dead_letter_source);
  text("dead_letter_reason", message.dead_letter_reason);
  if (message.attributes.empty()) return out;
  json::object attributes;
  for (const auto& a : message.attributes) {
    const bool binary = a.type.starts_with("Binary");
    attributes[a.name] =
        json::object{{"type", a.type}, {"value", binary ? base64(a.value) : a.value}};
  }
  out["attributes"] = std::move(attributes);
  return out;
}

json::object messages_json(const std::vector<queues::Message>& messages) {
  json::array list;
  for (const auto& message : messages) list.push_back(message_json(message));
  json::object out;
  out["messages"] = std::move(list);
  return out;
}

json::object error_object(const Error& error) {
  return {{"code", code_name(error.code)}, {"message", error.message}};
}

// What failed of a list of receipts, by its place in the list.
json::object failures_json(const std::vector<Status>& statuses) {
  json::array failed;
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    if (statuses[i].has_value()) continue;
    json::object one = error_object(statuses[i].error());
    one["index"] = i;
    failed.push_back(std::move(one));
  }
  json::object out;
  out["failed"] = std::move(failed);
  return out;
}

Result<queues::MessageAttribute> attribute_of(std::string_view name, const json::value& value) {
  queues::MessageAttribute out;
  out.name = name;
  out.type = "String";
  if (value.is_string()) {
    out.value = value.get_string();
    return out;
  }
  if (!value.is_object()) return invalid("An attribute is a string, or {\"type\", \"value\"}.");
  Members members(value.get_object());
  out.type = members.text("type", "String");
  out.value = members.text("value");
  MAYFLY_TRY(members.status());
  if (out.type.starts_with("Binary")) {
    const auto bytes = decode_base64(out.value);
    if (!bytes) return invalid("The value of a Binary attribute wants base64.");
    out.value = *bytes;
  }
  return out;
}

Result<queues::NewMessage> message_of(const json::value& value) {
  queues::NewMessage out;
  if (value.is_string()) {
    out.body = value.get_string();
    return out;
  }
  if (!value.is_object()) return invalid("A message is a string, or an object with a \"body\".");
  const json::object& from = value.get_object();
  for (const auto& member : from)
    for (const std::string_view known :
         {"body", "delay_s", "group", "deduplication_id", "trace_header", "attributes", ""}) {
      if (known == member.key()) break;
      if (known.empty()) return invalid("A message has no member " + std::string(member.key()));
    }
  Members members(from);
  if (!from.contains("body")) members.wrong("body", "a string");
  out.body = members.text("body");
  out.delay_s = members.number("delay_s", 900);
  out.group = members.text("group");
  out.deduplication_id = members.text("deduplication_id");
  out.trace_header = members.text("trace_header");
  MAYFLY_TRY(members.status());
  const auto* attributes = from.if_contains("attributes");
  if (attributes == nullptr) return out;
  if (!attributes->is_object()) return invalid("\"attributes\" wants an object.");
  for (const auto& [name, item] : attributes->get_object()) {
    auto attribute = attribute_of(name, item);
    if (attribute.has_error()) return attribute.error();
    out.attributes.push_back(std::move(*attribute));
  }
  return out;
}

// The settings of a request over those that stand.
Status read_settings(const json::object& from, queues::QueueInfo& info) {
  Members members(from);
  queues::QueueSettings& s = info.settings;
  members.flag_into(s.content_deduplication, "content_deduplication");
  members.flag_into(s.deduplicate_by_group, "deduplicate_by_group");
  members.number_into(s.visibility_timeout_s, "visibility_timeout_s");
  members.number_into(s.delay_s, "delay_s");
  members.number_into(s.retention_s, "retention_s");
  members.number_into(s.message_bytes_max, "message_bytes_max");
  members.number_into(s.receive_wait_s, "receive_wait_s");
  members.number_into(s.receive_count_max, "receive_count_max");
  s.dead_letter_queue = members.text("dead_letter_queue", s.dead_letter_queue);
  members.texts_into(info.tags, "tags");
  return members.status();
}

}  // namespace

// Bodies as large as those of invocations: messages come in batches.
io::Task<Result<json::object>> Api::State::queue_request(Call& call,
                                                         std::vector<std::string_view> known) {
  std::string setting = "http.body_bytes_max";
  auto body = co_await io::read_all(std::move(call.http.body), std::move(call.http.more),
                                    facts.body_bytes_max, std::move(setting));
  if (body.has_error()) co_return body.error();
  if (body->empty()) co_return json::object();
  co_return parse_object(*body, known);
}

Reply Api::State::list_queues(Call) {
  json::array list;
  for (const auto& info : parts.queues->list())
    if (!queues::is_internal(info->name)) list.push_back(queue_json(*parts.queues, *info));
  json::object out;
  out["queues"] = std::move(list);
  co_return json_reply(200, out);
}

// Makes the queue, or changes what is named of one that is there.
Reply Api::State::put_queue(Call call) {
  std::vector<std::string_view> known{"fifo",
                                      "content_deduplication",
                                      "deduplicate_by_group",
                                      "visibility_timeout_s",
                                      "delay_s",
                                      "retention_s",
                                      "message_bytes_max",
                                      "receive_wait_s",
                                      "dead_letter_queue",
                                      "receive_count_max",
                                      "tags"};
  auto request = co_await queue_request(call, std::move(known));
  if (request.has_error()) co_return request.error();
  queues::QueueInfo info;
  info.name = call.name;
  const auto standing = parts.queues->find(call.name);
  if (standing) info = *standing;
  if (!standing) info.settings.fifo = call.name.ends_with(".fifo");
  bool fifo = info.settings.fifo;
  Members members(*request);
  members.flag_into(fifo, "fifo");
  MAYFLY_CO_TRY(members.status());
  if (fifo != info.settings.fifo)
    co_return invalid("The name of a fifo queue ends with .fifo, and no other's.");
  MAYFLY_CO_TRY(read_settings(*request, info));
  if (standing)
    MAYFLY_CO_TRY(co_await parts.queues->update(info));
  else
    MAYFLY_CO_TRY(co_await parts.queues->create(info));
  const auto made = parts.queues->find(call.name);
  if (!made) co_return Error{Code::not_found, "The queue was removed meanwhile."};
  co_return json_reply(standing ? 200 : 201, queue_json(*parts.queues, *made));
}

Reply Api::State::get_queue(Call call) {
  const auto info = parts.queues->find(call.name);
  if (!info)
    co_return Error{Code::not_found,
                    "There is no queue " + call.name + "; `mayfly queue ls` lists the queues."};
  co_return json_reply(200, queue_json(*parts.queues, *info));
}

Reply Api::State::delete_queue(Call call) {
  MAYFLY_CO_TRY(co_await parts.queues->remove(call.name));
  co_return json_reply(200, {});
}

Reply Api::State::send_messages(Call call) {
  std::vector<std::string_view> known{"messages"};
  auto request = co_await queue_request(call, std::move(known));
  if (request.has_error()) co_return request.error();
  const auto* list = request->if_contains("messages");
  if (list == nullptr || !list->is_array() || list->get_array().empty() ||
      list->get_array().size() > kMessagesMax)
    co_return invalid("\"messages\" wants a list of 1 to 1000 messages.");
  std::vector<queues::NewMessage> messages;
  for (const auto& item : list->get_array()) {
    auto message = message_of(item);
    if (message.has_error()) co_return message.error();
    messages.push_back(std::move(*message));
  }
  const auto sent = co_await parts.queues->send(call.name, std::move(messages));
  if (sent.size() == 1 && sent[0].has_error()) co_return sent[0].error();
  json::array results;
  for (const auto& one : sent) {
    if (one.has_error()) {
      json::object failed;
      failed["error"] = error_object(one.error());
      results.push_back(std::move(failed));
      continue;
    }
    json::object result{{"id", one->message_id}, {"sequence", one->sequence}};
    if (one->duplicate) result["duplicate"] = true;
    results.push_back(std::move(result));
  }
  json::object out;
  out["messages"] = std::move(results);
  co_return json_reply(200, out);
}

Reply Api::State::receive_messages(Call call) {
  std::vector<std::string_view> known{"max", "visibility_s", "wait_s", "attempt_id"};
  auto request = co_await queue_request(call, std::move(known));
  if (request.has_error()) co_return request.error();
  Members members(*request);
  queues::ReceiveOptions options;
  options.max = members.number("max", kMessagesMax).value_or(1);
  options.visibility_s = members.number("visibility_s", queues::kSecondsMax);
  options.attempt_id = members.text("attempt_id");
  const auto wait = members.number("wait_s", kWaitMaxS);
  MAYFLY_CO_TRY(members.status());
  const auto info = parts.queues->find(call.name);
  options.wait = seconds(wait.value_or(info ? info->settings.receive_wait_s : 0));
  auto messages = co_await parts.queues->receive(call.name, std::move(options));
  if (messages.has_error()) co_return messages.error();
  co_return json_reply(200, messages_json(*messages));
}

Reply Api::State::settle_messages(Call call) {
  std::vector<std::string_view> known{"receipts"};
  auto request = co_await queue_request(call, std::move(known));
  if (request.has_error()) co_return request.error();
  Members members(*request);
  auto receipts = members.texts("receipts");
  MAYFLY_CO_TRY(members.status());
  const auto statuses = co_await parts.queues->settle(call.name, std::move(receipts));
  co_return json_reply(200, failures_json(statuses));
}

Reply Api::State::hide_messages(Call call) {
  std::vector<std::string_view> known{"receipts", "seconds"};
  auto request = co_await queue_request(call, std::move(known));
  if (request.has_error()) co_return request.error();
  Members members(*request);
  const auto seconds = members.number("seconds", queues::kSecondsMax);
  if (!seconds) members.wrong("seconds", "a whole number");
  std::vector<QueueEngine::Visibility> changes;
  for (auto& receipt : members.texts("receipts"))
    changes.push_back({std::move(receipt), seconds.value_or(0)});
  MAYFLY_CO_TRY(members.status());
  const auto statuses = co_await parts.queues->change_visibility(call.name, std::move(changes));
  co_return json_reply(200, failures_json(statuses));
}

Reply Api::State::dead_letter_messages(Call call) {
  std::vector<std::string_view> known{"receipts", "to", "reason"};
  auto request = co_await queue_request(call, std::move(known));
  if (request.has_error()) co_return request.error();
  Members members(*request);
  auto receipts = members.texts("receipts");
  auto reason = members.text("reason", "Rejected by its receiver.");
  const auto info = parts.queues->find(call.name);
  auto to = members.text("to", info ? info->settings.dead_letter_queue : std::string());
  MAYFLY_CO_TRY(members.status());
  if (to.empty()) co_return invalid("\"to\" wants a queue: this one has no dead letter queue.");
  if (reason.size() > kReasonBytesMax) co_return invalid("\"reason\" has more than 1024 bytes.");
  MAYFLY_CO_TRY(co_await parts.queues->dead_letter(call.name, std::move(receipts), std::move(to),
                                                   std::move(reason)));
  co_return json_reply(200, {});
}

Reply Api::State::redrive_messages(Call call) {
  std::vector<std::string_view> known{"to", "max"};
  auto request = co_await queue_request(call, std::move(known));
  if (request.has_error()) co_return request.error();
  Members members(*request);
  const auto to = members.text("to");
  const auto max = members.number("max", std::numeric_limits<std::uint32_t>::max())
                       .value_or(std::numeric_limits<std::uint32_t>::max());
  MAYFLY_CO_TRY(members.status());
  // What is sent meanwhile is not moved: else a queue that is moved to itself would go round.
  const auto counts = parts.queues->counts(call.name);
  if (counts.has_error()) co_return counts.error();
  std::uint64_t left = std::min<std::uint64_t>(max, counts->visible);
  std::uint64_t moved = 0;
  while (left > 0) {
    auto some = co_await parts.queues->move(call.name, to, static_cast<std::uint32_t>(left));
    if (some.has_error()) {
      if (moved == 0) co_return some.error();
      break;
    }
    if (*some == 0) break;
    moved += *some;
    left -= std::min<std::uint64_t>(left, *some);
  }
  json::object out;
  out["moved"] = moved;
  co_return json_reply(200, out);
}

Reply Api::State::peek_messages(Call call) {
  const auto query = query_of(call, {"max"});
  if (query.has_error()) co_return query.error();
  const auto max = number_in(*query, "max", 1, kMessagesMax, 10);
  if (max.has_error()) co_return max.error();
  auto messages = co_await parts.queues->peek(call.name, static_cast<std::uint32_t>(*max));
  if (messages.has_error()) co_return messages.error();
  co_return json_reply(200, messages_json(*messages));
}

Reply Api::State::purge_queue(Call call) {
  MAYFLY_CO_TRY(co_await parts.queues->purge(call.name));
  co_return json_reply(200, {});
}

}  // namespace mayfly::dialects::native
