#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "base/base64.h"
#include "dialects/sqs/attributes.h"
#include "dialects/sqs/sqs.h"
#include "dialects/sqs/values.h"

namespace mayfly::dialects::sqs {

namespace json = boost::json;
using aws::Call;
using aws::Outcome;
using queues::QueueInfo;
using queues::QueuePtr;

namespace {

constexpr std::size_t kPageMax = 1000;
constexpr std::size_t kQueueTagsMax = 50;

aws::Fault bad_name(bool fifo) {
  return invalid_parameter(
      fifo ? "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "
             "underscores, must end with .fifo suffix and be 1 to 80 in length."
           : "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in "
             "length.");
}

// FifoQueue decides what other attributes mean, so it is read first.
Outcome<bool> wants_fifo(const json::object& attributes) {
  const std::string_view text = text_of(attributes, "FifoQueue");
  if (text.empty() || text == "false" || text == "False") return false;
  if (text == "true" || text == "True") return true;
  return bad_attribute("FifoQueue", text);
}

const json::object& object_in(const json::object& input, std::string_view key) {
  static const json::object none;
  const json::value* value = input.if_contains(key);
  return value && value->is_object() ? value->get_object() : none;
}

// One page of names as URLs, with the token of the next.
struct Page {
  std::vector<std::string> names;
  std::string next;
};

Outcome<Page> page_of(const json::object& input, std::vector<std::string> names) {
  auto max = number_in(input, "MaxResults", 1, kPageMax);
  if (max.has_error()) return std::move(max).error();
  const std::string_view token = text_of(input, "NextToken");
  Page page;
  if (!token.empty()) {
    const auto after = decode_base64(token);
    if (!after) return invalid_parameter("Invalid or expired NextToken.");
    names.erase(names.begin(), std::upper_bound(names.begin(), names.end(), *after));
  }
  const std::size_t size = max->value_or(kPageMax);
  if (names.size() > size) {
    names.resize(size);
    // Without MaxResults a list ends after a thousand names and has no token: so AWS does.
    if (max->has_value() || !token.empty()) append_base64(page.next, names.back());
  }
  page.names = std::move(names);
  return page;
}

}  // namespace

// Of a queue that is there: the same attributes are ok, as if it had just been made.
io::Task<Outcome<json::object>> Sqs::create_queue(Call call) {
  const std::string name(text_of(call.input, "QueueName"));
  const json::object& attributes = object_in(call.input, "Attributes");
  auto fifo = wants_fifo(attributes);
  if (fifo.has_error()) co_return std::move(fifo).error();
  if (!is_queue_name(name) || name.ends_with(".fifo") != *fifo) co_return bad_name(*fifo);
  const ArnForm arns{arn_of("")};

  if (const QueuePtr there = parts_.engine.find(name)) {
    QueueInfo wanted = *there;
    AWS_CO_TRY(apply_attributes(attributes, true, wanted));
    for (const auto& entry : attributes) {
      const auto before = attribute_text(entry.key(), *there, {}, arns);
      const auto after = attribute_text(entry.key(), wanted, {}, arns);
      if (before != after)
        co_return aws::Fault{"QueueNameExists",
                             "A queue already exists with the same name and a different value for "
                             "attribute " +
                                 std::string(entry.key()),
                             400, "QueueAlreadyExists"};
    }
    co_return json::object{{"QueueUrl", url_of(call, name)}};
  }

  QueueInfo info;
  info.name = name;
  info.settings.fifo = *fifo;
  info.created = info.modified = parts_.clock.wall_now();
  AWS_CO_TRY(apply_attributes(attributes, true, info));
  AWS_CO_TRY(check_dead_letters(info));
  for (const auto& tag : object_in(call.input, "tags"))
    if (tag.value().is_string())
      info.tags[std::string(tag.key())] = std::string(tag.value().get_string());
  if (info.tags.size() > kQueueTagsMax)
    co_return invalid_parameter("Too many tags added for queue " + name + ".");
  auto creating = parts_.engine.create(std::move(info));
  const Status created = co_await std::move(creating);
  if (created.has_error()) co_return engine_fault(created.error());
  co_return json::object{{"QueueUrl", url_of(call, name)}};
}

Outcome<void> Sqs::check_dead_letters(const QueueInfo& info) const {
  const std::string& name = info.settings.dead_letter_queue;
  if (name.empty()) return {};
  const auto refuse = [&](std::string_view why) {
    return bad_value("RedrivePolicy", arn_of(name), why);
  };
  const QueuePtr target = parts_.engine.find(name);
  if (!target) return refuse("Dead letter target does not exist.");
  if (target->settings.fifo != info.settings.fifo)
    return refuse("Dead-letter queue must be same type of queue as the source.");
  const auto policy = target->settings.other.find("RedriveAllowPolicy");
  if (policy == target->settings.other.end()) return {};
  boost::system::error_code failed;
  const json::value value = json::parse(policy->second, failed);
  if (failed || !value.is_object()) return {};
  const std::string_view who = text_of(value.get_object(), "redrivePermission");
  const auto sources = texts_of(value.get_object(), "sourceQueueArns");
  const bool named = std::find(sources.begin(), sources.end(), arn_of(info.name)) != sources.end();
  if (who == "denyAll" || (who == "byQueue" && !named))
    return refuse("The dead-letter queue's RedriveAllowPolicy does not allow this source queue.");
  return {};
}

io::Task<Outcome<json::object>> Sqs::delete_queue(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  std::string name = (*queue)->name;
  auto removing = parts_.engine.remove(std::move(name));
  const Status removed = co_await std::move(removing);
  if (removed.has_error()) co_return engine_fault(removed.error());
  co_return json::object();
}

io::Task<Outcome<json::object>> Sqs::purge_queue(Call call) {
  auto queue = queue_of(call);
  if (queue.has_error()) co_return std::move(queue).error();
  std::string name = (*queue)->name;
  // AWS takes up to a minute for it and refuses another meanwhile; here it is over in a moment.
  if (!purging_.insert(name).second)
    co_return prefixed("PurgeQueueInProgress",
                       "Only one PurgeQueue operation on " + name + " is allowed at a time.", 403);
  auto purging = parts_.engine.purge(name);
  const Status purged = co_await std::move(purging);
  purging_.erase(name);
  if (purged.has_error()) co_return engine_fault(purged.error());
  co_return json::object();
}

Outcome<json::object> Sqs::get_queue_url(const Call& call) const {
  const std::string name(text_of(call.input, "QueueName"));
  if (!is_queue_name(name) || !parts_.engine.find(name)) return no_such_queue();
  return json::object{{"QueueUrl", url_of(call, name)}};
}

Outcome<json::object> Sqs::list_queues(const Call& call) const {
  const std::string_view prefix = text_of(call.input, "QueueNamePrefix");
  std::vector<std::string> names;
  for (const auto& queue : parts_.engine.list())
    if (is_queue_name(queue->name) && std::string_view(queue->name).starts_with(prefix))
      names.push_back(queue->name);
  std::sort(names.begin(), names.end());
  auto page = page_of(call.input, std::move(names));
  if (page.has_error()) return std::move(page).error();
  json::object answer;
  json::array urls;
  for (const auto& name : page->names) urls.emplace_back(url_of(call, name));
  if (!urls.empty()) answer["QueueUrls"] = std::move(urls);
  if (!page->next.empty()) answer["NextToken"] = page->next;
  return answer;
}

std::vector<std::string> Sqs::sources_of(const std::string& dead_letters) const {
  std::vector<std::string> names;
  for (const auto& queue : parts_.engine.list())
    if (queue->settings.dead_letter_queue == dead_letters && is_queue_name(queue->name))
      names.push_back(queue->name);
  std::sort(names.begin(), names.end());
  return names;
}

Outcome<json::object> Sqs::list_sources(const Call& call) const {
  auto queue = queue_of(call);
  if (queue.has_error()) return std::move(queue).error();
  auto page = page_of(call.input, sources_of((*queue)->name));
  if (page.has_error()) return std::move(page).error();
  json::array urls;
  for (const auto& name : page->names) urls.emplace_back(url_of(call, name));
  json::object answer{{"queueUrls", std::move(urls)}};
  if (!page->next.empty()) answer["NextToken"] = page->next;
  return answer;
}

Outcome<json::object> Sqs::get_attributes(const Call& call) const {
  auto queue = queue_of(call);
  if (queue.has_error()) return std::move(queue).error();
  const auto counts = parts_.engine.counts((*queue)->name);
  if (counts.has_error()) return engine_fault(counts.error());
  const ArnForm arns{arn_of("")};
  json::object attributes;
  const auto add = [&](std::string_view name) {
    if (auto text = attribute_text(name, **queue, *counts, arns))
      attributes.insert_or_assign(name, std::move(*text));
  };
  const auto all = attribute_names();
  for (const auto wanted : texts_of(call.input, "AttributeNames")) {
    if (wanted == "All")
      for (const auto name : all) add(name);
    else if (std::find(all.begin(), all.end(), wanted) == all.end())
      return unknown_attribute(wanted);
    else
      add(wanted);
  }
  json::object answer;
  if (!attributes.empty()) answer["Attributes"] = std::move(attributes);
  return answer;
}

Outcome<void> Sqs::edit_attributes(const Call& call, QueueInfo& info) const {
  const std::string dead_letters = info.settings.dead_letter_queue;
  AWS_TRY(apply_attributes(object_in(call.input, "Attributes"), false, info));
  if (info.settings.dead_letter_queue != dead_letters) AWS_TRY(check_dead_letters(info));
  return {};
}

io::Task<Outcome<json::object>> Sqs::update(Call call, Edit edit) {
  for (;;) {
    auto queue = queue_of(call);
    if (queue.has_error()) co_return std::move(queue).error();
    QueueInfo info = **queue;
    AWS_CO_TRY((this->*edit)(call, info));
    info.modified = parts_.clock.wall_now();
    auto updating = parts_.engine.update(std::move(info), *queue);
    const Status updated = co_await std::move(updating);
    if (updated.has_value()) co_return json::object();
    if (updated.error().code != Code::conflict) co_return engine_fault(updated.error());
  }
}

}  // namespace mayfly::dialects::sqs
