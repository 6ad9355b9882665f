#pragma once
// The mayfly command: a client of the HTTP API (docs/reference/cli.md).

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace mayfly::cli {

// Exit codes; documented, scripts rely on them.
inline constexpr int kOk = 0;
inline constexpr int kFunctionFailed = 1;  // invoke: the function failed; deploy: its check failed
inline constexpr int kUsage = 2;
inline constexpr int kNotFound = 3;
inline constexpr int kUnreachable = 4;  // no server, or not its key
inline constexpr int kRefused = 5;      // the server said no, or a local file could not be read

// Adds a command that lives elsewhere (serve); its callback sets the exit code.
using ExtraCommand = std::function<void(CLI::App& app, int& exit_code)>;

int run(int argc, char** argv, const std::string& version, const ExtraCommand& extra);

}  // namespace mayfly::cli
