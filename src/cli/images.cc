#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/parse.hpp>

#include "cli/commands.h"
#include "cli/pack.h"

namespace mayfly::cli {

namespace json = boost::json;

namespace {

int import_image(Context& context, const std::string& path, const std::string& name) {
  auto packed = pack_image(path);
  if (packed.has_error()) return fail(packed.error());
  auto client = context.connect();
  if (client.has_error()) return fail(client.error());
  const std::string target =
      name.empty() ? "/v1/images" : "/v1/images?name=" + percent_encode(name);
  auto sent = (*client)->upload("PUT", target, *packed);
  if (sent.has_error()) return fail(sent.error());
  if (sent->status != 200) return fail(context, *sent);
  boost::system::error_code failed;
  const json::value answer = json::parse(sent->body, failed);
  if (context.json) return print_json(answer);
  write_out(printable(fmt::format("{}:{}  {}  {}{}\n", text_of(answer, "name"),
                                  text_of(answer, "tag"), text_of(answer, "digest"),
                                  human_bytes(static_cast<std::uint64_t>(
                                      std::max<std::int64_t>(0, number_of(answer, "bytes")))),
                                  flag_of(answer, "existed") ? ", its files were here" : "")));
  return kOk;
}

int list_images(Context& context) {
  int code = kOk;
  const auto answer = fetch_json(context, "GET", "/v1/images", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Table table({{"IMAGE"}, {"DIGEST"}, {"SIZE", Table::Align::right}, {"IMPORTED"}});
  for (const auto& image : list_of(*answer, "images"))
    table.row({printable(text_of(image, "name") + ":" + text_of(image, "tag")),
               printable(text_of(image, "digest").substr(0, 19)),
               human_bytes(static_cast<std::uint64_t>(
                   std::max<std::int64_t>(0, number_of(image, "bytes")))),
               human_ago(number_of(image, "created_us"), now_us())});
  write_out(table.render(context.colour()));
  return kOk;
}

}  // namespace

void add_image(CLI::App& command, Context& context, int& code) {
  command.require_subcommand(1);
  auto path = std::make_shared<std::string>();
  auto name = std::make_shared<std::string>();
  CLI::App* import = command.add_subcommand(
      "import", "Bring an image to the server: what docker save, podman save or skopeo write");
  import->fallthrough();
  import->add_option("PATH", *path, "Archive, or folder with an OCI layout")->required();
  import->add_option("--name", *name, "NAME:TAG (default: as the archive says)");
  import->callback(
      [&context, &code, path, name] { code = import_image(context, *path, *name);
});

CLI::App* ls = command.add_subcommand("ls", "List the images");
ls->fallthrough();
ls->callback([&context, &code] { code = list_images(context); });

auto names = std::make_shared<std::vector<std::string>>();
CLI::App* rm =
    command.add_subcommand("rm", "Remove images; functions made from them keep their files");
rm->fallthrough();
rm->add_option("NAME", *names, "NAME:TAG")->required();
rm->callback([&context, &code, names] { code = remove_named(context, "/v1/images/", *names); });
}  // namespace mayfly::cli

}  // namespace mayfly::cli
