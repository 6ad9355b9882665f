#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

int list_layers(Context& context) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/layers", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Table table({{"LAYER"}, {"SIZE", Table::Align::right}, {"CREATED"}, {"DESCRIPTION"}});
  for (const auto& layer : list_of(*answer, "layers"))
    table.row({fmt::format("{}:{}", text_of(layer, "name"), number_of(layer, "version")),
               human_bytes(static_cast<std::uint64_t>(number_of(layer, "archive_bytes"))),
               human_ago(number_of(layer, "created_us"), now_us()),
               printable(text_of(layer, "description"))});
  write_out(table.render(context.colour()));
  return kOk;
}

}  // namespace

int remove_named(Context& context, const std::string& path, const std::vector<std::string>& names) {
  int worst = kOk;
  for (const auto& name : names) {
    int code = kOk;
    const auto answer = fetch_json(context, "DELETE", path + percent_encode(name), code);
    if (code == kUnreachable) return code;
    if (!answer)
      worst = code;
    else if (context.json)
      print_json(*answer);
    else
      write_out(
          printable(text_of(*answer, "removed").empty() ? name : text_of(*answer, "removed")) +
          "  removed\n");
  }
  return worst;
}

void add_layer(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  CLI::App* ls = command.add_subcommand("ls", "List the layers and their versions");
  ls->fallthrough();
  ls->callback([&context, &code] { code = list_layers(context); });

  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* rm = command.add_subcommand("rm", "Remove layers; functions keep what they use");
  rm->fallthrough();
  rm->add_option("NAME", *names, "NAME: all its versions, or NAME:VERSION")->required();
  rm->callback([&context, &code, names] { code = remove_named(context, "/v1/layers/", *names); });
}

}  // namespace mayfly::cli
