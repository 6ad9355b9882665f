#include "cli/deploy_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <set>

namespace mayfly::cli {
namespace {

namespace json = boost::json;
using functions::Manifest;

// Whether every member of wanted is the same in there.
bool covers(const json::value& there, const json::object& wanted) {
  if (!there.is_object()) return false;
  for (const auto& [key, value] : wanted) {
    const auto* found = there.get_object().if_contains(key);
    const bool nothing = value.is_null() || (value.is_string() && value.get_string().empty()) ||
                         (value.is_array() && value.get_array().empty()) ||
                         (value.is_number() && value.to_number<double>() == 0) ||
                         (value.is_bool() && !value.get_bool());
    if (found == nullptr ? !nothing : *found != value) return false;
  }
  return true;
}

void report(Context& context, json::object& summary, const char* section, const std::string& name,
            const std::string& what) {
  auto& list = summary[section];
  if (!list.is_array()) list = json::array();
  list.get_array().push_back(json::object{{"name", name}, {"result", what}});
  if (context.json) return;
  const bool colour = context.colour();
  std::string kind(section);
  kind.pop_back();  // of one
  write_out(fmt::format("{} {}  {}\n", kind, paint(printable(name), Colour::bold, colour),
                        paint(what, what == "unchanged" ? Colour::dim : Colour::green, colour)));
}

const json::value* named(const json::value& answer, const char* section, const std::string& name) {
  for (const auto& item : list_of(answer, section))
    if (text_of(item, "name") == name) return &item;
  return nullptr;
}

json::object queue_body(const Manifest::Queue& q) {
  json::object body{{"dead_letter_queue", q.dead_letter}, {"receive_count_max", q.max_receives}};
  const auto number = [&](const char* key, const std::optional<std::uint32_t>& value) {
    if (value) body[key] = *value;
  };
  number("visibility_timeout_s", q.visibility_timeout_s);
  number("delay_s", q.delay_s);
  number("retention_s", q.retention_s);
  number("message_bytes_max", q.message_bytes_max);
  number("receive_wait_s", q.receive_wait_s);
  if (q.fifo) {
    body["content_deduplication"] = q.content_deduplication;
    body["deduplicate_by_group"] = q.deduplicate_by_group;
  }
  return body;
}

int deploy_queue(Context& context, const Manifest::Queue& queue, const json::value& there,
                 json::object& summary) {
  json::object body = queue_body(queue);
  const auto* before = named(there, "queues", queue.name);
  json::object tags;
  for (const auto& [name, text] : queue.tags) tags[name] = text;
  const bool same_tags =
      before != nullptr && (queue.tags.empty() || value_of(*before, "tags") == tags);
  if (before != nullptr && same_tags && covers(value_of(*before, "settings"), body)) {
    report(context, summary, "queues", queue.name, "unchanged");
    return kOk;
  }
  if (!queue.tags.empty()) body["tags"] = std::move(tags);
  int code = kOk;
  if (!fetch_json(context, "PUT", "/v1/queues/" + percent_encode(queue.name), code,
                  json::serialize(body)))
    return code;
  report(context, summary, "queues", queue.name, before == nullptr ? "created" : "updated");
  return kOk;
}

int deploy_topic(Context& context, const Manifest::Topic& topic, const json::value& there,
                 json::object& summary) {
  json::object body;
  if (topic.fifo) body["content_deduplication"] = topic.content_deduplication;
  const auto* before = named(there, "topics", topic.name);
  if (before != nullptr && covers(*before, body)) {
    report(context, summary, "topics", topic.name, "unchanged");
    return kOk;
  }
  int code = kOk;
  if (!fetch_json(context, "PUT", "/v1/topics/" + percent_encode(topic.name), code,
                  json::serialize(body)))
    return code;
  report(context, summary, "topics", topic.name, before == nullptr ? "created" : "updated");
  return kOk;
}

int deploy_trigger(Context& context, const std::string& function,
                   const Manifest::QueueTrigger& trigger, const json::value& there,
                   json::object& summary) {
  json::object body{{"queue", trigger.queue},
                    {"function", function},
                    {"batch", trigger.batch},
                    {"window_s", trigger.window_s},
                    {"concurrency", trigger.concurrency},
                    {"minimum_pollers", trigger.minimum_pollers},
                    {"maximum_pollers", trigger.maximum_pollers},
                    {"attempts", trigger.attempts},
                    {"filters", json::array(trigger.filters.begin(), trigger.filters.end())},
                    {"on_failure", trigger.on_failure},
                    {"partial", trigger.partial},
                    {"enabled", trigger.enabled}};
  if (!trigger.tags.empty()) {
    json::object& tags = body["tags"].emplace_object();
    for (const auto& [key, value] : trigger.tags) tags[key] = value;
  }
  const std::string name = trigger.queue + ":" + function;
  const json::value* before = nullptr;
  for (const auto& item : list_of(there, "triggers"))
    if (text_of(item, "queue") == trigger.queue && text_of(item, "function") == function)
      before = &item;
  if (before != nullptr && covers(*before, body)) {
    report(context, summary, "triggers", name, "unchanged");
    return kOk;
  }
  int code = kOk;
  const bool made =
      before == nullptr
          ? fetch_json(context, "POST", "/v1/triggers", code, json::serialize(body)).has_value()
          : fetch_json(context, "PUT", "/v1/triggers/" + percent_encode(text_of(*before, "id")),
                       code, json::serialize(body))
                .has_value();
  if (!made) return code;
  report(context, summary, "triggers", name, before == nullptr ? "created" : "updated");
  return kOk;
}

// function: whose it is; empty: of none.
std::string target_of(const std::string& function, const Manifest::Subscription& subscription) {
  return function.empty() ? subscription.target : "function:" + function;
}

int deploy_subscription(Context& context, const std::string& function,
                        const Manifest::Subscription& subscription, json::object& summary) {
  const std::string path = "/v1/topics/" + percent_encode(subscription.topic) + "/subscriptions";
  const std::string target = target_of(function, subscription);
  const std::string name =
      subscription.topic + ":" + (function.empty() ? subscription.target : function);
  json::object body{{"target", target}, {"dead_letter", subscription.dead_letter}};
  if (subscription.raw) body["form"] = "raw";
  if (!subscription.filter.empty()) {
    body["filter"] = json::parse(subscription.filter);
    body["filter_scope"] = subscription.filter_scope;
  }
  int code = kOk;
  const auto there = fetch_json(context, "GET", path, code);
  if (!there) return code;
  const json::value* before = nullptr;
  for (const auto& item : list_of(*there, "subscriptions"))
    if (text_of(item, "target") == target) before = &item;
  if (before != nullptr && covers(*before, body)) {
    report(context, summary, "subscriptions", name, "unchanged");
    return kOk;
  }
  if (!fetch_json(context, "POST", path, code, json::serialize(body))) return code;
  report(context, summary, "subscriptions", name, before == nullptr ? "created" : "updated");
  return kOk;
}

int deploy_schedule(Context& context, const Manifest::Schedule& s, const json::value& there,
                    json::object& summary) {
  json::object body{{"expression", s.expression}, {"target", s.target}, {"enabled", s.enabled}};
  const std::pair<const char*, const std::string*> texts[] = {{"timezone", &s.timezone},
                                                              {"start", &s.start},
                                                              {"end", &s.end},
                                                              {"input", &s.input},
                                                              {"catch_up", &s.catch_up},
                                                              {"dead_letter", &s.dead_letter},
                                                              {"description", &s.description}};
  for (const auto& [key, text] : texts)
    if (!text->empty()) body[key] = *text;
  if (s.flexible_s) body["window_s"] = *s.flexible_s;
  if (s.retries) body["retries"] = *s.retries;
  if (s.max_age_s) body["max_age_s"] = *s.max_age_s;
  const auto* before = named(there, "schedules", s.name);
  if (before != nullptr && covers(*before, body)) {
    report(context, summary, "schedules", s.name, "unchanged");
    return kOk;
  }
  int code = kOk;
  if (!fetch_json(context, "PUT", "/v1/schedules/" + percent_encode(s.name), code,
                  json::serialize(body)))
    return code;
  report(context, summary, "schedules", s.name, before == nullptr ? "created" : "updated");
  return kOk;
}

json::object rule_body(const Manifest::Rule& rule) {
  json::object target{{"target", rule.target}};
  if (!rule.input.empty()) target["input"] = json::parse(rule.input);
  if (!rule.input_path.empty()) target["input_path"] = rule.input_path;
  if (!rule.transform.empty()) target["transform"] = json::parse(rule.transform);
  if (!rule.dead_letter.empty()) target["dead_letter"] = rule.dead_letter;
  if (rule.retries) target["retries"] = *rule.retries;
  if (rule.max_age_s) target["max_age_s"] = *rule.max_age_s;
  return {{"pattern", json::parse(rule.pattern)},
          {"description", rule.description},
          {"enabled", rule.enabled},
          {"targets", json::array{std::move(target)}}};
}

// A rule is put whole each time: what is the same there changes nothing.
int deploy_rule(Context& context, const Manifest::Rule& rule, json::object& summary) {
  const std::string bus = rule.bus.empty() ? "" : "?bus=" + percent_encode(rule.bus);
  int code = kOk;
  if (!fetch_json(context, "PUT", "/v1/rules/" + percent_encode(rule.name) + bus, code,
                  json::serialize(rule_body(rule))))
    return code;
  report(context, summary, "rules", rule.name, "set");
  return kOk;
}

// What a bucket tells this function is set anew; what it tells others stays.
int deploy_bucket_events(Context& context, const Manifest& manifest, json::object& summary) {
  std::map<std::string, json::array> wanted;  // by bucket
  std::map<std::string, std::set<std::string>> functions;
  for (const auto& event : manifest.bucket_events) {
    auto& list = wanted[event.bucket];
    functions[event.bucket].insert(event.function);
    list.push_back(json::object{{"id", fmt::format("{}-{}", event.function, list.size())},
                                {"target", "function:" + event.function},
                                {"events", json::array(event.events.begin(), event.events.end())},
                                {"prefix", event.prefix},
                                {"suffix", event.suffix}});
  }
  for (auto& [bucket, list] : wanted) {
    const std::string path = "/v1/buckets/" + percent_encode(bucket) + "/notifications";
    int code = kOk;
    const auto there = fetch_json(context, "GET", path, code);
    if (!there) return code;
    for (const auto& one : list_of(*there, "notifications")) {
      const std::string target = text_of(one, "target");
      if (!functions[bucket].contains(target.substr(target.rfind(':') + 1))) list.push_back(one);
    }
    const auto set = fetch_json(context, "PUT", path, code,
                                json::serialize(json::object{{"notifications", std::move(list)}}));
    if (!set) return code;
    report(context, summary, "bucket_events", bucket, *set == *there ? "unchanged" : "updated");
  }
  return kOk;
}

bool any_trigger(const Manifest& manifest) {
  return std::any_of(manifest.functions.begin(), manifest.functions.end(),
                     [](const auto& function) { return !function.queues.empty(); });
}

}  // namespace

int deploy_queues(Context& context, const Manifest& manifest, json::object& summary) {
  int code = kOk;
  std::set<std::string> buckets(manifest.buckets.begin(), manifest.buckets.end());
  for (const auto& event : manifest.bucket_events)
    if (event.make_bucket) buckets.insert(event.bucket);
  for (const auto& bucket : buckets) {
    const auto made = fetch_json(context, "PUT", "/v1/buckets/" + percent_encode(bucket), code);
    if (!made) return code;
    report(context, summary, "buckets", bucket,
           flag_of(*made, "existed") ? "unchanged" : "created");
  }
  if (!manifest.queues.empty()) {
    const auto there = fetch_json(context, "GET", "/v1/queues", code);
    if (!there) return code;
    std::set<std::string> dead_letters;  // come first: the others name them
    for (const auto& queue : manifest.queues) dead_letters.insert(queue.dead_letter);
    for (const bool first : {true, false})
      for (const auto& queue : manifest.queues)
        if (dead_letters.contains(queue.name) == first)
          if (code = deploy_queue(context, queue, *there, summary); code != kOk) return code;
  }
  if (!manifest.topics.empty()) {
    const auto there = fetch_json(context, "GET", "/v1/topics", code);
    if (!there) return code;
    for (const auto& topic : manifest.topics)
      if (code = deploy_topic(context, topic, *there, summary); code != kOk) return code;
  }
  return kOk;
}

int deploy_triggers(Context& context, const Manifest& manifest, json::object& summary) {
  int code = kOk;
  if (any_trigger(manifest)) {
    const auto there = fetch_json(context, "GET", "/v1/triggers", code);
    if (!there) return code;
    for (const auto& function : manifest.functions)
      for (const auto& trigger : function.queues)
        if (code = deploy_trigger(context, function.name, trigger, *there, summary); code != kOk)
          return code;
  }
  for (const auto& function : manifest.functions)
    for (const auto& subscription : function.topics)
      if (code = deploy_subscription(context, function.name, subscription, summary); code != kOk)
        return code;
  for (const auto& subscription : manifest.subscriptions)
    if (code = deploy_subscription(context, "", subscription, summary); code != kOk) return code;
  if (code = deploy_bucket_events(context, manifest, summary); code != kOk) return code;
  for (const auto& rule : manifest.rules)
    if (code = deploy_rule(context, rule, summary); code != kOk) return code;
  if (!manifest.schedules.empty()) {
    const auto there = fetch_json(context, "GET", "/v1/schedules", code);
    if (!there) return code;
    for (const auto& schedule : manifest.schedules)
      if (code = deploy_schedule(context, schedule, *there, summary); code != kOk) return code;
  }
  return kOk;
}

std::vector<std::string> resources_of(const Manifest& manifest) {
  std::vector<std::string> names;
  for (const auto& queue : manifest.queues) names.push_back("queue:" + queue.name);
  for (const auto& bucket : manifest.buckets) names.push_back("bucket:" + bucket);
  for (const auto& topic : manifest.topics) names.push_back("topic:" + topic.name);
  for (const auto& schedule : manifest.schedules) names.push_back("schedule:" + schedule.name);
  for (const auto& rule : manifest.rules) names.push_back("rule:" + rule.name);
  for (const auto& subscription : manifest.subscriptions)
    names.push_back("subscription:" + subscription.topic + ":" + subscription.target);
  for (const auto& layer : manifest.layers) names.push_back("layer:" + layer.name);
  for (const auto& function : manifest.functions) {
    if (function.url) names.push_back("url:" + function.name);
    for (const auto& trigger : function.queues)
      names.push_back("trigger:" + trigger.queue + ":" + function.name);
    for (const auto& subscription : function.topics)
      names.push_back("subscription:" + subscription.topic + ":" + function.name);
  }
  return names;
}

void report_unnamed(const functions::App& before, const functions::App& now, json::object& summary,
                    const Context& context) {
  json::array left;
  for (const auto& resource : before.resources) {
    if (std::find(now.resources.begin(), now.resources.end(), resource) != now.resources.end())
      continue;
    left.emplace_back(resource);
    if (context.json) continue;
    const auto colon = resource.find(':');
    const std::string kind = resource.substr(0, colon), name = resource.substr(colon + 1);
    const std::string remove = kind == "subscription" ? "mayfly topic unsubscribe"
                               : kind == "url"
                                   ? "aws lambda delete-function-url-config --function-name " + name
                                   : "mayfly " + kind + " rm " + name;
    write_out(fmt::format("{} {}  is no longer named here, and stays; `{}` removes it\n", kind,
                          printable(name), printable(remove)));
  }
  if (!left.empty()) summary["unnamed"] = std::move(left);
}

}  // namespace mayfly::cli
