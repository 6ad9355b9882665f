#pragma once
// The table of runtimes: what the settings file names, else what is found on the machine.

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "functions/types.h"

namespace mayfly::functions {

struct RuntimeSetting {
  std::string name, program;
};

class RuntimeTable {
 public:
  // Runs each candidate program once with --version (at start, before threads matter: it uses
  // posix_spawn), for no longer than limit. overrides come first and win.
  static RuntimeTable discover(const std::vector<RuntimeSetting>& overrides,
                               milliseconds limit = milliseconds(15'000));

  const std::vector<Runtime>& all() const { return runtimes_; }
  // By name or alias; "python" takes the newest. An unknown name is an error that lists the known
  // ones; one that is known but not installed names the package that brings it.
  // Of some languages (Language::any_version) an unknown version is taken as the newest.
  Result<Runtime> find(std::string_view name) const;
  // What to tell somebody who asked for that name and was given found; often nothing.
  static std::string note_on(const Runtime& found, std::string_view asked);

 private:
  std::vector<Runtime> runtimes_;
};

}  // namespace mayfly::functions
