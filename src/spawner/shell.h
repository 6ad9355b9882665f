#pragma once
// Shells: sandboxes without a program, made ahead of need inside a template's user and pid
// namespaces, which the template's process forks into.

#include <vector>

#include "base/result.h"
#include "os/fd.h"
#include "spawner/launch.h"

namespace mayfly::spawner {

// Starts an init for a shell of the template. shell has number, user and cgroup; on an error the
// caller takes those back, and nothing else is left. Blocks for well under a millisecond.
Status prepare_shell(Host& host, const Instance& parent, Instance& shell);

// Once its init has reported `prepared`, with its namespaces: limits, network, counters to zero.
Status finish_shell(Host& host, const Instance& parent, Instance& shell,
                    std::vector<os::Fd> namespaces);

// Sends the template the order to fork into the shell; the shell is the clone's from here on.
// After an error it is as it was. resource_exhausted: the template does not take its orders.
Status send_clone_order(Host& host, const Instance& parent, Instance& shell,
                        const CloneRequest& request);

// invalid_argument says what is wrong with the request.
Status check_clone(const CloneRequest& request);

}  // namespace mayfly::spawner
