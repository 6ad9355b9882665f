#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

std::string seconds(std::int64_t ms) {
  if (ms > 0 && ms % 1000 == 0 && ms <= 120'000) return fmt::format("{} s", ms / 1000);
  return human_us(static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0)) * 1000);
}

// 0 and -1 stand for a default that the server knows.
std::string memory(std::int64_t mb) {
  return mb > 0 ? fmt::format("{} MB", mb) : "default";
}

Table version_table() {
  using Align = Table::Align;
  return Table({{"NAME"},
                {"RUNTIME"},
                {"HANDLER"},
                {"MODEL"},
                {"MEMORY", Align::right},
                {"TIMEOUT", Align::right},
                {"CODE", Align::right},
                {"DEPLOYED"}});
}

void add_version(Table& table, const json::value& version, const std::string& name) {
  const auto& settings = value_of(version, "settings");
  const auto timeout = number_of(settings, "timeout_ms");
  table.row({printable(name), printable(text_of(settings, "runtime")),
             printable(text_of(settings, "handler")), text_of(version, "model"),
             memory(number_of(settings, "memory_mb")), timeout > 0 ? seconds(timeout) : "default",
             human_bytes(static_cast<std::uint64_t>(number_of(version, "code_bytes"))),
             human_ago(number_of(version, "created_us"), now_us())});
}

void line(std::string& out, const std::string& key, const std::string& value) {
  if (!value.empty()) out += fmt::format("{:<13}{}\n", key, printable(value));
}

bool is_direct(const json::value& function) {
  const auto* direct = value_of(value_of(function, "settings"), "direct").if_bool();
  return direct == nullptr || *direct;
}

// Where a function is called; the server's address is not part of the function. Empty: it has no
// address of its own.
std::string url_of(Context& context, const json::value& function, int& code) {
  if (!is_direct(function)) return {};
  const auto info = fetch_json(context, "GET", "/v1/info", code);
  if (!info) return {};
  const std::string version = text_of(function, "version");
  return text_of(*info, "gateway") + "/function/" + text_of(function, "function") +
         (version.empty() || version == "$LATEST" ? "" : ":" + version);
}

// How long an idle instance stays, and why.
std::string keep_alive_text(const json::value& keep) {
  const std::string why = text_of(keep, "why");
  const auto ms = number_of(keep, "ms"), gaps = number_of(keep, "gaps");
  if (why == "setting") return seconds(ms) + ", as set";
  const bool decided = !value_of(keep, "ms").is_null();
  if (!decided)
    return fmt::format("learnt from the gaps between calls ({} known); none was idle yet", gaps);
  if (why == "break_even")
    return fmt::format(
        "{}: keeping costs as much as a start; {} gaps between calls are known so far", seconds(ms),
        gaps);
  std::string text = fmt::format("{}, learnt from {} gaps between calls", seconds(ms), gaps);
  if (const auto again = number_of(keep, "again_from_ms"); again > 0)
    text += "; started again " + seconds(again) + " after a call, when the next is due";
  return text;
}

std::string describe_text(const json::value& function, const std::string& url) {
  const auto& settings = value_of(function, "settings");
  std::string out;
  line(out, "name", text_of(function, "function"));
  line(out, "version", text_of(function, "version"));
  line(out, "description", text_of(settings, "description"));
  line(out, "url", url);
  line(out, "runtime", text_of(settings, "runtime"));
  line(out, "handler", text_of(settings, "handler"));
  line(out, "model", text_of(function, "model"));
  line(out, "memory", memory(number_of(settings, "memory_mb")));
  const auto timeout = number_of(settings, "timeout_ms");
  line(out, "timeout", timeout > 0 ? seconds(timeout) : "default");
  line(out, "concurrency", std::to_string(number_of(function, "concurrency")));
  const auto most = number_of(settings, "instances_max");
  line(out, "instances",
       fmt::format("{} to {}", number_of(settings, "instances_min"),
                   most > 0 ? std::to_string(most) : "what the machine can take"));
  line(out, "keep-alive", keep_alive_text(value_of(function, "keep_alive")));
  line(out, "network", text_of(settings, "network"));
  line(out, "snapshot", flag_of(settings, "snapshot") ? "on" : "off");
  const auto* services = value_of(settings, "services").if_bool();
  if (services != nullptr && !*services)
    line(out, "services", "off: it cannot reach this server's services");
  else if (const auto policy = text_of(settings, "policy"); !policy.empty())
    line(out, "policy", policy);
  if (!is_direct(function))
    line(out, "direct", "off: it is called by its routes, function URL and triggers");
  line(out, "code", human_bytes(static_cast<std::uint64_t>(number_of(function, "code_bytes"))));
  line(out, "package", text_of(function, "package"));
  line(out, "revision", text_of(function, "revision"));
  line(out, "deployed", local_time(number_of(function, "created_us")));
  const auto& environment = value_of(settings, "env");
  if (environment.is_object())
    for (const auto& variable : environment.get_object())
      line(out, "env",
           std::string(variable.key()) + "=" +
               (variable.value().is_string() ? std::string(variable.value().get_string())
                                             : json::serialize(variable.value())));
  for (const auto& note : list_of(function, "notes"))
    if (note.is_string()) line(out, "note", std::string(note.get_string()));
  return out;
}

}  // namespace

int list_functions(Context& context) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/functions", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Table table = version_table();
  for (const auto& function : list_of(*answer, "functions"))
    add_version(table, function, text_of(function, "function"));
  if (table.empty()) {
    write_out("No functions yet. Deploy one: mayfly deploy hello.py\n");
    return kOk;
  }
  write_out(table.render(context.colour()));
  return kOk;
}

int describe(Context& context, const std::string& name) {
  if (name.empty()) return show_info(context);
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/functions/" + percent_encode(name), code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  const std::string url = url_of(context, *answer, code);
  if (code == kOk) write_out(describe_text(*answer, url));
  return code;
}

int list_versions(Context& context, const std::string& name) {
  int code = kOk;
  const auto answer =
      fetch_json(context, "GET", "/v1/functions/" + percent_encode(name) + "/versions", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Table table = version_table();
  for (const auto& version : list_of(*answer, "versions"))
    add_version(table, version, text_of(version, "function") + ":" + text_of(version, "version"));
  write_out(table.render(context.colour()));
  return kOk;
}

int publish(Context& context, const std::string& name) {
  int code = kOk;
  const auto answer =
      fetch_json(context, "POST", "/v1/functions/" + percent_encode(name) + "/versions", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  const std::string url = url_of(context, *answer, code);
  if (code == kOk)
    write_out(fmt::format("{}:{}  published  {}\n", text_of(*answer, "function"),
                          text_of(*answer, "version"), url));
  return code;
}

int remove(Context& context, const std::vector<std::string>& names, bool apps) {
  int worst = kOk;
  for (const auto& name : names) {
    int code = kOk;
    const auto answer = fetch_json(
        context, "DELETE", (apps ? "/v1/apps/" : "/v1/functions/") + percent_encode(name), code);
    if (code == kUnreachable) return code;
    if (!answer)
      worst = code;
    else if (context.json)
      print_json(*answer);
    else
      write_out(name + "  removed\n");
  }
  return worst;
}

int list_apps(Context& context) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/apps", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Table table({{"APP"}, {"METHOD"}, {"PATH"}, {"LEADS TO"}});
  for (const auto& app : list_of(*answer, "apps"))
    for (const auto& route : list_of(app, "routes")) {
      const std::string function = text_of(route, "function");
      table.row({printable(text_of(app, "name")), text_of(route, "method"),
                 printable(text_of(route, "path")),
                 function.empty() ? "static files" : printable(function)});
    }
  if (table.empty()) {
    write_out("No apps yet. A folder with a mayfly.yaml makes one: mayfly deploy FOLDER\n");
    return kOk;
  }
  write_out(table.render(context.colour()));
  return kOk;
}

int list_runtimes(Context& context) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/runtimes", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Table table({{"NAME"}, {"VERSION"}, {"PROGRAM"}, {"ALSO KNOWN AS"}, {"STATE"}});
  const bool colour = context.colour();
  for (const auto& runtime : list_of(*answer, "runtimes")) {
    std::string aliases;
    for (const auto& alias : list_of(runtime, "aliases"))
      if (alias.is_string())
        aliases += (aliases.empty() ? "" : ", ") + std::string(alias.get_string());
    const bool there = flag_of(runtime, "installed");
    table.row(
        {text_of(runtime, "name"), text_of(runtime, "version"),
         printable(text_of(runtime, "program")), aliases,
         there ? paint("installed", Colour::green, colour)
               : paint("missing: " + text_of(runtime, "install_hint"), Colour::yellow, colour)});
  }
  write_out(table.render(colour));
  return kOk;
}

int show_info(Context& context) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/info", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  const auto& sandbox = value_of(*answer, "sandbox");
  std::string out;
  line(out, "version", text_of(*answer, "version"));
  line(out, "gateway", text_of(*answer, "gateway"));
  line(out, "api", text_of(*answer, "api"));
  line(out, "data", text_of(*answer, "data"));
  line(out, "pid", std::to_string(number_of(*answer, "pid")));
  line(out, "uptime",
       human_us(static_cast<std::uint64_t>(number_of(*answer, "uptime_s")) * 1'000'000));
  line(out, "functions", std::to_string(number_of(*answer, "functions")));
  line(out, "instances", std::to_string(number_of(*answer, "instances")));
  line(
      out, "memory",
      fmt::format("{} of {} committed",
                  human_bytes(static_cast<std::uint64_t>(number_of(*answer, "memory_bytes"))),
                  human_bytes(static_cast<std::uint64_t>(number_of(*answer, "memory_bytes_max")))));
  line(out, "sandbox",
       fmt::format("namespaces {}, cgroup {}, network {}",
                   flag_of(sandbox, "namespaces") ? "yes" : "no", text_of(sandbox, "cgroup"),
                   flag_of(sandbox, "network_nat") ? "nat" : "none"));
  for (const auto& missing : list_of(sandbox, "missing"))
    if (missing.is_string()) line(out, "missing", std::string(missing.get_string()));
  write_out(out);
  return kOk;
}

int show_version(Context& context) {
  if (context.json) {
    json::object object;
    object["version"] = context.version;
    return print_json(json::value(std::move(object)));
  }
  write_out("mayfly " + context.version + "\n");
  return kOk;
}

int show_url(Context& context, const std::string& name) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/functions/" + percent_encode(name), code);
  if (!answer) return code;
  const std::string url = url_of(context, *answer, code);
  if (code != kOk) return code;
  if (url.empty()) {
    write_err("mayfly: " + name +
              " has no address of its own: its setting 'direct' is off. Its application's routes "
              "call it.\n");
    return kRefused;
  }
  if (context.json) {
    json::object object;
    object["url"] = url;
    return print_json(json::value(std::move(object)));
  }
  write_out(url + "\n");
  return kOk;
}

}  // namespace mayfly::cli
