// mayfly calls: async calls, by their ids.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

struct CallsOptions {
  std::string function, state, id;
  int limit = 20;
};

Colour colour_of(const std::string& state) {
  if (state == "succeeded") return Colour::green;
  if (state == "failed") return Colour::red;
  return state == "running" ? Colour::yellow : Colour::plain;
}

int list_calls(Context& context, const CallsOptions& options) {
  std::string target = fmt::format("/v1/calls?limit={}", options.limit);
  if (!options.function.empty()) target += "&function=" + percent_encode(options.function);
  if (!options.state.empty()) target += "&state=" + percent_encode(options.state);
  int code = kOk;
  const auto page = fetch_json(context, "GET", target, code);
  if (!page) return code;
  if (context.json) return print_json(*page);
  Table table(
      {{"ID"}, {"TARGET"}, {"STATE"}, {"ATTEMPTS", Table::Align::right}, {"ACCEPTED"}, {"ERROR"}});
  for (const auto& call : list_of(*page, "calls")) {
    const std::string state = text_of(call, "state");
    std::string target_text = text_of(call, "function");
    if (target_text.empty()) target_text = text_of(call, "target");
    table.row({text_of(call, "id"), printable(target_text),
               paint(state, colour_of(state), context.colour()),
               std::to_string(number_of(call, "attempts")),
               human_ago(number_of(call, "accepted_us"), now_us()),
               printable(text_of(value_of(call, "error"), "message").substr(0, 60))});
  }
  write_out(table.empty() ? "No calls. Make one: mayfly invoke NAME --async\n"
                          : table.render(context.colour()));
  return kOk;
}

void print_line(const char* name, const std::string& text) {
  if (!text.empty()) write_out(fmt::format("{:<10} {}\n", name, printable(text)));
}

int show_call(Context& context, const std::string& method, const std::string& id) {
  int code = kOk;
  const auto call = fetch_json(context, method, "/v1/calls/" + percent_encode(id), code);
  if (!call) return code;
  if (context.json) return print_json(*call);
  print_line("id", text_of(*call, "id"));
  print_line("target", text_of(*call, "target"));
  print_line("source", text_of(*call, "source"));
  print_line("state", text_of(*call, "state"));
  print_line("attempts", std::to_string(number_of(*call, "attempts")));
  print_line("accepted", local_time(number_of(*call, "accepted_us")));
  if (const auto next = number_of(*call, "next_us"); next > 0) print_line("next", local_time(next));
  if (const auto end = number_of(*call, "ended_us"); end > 0) print_line("ended", local_time(end));
  if (const auto took = number_of(*call, "duration_us"); took > 0)
    print_line("took", human_us(static_cast<std::uint64_t>(took)));
  if (const auto status = number_of(*call, "status"); status > 0)
    print_line("status", std::to_string(status));
  print_line("again of", text_of(*call, "again_of"));
  const auto& error = value_of(*call, "error");
  print_line("error", text_of(error, "message"));
  write_out(format_trace(value_of(error, "detail")));
  const auto& result = value_of(*call, "result");
  if (!result.is_null())
    print_line("result", result.is_string() ? text_of(*call, "result") : json::serialize(result));
  if (flag_of(*call, "result_cut"))
    write_out("The result is cut (setting calls.result_bytes_max).\n");
  return kOk;
}

int run_again(Context& context, const std::string& id) {
  int code = kOk;
  const auto again =
      fetch_json(context, "POST", "/v1/calls/" + percent_encode(id) + "/retry", code);
  if (!again) return code;
  if (context.json) return print_json(*again);
  write_out(text_of(*again, "call_id") + "\n");
  return kOk;
}

}  // namespace

void add_calls(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  auto options = std::make_shared<CallsOptions>();
  CLI::App* ls = sub(command, "ls", "The newest calls");
  ls->add_option("NAME", options->function, "Function (default: all)");
  ls->add_option("--state", options->state, "Only these")
      ->check(CLI::IsMember({"waiting", "running", "succeeded", "failed", "cancelled"}));
  ls->add_option("--limit", options->limit, "At most so many")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  ls->callback([&context, &code, options] { code = list_calls(context, *options); });
  const auto by_id = [&](const std::string& name, const std::string& what, auto run) {
    CLI::App* c = sub(command, name, what);
    c->add_option("ID", options->id, "Id of the call, or the X-Call-Id it was made with")
        ->required();
    c->callback([&context, &code, options, run] { code = run(context, options->id); });
  };
  by_id("get", "State and result of a call",
        [](Context& c, const std::string& id) { return show_call(c, "GET", id); });
  by_id("cancel", "It does not run, or is stopped where it runs",
        [](Context& c, const std::string& id) { return show_call(c, "DELETE", id); });
  by_id("retry", "Run a call that is over once more; prints the id of the new one",
        [](Context& c, const std::string& id) { return run_again(c, id); });
}

}  // namespace mayfly::cli
