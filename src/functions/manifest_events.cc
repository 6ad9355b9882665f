#include "functions/manifest_events.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "functions/pollers.h"

namespace mayfly::functions::yaml {
namespace {

namespace json = boost::json;

constexpr std::uint32_t kDay = 86'400;
constexpr std::size_t kListMax = 10'000;
constexpr int kJsonDepthMax = 64;
constexpr std::size_t kJsonNodesMax = 10'000;  // aliases make much of little

// "30", "30s", "5m", "12h" or "4d", in seconds.
std::uint32_t seconds_of(const YAML::Node& node, const std::string& what, std::uint32_t max) {
  const std::string text = text_of(node, what);
  std::string_view digits = text;
  std::uint64_t unit = 1;
  if (!digits.empty()) {
    switch (digits.back()) {
      case 's':
        unit = 1;
        break;
      case 'm':
        unit = 60;
        break;
      case 'h':
        unit = 3600;
        break;
      case 'd':
        unit = kDay;
        break;
      default:
        unit = 0;
    }
    if (unit != 0) digits.remove_suffix(1);
    unit = std::max<std::uint64_t>(unit, 1);
  }
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
      value * unit > max)
    wrong(node, fmt::format("{} must be whole seconds up to {} (or like 30s, 5m, 12h, 4d), not "
                            "'{}'.",
                            what, max, text.substr(0, 40)));
  return static_cast<std::uint32_t>(value * unit);
}

std::uint32_t whole_from(const YAML::Node& node, const std::string& what, std::uint32_t min,
                         std::uint32_t max) {
  const std::uint32_t value = whole_of(node, what, max);
  if (value < min) wrong(node, fmt::format("{} must be from {} to {}.", what, min, max));
  return value;
}

bool is_queue_name(std::string_view name) {
  std::string_view stem = name;
  if (stem.ends_with(".fifo")) stem.remove_suffix(5);
  return !stem.empty() && name.size() <= 80 &&
         std::all_of(stem.begin(), stem.end(), [](unsigned char c) {
           return (c < 0x80 && std::isalnum(c) != 0) || c == '_' || c == '-';
         });
}

std::string queue_name_of(const YAML::Node& node, const std::string& what) {
  std::string name = filled_text_of(node, what);
  if (name.starts_with("queue:")) name.erase(0, 6);
  if (!is_queue_name(name))
    wrong(node, fmt::format("{}: '{}' is no name of a queue: 1 to 80 letters, digits, - and _, "
                            ".fifo at the end for a fifo queue.",
                            what, name.substr(0, 100)));
  return name;
}

std::string topic_name_of(const YAML::Node& node, const std::string& what) {
  std::string name = filled_text_of(node, what);
  if (name.starts_with("topic:")) name.erase(0, 6);
  std::string_view stem = name;
  if (stem.ends_with(".fifo")) stem.remove_suffix(5);
  const bool good = !stem.empty() && name.size() <= 256 &&
                    std::all_of(stem.begin(), stem.end(), [](unsigned char c) {
                      return (c < 0x80 && std::isalnum(c) != 0) || c == '_' || c == '-';
                    });
  if (!good)
    wrong(node, fmt::format("{}: '{}' is no name of a topic: up to 256 letters, digits, - and _, "
                            ".fifo at the end for a fifo topic.",
                            what, name.substr(0, 100)));
  return name;
}

json::value scalar_of(const YAML::Node& node) {
  const std::string text = node.Scalar();
  if (node.Tag() == "!") return json::string(text);  // it stands in quotes
  if (text.empty() || text == "~" || text == "null") return nullptr;
  boost::system::error_code failed;
  if (text == "true" || text == "false" || text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) {
    json::value value = json::parse(text, failed);
    if (!failed) return value;
  }
  return json::string(text);
}

json::value value_of(const YAML::Node& node, const std::string& what, int depth,
                     std::size_t& nodes) {
  if (depth > kJsonDepthMax) wrong(node, what + " is nested too deeply.");
  if (++nodes > kJsonNodesMax) wrong(node, what + " has too many values.");
  if (node.IsMap()) {
    json::object object;
    for (const auto& member : node)
      object[text_of(member.first, "A key in " + what)] =
          value_of(member.second, what, depth + 1, nodes);
    return object;
  }
  if (node.IsSequence()) {
    json::array array;
    for (const auto& item : node) array.push_back(value_of(item, what, depth + 1, nodes));
    return array;
  }
  if (node.IsScalar()) return scalar_of(node);
  return nullptr;
}

// A pattern: a mapping, or its JSON in quotes.
std::string filter_of(const YAML::Node& node, const std::string& what) {
  std::string text = node.IsScalar() ? filled_text_of(node, what) : json_of(node, what);
  boost::system::error_code failed;
  const json::value value = json::parse(text, failed);
  if (failed || !value.is_object())
    wrong(node, what + " must be a mapping (field: [conditions]), or the same as a JSON text.");
  return json::serialize(value);
}

void check_pollers(const YAML::Node& node, const std::string& what,
                   const Manifest::QueueTrigger& t) {
  if ((t.minimum_pollers == 0) != (t.maximum_pollers == 0))
    wrong(node, what + " needs minimum_pollers and maximum_pollers, or neither.");
  if (t.minimum_pollers > t.maximum_pollers)
    wrong(node, what + ": minimum_pollers must not be more than maximum_pollers.");
  if (t.maximum_pollers != 0 && t.concurrency != 0)
    wrong(node, what +
                    ": concurrency and maximum_pollers both say how many invocations run at once: "
                    "leave one of them out.");
}

Manifest::QueueTrigger read_queue_trigger(const YAML::Node& node, const std::string& what) {
  Manifest::QueueTrigger t;
  const Keys keys(node, what,
                  {"queue", "batch", "window", "concurrency", "minimum_pollers", "maximum_pollers",
                   "filter", "attempts", "on_failure", "partial", "enabled"});
  keys.with("queue", [&](auto& v) { t.queue = queue_name_of(v, what + ": queue"); });
  const bool fifo = t.queue.ends_with(".fifo");
  keys.with("batch",
            [&](auto& v) { t.batch = whole_from(v, what + ": batch", 1, fifo ? 10 : 10'000); });
  keys.with("window", [&](auto& v) { t.window_s = seconds_of(v, what + ": window", 300); });
  keys.with("concurrency",
            [&](auto& v) { t.concurrency = whole_from(v, what + ": concurrency", 1, 1'000); });
  keys.with("minimum_pollers", [&](auto& v) {
    t.minimum_pollers =
        whole_from(v, what + ": minimum_pollers", kMinimumPollers, kMinimumPollersMax);
  });
  keys.with("maximum_pollers", [&](auto& v) {
    t.maximum_pollers =
        whole_from(v, what + ": maximum_pollers", kMinimumPollers, kMaximumPollersMax);
  });
  check_pollers(node, what, t);
  keys.with("attempts", [&](auto& v) { t.attempts = whole_of(v, what + ": attempts", 1'000); });
  keys.with("on_failure",
            [&](auto& v) { t.on_failure = filled_text_of(v, what + ": on_failure"); });
  keys.with("partial", [&](auto& v) { t.partial = boolean_of(v, what + ": partial"); });
  keys.with("enabled", [&](auto& v) { t.enabled = boolean_of(v, what + ": enabled"); });
  keys.with("filter", [&](auto& v) {
    if (!v.IsSequence()) return t.filters.push_back(filter_of(v, what + ": filter"));
    for (const auto& item : v) t.filters.push_back(filter_of(item, what + ": filter"));
  });
  return t;
}

Manifest::Schedule read_schedule(const YAML::Node& node, const std::string& what,
                                 const std::string& target) {
  Manifest::Schedule s;
  s.target = target;
  std::vector<std::string_view> known{"schedule", "input",       "timezone",        "start",
                                      "end",      "catch_up",    "flexible_window", "retries",
                                      "max_age",  "dead_letter", "enabled",         "description"};
  if (target.empty())
    known.push_back("target");
  else
    known.push_back("name");
  const Keys keys(node, what, known);
  keys.require("schedule");
  const auto text = [&](const char* key, std::string& out) {
    keys.with(key, [&](auto& v) { out = filled_text_of(v, what + ": " + key); });
  };
  text("schedule", s.expression);
  if (target.empty()) {
    keys.require("target");
    text("target", s.target);
  } else {
    keys.with("name", [&](auto& v) {
      s.name = text_of(v, what + ": name");
      unwrap(v, check_name("schedule", s.name));
    });
  }
  text("timezone", s.timezone);
  text("start", s.start);
  text("end", s.end);
  text("dead_letter", s.dead_letter);
  text("description", s.description);
  keys.with("catch_up", [&](auto& v) {
    s.catch_up = text_of(v, what + ": catch_up");
    if (s.catch_up != "latest" && s.catch_up != "all" && s.catch_up != "none")
      wrong(v, what + ": catch_up must be latest, all or none.");
  });
  keys.with("input", [&](auto& v) { s.input = json_of(v, what + ": input"); });
  keys.with("flexible_window",
            [&](auto& v) { s.flexible_s = seconds_of(v, what + ": flexible_window", kDay); });
  keys.with("retries", [&](auto& v) { s.retries = whole_of(v, what + ": retries", 185); });
  keys.with("max_age", [&](auto& v) { s.max_age_s = seconds_of(v, what + ": max_age", 7 * kDay); });
  keys.with("enabled", [&](auto& v) { s.enabled = boolean_of(v, what + ": enabled"); });
  return s;
}

Manifest::Subscription read_subscription(const YAML::Node& node, const std::string& what) {
  Manifest::Subscription s;
  const Keys keys(node, what, {"topic", "filter", "filter_scope", "dead_letter"});
  keys.with("topic", [&](auto& v) { s.topic = topic_name_of(v, what + ": topic"); });
  keys.with("filter", [&](auto& v) { s.filter = filter_of(v, what + ": filter"); });
  keys.with("filter_scope", [&](auto& v) {
    s.filter_scope = text_of(v, what + ": filter_scope");
    if (s.filter_scope != "body" && s.filter_scope != "attributes")
      wrong(v, what + ": filter_scope must be body or attributes.");
  });
  keys.with("dead_letter",
            [&](auto& v) { s.dead_letter = queue_name_of(v, what + ": dead_letter"); });
  return s;
}

void read_trigger(const YAML::Node& item, Manifest::Function& function, Manifest& manifest) {
  const std::string what = "a trigger of function '" + function.name + "'";
  if (!item.IsMap()) wrong(item, what + " must be a mapping with queue, schedule or topic.");
  const bool queue = item["queue"].IsDefined(), topic = item["topic"].IsDefined(),
             schedule = item["schedule"].IsDefined();
  if (int(queue) + int(topic) + int(schedule) != 1)
    wrong(item, what + " must have one of queue, schedule and topic.");
  if (queue) {
    function.queues.push_back(read_queue_trigger(item, what));
    for (std::size_t i = 0; i + 1 < function.queues.size(); ++i)
      if (function.queues[i].queue == function.queues.back().queue)
        wrong(item, what + ": the queue '" + function.queues.back().queue + "' is there twice.");
  } else if (topic) {
    function.topics.push_back(read_subscription(item, what));
    for (std::size_t i = 0; i + 1 < function.topics.size(); ++i)
      if (function.topics[i].topic == function.topics.back().topic)
        wrong(item, what + ": the topic '" + function.topics.back().topic + "' is there twice.");
  } else {
    manifest.schedules.push_back(read_schedule(item, what, "function:" + function.name));
  }
}

}  // namespace

std::string json_of(const YAML::Node& node, const std::string& what) {
  std::size_t nodes = 0;
  return json::serialize(value_of(node, what, 0, nodes));
}

void read_queues(const YAML::Node& node, Manifest& manifest) {
  if (!node.IsMap() || node.size() > kListMax)
    wrong(node, "queues must be a mapping (NAME: settings).");
  std::set<std::string> seen;
  for (const auto& member : node) {
    Manifest::Queue q;
    q.name = queue_name_of(member.first, "The name of a queue");
    if (!seen.insert(q.name).second) wrong(member.first, "'" + q.name + "' is there twice.");
    q.fifo = q.name.ends_with(".fifo");
    const std::string what = "queue '" + q.name + "'";
    if (!member.second.IsNull()) {
      const Keys keys(
          member.second, what,
          {"fifo", "content_deduplication", "deduplicate_by_group", "dead_letter", "max_receives",
           "visibility_timeout", "delay", "retention", "wait", "message_bytes_max", "tags"});
      keys.with("fifo", [&](auto& v) {
        if (boolean_of(v, what + ": fifo") != q.fifo)
          wrong(v, what + ": the name of a fifo queue ends with .fifo, and no other's does.");
      });
      const auto flag = [&](const char* key, bool& out) {
        keys.with(key, [&](auto& v) {
          out = boolean_of(v, what + ": " + key);
          if (out && !q.fifo) wrong(v, what + ": " + key + " is for fifo queues.");
        });
      };
      flag("content_deduplication", q.content_deduplication);
      flag("deduplicate_by_group", q.deduplicate_by_group);
      keys.with("dead_letter",
                [&](auto& v) { q.dead_letter = queue_name_of(v, what + ": dead_letter"); });
      keys.with("max_receives", [&](auto& v) {
        q.max_receives = whole_from(v, what + ": max_receives", 1, 1'000);
        if (q.dead_letter.empty()) wrong(v, what + ": max_receives wants a dead_letter queue.");
      });
      if (!q.dead_letter.empty() && q.max_receives == 0) q.max_receives = 5;
      const auto duration = [&](const char* key, std::optional<std::uint32_t>& out,
                                std::uint32_t max) {
        keys.with(key, [&](auto& v) { out = seconds_of(v, what + ": " + key, max); });
      };
      duration("visibility_timeout", q.visibility_timeout_s, kDay / 2);
      duration("delay", q.delay_s, 900);
      duration("retention", q.retention_s, 14 * kDay);
      duration("wait", q.receive_wait_s, 20);
      keys.with("message_bytes_max", [&](auto& v) {
        q.message_bytes_max = whole_from(v, what + ": message_bytes_max", 1'024, 1'048'576);
      });
      keys.with("tags", [&](auto& v) {
        if (!v.IsMap()) wrong(v, what + ": tags must be a mapping (NAME: text).");
        for (const auto& tag : v)
          q.tags[filled_text_of(tag.first, "A tag of " + what)] =
              text_of(tag.second, "A tag of " + what);
      });
    }
    manifest.queues.push_back(std::move(q));
  }
}

void read_topics(const YAML::Node& node, Manifest& manifest) {
  std::set<std::string> seen;
  const auto add = [&](const YAML::Node& at, Manifest::Topic topic) {
    topic.fifo = topic.name.ends_with(".fifo");
    if (!seen.insert(topic.name).second) wrong(at, "'" + topic.name + "' is there twice.");
    manifest.topics.push_back(std::move(topic));
  };
  if (node.size() > kListMax) wrong(node, "There are too many topics.");
  if (node.IsSequence()) {  // names alone
    for (const auto& item : node) add(item, {topic_name_of(item, "The name of a topic")});
    return;
  }
  if (!node.IsMap()) wrong(node, "topics must be a mapping (NAME: settings), or a list of names.");
  for (const auto& member : node) {
    Manifest::Topic topic{topic_name_of(member.first, "The name of a topic")};
    const std::string what = "topic '" + topic.name + "'";
    if (!member.second.IsNull()) {
      const Keys keys(member.second, what, {"fifo", "content_deduplication"});
      keys.with("fifo", [&](auto& v) {
        if (boolean_of(v, what + ": fifo") != topic.name.ends_with(".fifo"))
          wrong(v, what + ": the name of a fifo topic ends with .fifo, and no other's does.");
      });
      keys.with("content_deduplication", [&](auto& v) {
        topic.content_deduplication = boolean_of(v, what + ": content_deduplication");
      });
    }
    add(member.first, std::move(topic));
  }
}

void read_schedules(const YAML::Node& node, Manifest& manifest) {
  if (!node.IsMap() || node.size() > kListMax)
    wrong(node, "schedules must be a mapping (NAME: settings).");
  for (const auto& member : node) {
    const std::string name = text_of(member.first, "The name of a schedule");
    unwrap(member.first, check_name("schedule", name));
    auto schedule = read_schedule(member.second, "schedule '" + name + "'", "");
    schedule.name = name;
    manifest.schedules.push_back(std::move(schedule));
  }
}

void read_triggers(const YAML::Node& node, Manifest::Function& function, Manifest& manifest) {
  if (node.IsMap()) return read_trigger(node, function, manifest);  // one needs no list
  if (!node.IsSequence() || node.size() > 100)
    wrong(node, "function '" + function.name + "': triggers must be a list of up to 100.");
  for (const auto& item : node) read_trigger(item, function, manifest);
}

AsyncSettings read_async(const YAML::Node& node, const std::string& what) {
  AsyncSettings s;
  const Keys keys(node, what + ": async",
                  {"retries", "max_age", "on_success", "on_failure", "dead_letter"});
  keys.with("retries", [&](auto& v) {
    s.retries = static_cast<std::int32_t>(whole_of(v, what + ": async: retries", 1'000));
  });
  keys.with("max_age",
            [&](auto& v) { s.max_age_s = seconds_of(v, what + ": async: max_age", 14 * kDay); });
  const auto target = [&](const char* key, std::string& out) {
    keys.with(key, [&](auto& v) { out = filled_text_of(v, what + ": async: " + key); });
  };
  target("on_success", s.on_success);
  target("on_failure", s.on_failure);
  target("dead_letter", s.dead_letter);
  return s;
}

void check_events(const YAML::Node& root, Manifest& manifest) {
  // Names of schedules that functions have: the application's, the function's, and which it is.
  std::set<std::string> names;
  for (const auto& schedule : manifest.schedules)
    if (!schedule.name.empty() && !names.insert(schedule.name).second)
      wrong(root, "The schedule '" + schedule.name + "' is there twice.");
  for (auto& schedule : manifest.schedules) {
    if (!schedule.name.empty()) continue;
    const std::string stem = manifest.name + "-" + schedule.target.substr(sizeof "function:" - 1);
    std::string name = stem.substr(0, 60);
    for (int i = 2; !names.insert(name).second; ++i)
      name = stem.substr(0, 58) + "-" + std::to_string(i);
    schedule.name = name;
  }
  for (const auto& queue : manifest.queues)
    if (!queue.dead_letter.empty() && queue.fifo != queue.dead_letter.ends_with(".fifo"))
      wrong(root["queues"], "queue '" + queue.name + "': its dead_letter queue must be " +
                                (queue.fifo ? "a fifo queue too." : "no fifo queue."));
}

}  // namespace mayfly::functions::yaml
