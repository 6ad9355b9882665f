#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

int create_key(Context& context, const std::string& name) {
  int code = kOk;
  const auto answer =
      fetch_json(context, "POST", "/v1/keys", code, json::serialize(json::object{{"name", name}}));
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  const std::string text =
      fmt::format("export AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\n",
                  text_of(*answer, "access_key_id"), text_of(*answer, "secret_access_key"));
  write_out(text);
  return kOk;
}

int list_keys(Context& context) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/keys", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Table table({{"ACCESS KEY ID"}, {"NAME"}, {"CREATED"}});
  for (const auto& key : list_of(*answer, "keys"))
    table.row({text_of(key, "access_key_id"), printable(text_of(key, "name")),
               human_ago(number_of(key, "created_us"), now_us())});
  write_out(table.render(context.colour()));
  return kOk;
}

}  // namespace

void add_keys(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  auto name = std::make_shared<std::string>();
  CLI::App* create =
      command.add_subcommand("create", "Make a key; its secret is printed now and never again");
  create->fallthrough();
  create->add_option("--name", *name, "What it is for");
  create->callback([&context, &code, name] { code = create_key(context, *name); });

  CLI::App* ls = command.add_subcommand("ls", "List the keys, without their secrets");
  ls->fallthrough();
  ls->callback([&context, &code] { code = list_keys(context); });

  auto ids = std::make_shared<std::vector<std::string>>();
  CLI::App* rm = command.add_subcommand("rm", "Remove keys: what they sign is refused at once");
  rm->fallthrough();
  rm->add_option("ID", *ids, "Access key ids")->required();
  rm->callback([&context, &code, ids] { code = remove_named(context, "/v1/keys/", *ids); });
}

}  // namespace mayfly::cli
