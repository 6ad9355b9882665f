// mayfly schedule.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

struct ScheduleOptions {
  std::string name, group, expression, target, input, zone, start, end, catch_up, dead_letter,
      description;
  int window_s = 0, retries = -1;
  std::int64_t max_age_s = -1;
  bool disabled = false, remove_when_over = false, replace = false;
};

std::string path_of(const ScheduleOptions& options, const std::string& behind = {}) {
  std::string path = "/v1/schedules/" + percent_encode(options.name) + behind;
  if (!options.group.empty()) path += "?group=" + percent_encode(options.group);
  return path;
}

json::object body_of(const ScheduleOptions& o) {
  // A bare name is a function.
  const bool bare = o.target.find(':') == std::string::npos;
  json::object body{{"expression", o.expression},
                    {"target", bare ? "function:" + o.target : o.target},
                    {"enabled", !o.disabled},
                    {"window_s", o.window_s},
                    {"remove_when_over", o.remove_when_over}};
  const std::pair<const char*, const std::string*> texts[] = {{"timezone", &o.zone},
                                                              {"start", &o.start},
                                                              {"end", &o.end},
                                                              {"input", &o.input},
                                                              {"catch_up", &o.catch_up},
                                                              {"dead_letter", &o.dead_letter},
                                                              {"description", &o.description}};
  for (const auto& [key, text] : texts)
    if (!text->empty()) body[key] = *text;
  if (o.retries >= 0) body["retries"] = o.retries;
  if (o.max_age_s >= 0) body["max_age_s"] = o.max_age_s;
  return body;
}

void print_member(const char* name, const std::string& text) {
  if (!text.empty()) write_out(fmt::format("{:<12} {}\n", name, printable(text)));
}

int print_schedule(Context& context, const json::value& schedule) {
  if (context.json) return print_json(schedule);
  for (const char* key : {"name", "group", "expression", "timezone", "target", "input",
                          "description", "catch_up", "dead_letter", "start", "end", "next", "last"})
    print_member(key, text_of(schedule, key));
  print_member("enabled", flag_of(schedule, "enabled") ? "yes" : "no");
  print_member("ticks", std::to_string(number_of(schedule, "ticks")));
  if (const auto skipped = number_of(schedule, "skipped"); skipped > 0)
    print_member("skipped", std::to_string(skipped));
  return kOk;
}

int create(Context& context, const ScheduleOptions& options) {
  std::string path = path_of(options);
  if (!options.replace) path += std::string(options.group.empty() ? "?" : "&") + "create=1";
  int code = kOk;
  const auto made = fetch_json(context, "PUT", path, code, json::serialize(body_of(options)));
  if (!made) return code;
  if (context.json) return print_json(*made);
  const std::string next = text_of(*made, "next");
  write_out(next.empty() ? "It will not run: nothing is due.\n" : "Next: " + next + "\n");
  return kOk;
}

int list(Context& context, const ScheduleOptions& options) {
  int code = kOk;
  std::string path = "/v1/schedules";
  if (!options.group.empty()) path += "?group=" + percent_encode(options.group);
  const auto all = fetch_json(context, "GET", path, code);
  if (!all) return code;
  if (context.json) return print_json(*all);
  Table table(
      {{"NAME"}, {"EXPRESSION"}, {"ZONE"}, {"TARGET"}, {"NEXT"}, {"TICKS", Table::Align::right}});
  for (const auto& each : list_of(*all, "schedules")) {
    const std::string group = text_of(each, "group");
    const std::string name = text_of(each, "name");
    std::string next = text_of(each, "next");
    if (next.empty()) next = flag_of(each, "enabled") ? "over" : "disabled";
    table.row({group == "default" ? name : group + "/" + name, text_of(each, "expression"),
               text_of(each, "timezone"), printable(text_of(each, "target")), next,
               std::to_string(number_of(each, "ticks"))});
  }
  write_out(table.empty()
                ? "No schedules. Make one: mayfly schedule create NAME --every '5 minutes' "
                  "--target function:NAME\n"
                : table.render(context.colour()));
  return kOk;
}

// Commands on one schedule; show: print what comes back.
int act(Context& context, const ScheduleOptions& options, const std::string& method,
        const std::string& behind, bool show) {
  int code = kOk;
  const auto done = fetch_json(context, method, path_of(options, behind), code);
  if (!done) return code;
  if (show || context.json) return print_schedule(context, *done);
  return kOk;
}

void add_create(CLI::App& command, Context& context, int& code) {
  auto o = std::make_shared<ScheduleOptions>();
  CLI::App* c = sub(command, "create", "Make a schedule");
  c->footer(
      "Examples:\n  mayfly schedule create nightly --cron '0 3 * * *' --timezone Europe/Berlin "
      "--target function:report\n  mayfly schedule create tick --every '5 minutes' --target "
      "queue:ticks\n  mayfly schedule create once --at 2026-12-24T18:00:00 --target "
      "function:greet\n");
  c->add_option("NAME", o->name, "Name of the schedule")->required();
  CLI::Option_group* when = c->add_option_group("when");
  when->add_option("--cron", o->expression,
                   "Five fields; six: seconds in front; or a whole cron(...)")
      ->type_name("LINE");
  auto every = std::make_shared<std::string>();
  auto at = std::make_shared<std::string>();
  when->add_option("--every", *every, "For example '5 minutes', '1 day'")->type_name("TIME");
  when->add_option("--at", *at, "Once: 2026-11-21T10:00:00 in the time zone")->type_name("TIME");
  when->add_option("--expression", o->expression, "cron(...), rate(...) or at(...)");
  when->require_option(1);
  c->add_option("--target", o->target,
                "function:NAME (or NAME), queue:NAME, topic:NAME, bus:NAME, a URL, an ARN")
      ->required();
  c->add_option("--input", o->input, "Payload (default: an event that tells of the tick)")
      ->type_name("JSON");
  c->add_option("--timezone", o->zone, "For example Europe/Berlin (default: UTC)");
  c->add_option("--start", o->start, "Not before: 2026-11-21T10:00:00Z")->type_name("TIME");
  c->add_option("--end", o->end, "Not after")->type_name("TIME");
  c->add_option("--window", o->window_s, "Each tick comes up to so much later, at random")
      ->type_name("S")
      ->check(CLI::Range(0, 86'400));
  c->add_option("--catch-up", o->catch_up,
                "Ticks while the server was down: latest, all, none (default: latest)")
      ->check(CLI::IsMember({"latest", "all", "none"}));
  c->add_option("--retries", o->retries, "Of a tick whose target fails")->type_name("N");
  c->add_option("--max-age", o->max_age_s, "Then a failing tick is given up")->type_name("S");
  c->add_option("--dead-letter", o->dead_letter, "Target of ticks that were given up");
  c->add_option("--description", o->description, "A line for people");
  c->add_option("--group", o->group, "Group of schedules (default: default)");
  c->add_flag("--disabled", o->disabled, "Make it without running it");
  c->add_flag("--remove-when-over", o->remove_when_over, "It goes after its last tick");
  c->add_flag("--replace", o->replace, "In place of the one of this name");
  c->callback([&context, &code, o, every, at] {
    if (!every->empty()) o->expression = "rate(" + *every + ")";
    if (!at->empty()) o->expression = "at(" + *at + ")";
    code = create(context, *o);
  });
}

}  // namespace

void add_schedule(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  add_create(command, context, code);
  auto o = std::make_shared<ScheduleOptions>();
  const auto grouped = [o](CLI::App* c) {
    c->add_option("--group", o->group, "Group of schedules (default: default)");
    return c;
  };
  grouped(sub(command, "ls", "List the schedules"))->callback([&context, &code, o] {
    code = list(context, *o);
  });
  const auto named = [&](const std::string& name, const std::string& what, const char* method,
                         const char* behind, bool show) {
    CLI::App* c = grouped(sub(command, name, what));
    c->add_option("NAME", o->name, "Schedule")->required();
    c->callback([&context, &code, o, method, behind, show] {
      code = act(context, *o, method, behind, show);
    });
  };
  named("describe", "Everything about a schedule", "GET", "", true);
  named("rm", "Remove a schedule", "DELETE", "", false);
  named("enable", "Run it again from now on", "POST", "/enable", false);
  named("disable", "Keep it without running it", "POST", "/disable", false);
  named("run", "A tick now, beside all others", "POST", "/run", false);
}

}  // namespace mayfly::cli
