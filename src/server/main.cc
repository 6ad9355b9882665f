// The program mayfly: `serve` runs a server, every other command is a client of one.

#include <cstdio>
#include <utility>

#include "cli/cli.h"
#include "server/server.h"
#include "server/settings.h"

namespace {

using mayfly::cli::ServeFlags;
using mayfly::server::Settings;

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

}  // namespace

int main(int argc, char** argv) {
  return mayfly::cli::run(argc, argv, MAYFLY_VERSION, serve);
}
