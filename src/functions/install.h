#pragma once
// What is made of a package at deploy: dependencies, by npm for a package.json and by pip for a
// requirements.txt; compiled code, by javac and mcs. The result is kept with the package, so that
// the same bytes are installed once.

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
  std::string runtimes_dir;  // has the libraries that sources are compiled against
};

struct Installed {
  bool built = false;  // the tree to run is Packages::built(), not tree()
  std::vector<std::string> notes;
};

// What detection.needs. parts' references must outlive the task. Errors hold the end of the tool's
// output.
io::Task<Result<Installed>> install(InstallParts parts, std::string package, Detection detection);

}  // namespace mayfly::functions
