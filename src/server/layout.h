#pragma once
// Where the parts of an installation are, found from the program's own place: a build folder
// (build/mayfly, build/mayfly-spawner, build/runtimes/, or runtimes/ beside build/) or a prefix
// (bin/mayfly, libexec/mayfly/mayfly-spawner, share/mayfly/runtimes).

#include <string>

#include "base/result.h"
#include "server/settings.h"

namespace mayfly::server {

struct Layout {
  std::string runtimes_dir;
  std::string spawner;
  std::string runtime_lib;  // folder; empty when it is not there: nothing is cloned then
};

// program: absolute path of the running program. Settings win; an error names what was looked for.
Result<Layout> find_layout(const Settings& settings, const std::string& program);

// Of this process, links resolved.
std::string own_program();

}  // namespace mayfly::server
