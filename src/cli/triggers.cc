// mayfly trigger, mayfly state.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

struct TriggerOptions {
  std::string queue, function, id, on_failure;
  std::vector<std::string> filters;
  int batch = -1, window_s = -1, concurrency = -1, attempts = -1;
  int minimum_pollers = -1, maximum_pollers = -1;
  bool whole_batches = false, partial = false, disabled = false;
};

json::object body_of(const TriggerOptions& o) {
  json::object body;
  const std::pair<const char*, int> numbers[] = {{"batch", o.batch},
                                                 {"window_s", o.window_s},
                                                 {"concurrency", o.concurrency},
                                                 {"minimum_pollers", o.minimum_pollers},
                                                 {"maximum_pollers", o.maximum_pollers},
                                                 {"attempts", o.attempts}};
  for (const auto& [key, value] : numbers)
    if (value >= 0) body[key] = value;
  if (!o.filters.empty()) {
    json::array filters;
    for (const auto& filter : o.filters)
      if (!filter.empty()) filters.emplace_back(filter);  // "" takes them away
    body["filters"] = std::move(filters);
  }
  if (!o.on_failure.empty()) body["on_failure"] = o.on_failure == "none" ? "" : o.on_failure;
  if (o.whole_batches) body["partial"] = false;
  if (o.partial) body["partial"] = true;
  return body;
}

void print_field(const char* name, const std::string& text) {
  if (!text.empty()) write_out(fmt::format("{:<12} {}\n", name, printable(text)));
}

int print_trigger(Context& context, const json::value& trigger) {
  if (context.json) return print_json(trigger);
  const auto number = [&](const char* key) { return std::to_string(number_of(trigger, key)); };
  print_field("id", text_of(trigger, "id"));
  print_field("queue", text_of(trigger, "queue"));
  print_field("function", text_of(trigger, "function"));
  print_field("state", text_of(trigger, "state"));
  print_field("last result", text_of(trigger, "last_result"));
  print_field("batch", number("batch"));
  print_field("window", number("window_s") + " s");
  const auto most = number_of(trigger, "concurrency");
  if (number_of(trigger, "maximum_pollers") > 0)
    print_field("pollers", number("minimum_pollers") + " to " + number("maximum_pollers") +
                               ", of ten invocations each");
  else
    print_field("concurrency", most > 0 ? std::to_string(most) : "what the function can take");
  const auto attempts = number_of(trigger, "attempts");
  print_field("attempts", attempts > 0 ? std::to_string(attempts) : "as the queue says");
  for (const auto& filter : list_of(trigger, "filters"))
    if (filter.is_string()) print_field("filter", std::string(filter.get_string()));
  print_field("on failure", text_of(trigger, "on_failure"));
  print_field("answers", flag_of(trigger, "partial") ? "may name the messages that failed"
                                                     : "stand for the whole batch");
  print_field("messages",
              fmt::format("{} handled, {} failed, {} filtered out, {} given up", number("handled"),
                          number("failed"), number("filtered"), number("given_up")));
  print_field("running", number("running"));
  return kOk;
}

int list_triggers(Context& context) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/triggers", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  using Align = Table::Align;
  Table table({{"QUEUE"},
               {"FUNCTION"},
               {"STATE"},
               {"BATCH", Align::right},
               {"RUNNING", Align::right},
               {"HANDLED", Align::right},
               {"LAST RESULT"},
               {"ID"}});
  for (const auto& t : list_of(*answer, "triggers"))
    table.row({printable(text_of(t, "queue")), printable(text_of(t, "function")),
               text_of(t, "state"), std::to_string(number_of(t, "batch")),
               std::to_string(number_of(t, "running")),
               human_count(static_cast<std::uint64_t>(number_of(t, "handled"))),
               printable(text_of(t, "last_result").substr(0, 60)), text_of(t, "id")});
  if (table.empty()) {
    write_out("No queue has a function. `mayfly trigger create QUEUE FUNCTION` makes one so.\n");
    return kOk;
  }
  write_out(table.render(context.colour()));
  return kOk;
}

int change(Context& context, const std::string& id, const json::object& body) {
  int code = kOk;
  const auto answer =
      fetch_json(context, "PUT", "/v1/triggers/" + percent_encode(id), code, json::serialize(body));
  return answer ? print_trigger(context, *answer) : code;
}

int create(Context& context, const TriggerOptions& options) {
  json::object body = body_of(options);
  body["queue"] = options.queue;
  body["function"] = options.function;
  body["enabled"] = !options.disabled;
  int code = kOk;
  const auto answer = fetch_json(context, "POST", "/v1/triggers", code, json::serialize(body));
  return answer ? print_trigger(context, *answer) : code;
}

void add_settings(CLI::App& c, TriggerOptions& o) {
  c.add_option("--batch", o.batch, "Messages of an invocation (default 10)")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000));
  c.add_option("--window", o.window_s, "Wait so long for a full batch (default 0)")
      ->type_name("S")
      ->check(CLI::Range(0, 300));
  c.add_option("--concurrency", o.concurrency, "Invocations at once; 0: what the function can take")
      ->type_name("N")
      ->check(CLI::Range(0, 1000));
  c.add_option("--minimum-pollers", o.minimum_pollers,
               "So many pollers of ten invocations each are never held back; 0: none")
      ->type_name("N")
      ->check(CLI::Range(0, 200));
  c.add_option("--maximum-pollers", o.maximum_pollers,
               "Ten times as many invocations at once, in place of --concurrency; 0: none")
      ->type_name("N")
      ->check(CLI::Range(0, 10'000));
  c.add_option("--attempts", o.attempts, "Then a message is given up; 0: as its queue says")
      ->type_name("N")
      ->check(CLI::Range(0, 1000));
  c.add_option("--filter", o.filters,
               "Pattern that messages must match, JSON; may be repeated; \"\": none")
      ->type_name("JSON")
      ->take_all()
      ->allow_extra_args(false);
  c.add_option("--on-failure", o.on_failure,
               "Where messages go that are given up: queue:NAME, topic:NAME, https://...; none")
      ->type_name("TARGET");
  c.add_flag("--whole-batches", o.whole_batches,
             "batchItemFailures in the answer of the function do not count");
  c.add_flag("--partial", o.partial, "They do (this is the default)");
}

CLI::App* part(CLI::App& command, const std::string& name, const std::string& what,
               const std::string& example) {
  CLI::App* made = command.add_subcommand(name, what);
  made->footer("Example:\n  " + example + "\n");
  made->fallthrough();
  return made;
}

Result<std::string> value_given(const std::string& data) {
  if (data == "-")
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  if (!data.starts_with('@')) return data;
  std::ifstream in(data.substr(1), std::ios::binary);
  if (!in) return Error{Code::not_found, "Cannot read " + data.substr(1)};
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

struct StateOptions {
  std::string key, value, prefix, after;
  int limit = 100;
};

// Values are shown as the server has them: a number keeps its digits.
int raw(Context& context, const std::string& method, const std::string& path, std::string body,
        std::string& out) {
  auto client = context.connect();
  if (client.has_error()) return fail(client.error());
  auto answer = (*client)->request(method, path, std::move(body), "application/json");
  if (answer.has_error()) return fail(answer.error());
  if (answer->status >= 300) return fail(context, *answer);
  out = std::move(answer->body);
  return kOk;
}

int get_state(Context& context, const StateOptions& options) {
  std::string body;
  if (const int code = raw(context, "GET", "/v1/state/" + percent_encode(options.key), {}, body);
      code != kOk)
    return code;
  if (!context.json) {  // {"key":K,"value":V,"etag":E}
    const auto from = body.find(",\"value\":"), to = body.rfind(",\"etag\":");
    if (from != std::string::npos && to != std::string::npos && to > from)
      body = body.substr(from + 9, to - from - 9) + "\n";
  }
  write_out(body);
  return kOk;
}

int put_state(Context& context, const StateOptions& options) {
  auto value = value_given(options.value);
  if (value.has_error()) return fail(value.error());
  std::string body;
  const int code =
      raw(context, "PUT", "/v1/state/" + percent_encode(options.key), std::move(*value), body);
  if (code == kOk && context.json) write_out(body);
  return code;
}

int list_state(Context& context, const StateOptions& options) {
  std::string path = "/v1/state?limit=" + std::to_string(options.limit) +
                     "&prefix=" + percent_encode(options.prefix);
  if (!options.after.empty()) path += "&after=" + percent_encode(options.after);
  int code = kOk;
  const auto answer = fetch_json(context, "GET", path, code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Table table({{"KEY"}, {"VALUE"}});
  for (const auto& item : list_of(*answer, "items")) {
    std::string value = json::serialize(value_of(item, "value"));
    if (value.size() > 100) value = value.substr(0, 97) + "...";
    table.row({printable(text_of(item, "key")), printable(value)});
  }
  write_out(table.empty() ? "There is nothing.\n" : table.render(context.colour()));
  if (const std::string next = text_of(*answer, "next"); !next.empty())
    write_out("There are more: --after '" + printable(next) + "'\n");
  return kOk;
}

int remove_state(Context& context, const StateOptions& options) {
  std::string body;
  const int code = raw(context, "DELETE", "/v1/state/" + percent_encode(options.key), {}, body);
  if (code == kOk && context.json) write_out(body);
  return code;
}

}  // namespace

void add_trigger(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  auto o = std::make_shared<TriggerOptions>();
  CLI::App* c = part(command, "create", "Let a function handle the messages of a queue",
                     "mayfly trigger create clicks charge --batch 1000 --concurrency 2");
  c->add_option("QUEUE", o->queue, "Queue")->required();
  c->add_option("FUNCTION", o->function, "Function, or NAME:VERSION")->required();
  add_settings(*c, *o);
  c->add_flag("--disabled", o->disabled, "It does not work yet");
  c->callback([&context, &code, o] { code = create(context, *o); });

  part(command, "ls", "List the queues that functions handle", "mayfly trigger ls")
      ->callback([&context, &code] { code = list_triggers(context); });

  const auto by_id = [&](const std::string& name, const std::string& what) {
    CLI::App* made = part(command, name, what, "mayfly trigger " + name + " clicks:charge");
    made->add_option("TRIGGER", o->id, "Its id, or QUEUE:FUNCTION")->required();
    return made;
  };
  by_id("describe", "Everything about a trigger")->callback([&context, &code, o] {
    const auto answer = fetch_json(context, "GET", "/v1/triggers/" + percent_encode(o->id), code);
    if (answer) code = print_trigger(context, *answer);
  });
  CLI::App* update = by_id("update", "Change its settings");
  add_settings(*update, *o);
  update->callback([&context, &code, o] { code = change(context, o->id, body_of(*o)); });
  by_id("enable", "Let it work")->callback([&context, &code, o] {
    code = change(context, o->id, {{"enabled", true}});
  });
  by_id("disable", "Let it rest: messages stay in their queue")->callback([&context, &code, o] {
    code = change(context, o->id, {{"enabled", false}});
  });
  by_id("rm", "Remove a trigger; the queue and the function stay")->callback([&context, &code, o] {
    const auto answer =
        fetch_json(context, "DELETE", "/v1/triggers/" + percent_encode(o->id), code);
    if (answer && context.json) code = print_json(*answer);
  });
}

void add_state(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  auto o = std::make_shared<StateOptions>();
  const auto by_key = [&](const std::string& name, const std::string& what,
                          const std::string& example) {
    CLI::App* made = part(command, name, what, example);
    made->add_option("KEY", o->key, "Key")->required();
    return made;
  };
  by_key("get", "Print a value", "mayfly state get budget/acme")->callback([&context, &code, o] {
    code = get_state(context, *o);
  });
  CLI::App* put = by_key("put", "Set a value", "mayfly state put budget/acme 100000");
  put->add_option("VALUE", o->value, "JSON, @FILE, or - for standard input")->required();
  put->callback([&context, &code, o] { code = put_state(context, *o); });
  by_key("rm", "Remove a key", "mayfly state rm budget/acme")->callback([&context, &code, o] {
    code = remove_state(context, *o);
  });
  CLI::App* ls = part(command, "ls", "List keys and values", "mayfly state ls budget/");
  ls->add_option("PREFIX", o->prefix, "Keys that begin with this (default: all)");
  ls->add_option("--after", o->after, "Keys behind this one")->type_name("KEY");
  ls->add_option("--limit", o->limit, "At most so many")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  ls->callback([&context, &code, o] { code = list_state(context, *o); });
}

}  // namespace mayfly::cli
