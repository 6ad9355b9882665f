#pragma once
// Runs a program of the host and collects what it prints. Blocks; thread-safe. posix_spawn only:
// this process has threads. Not for code of users, which belongs into a sandbox.

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace mayfly::functions {

struct ProgramRun {
  std::vector<std::string> argv;  // argv[0] is a path
  std::vector<std::string> env;   // NAME=value, the whole environment
  std::string cwd;                // empty: as this process
  std::chrono::milliseconds limit{2'000};
  std::size_t output_bytes_max = 64 * 1024;  // the last so many are kept
};

struct ProgramResult {
  bool exited = false;  // false: killed by a signal, or over the limit
  bool over_limit = false;
  int status = 0;      // exit code or signal
  std::string output;  // stdout and stderr as they came
  bool succeeded() const { return exited && status == 0; }
};

// An error only when the program cannot be started.
Result<ProgramResult> run_program(const ProgramRun& run);

}  // namespace mayfly::functions
