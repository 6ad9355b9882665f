#pragma once
// A sandbox: one program (and all it starts) in its own user, pid, mount, ipc, uts and network
// namespaces and cgroup, made by mayfly-spawner. This room is the engine's side: it asks the
// spawner over a SEQPACKET socket and owns what comes back. Belongs to one event loop.

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/body.h"
#include "io/http_client.h"
#include "os/fd.h"

namespace mayfly::sandbox {

using io::Task;

enum class Network {
  none,  // loopback of its own only
  nat,   // also out to the world; never to the host, the API or another sandbox
};

struct Mount {
  std::string host_path;     // absolute; a directory or a file
  std::string sandbox_path;  // absolute, inside /var, /opt or /srv or a runtime's own prefix
  bool writable = false;
};

struct Limits {
  std::uint64_t memory_bytes = 128u << 20;
  std::uint32_t cpu_millis = 1000;  // 1000: one core's worth; share under contention and quota
  std::uint32_t pids_max = 256;
  std::uint64_t tmp_bytes = 64u << 20;  // size of the private /tmp
  std::uint32_t files_max = 1024;       // RLIMIT_NOFILE
};

// A process with the language's runtime loaded and no user code, kept by the spawner, from which
// programs with the same one may be forked.
struct ZygoteSpec {
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::vector<Mount> mounts;  // read-only
};

struct LaunchSpec {
  std::string id;                 // unique while it lives; [a-z0-9-], at most 40 characters
  std::vector<std::string> argv;  // argv[0] is a path inside the sandbox
  std::vector<std::string> env;   // NAME=value, the whole environment
  std::string cwd = "/var/task";
  // Host path of a folder that is / inside, read-only, in place of the host's /usr and a minimal
  // /etc: with /proc, /dev, /tmp, /etc/resolv.conf and /etc/hosts of every sandbox over its own,
  // which must be there as plain folders and files. Not with cloneable. Empty: the usual root.
  std::string rootfs;
  std::vector<Mount> mounts;  // the package at /var/task, the runtime at /var/runtime ...
  Limits limits;
  Network network = Network::nat;
  // Ports of the sandbox's own loopback on which the engine listens (the Lambda Runtime API):
  // the listening sockets come back in Sandbox::listeners, in this order.
  std::vector<std::uint16_t> listen_ports;
  // A listener for the platform's services at wire::kServicesAddress: Sandbox::services. Clones of
  // it have one of their own each.
  bool services = false;
  bool channel = true;      // a unix stream socket at fd 3 of the program; Sandbox::channel
  bool stdin_pipe = false;  // else /dev/null; Sandbox::stdin_fd is the write end
  // The program may be cloned: it gets a control socket at fd 4 (runtimes/clone, and
  // MAYFLY_TEMPLATE_FD=4 in its environment) and the two capabilities, over its own namespaces
  // only, that entering a clone's namespaces takes. No writable mounts, no listen_ports.
  bool cloneable = false;
  // Where the program may come from in place of an exec; the spawner decides, and falls back to the
  // exec of argv. The program is then the same but for /proc/self/environ, which is the zygote's.
  std::optional<ZygoteSpec> zygote;
};

// A clone has the template's mounts, network, working directory, size of /tmp and files_max.
struct CloneSpec {
  std::string id;                // as LaunchSpec::id
  std::vector<std::string> env;  // NAME=value, set over the template's own by the runtime
  Limits limits;                 // tmp_bytes and files_max: the template's hold
};

struct Usage {
  std::uint64_t cpu_us = 0;             // user + system of everything in the sandbox so far
  std::uint64_t memory_peak_bytes = 0;  // high-water mark so far
  std::uint64_t oom_kills = 0;
};

struct Exit {
  bool signalled = false;
  int status = 0;  // exit code, or signal number
  Usage usage;     // the last reading
  std::string
      reason;  // "exited with status 1", "killed by SIGSEGV", "out of memory (limit 128 MB)"
};

// One running sandbox. Destroying it kills everything inside and gives all back.
class Sandbox {
 public:
  virtual ~Sandbox() = default;

  virtual const std::string& id() const = 0;

  // Given to the caller once; invalid when the spec did not ask for it or after being taken.
  os::Fd channel;               // engine's end of the unix stream socket
  os::Fd stdin_fd;              // write end
  os::Fd stdout_fd, stderr_fd;  // read ends, non-blocking
  std::vector<os::Fd> listeners;
  os::Fd services;
  bool from_zygote = false;  // where its program comes from
  std::string no_zygote;     // why not, when the spec named one

  // Reads the cgroup; microseconds, no disk. Without cgroups: what /proc of the main process says.
  virtual Usage usage() const = 0;

  // A Connector for TCP to 127.0.0.1:port of the sandbox's own network namespace. Outlives the
  // Sandbox safely (it fails then).
  virtual io::Connector connector(std::uint16_t port) = 0;

  // SIGTERM to the main program; nothing more.
  virtual void terminate() = 0;
  // SIGKILL to everything inside. Idempotent.
  virtual void kill() = 0;
  // Only of a sandbox launched with cloneable, once its program has said that it waits for orders.
  // A new sandbox, cloned from the program, with a channel and no stdin; resumes when the clone is
  // inside its own namespaces and cgroup. It lives on when this object is destroyed. unavailable
  // when the template is gone or has not answered in time (2 s), after which it is killed.
  virtual Task<Result<std::unique_ptr<Sandbox>>> clone(CloneSpec spec) = 0;
  // How many shells (namespaces and cgroup, ready to be entered) are kept prepared for clone();
  // what it takes is replaced in idle moments. At most 64; 0: none.
  virtual void keep_shells(unsigned count) = 0;
  // What it gets of the CPU while others want it too, as Limits::cpu_millis; the quota stays.
  // at_once (as from the start): it takes it as soon as it wakes up, and not when the other one's
  // time is up.
  virtual void set_cpu_share(std::uint32_t cpu_millis, bool at_once) = 0;
  // Resumes when the main program has ended and everything inside is gone; every waiter is told.
  virtual Task<Exit> wait() = 0;
};

// What this machine allows; shown at start, by `mayfly describe` of the server and in the docs.
struct Abilities {
  bool namespaces = false;
  std::string cgroup;  // "v1", "v2" or "none"
  bool network_nat = false;
  std::vector<std::string> missing;  // sentences: what is missing, what follows, what helps
};

// The factory. Starting it starts nothing by itself: the spawner runs already (see Spawner).
class Sandboxes {
 public:
  virtual ~Sandboxes() = default;
  // An error names the step that failed and what helps. unavailable when the spawner is gone.
  virtual Task<Result<std::unique_ptr<Sandbox>>> launch(LaunchSpec spec) = 0;
  virtual const Abilities& abilities() const = 0;
  virtual std::size_t running() const = 0;
};

struct SpawnerOptions {
  std::string program;    // path of mayfly-spawner
  std::string state_dir;  // for leftovers of a killed server: cleaned at start
  bool network_nat = true;
};

// The spawner process. start() forks nothing in this process but posix_spawn, and must run before
// any other thread exists. It removes what an earlier server on state_dir left behind (processes,
// cgroups, mounts, namespaces) before it reports ready.
class Spawner {
 public:
  static Result<std::unique_ptr<Spawner>> start(SpawnerOptions options);
  virtual ~Spawner() = default;  // asks it to end, which kills all sandboxes; waits for that
  // The client of this spawner on a loop. When the spawner dies all sandboxes die with it: the
  // client reports that, starts it anew and goes on.
  virtual std::unique_ptr<Sandboxes> client(boost::asio::any_io_executor executor) = 0;
  virtual int pid() const = 0;
};

}  // namespace mayfly::sandbox
