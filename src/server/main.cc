// The program mayfly: `serve` runs a server, every other command is a client of one.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/cli.h"
#include "server/server.h"
#include "server/settings.h"

namespace {

using mayfly::server::Settings;

struct ServeFlags {
  std::string gateway, api, data, config, log_level;
  bool print_settings = false;
};

// Flags win over the file; both go through the table, so that one set of checks holds.
mayfly::Result<Settings> settle(const ServeFlags& flags) {
  Settings settings;
  if (!flags.config.empty()) {
    auto loaded = mayfly::server::load_settings(flags.config);
    if (loaded.has_error()) return loaded.error();
    settings = std::move(*loaded);
  }
  const std::pair<const char*, const std::string*> given[] = {
      {"gateway.address", &flags.gateway},
      {"api.address", &flags.api},
      {"server.data", &flags.data},
      {"server.log_level", &flags.log_level}};
  for (const auto& [key, value] : given) {
    if (value->empty()) continue;
    for (const auto& spec : mayfly::server::setting_table())
      if (spec.key == key) MAYFLY_TRY(spec.set(settings, *value));
  }
  return settings;
}

int serve(const ServeFlags& flags) {
  auto settings = settle(flags);
  if (settings.has_error()) {
    std::fprintf(stderr, "mayfly: %s\n", settings.error().describe().c_str());
    return mayfly::cli::kUsage;
  }
  if (flags.print_settings) {
    std::fputs(mayfly::server::print_settings(*settings).c_str(), stdout);
    return mayfly::cli::kOk;
  }
  return mayfly::server::serve(std::move(*settings), MAYFLY_VERSION);
}

void add_serve(CLI::App& app, int& code) {
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
  c->callback([&code, flags] { code = serve(*flags); });
}

}  // namespace

int main(int argc, char** argv) {
  return mayfly::cli::run(argc, argv, MAYFLY_VERSION, add_serve);
}
