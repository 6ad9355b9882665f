#pragma once
// Helper programs of the spawner (nft, slirp4netns): started with nothing but what is named.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::spawner {

struct Child {
  int pid = 0;
  os::Fd pidfd;
};

struct ChildOptions {
  std::vector<std::string> argv;
  // In the child: descriptor first becomes number second. 0, 1, 2 that are not named: /dev/null,
  // but 2 is the spawner's own.
  std::vector<std::pair<int, int>> fds;
};

// Starts a program; it gets SIGKILL when the spawner dies, an empty environment but PATH, and
// default signals. Plain fork: the spawner has one thread.
Result<Child> start_child(const ChildOptions& options);

// Runs a program to its end with `input` on stdin. An error carries what it wrote to stderr.
Status run_child(std::vector<std::string> argv, std::string_view input);

// The path of a program in the usual system directories; empty when it is not there.
std::string find_program(const std::string& name);

}  // namespace mayfly::spawner
