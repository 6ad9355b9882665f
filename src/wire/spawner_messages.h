#pragma once
// The messages between the engine (sandbox room) and mayfly-spawner: one SEQPACKET datagram each,
// little-endian, descriptors beside it by SCM_RIGHTS. Pure and fuzzed. Both programs come from one
// build; the version byte catches a mix of two.
//
//   u8 version | u8 type | fields in the order of the structs below
//   string: u32 size | bytes;  list: u32 count | items;  bool: u8 0 or 1

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace mayfly::wire {

// Fits the default socket buffer of Linux (208 KiB), which bounds one SEQPACKET message.
inline constexpr std::size_t kSpawnerMessageMax = 192 * 1024;

// Where the platform's services listen in each sandbox. Not 127.0.0.1, which programs bind by name;
// and a port below 1024, so that no program in there can take it: none has the capability.
inline constexpr const char* kServicesAddress = "127.0.0.2";
inline constexpr std::uint16_t kServicesPort = 80;
inline constexpr const char* kServicesUrl = "http://127.0.0.2";

// spawner -> engine, first of all: it is ready, and what this machine allows.
struct SpawnerReady {
  bool namespaces = false;
  std::string cgroup;
  bool network_nat = false;
  std::vector<std::string> missing;
};

struct SpawnerMount {
  std::string host_path;
  std::string sandbox_path;
  bool writable = false;
};

// A process with a language runtime loaded and no user code, which programs with the same runtime
// may be forked from: how it is started, and what is mounted for it.
struct SpawnerZygote {
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::vector<SpawnerMount> mounts;
};

// engine -> spawner. Descriptors: stdout, stderr, then channel and stdin when asked for.
struct SpawnerLaunch {
  std::uint64_t handle = 0;  // the engine's number for the sandbox, in all later messages
  std::string id;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string cwd;
  std::string rootfs;  // host path of a folder that is the sandbox's /; empty: the host's /usr
  std::vector<SpawnerMount> mounts;
  std::uint64_t memory_bytes = 0;
  std::uint32_t cpu_millis = 0;
  std::uint32_t pids_max = 0;
  std::uint64_t tmp_bytes = 0;
  std::uint32_t files_max = 0;
  bool nat = false;
  std::vector<std::uint16_t> listen_ports;
  bool services = false;  // a listener at kServicesAddress; of a template: in each clone too
  bool channel = false;
  bool stdin_pipe = false;
  bool cloneable = false;  // the program gets a control socket at descriptor 4 (clone_order.h)
  // At most one: the program may be forked from it in place of its exec. When there is none yet it
  // is made for those who come later; when anything goes wrong the program is started by exec.
  std::vector<SpawnerZygote> zygote;
};

// spawner -> engine: the program runs. Descriptors: usage_fds of them, then the listeners, then
// that for services.
struct SpawnerLaunched {
  std::uint64_t handle = 0;
  std::int32_t pid = 0;         // of the main program, in the spawner's pid namespace; 0: unknown
  std::uint8_t usage_kind = 0;  // os::UsageKind
  std::uint8_t usage_fds = 0;
  std::uint8_t listeners = 0;
  bool services = false;
  bool from_zygote = false;
  std::string no_zygote;  // why not, when it was to be
};

// spawner -> engine: a launch or a sockets request failed. handle 0: the spawner cannot start.
struct SpawnerFailed {
  std::uint64_t handle = 0;
  std::uint64_t request = 0;  // of SpawnerSockets; 0: the launch
  std::string step;
  std::int32_t sys_errno = 0;
  std::string text;
  std::uint16_t code = 0;  // mayfly::Code
};

// spawner -> engine: everything inside is gone.
struct SpawnerExited {
  std::uint64_t handle = 0;
  bool signalled = false;
  std::int32_t status = 0;
  std::uint64_t cpu_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t oom_kills = 0;
};

enum class SpawnerSignalKind : std::uint8_t { terminate = 1, kill = 2 };

// engine -> spawner. An unknown handle is ignored: the sandbox has just ended.
struct SpawnerSignal {
  std::uint64_t handle = 0;
  SpawnerSignalKind kind = SpawnerSignalKind::kill;
};

// engine -> spawner: `count` TCP sockets made in the sandbox's network namespace.
struct SpawnerSockets {
  std::uint64_t handle = 0;
  std::uint64_t request = 0;
  std::uint8_t count = 1;
};
// spawner -> engine, with the descriptors.
struct SpawnerSocketsReady {
  std::uint64_t request = 0;
};

// engine -> spawner: a new sandbox, cloned from the program of a launch with `cloneable`. Answered
// as a launch is. Descriptors: stdout, stderr, then the channel when asked for.
struct SpawnerClone {
  std::uint64_t handle = 0;
  std::uint64_t from = 0;  // handle of the template
  std::string id;
  std::vector<std::string> env;
  std::uint64_t memory_bytes = 0;
  std::uint32_t cpu_millis = 0;
  std::uint32_t pids_max = 0;
  bool channel = false;
};

// engine -> spawner: so many shells are to be kept prepared for a template's clones.
struct SpawnerShells {
  std::uint64_t handle = 0;
  std::uint32_t count = 0;
};

// engine -> spawner: what it gets of the CPU under contention, as cpu_millis of a launch (the quota
// stays), and whether it takes it at once when it wakes up.
struct SpawnerShare {
  std::uint64_t handle = 0;
  std::uint32_t cpu_millis = 0;
  bool at_once = true;
};

using SpawnerMessage = std::variant<SpawnerReady, SpawnerLaunch, SpawnerLaunched, SpawnerFailed,
                                    SpawnerExited, SpawnerSignal, SpawnerSockets,
                                    SpawnerSocketsReady, SpawnerClone, SpawnerShells, SpawnerShare>;

std::string encode_spawner_message(const SpawnerMessage& message);
// corrupt names what does not fit: version, type, a length, trailing bytes.
Result<SpawnerMessage> decode_spawner_message(std::string_view bytes);

}  // namespace mayfly::wire
