#pragma once
// Dependencies at deploy: npm for a package.json, pip for a requirements.txt. The result is kept
// with the package, so that the same bytes are installed once.

#include <string>
#include <vector>

#include "base/result.h"
#include "functions/catalogue.h"
#include "functions/detect.h"
#include "functions/packages.h"

namespace mayfly::functions {

struct InstallParts {
  Packages& packages;
  io::BlockingPool& pool;
  const Defaults& defaults;
  sandbox::Sandboxes* sandboxes;
};

struct Installed {
  bool built = false;  // the tree to run is Packages::built(), not tree()
  std::vector<std::string> notes;
};

// What detection.needs. parts' references must outlive the task. Errors hold the end of the tool's
// output.
io::Task<Result<Installed>> install(InstallParts parts, std::string package, Detection detection);

}  // namespace mayfly::functions
