#pragma once
// The engine's end of one running spawner: process, socket, what it said at its start. Inside the
// sandbox room only.

#include <atomic>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "os/fd.h"
#include "sandbox/sandbox.h"
#include "wire/spawner_messages.h"

namespace mayfly::sandbox {

struct Link {
  int pid = 0;
  os::Fd pidfd;
  os::Fd socket;
};

// Starts the program; it may not be ready yet. posix_spawn: safe beside other threads.
Result<Link> start_spawner(const SpawnerOptions& options);

// Blocks until the spawner is ready or says why it cannot be, at most so long.
Result<Abilities> await_ready(const Link& link, std::chrono::milliseconds limit);

Result<Abilities> read_ready(std::string_view bytes);

// Closes the socket, which ends the spawner, and reaps it; after limit it is killed.
void end_spawner(Link& link, std::chrono::milliseconds limit);

// Shared between the Spawner (its owner) and the client on a loop, which replaces a dead one.
struct SharedSpawner {
  SpawnerOptions options;
  Abilities abilities;
  std::mutex mutex;
  Link link;              // protected by mutex
  bool stopping = false;  // protected by mutex; no restart from here on
};

}  // namespace mayfly::sandbox
