#pragma once
// How the program of a sandbox comes in from a zygote instead of being started by exec: the init's
// side of wire/zygote_order.h.

#include <linux/filter.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "wire/spawner_messages.h"

namespace mayfly::spawner {

struct Entry {
  int door = -1;  // closed by let_in
  const wire::SpawnerLaunch* launch = nullptr;
  std::vector<int> fds;                              // from 0 on
  const std::vector<sock_filter>* filter = nullptr;  // beside those that a zygote has; may be null
};

// Invites the zygote's child and waits until it is inside, a child of this process that is about to
// run. Its pid; 0 and why when it has not come: then it never will.
pid_t let_in(const Entry& entry, std::string& why);

}  // namespace mayfly::spawner
