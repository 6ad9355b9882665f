#pragma once
// What kind of function a package holds, as far as its files tell. Blocks on the disk; runs
// nothing.

#include <string>
#include <vector>

#include "base/result.h"
#include "functions/runtimes.h"
#include "functions/types.h"

namespace mayfly::functions {

enum class Needs { nothing, npm, pip, compiler };

struct Detection {
  Runtime runtime;
  Model model = Model::unknown;  // known when the runtime says so
  std::string handler;           // empty: found by the language's runtime when it starts
  std::string entry;             // see Version::entry
  Needs needs = Needs::nothing;
  bool npm_locked = false;  // there is a package-lock.json
  std::uint64_t code_bytes = 0;
  std::vector<std::string> notes;
};

// tree: the unpacked package; layers_tree: what is at /opt, may be empty. asked: runtime and
// handler as the user set them, if they did. An error lists what was seen and says what to set.
Result<Detection> detect(const std::string& tree, const Settings& asked,
                         const RuntimeTable& runtimes, const std::string& layers_tree = {});

// Of a native runtime: how it says to talk to the program; unknown: it is to be found out.
Model model_of_program(const Runtime& runtime);

}  // namespace mayfly::functions
