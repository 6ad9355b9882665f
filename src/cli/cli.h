#pragma once
// The mayfly command: a client of the HTTP API (docs/reference/cli.md).

#include <functional>
#include <string>

namespace mayfly::cli {

// Exit codes; documented, scripts rely on them.
inline constexpr int kOk = 0;
inline constexpr int kFunctionFailed = 1;  // invoke: the function failed; deploy: its check failed
inline constexpr int kUsage = 2;
inline constexpr int kNotFound = 3;
inline constexpr int kUnreachable = 4;  // no server, or not its key
inline constexpr int kRefused = 5;      // the server said no, or a local file could not be read

// Flags of `mayfly serve`, as given; empty: not given.
struct ServeFlags {
  std::string gateway, api, data, config, log_level;
  bool print_settings = false;
};
// Runs the server, which is no part of this room; returns the exit code.
using Serve = std::function<int(const ServeFlags& flags)>;

int run(int argc, char** argv, const std::string& version, const Serve& serve);

}  // namespace mayfly::cli
