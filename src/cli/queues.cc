// mayfly queue ...

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <iostream>
#include <iterator>

#include "cli/commands.h"

namespace mayfly::cli {
namespace {

namespace json = boost::json;

constexpr int kUnset = -1;

std::string path_of(const std::string& name, const char* rest = "") {
  return "/v1/queues/" + percent_encode(name) + rest;
}

struct QueueOptions {
  std::string name;
  int visibility_s = kUnset, delay_s = kUnset, retention_s = kUnset, bytes_max = kUnset;
  int wait_s = kUnset, receive_count_max = kUnset, max = kUnset;
  std::string dead_letters, to, reason, body, group, id, attempt;
  std::vector<std::string> attributes, tags, names;
  bool by_content = false, by_group = false, keep = false, raw = false;
};

void put_number(json::object& out, const char* name, int value) {
  if (value != kUnset) out[name] = value;
}

// NAME=VALUE of the command line as an object.
bool put_pairs(json::object& out, const char* name, const std::vector<std::string>& pairs,
               const char* flag) {
  json::object object;
  for (const auto& pair : pairs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      usage_error(std::string(flag) + " wants NAME=VALUE, not \"" + pair + "\"");
      return false;
    }
    object[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  if (!object.empty()) out[name] = std::move(object);
  return true;
}

std::string ago(const json::value& object, const char* key) {
  const auto then = parse_since(text_of(object, key), now_us());
  return then == 0 ? "" : human_ago(then, now_us());
}

int create(Context& context, const QueueOptions& o) {
  json::object request;
  put_number(request, "visibility_timeout_s", o.visibility_s);
  put_number(request, "delay_s", o.delay_s);
  put_number(request, "retention_s", o.retention_s);
  put_number(request, "message_bytes_max", o.bytes_max);
  put_number(request, "receive_wait_s", o.wait_s);
  put_number(request, "receive_count_max", o.receive_count_max);
  if (!o.dead_letters.empty()) request["dead_letter_queue"] = o.dead_letters;
  if (o.by_content) request["content_deduplication"] = true;
  if (o.by_group) request["deduplicate_by_group"] = true;
  if (!put_pairs(request, "tags", o.tags, "--tag")) return kUsage;
  int code = kOk;
  const auto made = fetch_json(context, "PUT", path_of(o.name), code, json::serialize(request));
  if (!made) return code;
  if (context.json) return print_json(*made);
  write_out("queue " + o.name + " is there\n");
  return kOk;
}

int list(Context& context) {
  int code = kOk;
  const auto found = fetch_json(context, "GET", "/v1/queues", code);
  if (!found) return code;
  if (context.json) return print_json(*found);
  using Align = Table::Align;
  Table table({{"QUEUE"},
               {"VISIBLE", Align::right},
               {"IN FLIGHT", Align::right},
               {"DELAYED", Align::right},
               {"OLDEST", Align::right},
               {"DEAD LETTERS"}});
  for (const auto& queue : list_of(*found, "queues"))
    table.row({printable(text_of(queue, "name")),
               human_count(static_cast<std::uint64_t>(number_of(queue, "visible"))),
               human_count(static_cast<std::uint64_t>(number_of(queue, "in_flight"))),
               human_count(static_cast<std::uint64_t>(number_of(queue, "delayed"))),
               ago(queue, "oldest"),
               printable(text_of(value_of(queue, "settings"), "dead_letter_queue"))});
  if (table.empty())
    write_err("no queues yet: mayfly queue create NAME\n");
  else
    write_out(table.render(context.colour()));
  return kOk;
}

int describe_queue(Context& context, const QueueOptions& o) {
  int code = kOk;
  const auto found = fetch_json(context, "GET", path_of(o.name), code);
  if (!found) return code;
  if (context.json) return print_json(*found);
  std::string text = paint(printable(text_of(*found, "name")), Colour::bold, context.colour());
  text += "\n";
  const auto line = [&text](const std::string& name, const std::string& value) {
    text += "  " + name + std::string(name.size() < 24 ? 24 - name.size() : 1, ' ') +
            printable(value) + "\n";
  };
  for (const char* name : {"visible", "in_flight", "delayed"})
    line(name, human_count(static_cast<std::uint64_t>(number_of(*found, name))));
  for (const char* name : {"oldest", "created", "modified"})
    if (!text_of(*found, name).empty()) line(name, text_of(*found, name));
  const auto& settings = value_of(*found, "settings");
  if (settings.is_object())
    for (const auto& [name, value] : settings.get_object())
      line(name, value.is_string() ? std::string(value.get_string()) : json::serialize(value));
  write_out(text);
  return kOk;
}

int send(Context& context, QueueOptions& o) {
  if (o.body == "-")
    o.body.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  json::object message{{"body", o.body}};
  put_number(message, "delay_s", o.delay_s);
  if (!o.group.empty()) message["group"] = o.group;
  if (!o.id.empty()) message["deduplication_id"] = o.id;
  if (!put_pairs(message, "attributes", o.attributes, "--attribute")) return kUsage;
  json::object request;
  request["messages"] = json::array{std::move(message)};
  int code = kOk;
  const auto sent =
      fetch_json(context, "POST", path_of(o.name, "/messages"), code, json::serialize(request));
  if (!sent) return code;
  if (context.json) return print_json(*sent);
  for (const auto& one : list_of(*sent, "messages"))
    write_out(text_of(one, "id") + (flag_of(one, "duplicate") ? " (a duplicate)\n" : "\n"));
  return kOk;
}

void print_messages(const Context& context, const json::value& answer) {
  for (const auto& message : list_of(answer, "messages")) {
    std::string head = text_of(message, "id") + "  sent " + text_of(message, "sent");
    if (const auto count = number_of(message, "receive_count"); count > 0)
      head += "  received " + std::to_string(count) + " times";
    if (const auto group = text_of(message, "group"); !group.empty()) head += "  group " + group;
    if (const auto source = text_of(message, "dead_letter_source"); !source.empty())
      head += "  from " + source + ": " + text_of(message, "dead_letter_reason");
    write_out(paint(printable(head), Colour::dim, context.colour()) + "\n" +
              printable(text_of(message, "body")) + "\n");
  }
}

// Receives and settles, as a person who reads a message means it; --keep leaves it in the queue.
int receive(Context& context, const QueueOptions& o) {
  json::object request;
  put_number(request, "max", o.max);
  put_number(request, "wait_s", o.wait_s);
  put_number(request, "visibility_s", o.visibility_s);
  int code = kOk;
  const auto got =
      fetch_json(context, "POST", path_of(o.name, "/receive"), code, json::serialize(request));
  if (!got) return code;
  const auto& messages = list_of(*got, "messages");
  if (context.json)
    print_json(*got);
  else if (o.raw)
    for (const auto& message : messages) write_out(text_of(message, "body") + "\n");
  else
    print_messages(context, *got);
  if (messages.empty() && !context.json) write_err("no message\n");
  if (o.keep || messages.empty()) return kOk;
  json::array receipts;
  for (const auto& message : messages) receipts.emplace_back(text_of(message, "receipt"));
  json::object settle;
  settle["receipts"] = std::move(receipts);
  const auto settled =
      fetch_json(context, "POST", path_of(o.name, "/settle"), code, json::serialize(settle));
  if (!settled) return code;
  for (const auto& failed : list_of(*settled, "failed"))
    write_err("not settled: " + printable(text_of(failed, "message")) + "\n");
  return list_of(*settled, "failed").empty() ? kOk : kRefused;
}

int peek(Context& context, const QueueOptions& o) {
  int code = kOk;
  const std::string query = o.max == kUnset ? "" : "?max=" + std::to_string(o.max);
  const auto got = fetch_json(context, "GET", path_of(o.name, "/messages") + query, code);
  if (!got) return code;
  if (context.json) return print_json(*got);
  print_messages(context, *got);
  if (list_of(*got, "messages").empty()) write_err("the queue is empty\n");
  return kOk;
}

int purge(Context& context, const QueueOptions& o) {
  int code = kOk;
  const auto done = fetch_json(context, "DELETE", path_of(o.name, "/messages"), code);
  if (!done) return code;
  if (context.json) return print_json(*done);
  write_out("queue " + o.name + " is empty\n");
  return kOk;
}

int redrive(Context& context, const QueueOptions& o) {
  json::object request;
  if (!o.to.empty()) request["to"] = o.to;
  put_number(request, "max", o.max);
  int code = kOk;
  const auto done =
      fetch_json(context, "POST", path_of(o.name, "/redrive"), code, json::serialize(request));
  if (!done) return code;
  if (context.json) return print_json(*done);
  write_out(human_count(static_cast<std::uint64_t>(number_of(*done, "moved"))) +
            " messages moved\n");
  return kOk;
}

int remove_queues(Context& context, const QueueOptions& o) {
  for (const auto& name : o.names) {
    int code = kOk;
    const auto done = fetch_json(context, "DELETE", path_of(name), code);
    if (!done) return code;
    if (!context.json) write_out("removed " + name + "\n");
  }
  if (context.json) return print_json(json::object());
  return kOk;
}

CLI::App* verb(CLI::App& group, const char* name, const char* what, const char* example) {
  CLI::App* made = group.add_subcommand(name, what);
  made->footer(std::string("Example:\n  ") + example + "\n");
  made->fallthrough();
  return made;
}

void add_queue_create(CLI::App& group, Context& context, int& code) {
  auto o = std::make_shared<QueueOptions>();
  CLI::App* c = verb(group, "create", "Make a queue, or change what is named of one that is there",
                     "mayfly queue create clicks --dead-letters clicks-dead --max-receives 3");
  c->add_option("NAME", o->name, "Queue; a name that ends with .fifo makes it fifo")->required();
  const auto number = [c](const char* flag, int& value, const char* what, const char* unit) {
    c->add_option(flag, value, what)->type_name(unit)->check(CLI::NonNegativeNumber);
  };
  number("--visibility", o->visibility_s, "Received messages are hidden so long", "S");
  number("--delay", o->delay_s, "New messages are hidden so long", "S");
  number("--retention", o->retention_s, "Messages are kept so long", "S");
  number("--message-bytes", o->bytes_max, "Largest message", "BYTES");
  number("--wait", o->wait_s, "Receiving waits so long for a message", "S");
  number("--max-receives", o->receive_count_max, "Then a message goes to the dead letters", "N");
  c->add_option("--dead-letters", o->dead_letters, "Queue of its dead letters")->type_name("QUEUE");
  c->add_flag("--content-deduplication", o->by_content, "fifo: a body is its own id");
  c->add_flag("--deduplicate-by-group", o->by_group, "fifo: ids count within a group");
  c->add_option("--tag", o->tags, "Tag NAME=VALUE; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  c->callback([&context, &code, o] { code = create(context, *o); });
}

void add_messages(CLI::App& group, Context& context, int& code) {
  auto sent = std::make_shared<QueueOptions>();
  CLI::App* s =
      verb(group, "send", "Send a message", "mayfly queue send clicks '{\"advertiser\":7}'");
  s->add_option("NAME", sent->name, "Queue")->required();
  s->add_option("BODY", sent->body, "The message, or - for standard input")->required();
  s->add_option("--delay", sent->delay_s, "Hide it so long")->type_name("S");
  s->add_option("--group", sent->group, "fifo: its group")->type_name("GROUP");
  s->add_option("--id", sent->id, "fifo: its deduplication id")->type_name("ID");
  s->add_option("--attribute", sent->attributes, "Attribute NAME=VALUE; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  s->callback([&context, &code, sent] { code = send(context, *sent); });

  auto got = std::make_shared<QueueOptions>();
  CLI::App* r = verb(group, "receive", "Take messages out of a queue and print them",
                     "mayfly queue receive clicks --max 10 --wait 5");
  r->add_option("NAME", got->name, "Queue")->required();
  r->add_option("--max", got->max, "At most so many (default 1)")->type_name("N");
  r->add_option("--wait", got->wait_s, "Wait so long for the first")->type_name("S");
  r->add_option("--visibility", got->visibility_s, "Hide them so long")->type_name("S");
  r->add_flag("--keep", got->keep, "Do not settle them: they come back");
  r->add_flag("--raw", got->raw, "Print bodies and nothing else");
  r->callback([&context, &code, got] { code = receive(context, *got); });

  auto seen = std::make_shared<QueueOptions>();
  CLI::App* p = verb(group, "peek", "Look at the oldest messages without taking them",
                     "mayfly queue peek clicks-dead");
  p->add_option("NAME", seen->name, "Queue")->required();
  p->add_option("--max", seen->max, "At most so many (default 10)")->type_name("N");
  p->callback([&context, &code, seen] { code = peek(context, *seen); });

  auto moved = std::make_shared<QueueOptions>();
  CLI::App* d = verb(group, "redrive", "Move messages back to the queues that they came from",
                     "mayfly queue redrive clicks-dead");
  d->add_option("NAME", moved->name, "Queue, mostly one of dead letters")->required();
  d->add_option("--to", moved->to, "Move all to this one")->type_name("QUEUE");
  d->add_option("--max", moved->max, "At most so many (default: all)")->type_name("N");
  d->callback([&context, &code, moved] { code = redrive(context, *moved); });
}

}  // namespace

void add_queue(CLI::App& group, Context& context, int& code) {
  group.require_subcommand(1);
  add_queue_create(group, context, code);
  verb(group, "ls", "List the queues", "mayfly queue ls")->callback([&context, &code] {
    code = list(context);
  });
  const auto by_name = [&](const char* name, const char* what, const char* example,
                           int (*run)(Context&, const QueueOptions&)) {
    auto o = std::make_shared<QueueOptions>();
    CLI::App* c = verb(group, name, what, example);
    c->add_option("NAME", o->name, "Queue")->required();
    c->callback([&context, &code, o, run] { code = run(context, *o); });
  };
  by_name("describe", "Everything about a queue", "mayfly queue describe clicks", describe_queue);
  add_messages(group, context, code);
  by_name("purge", "Delete all messages of a queue", "mayfly queue purge clicks", purge);
  auto gone = std::make_shared<QueueOptions>();
  CLI::App* rm = verb(group, "rm", "Remove queues with their messages", "mayfly queue rm clicks");
  rm->add_option("NAME", gone->names, "Queues")->required();
  rm->callback([&context, &code, gone] { code = remove_queues(context, *gone); });
}

}  // namespace mayfly::cli
