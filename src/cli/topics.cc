// mayfly topic, mayfly event, mayfly rule.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

// A bare name is a function.
std::string as_target(const std::string& text) {
  return text.find(':') == std::string::npos ? "function:" + text : text;
}

// --name VALUE as JSON; reports what is none.
std::optional<json::value> parse_option(const char* name, const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (!failed) return value;
  usage_error(fmt::format("{} is not valid JSON ({}).", name, failed.message()));
  return std::nullopt;
}

int done(Context& context, const std::optional<json::value>& answer, int code,
         const std::string& sentence) {
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  write_out(sentence + "\n");
  return kOk;
}

struct TopicOptions {
  std::string name, target, filter, scope = "attributes", form, dead_letter, message, subject,
                                    group, deduplication_id;
  std::vector<std::string> attributes;  // NAME=VALUE
  bool content_deduplication = false, confirm = false;
};

std::string topic_path(const TopicOptions& options, const char* behind = "") {
  return "/v1/topics/" + percent_encode(options.name) + behind;
}

int create_topic(Context& context, const TopicOptions& o) {
  json::object body;
  if (o.content_deduplication) body["content_deduplication"] = true;
  int code = kOk;
  const auto made = fetch_json(context, "PUT", topic_path(o), code, json::serialize(body));
  return done(context, made, code, made ? text_of(*made, "arn") : "");
}

int list_topics(Context& context) {
  int code = kOk;
  const auto all = fetch_json(context, "GET", "/v1/topics", code);
  if (!all) return code;
  if (context.json) return print_json(*all);
  Table table({{"NAME"}, {"FIFO"}, {"SUBSCRIPTIONS", Table::Align::right}, {"CREATED"}});
  for (const auto& each : list_of(*all, "topics"))
    table.row({text_of(each, "name"), flag_of(each, "fifo") ? "yes" : "no",
               std::to_string(number_of(each, "subscriptions")), text_of(each, "created")});
  write_out(table.empty() ? "No topics. Make one: mayfly topic create NAME\n"
                          : table.render(context.colour()));
  return kOk;
}

int describe_topic(Context& context, const TopicOptions& o) {
  int code = kOk;
  auto topic = fetch_json(context, "GET", topic_path(o), code);
  if (!topic) return code;
  const auto all = fetch_json(context, "GET", topic_path(o, "/subscriptions"), code);
  if (!all) return code;
  if (context.json) {
    topic->as_object()["subscriptions"] = list_of(*all, "subscriptions");
    return print_json(*topic);
  }
  write_out(fmt::format("{}\n", text_of(*topic, "arn")));
  Table table({{"ID"}, {"TARGET"}, {"FORM"}, {"FILTER"}, {"STATE"}});
  for (const auto& each : list_of(*all, "subscriptions")) {
    const auto& filter = value_of(each, "filter");
    table.row({text_of(each, "id"), printable(text_of(each, "target")), text_of(each, "form"),
               filter.is_object() ? printable(json::serialize(filter)) : std::string("-"),
               flag_of(each, "confirmed") ? "active" : "waits for its confirmation"});
  }
  write_out(table.empty() ? "No subscriptions. Make one: mayfly topic subscribe " + o.name +
                                " function:NAME\n"
                          : table.render(context.colour()));
  return kOk;
}

int subscribe(Context& context, const TopicOptions& o) {
  json::object body{{"target", as_target(o.target)}, {"filter_scope", o.scope}};
  if (!o.filter.empty()) {
    auto filter = parse_option("--filter", o.filter);
    if (!filter) return kUsage;
    body["filter"] = std::move(*filter);
  }
  if (!o.form.empty()) body["form"] = o.form;
  if (!o.dead_letter.empty()) body["dead_letter"] = o.dead_letter;
  if (o.confirm) body["confirm"] = true;
  int code = kOk;
  const auto made =
      fetch_json(context, "POST", topic_path(o, "/subscriptions"), code, json::serialize(body));
  return done(context, made, code, made ? text_of(*made, "id") : "");
}

int publish(Context& context, const TopicOptions& o) {
  json::object body{{"message", o.message}};
  if (!o.subject.empty()) body["subject"] = o.subject;
  if (!o.group.empty()) body["group"] = o.group;
  if (!o.deduplication_id.empty()) body["deduplication_id"] = o.deduplication_id;
  json::object attributes;
  for (const auto& attribute : o.attributes) {
    const auto equals = attribute.find('=');
    if (equals == std::string::npos || equals == 0)
      return usage_error("--attribute wants NAME=VALUE, not \"" + attribute + "\".");
    attributes[attribute.substr(0, equals)] = attribute.substr(equals + 1);
  }
  if (!attributes.empty()) body["attributes"] = std::move(attributes);
  int code = kOk;
  const auto sent =
      fetch_json(context, "POST", topic_path(o, "/publish"), code, json::serialize(body));
  return done(context, sent, code,
              sent ? fmt::format("{} to {} subscriptions", text_of(*sent, "message_id"),
                                 number_of(*sent, "deliveries"))
                   : "");
}

int remove_at(Context& context, const std::string& path) {
  int code = kOk;
  const auto gone = fetch_json(context, "DELETE", path, code);
  if (gone && context.json) return print_json(*gone);
  return code;
}

struct EventOptions {
  std::string name, bus, source, type, detail = "{}", pattern, schedule, description;
  std::vector<std::string> targets, resources;
  bool disabled = false;
};

std::string with_bus(std::string path, const EventOptions& o) {
  return o.bus.empty() ? path : path + "?bus=" + percent_encode(o.bus);
}

int put_event(Context& context, const EventOptions& o) {
  auto detail = parse_option("--detail", o.detail);
  if (!detail) return kUsage;
  json::object body{{"source", o.source}, {"detail_type", o.type}, {"detail", std::move(*detail)}};
  if (!o.resources.empty()) body["resources"] = json::array(o.resources.begin(), o.resources.end());
  int code = kOk;
  const auto put =
      fetch_json(context, "POST", with_bus("/v1/events", o), code, json::serialize(body));
  if (!put) return code;
  if (context.json) return print_json(*put);
  for (const auto& event : list_of(*put, "events"))
    write_out(
        fmt::format("{} to {} targets\n", text_of(event, "id"), number_of(event, "deliveries")));
  return kOk;
}

int put_rule(Context& context, const EventOptions& o) {
  json::object body{{"enabled", !o.disabled}};
  if (!o.pattern.empty()) {
    auto pattern = parse_option("--pattern", o.pattern);
    if (!pattern) return kUsage;
    body["pattern"] = std::move(*pattern);
  }
  if (!o.schedule.empty()) body["schedule"] = o.schedule;
  if (!o.description.empty()) body["description"] = o.description;
  if (!o.targets.empty()) {
    json::array targets;
    for (const auto& target : o.targets) targets.emplace_back(as_target(target));
    body["targets"] = std::move(targets);
  }
  int code = kOk;
  const auto made = fetch_json(context, "PUT", with_bus("/v1/rules/" + percent_encode(o.name), o),
                               code, json::serialize(body));
  return done(context, made, code, made ? text_of(*made, "arn") : "");
}

int list_rules(Context& context, const EventOptions& o) {
  int code = kOk;
  const auto all = fetch_json(context, "GET", with_bus("/v1/rules", o), code);
  if (!all) return code;
  if (context.json) return print_json(*all);
  Table table({{"NAME"}, {"WHEN"}, {"TARGETS"}, {"STATE"}});
  for (const auto& each : list_of(*all, "rules")) {
    const auto& pattern = value_of(each, "pattern");
    std::string targets;
    for (const auto& target : list_of(each, "targets"))
      targets += (targets.empty() ? "" : ", ") + text_of(target, "target");
    table.row(
        {text_of(each, "name"),
         pattern.is_object() ? printable(json::serialize(pattern)) : text_of(each, "schedule"),
         printable(targets), flag_of(each, "enabled") ? "enabled" : "disabled"});
  }
  write_out(table.empty() ? "No rules. Make one: mayfly rule put NAME --pattern "
                            "'{\"source\":[\"shop\"]}' --target function:NAME\n"
                          : table.render(context.colour()));
  return kOk;
}

int show_rule(Context& context, const EventOptions& o, const char* method, const char* behind) {
  int code = kOk;
  const auto rule = fetch_json(context, method,
                               with_bus("/v1/rules/" + percent_encode(o.name) + behind, o), code);
  return rule ? print_json(*rule) : code;
}

void add_subscribe(CLI::App& command, Context& context, int& code,
                   const std::shared_ptr<TopicOptions>& o) {
  CLI::App* c = sub(command, "subscribe", "Send a topic's messages to a target");
  c->add_option("TOPIC", o->name, "Topic")->required();
  c->add_option("TARGET", o->target, "function:NAME (or NAME), queue:NAME or a web address")
      ->required();
  c->add_option("--filter", o->filter, "Filter policy: only messages that match")
      ->type_name("JSON");
  c->add_option("--scope", o->scope, "What the filter looks at: attributes or body")
      ->check(CLI::IsMember({"attributes", "body"}));
  c->add_option("--form", o->form, "envelope (default), raw or cloudevent")
      ->check(CLI::IsMember({"envelope", "raw", "cloudevent"}));
  c->add_option("--dead-letter", o->dead_letter, "Queue for what cannot be delivered");
  c->add_flag("--confirm", o->confirm, "A web address must confirm first, as with SNS");
  c->callback([&context, &code, o] { code = subscribe(context, *o); });
}

void add_publish(CLI::App& command, Context& context, int& code,
                 const std::shared_ptr<TopicOptions>& o) {
  CLI::App* c = sub(command, "publish", "Send a message to all subscriptions");
  c->add_option("TOPIC", o->name, "Topic")->required();
  c->add_option("MESSAGE", o->message, "Message")->required();
  c->add_option("--subject", o->subject, "Subject line");
  c->add_option("--attribute,-a", o->attributes, "Message attribute; may be repeated")
      ->type_name("NAME=VALUE");
  c->add_option("--group", o->group, "Message group (fifo topics)");
  c->add_option("--dedup-id", o->deduplication_id, "Deduplication id (fifo topics)");
  c->callback([&context, &code, o] { code = publish(context, *o); });
}

}  // namespace

void add_topic(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  auto o = std::make_shared<TopicOptions>();
  CLI::App* c = sub(command, "create", "Make a topic; a name that ends with .fifo keeps order");
  c->add_option("NAME", o->name, "Name")->required();
  c->add_flag("--content-deduplication", o->content_deduplication,
              "Fifo: the same message within five minutes is sent once");
  c->callback([&context, &code, o] { code = create_topic(context, *o); });
  sub(command, "ls", "List the topics")->callback([&context, &code] {
    code = list_topics(context);
  });
  c = sub(command, "describe", "A topic and its subscriptions");
  c->add_option("NAME", o->name, "Topic")->required();
  c->callback([&context, &code, o] { code = describe_topic(context, *o); });
  c = sub(command, "rm", "Remove a topic with its subscriptions");
  c->add_option("NAME", o->name, "Topic")->required();
  c->callback([&context, &code, o] { code = remove_at(context, topic_path(*o)); });
  c = sub(command, "unsubscribe", "Remove a subscription");
  c->add_option("ID", o->name, "Id of the subscription (mayfly topic describe)")->required();
  c->callback([&context, &code, o] {
    code = remove_at(context, "/v1/subscriptions/" + percent_encode(o->name));
  });
  add_subscribe(command, context, code, o);
  add_publish(command, context, code, o);
}

void add_event(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  auto o = std::make_shared<EventOptions>();
  CLI::App* c = sub(command, "put", "Put an event on a bus");
  c->add_option("--source", o->source, "Where it comes from, for example shop.orders")->required();
  c->add_option("--type", o->type, "What happened, for example \"Order placed\"")->required();
  c->add_option("--detail", o->detail, "JSON object (default: {})")->type_name("JSON");
  c->add_option("--resource", o->resources, "What it is about; may be repeated");
  c->add_option("--bus", o->bus, "Event bus (default: default)");
  c->callback([&context, &code, o] { code = put_event(context, *o); });
}

void add_rule(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  auto o = std::make_shared<EventOptions>();
  const auto on_bus = [&command, o](const char* name, const char* what, bool named) {
    CLI::App* made = sub(command, name, what);
    if (named) made->add_option("NAME", o->name, "Rule")->required();
    made->add_option("--bus", o->bus, "Event bus (default: default)");
    return made;
  };
  CLI::App* c = on_bus("put", "Make a rule, or change it", true);
  c->add_option("--pattern", o->pattern, "Event pattern (docs/reference/topics.md)")
      ->type_name("JSON");
  c->add_option("--schedule", o->schedule, "rate(...) or cron(...)");
  c->add_option("--target", o->targets,
                "function:NAME (or NAME), queue:NAME, topic:NAME, bus:NAME, a web address; may be "
                "repeated; replaces those before");
  c->add_option("--description", o->description, "A line for people");
  c->add_flag("--disabled", o->disabled, "Make it without matching anything");
  c->callback([&context, &code, o] { code = put_rule(context, *o); });
  on_bus("ls", "List the rules of a bus", false)->callback([&context, &code, o] {
    code = list_rules(context, *o);
  });
  on_bus("describe", "Everything about a rule, as JSON", true)->callback([&context, &code, o] {
    code = show_rule(context, *o, "GET", "");
  });
  on_bus("enable", "Let it match again", true)->callback([&context, &code, o] {
    code = show_rule(context, *o, "POST", "/enable");
  });
  on_bus("disable", "Keep it without matching", true)->callback([&context, &code, o] {
    code = show_rule(context, *o, "POST", "/disable");
  });
  on_bus("rm", "Remove a rule and its targets", true)->callback([&context, &code, o] {
    code = remove_at(context, with_bus("/v1/rules/" + percent_encode(o->name), *o));
  });
}

}  // namespace mayfly::cli
