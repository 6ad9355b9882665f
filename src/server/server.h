#pragma once
// Composition root: builds every part of a server in order, runs it, and takes it down in order.

#include <string>

#include "server/settings.h"

namespace mayfly::server {

// Runs a server on this thread until SIGTERM or SIGINT has drained it. Must be called before any
// thread exists. Errors go to stderr, the one line "ready gateway=... api=... data=..." to stdout.
// Returns the exit code: 0 after a drain, 1 when it could not start.
int serve(Settings settings, const std::string& version);

}  // namespace mayfly::server
