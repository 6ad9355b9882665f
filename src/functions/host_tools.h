#pragma once
// How npm and pip run here: where they are, and what of the host's configuration (registry, proxy,
// certificates) they need.

#include <optional>
#include <string>
#include <vector>

#include "functions/types.h"
#include "sandbox/sandbox.h"

namespace mayfly::functions {

enum class Tool { npm, pip };

struct HostConfig {
  std::vector<std::string> env;
  std::vector<sandbox::Mount> mounts;
};

// npm's JavaScript file, to be run by the function's own node; empty: not installed.
std::string find_npm();
// Its directory when that is outside of /usr, and so must be mounted; else empty.
std::string npm_prefix(const std::string& npm);

// For a run in a sandbox: configuration files are copied into directory (made here, readable by the
// sandbox's user; delete it afterwards) and mounted.
HostConfig config_inside(Tool tool, const std::string& directory);
// For a run on the host: the variables that matter to the tool, and no others.
std::vector<std::string> config_outside(Tool tool);

// The output says that the index could not be reached.
bool looks_unreachable(const std::string& output);

// Why this package must not be installed outside of a sandbox, even without running its code;
// empty: it may. npm and pip read files of the host where a dependency says so.
std::string unsafe_outside(Tool tool, const std::string& tree);

}  // namespace mayfly::functions
