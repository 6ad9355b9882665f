#include "triggers/effects.h"

#include "base/base64.h"
#include "wire/json_slices.h"

namespace mayfly::triggers {
namespace {

using Slice = std::string_view;

constexpr std::size_t kSendsMax = 10'000;

Error unknown(Slice where, const std::string& member) {
  return invalid(std::string(where) + " has no member \"" + member.substr(0, 100) + "\".");
}

// {"key": K, and one more member}; both must be there.
Result<std::pair<std::string, Slice>> keyed(Slice element, Slice where, Slice other) {
  auto members = wire::json_members(element, where);
  if (members.has_error()) return members.error();
  std::optional<std::string> key;
  std::optional<Slice> value;
  for (auto& [name, slice] : *members) {
    if (name == "key") {
      auto text = wire::json_string(slice, std::string(where) + ".key");
      if (text.has_error()) return text.error();
      key = std::move(*text);
    } else if (name == other) {
      value = slice;
    } else {
      return unknown(where, name);
    }
  }
  if (!key || !value)
    return invalid(std::string(where) + " needs \"key\" and \"" + std::string(other) + "\".");
  return std::pair(std::move(*key), *value);
}

Status read_require(Slice element, tables::Changes& changes) {
  auto pair = keyed(element, "An element of \"require\"", "etag");
  if (pair.has_error()) return pair.error();
  tables::Changes::Require require{std::move(pair->first), std::nullopt};
  if (pair->second != "null") {
    auto etag = wire::json_string(pair->second, "The etag of an element of \"require\"");
    if (etag.has_error()) return etag.error();
    require.etag = std::move(*etag);
  }
  changes.require.push_back(std::move(require));
  return ok();
}

Status read_put(Slice element, tables::Changes& changes) {
  auto pair = keyed(element, "An element of \"put\"", "value");
  if (pair.has_error()) return pair.error();
  changes.puts.push_back({std::move(pair->first), std::string(pair->second)});
  return ok();
}

Status read_delete(Slice element, tables::Changes& changes) {
  auto key = wire::json_string(element, "An element of \"delete\"");
  if (key.has_error()) return key.error();
  changes.deletes.push_back(std::move(*key));
  return ok();
}

Status read_add(Slice element, tables::Changes& changes) {
  constexpr Slice kWhere = "An element of \"add\"";
  auto members = wire::json_members(element, kWhere);
  if (members.has_error()) return members.error();
  store::Transaction::Add add;
  bool has_key = false, has_delta = false;
  for (auto& [name, slice] : *members) {
    if (name == "key") {
      auto key = wire::json_string(slice, "The key of an element of \"add\"");
      if (key.has_error()) return key.error();
      add.key = std::move(*key);
      has_key = true;
    } else if (name == "delta") {
      auto delta = wire::json_integer(slice, "The delta of an element of \"add\"");
      if (delta.has_error()) return delta.error();
      add.delta = *delta;
      has_delta = true;
    } else if (name == "at_least") {
      if (slice == "null") continue;
      auto least = wire::json_integer(slice, "at_least of an element of \"add\"");
      if (least.has_error()) return least.error();
      add.at_least = *least;
    } else {
      return unknown(kWhere, name);
    }
  }
  if (!has_key || !has_delta) return invalid("An element of \"add\" needs \"key\" and \"delta\".");
  changes.adds.push_back(std::move(add));
  return ok();
}

Result<queues::MessageAttribute> read_attribute(std::string name, Slice slice,
                                                const std::string& where) {
  queues::MessageAttribute attribute;
  attribute.name = std::move(name);
  auto members = wire::json_members(slice, where);
  if (members.has_error()) return members.error();
  bool has_value = false;
  for (auto& [member, value] : *members) {
    if (member != "type" && member != "value") return unknown(where, member);
    auto text = wire::json_string(value, where + "." + member);
    if (text.has_error()) return text.error();
    has_value = has_value || member == "value";
    (member == "type" ? attribute.type : attribute.value) = std::move(*text);
  }
  if (attribute.type.empty() || !has_value)
    return invalid(where + " needs \"type\" and \"value\".");
  if (attribute.type == "Binary" || attribute.type.starts_with("Binary.")) {
    auto bytes = decode_base64(attribute.value);
    if (!bytes) return invalid(where + " is Binary, and its value is no base64.");
    attribute.value = std::move(*bytes);
  }
  return attribute;
}

Status read_message_member(const std::string& name, Slice slice, std::string& queue,
                           queues::NewMessage& message) {
  const std::string where = "A message to the queue \"" + queue.substr(0, 100) + "\"";
  if (name == "queue") return ok();  // read before
  if (name == "delay_s") {
    if (slice == "null") return ok();
    auto delay = wire::json_integer(slice, where + ": delay_s");
    if (delay.has_error()) return delay.error();
    if (*delay < 0 || *delay > 900) return invalid(where + ": delay_s must be from 0 to 900.");
    message.delay_s = static_cast<std::uint32_t>(*delay);
    return ok();
  }
  if (name == "attributes") {
    auto members = wire::json_members(slice, where + ": attributes");
    if (members.has_error()) return members.error();
    for (auto& [attribute, value] : *members) {
      auto read = read_attribute(attribute, value,
                                 where + ": the attribute \"" + attribute.substr(0, 100) + "\"");
      if (read.has_error()) return read.error();
      message.attributes.push_back(std::move(*read));
    }
    return ok();
  }
  std::string* const out = name == "body"               ? &message.body
                           : name == "group"            ? &message.group
                           : name == "deduplication_id" ? &message.deduplication_id
                                                        : nullptr;
  if (out == nullptr) return unknown(where, name);
  auto text = wire::json_string(slice, where + ": " + name);
  if (text.has_error()) return text.error();
  *out = std::move(*text);
  return ok();
}

Status read_send(Slice element, Effects& effects) {
  auto members = wire::json_members(element, "An element of \"send\"");
  if (members.has_error()) return members.error();
  std::string queue;
  bool has_body = false;
  for (const auto& [name, slice] : *members) {
    has_body = has_body || name == "body";
    if (name != "queue") continue;
    auto text = wire::json_string(slice, "The queue of an element of \"send\"");
    if (text.has_error()) return text.error();
    queue = std::move(*text);
  }
  if (queue.starts_with("queue:")) queue.erase(0, 6);
  if (queue.empty() || !has_body)
    return invalid("An element of \"send\" needs \"queue\" and \"body\".");
  if (queue.starts_with('.'))
    return invalid("Functions cannot send to the platform's own queue \"" + queue.substr(0, 100) +
                   "\".");
  queues::NewMessage message;
  for (const auto& [name, slice] : *members)
    MAYFLY_TRY(read_message_member(name, slice, queue, message));
  effects.sends.emplace_back(std::move(queue), std::move(message));
  return ok();
}

template <class Read>
Status each(Slice list, Slice what, Read read) {
  auto elements = wire::json_elements(list, what);
  if (elements.has_error()) return elements.error();
  for (const Slice element : *elements) MAYFLY_TRY(read(element));
  return ok();
}

}  // namespace

Result<Effects> parse_effects(std::string_view json) {
  Effects effects;
  if (json.empty()) return effects;
  auto text = wire::check_json(json);
  if (text.has_error()) return text.error();
  auto members = wire::json_members(*text, "What a function stages");
  if (members.has_error()) return members.error();
  auto& changes = effects.changes;
  for (const auto& [name, slice] : *members) {
    const std::string what = "\"" + name + "\"";
    if (name == "require") {
      MAYFLY_TRY(each(slice, what, [&](Slice e) { return read_require(e, changes); }));
    } else if (name == "put") {
      MAYFLY_TRY(each(slice, what, [&](Slice e) { return read_put(e, changes); }));
    } else if (name == "delete") {
      MAYFLY_TRY(each(slice, what, [&](Slice e) { return read_delete(e, changes); }));
    } else if (name == "add") {
      MAYFLY_TRY(each(slice, what, [&](Slice e) { return read_add(e, changes); }));
    } else if (name == "send") {
      MAYFLY_TRY(each(slice, what, [&](Slice e) { return read_send(e, effects); }));
    } else {
      return unknown("What a function stages", name);
    }
  }
  if (effects.sends.size() > kSendsMax)
    return Error{Code::too_large, "A call can send " + std::to_string(kSendsMax) +
                                      " messages, not " + std::to_string(effects.sends.size()) +
                                      "."};
  MAYFLY_TRY(tables::check(changes));
  return effects;
}

Result<Question> parse_question(std::string_view json) {
  auto text = wire::check_json(json);
  if (text.has_error()) return text.error();
  auto members = wire::json_members(*text, "A question");
  if (members.has_error()) return members.error();
  Question question;
  std::string op;
  for (const auto& [name, slice] : *members) {
    if (name == "limit") {
      auto limit = wire::json_integer(slice, "limit");
      if (limit.has_error()) return limit.error();
      if (*limit < 1 || *limit > static_cast<std::int64_t>(tables::kListMax))
        return invalid("limit must be from 1 to " + std::to_string(tables::kListMax) + ".");
      question.limit = static_cast<std::size_t>(*limit);
      continue;
    }
    std::string* const out = name == "op"       ? &op
                             : name == "key"    ? &question.key
                             : name == "prefix" ? &question.prefix
                             : name == "after"  ? &question.after
                                                : nullptr;
    if (out == nullptr) return unknown("A question", name);
    auto value = wire::json_string(slice, name);
    if (value.has_error()) return value.error();
    *out = std::move(*value);
  }
  if (op == "state.get") {
    question.op = Question::Op::get;
    MAYFLY_TRY(tables::check_key(question.key));
  } else if (op == "state.list") {
    question.op = Question::Op::list;
  } else {
    return invalid("There is no question \"" + op.substr(0, 100) +
                   "\"; there are state.get and state.list.");
  }
  return question;
}

}  // namespace mayfly::triggers
