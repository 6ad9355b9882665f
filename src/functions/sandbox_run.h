#pragma once
// Runs one program in a sandbox to its end and collects what it prints.

#include <chrono>
#include <string>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace mayfly::functions {

struct SandboxResult {
  bool succeeded = false;
  bool over_limit = false;
  std::string reason;  // how it ended
  std::string output;  // stdout and stderr as they came, the last 64 KB
};

// An error only when the sandbox cannot be made. The program is killed when limit has passed.
// sandboxes must outlive the task.
io::Task<Result<SandboxResult>> run_in_sandbox(sandbox::Sandboxes& sandboxes,
                                               sandbox::LaunchSpec spec,
                                               std::chrono::milliseconds limit);

}  // namespace mayfly::functions
