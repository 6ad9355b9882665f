#pragma once
// Zygotes: processes with a language runtime loaded and no user code, from which programs of new
// sandboxes are forked (docs/decisions/0028-zygotes.md). What the spawner knows of one, how it is
// made, and how it is asked for a program.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "os/fd.h"
#include "spawner/launch.h"
#include "wire/spawner_messages.h"

namespace mayfly::spawner {

struct Zygote {
  std::uint64_t number = 0;  // as an Instance's
  std::string key;           // what it is made of, see zygote_key
  uid_t user = 0;            // its own
  int pid = 0;
  os::Fd pidfd;
  os::Fd control;  // non-blocking
  os::Cgroup cgroup;
  bool ready = false;   // takes orders
  bool ending = false;  // takes no more
  std::string failure;
  unsigned orders = 0;
  std::int64_t born_ms = 0, used_ms = 0;
};

// Two launches with the same key can have their programs from the same zygote.
std::string zygote_key(const wire::SpawnerZygote& spec);

// invalid_argument says what is wrong.
Status check_zygote(const wire::SpawnerZygote& spec);

// Starts the process. zygote has key, number, user and cgroup; on an error the caller takes those
// back and nothing else is left. Blocks for well under a millisecond.
Status start_zygote(Host& host, const wire::SpawnerZygote& spec, Zygote& zygote);

// Has the zygote fork a program for the instance, whose init finds the child at the door.
Result<os::Fd> order_program(const Zygote& zygote, const Instance& instance);

}  // namespace mayfly::spawner
