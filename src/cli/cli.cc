#include "cli/cli.h"

#include <iostream>
#include <optional>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "functions/policy.h"
#include "os/files.h"

namespace mayfly::cli {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 the function failed, 2 wrong usage, 3 not found, 4 no server reached,\n"
    "5 refused by the server or another failure.\n\n"
    "The server is found by --api and --key, by --data, by MAYFLY_API, MAYFLY_KEY and "
    "MAYFLY_DATA,\n"
    "else it is the last one that this user started.\n";

CLI::App* command(CLI::App& app, const std::string& name, const std::string& what,
                  const std::string& example) {
  CLI::App* made = app.add_subcommand(name, what);
  made->footer("Example:\n  " + example + "\n");
  made->fallthrough();
  return made;
}

// Seconds on the command line, milliseconds inside.
std::uint32_t to_ms(double seconds) {
  return static_cast<std::uint32_t>(seconds * 1000 + 0.5);
}

void add_async_options(CLI::App& c, functions::AsyncSettings& async) {
  c.add_option("--retries", async.retries, "Of async calls that fail (default: 2)")
      ->type_name("N")
      ->check(CLI::Range(0, 100));
  c.add_option("--max-age", async.max_age_s, "Async calls are given up after this (default: 6 h)")
      ->type_name("S")
      ->check(CLI::Range(0, 1'209'600));
  c.add_option("--on-success", async.on_success,
               "Target of a record of each async call that succeeds")
      ->type_name("TARGET");
  c.add_option("--on-failure", async.on_failure, "Target of a record of each async call that fails")
      ->type_name("TARGET");
  c.add_option("--dead-letter", async.dead_letter,
               "Target of the payloads of async calls that fail")
      ->type_name("TARGET");
}

struct DeployFlags {
  DeployOptions options;
  std::vector<std::string> env, parameters;
  double timeout_s = 0, keep_alive_s = -1;
  std::string network, snapshot, direct, services, policy;
  bool no_check = false;
};

void add_project_options(CLI::App& c, DeployFlags& flags) {
  auto& o = flags.options;
  c.add_option("--stage", o.stage, "Of a serverless.yml (default: its provider.stage, else dev)");
  c.add_option("--region", o.region,
               "Of a SAM template or serverless.yml, in ARNs (default: the project's, else the "
               "server's)");
  c.add_option("--parameter", flags.parameters,
               "Parameter NAME=VALUE of a SAM template or serverless.yml; may be repeated")
      ->type_name("NAME=VALUE")
      ->take_all()
      ->allow_extra_args(false);
}

int run_deploy(Context& context, DeployFlags& flags) {
  auto& settings = flags.options.settings;
  for (const auto& pair : flags.env) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      return usage_error("--env wants NAME=VALUE, not \"" + pair + "\"");
    settings.env[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  for (const auto& pair : flags.parameters) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      return usage_error("--parameter wants NAME=VALUE, not \"" + pair + "\"");
    flags.options.parameters[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  settings.timeout_ms = to_ms(flags.timeout_s);
  if (flags.keep_alive_s >= 0) settings.keep_alive_ms = to_ms(flags.keep_alive_s);
  if (flags.network == "none") settings.network = functions::NetworkMode::none;
  settings.snapshot = flags.snapshot != "off";
  settings.direct = flags.direct != "off";
  settings.services = flags.services != "off";
  if (!flags.policy.empty()) {
    auto text = os::read_file(flags.policy);
    if (text.has_error()) return usage_error("--policy: " + text.error().describe());
    const auto policy = functions::Policy::parse(*text);
    if (policy.has_error())
      return usage_error("--policy " + flags.policy + ": " + policy.error().message);
    settings.policy = std::move(*text);
  }
  flags.options.check = !flags.no_check;
  return deploy(context, flags.options);
}

void add_deploy(CLI::App& app, Context& context, int& code) {
  auto flags = std::make_shared<DeployFlags>();
  CLI::App* c = command(app, "deploy",
                        "Make a function of a file, folder, archive or executable; or all that a "
                        "mayfly.yaml, a SAM template or a serverless.yml describes",
                        "mayfly deploy hello.py --memory 256 --env GREETING=hi");
  auto& o = flags->options;
  c->add_option("PATH", o.path,
                "File, folder, .zip, .tar.gz, executable, or a folder with a mayfly.yaml, "
                "template.yaml (SAM) or serverless.yml (default: that of this folder)");
  c->add_option("-f,--file", o.manifest,
                "A mayfly.yaml, template or serverless.yml by its own path");
  c->add_option("--name", o.name,
                "Name of the function, or of the application of a SAM template (default: from the "
                "file or folder)");
  c->add_option("--image", o.settings.image.uri,
                "An imported image instead of PATH: NAME:TAG or NAME@sha256:DIGEST")
      ->type_name("NAME:TAG");
  add_project_options(*c, *flags);
  c->add_option("--runtime", o.settings.runtime,
                "For example python3.11, node, provided (default: detected)");
  c->add_option("--handler", o.settings.handler, "For example app.handler (default: detected)");
  c->add_option("--description", o.settings.description, "A line for people");
  c->add_option("--memory", o.settings.memory_mb, "Memory of an instance")
      ->type_name("MB")
      ->check(CLI::Range(1, 1 << 22));
  c->add_option("--timeout", flags->timeout_s, "Deadline of an invocation")
      ->type_name("S")
      ->check(CLI::Range(0.001, 86'400.0));
  c->add_option("--concurrency", o.settings.concurrency, "Invocations of one instance at once")
      ->type_name("N");
  c->add_option("--min", o.settings.instances_min, "Instances kept running")->type_name("N");
  c->add_option("--max", o.settings.instances_max, "Instances at most")->type_name("N");
  c->add_option("--keep-alive", flags->keep_alive_s, "An idle instance ends after this")
      ->type_name("S")
      ->check(CLI::Range(0.0, 86'400.0));
  c->add_option("--network", flags->network,
                "nat: out to the world; none: nothing at all (default: nat)")
      ->check(CLI::IsMember({"nat", "none"}));
  c->add_option("--snapshot", flags->snapshot,
                "on: instances are cloned from one that has run the initialisation, where the "
                "runtime can; off: each runs it by itself (default: on)")
      ->check(CLI::IsMember({"on", "off"}));
  c->add_option("--direct", flags->direct,
                "on: GATEWAY/function/NAME calls it; off: only its routes, its function URL and "
                "its triggers do (default: on)")
      ->check(CLI::IsMember({"on", "off"}));
  c->add_option("--services", flags->services,
                "on: it reaches the server's queues, buckets and other services from inside; off: "
                "it does not (default: on)")
      ->check(CLI::IsMember({"on", "off"}));
  c->add_option("--policy", flags->policy,
                "What it may do there: a file with statements in the form of IAM, in JSON")
      ->type_name("FILE");
  c->add_option("--env", flags->env, "Environment variable NAME=VALUE; may be repeated")
      ->type_name("NAME=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  add_async_options(*c, o.settings.async);
  c->add_flag("--no-check", flags->no_check, "Deploy without starting an instance first");
  c->callback([&context, &code, flags] { code = run_deploy(context, *flags); });
}

void add_invoke(CLI::App& app, Context& context, int& code) {
  auto options = std::make_shared<InvokeOptions>();
  CLI::App* c = command(app, "invoke", "Call a function and print its answer",
                        "mayfly invoke hello --data '{\"name\":\"Ada\"}' --log");
  c->add_option("NAME", options->name, "Function, or NAME:VERSION")->required();
  c->add_option("--data", options->data, "Payload: JSON, @FILE, or - for standard input")
      ->type_name("JSON")
      ->capture_default_str();
  c->add_option("--qualifier", options->qualifier, "Published version to call")->type_name("N");
  c->add_flag("--log", options->log, "Show the end of its log, and how long it took");
  c->add_flag("--raw", options->raw, "Print the answer's bytes and nothing else");
  c->add_flag("--async", options->async, "Do not wait: print the id of the call ('mayfly calls')");
  c->add_option("--idempotency-key", options->idempotency_key,
                "With --async: the same key again is the same call")
      ->type_name("KEY");
  c->add_option("--callback-url", options->callback_url, "With --async: the result is POSTed there")
      ->type_name("URL");
  c->callback([&context, &code, options] { code = invoke(context, *options); });
}

void add_functions(CLI::App& app, Context& context, int& code) {
  CLI::App* ls = command(app, "ls", "List the functions", "mayfly ls --json");
  ls->callback([&context, &code] { code = list_functions(context); });

  auto described = std::make_shared<std::string>();
  CLI::App* show =
      command(app, "describe", "Everything about a function; without NAME, about the server",
              "mayfly describe hello:3");
  show->add_option("NAME", *described, "Function, or NAME:VERSION");
  show->callback([&context, &code, described] { code = describe(context, *described); });

  const auto by_name = [&](const std::string& name, const std::string& what,
                           const std::string& example, int (*run)(Context&, const std::string&)) {
    auto argument = std::make_shared<std::string>();
    CLI::App* c = command(app, name, what, example);
    c->add_option("NAME", *argument, "Function")->required();
    c->callback([&context, &code, argument, run] { code = run(context, *argument); });
  };
  by_name("publish", "Keep the present code and settings as a numbered version",
          "mayfly publish hello", publish);
  by_name("versions", "List the versions of a function", "mayfly versions hello", list_versions);
  by_name("url", "Print where a function is called", "curl $(mayfly url hello)", show_url);

  auto names = std::make_shared<std::vector<std::string>>();
  auto apps = std::make_shared<bool>(false);
  CLI::App* rm = command(app, "rm", "Remove functions, with versions and logs; bills stay",
                         "mayfly rm hello other");
  rm->add_option("NAME", *names, "Functions")->required();
  rm->add_flag("--app", *apps, "The names are apps: remove their routes, keep their functions");
  rm->callback([&context, &code, names, apps] { code = remove(context, *names, *apps); });

  command(app, "apps", "List the routes of mayfly.yaml deploys", "mayfly apps")
      ->callback([&context, &code] { code = list_apps(context); });
  command(app, "runtimes", "List the runtimes, and what brings the missing ones", "mayfly runtimes")
      ->callback([&context, &code] { code = list_runtimes(context); });
  command(app, "info", "About the server: addresses, limits, what the sandbox can do",
          "mayfly info --json")
      ->callback([&context, &code] { code = show_info(context); });
  command(app, "version", "Print the version of this program", "mayfly version")
      ->callback([&context, &code] { code = show_version(context); });
}

void add_insight(CLI::App& app, Context& context, int& code) {
  auto log_options = std::make_shared<LogsOptions>();
  CLI::App* l = command(app, "logs", "What a function wrote to stdout and stderr",
                        "mayfly logs hello -f --since 10m");
  l->add_option("NAME", log_options->name, "Function")->required();
  l->add_flag("-f,--follow", log_options->follow, "Go on as lines are written, until Ctrl-C");
  l->add_option("--since", log_options->since, "10m, 2h, 1d, or 2026-11-21T08:30:00Z")
      ->type_name("TIME");
  l->add_option("--limit", log_options->limit,
                "The newest so many lines (default 1000; 10 with -f)")
      ->type_name("N")
      ->check(CLI::Range(0, 100'000));
  l->add_option("--request", log_options->request_id, "Of one invocation only")->type_name("ID");
  l->callback([&context, &code, log_options] { code = logs(context, *log_options); });

  auto wanted = std::make_shared<InvocationsOptions>();
  CLI::App* i = command(app, "invocations", "The last invocations: phases, memory, outcome, price",
                        "mayfly invocations hello --errors");
  i->add_option("NAME", wanted->name, "Function (default: all)");
  i->add_flag("--errors", wanted->errors, "Only those that failed");
  i->add_option("--request", wanted->request_id, "One by its request id")->type_name("ID");
  i->add_option("--limit", wanted->limit, "At most so many")
      ->type_name("N")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  i->callback([&context, &code, wanted] { code = invocations(context, *wanted); });

  auto name = std::make_shared<std::string>();
  CLI::App* s =
      command(app, "stats", "Sums for each function, and its instances now", "mayfly stats hello");
  s->add_option("NAME", *name, "Function (default: all)");
  s->callback([&context, &code, name] { code = stats(context, *name); });

  command(app, "top", "The functions at work, refreshed every second; q quits", "mayfly top")
      ->callback([&context, &code] { code = top(context); });

  auto billed = std::make_shared<BillOptions>();
  CLI::App* b = command(app, "bill", "What was used and what it costs",
                        "mayfly bill hello --from 2026-11-01 --to 2026-11-30");
  b->add_option("NAME", billed->name, "Function (default: all)");
  b->add_option("--from", billed->from, "First day, UTC (default: first of this month)")
      ->type_name("YYYY-MM-DD");
  b->add_option("--to", billed->to, "Last day, UTC (default: today)")->type_name("YYYY-MM-DD");
  b->add_flag("--days", billed->days, "A line for each day");
  b->callback([&context, &code, billed] { code = bill(context, *billed); });
}

// "The commands are: ls, rm."; empty where there are none.
std::string commands_of(const CLI::App& app) {
  std::string known;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_name().empty()) known += (known.empty() ? "" : ", ") + command->get_name();
  return known.empty() ? known : "The commands are: " + known + ".";
}

// CLI11 says only that a command is missing: name the word that is none.
std::optional<std::string> unknown_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return std::nullopt;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (command->check_name(argv[1])) return std::nullopt;
  return "mayfly: There is no command '" + std::string(argv[1]) + "'. " + commands_of(app) +
         "\nRun 'mayfly --help' for what they do.\n";
}

// Says which command was not understood, and where more is to be read.
int fail_usage(const CLI::App& app, const std::string& what) {
  const CLI::App* command = &app;
  std::string words = "mayfly";
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    words += " " + command->get_name();
  }
  std::cerr << words << ": " << what << "\n";
  if (const std::string known = commands_of(*command); !known.empty()) std::cerr << known << "\n";
  std::cerr << "Run '" << words << " --help' for what it takes.\n";
  return kUsage;
}

void add_serve(CLI::App& app, const Serve& serve, int& code) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* c = app.add_subcommand("serve", "Run a server until SIGTERM or Ctrl-C");
  c->footer("Example:\n  mayfly serve --gateway 0.0.0.0:80 --data /var/lib/mayfly\n");
  c->add_option("--gateway", flags->gateway,
                "Public port (default 127.0.0.1:8080; port 0: a free one)")
      ->type_name("ADDR:PORT");
  c->add_option("--api", flags->api, "API port (default 127.0.0.1:8081; port 0: a free one)")
      ->type_name("ADDR:PORT");
  c->add_option("--data", flags->data, "Data directory (default ~/.local/share/mayfly)")
      ->type_name("DIR");
  c->add_option("--config", flags->config, "Settings file; see --print-settings")
      ->type_name("FILE");
  c->add_option("--log-level", flags->log_level, "debug, info, warn or error");
  c->add_flag("--print-settings", flags->print_settings,
              "Print every setting with its meaning and the value in force, then end");
  c->callback([&code, &serve, flags] { code = serve(*flags); });
}

}  // namespace

CLI::App* sub(CLI::App& app, const std::string& name, const std::string& what) {
  CLI::App* made = app.add_subcommand(name, what);
  made->fallthrough();
  return made;
}

int run(int argc, char** argv, const std::string& version, const Serve& serve) {
  CLI::App app("Mayfly: functions without servers to care for.", "mayfly");
  app.footer("Start:\n  mayfly serve &\n  mayfly deploy hello.py && curl $(mayfly url hello)\n\n" +
             std::string(kExitCodes));
  app.require_subcommand(1);
  app.get_formatter()->column_width(32);
  app.set_version_flag("--version", "mayfly " + version);
  int code = kOk;
  Context context;
  context.version = version;
  app.add_option("--api", context.find.api, "URL of the server's API")->type_name("URL");
  app.add_option("--key", context.find.key, "Its key")->type_name("KEY");
  app.add_option("--data", context.find.data, "Data directory of the server, in which both stand")
      ->type_name("DIR");
  app.add_flag("--json", context.json, "Print the API's JSON instead of text for people");

  add_serve(app, serve, code);
  add_deploy(app, context, code);
  add_invoke(app, context, code);
  add_functions(app, context, code);
  add_insight(app, context, code);
  add_calls(*command(app, "calls", "Async calls: list, result, cancel, run again",
                     "mayfly calls ls hello --state failed"),
            context, code);
  add_schedule(
      *command(app, "schedule", "Schedules: cron lines, rates, once",
               "mayfly schedule create nightly --cron '0 3 * * *' --target function:report"),
      context, code);
  add_topic(*command(app, "topic", "Topics: publish to functions, queues and web addresses",
                     "mayfly topic subscribe news function:hello"),
            context, code);
  add_event(*command(app, "event", "Put an event on a bus",
                     "mayfly event put --source shop --type Order --detail '{\"id\":1}'"),
            context, code);
  add_rule(*command(app, "rule", "Rules: which events go to which targets",
                    "mayfly rule put orders --pattern '{\"source\":[\"shop\"]}' --target hello"),
           context, code);
  add_layer(*command(app, "layer", "Layers: packages that functions find at /opt",
                     "mayfly layer rm tools:3"),
            context, code);
  add_image(*command(app, "image", "Container images, of which functions are made",
                     "mayfly image import app.tar --name app:1 && mayfly deploy --image app:1"),
            context, code);
  add_keys(*command(app, "keys", "Access keys, with which clients of AWS services sign",
                    "mayfly keys create --name backup --json"),
           context, code);
  add_trigger(*command(app, "trigger", "Functions that handle the messages of queues",
                       "mayfly trigger create clicks charge --batch 1000"),
              context, code);
  add_state(
      *command(app, "state", "What functions keep between their calls", "mayfly state ls budget/"),
      context, code);
  add_simulate(*command(app, "simulate", "Compare scheduling policies on a published load",
                        "mayfly simulate --functions 2000 --plot policies.svg"),
               context, code);
  add_bucket(*command(app, "bucket", "Buckets and their objects",
                      "mayfly bucket put hello.zip code/hello.zip"),
             context, code);
  add_queue(*command(app, "queue", "Queues and their messages", "mayfly queue create clicks"),
            context, code);
  if (const auto wrong = unknown_command(app, argc, argv)) {
    std::cerr << *wrong;
    return kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    if (wrong.get_exit_code() == 0) return app.exit(wrong) == 0 ? kOk : kUsage;  // --help
    return fail_usage(app, wrong.what());
  }
  return code;
}

}  // namespace mayfly::cli
