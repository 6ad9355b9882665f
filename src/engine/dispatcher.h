#pragma once
// The one way in for every invocation (HTTP, API, later queues and schedules): finds or makes the
// pool of the version, gives the invocation to an instance or lets it wait in line, enforces
// deadline and concurrency, and writes the invocation's record. Belongs to one loop.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/function_services.h"
#include "engine/instance_protocol.h"
#include "engine/invocation.h"
#include "engine/pool_stats.h"
#include "engine/services_door.h"
#include "sandbox/sandbox.h"
#include "telemetry/telemetry.h"

namespace mayfly::engine {

struct EngineSettings {
  std::uint64_t memory_bytes_max = 0;     // for all instances; 0: 80 % of the machine's memory
  std::uint32_t instances_max = 2'000;    // setting engine.instances_max
  std::uint32_t starts_parallel_max = 0;  // sandboxes being made at once; 0: 2 for each core
  std::uint32_t line_max = 10'000;        // waiting invocations of one version, else 429
  std::uint64_t response_bytes_max = 64u << 20;
  std::uint32_t init_timeout_ms = 10'000;
  std::uint64_t templates_bytes_max = 0;  // of all templates; 0: 20 % of the machine's memory
  bool zygotes = true;                    // setting engine.zygotes
  std::string runtime_lib;   // host path of the folder runtime-lib; empty: no templates
  std::string runtimes_dir;  // host path of runtimes/
  std::string region = "us-east-1", account = "000000000000";  // for names such as ARNs
};

// What the check at deploy saw.
struct Probe {
  functions::Model model = functions::Model::unknown;
  std::string handler;            // as found
  std::string runtime;            // "Python 3.11.2"
  std::uint32_t concurrency = 0;  // what the runtime proposes; 0: default of the model
  std::vector<std::string> notes;
  std::string uncloneable;           // why instances cannot be cloned; empty: they can, or no try
  std::shared_ptr<Failure> failure;  // initialisation failed: error_json has the user's trace
};

// How long an idle instance of a version stays, and why.
struct KeepAliveStats {
  enum class Why {
    setting,     // of the function, or functions.keep_alive_ms
    break_even,  // too little is known of its gaps: as long as keeping costs what a start costs
    learnt,      // from its gaps
  };
  Why why = Why::break_even;
  milliseconds stay{-1};       // -1: none was idle yet
  milliseconds again_from{0};  // then one is started ahead of the next call; 0: no
  std::uint32_t gaps = 0;      // known ones; old ones fade
};

// What the dispatchers of the server's other loops have at work, for one that speaks for all.
struct Beside {
  std::vector<PoolStats> pools;
  bool callers_wait = false;  // Dispatcher::callers_wait() of one of them
};

// Asked for each invocation before it gets a place: what it returns is let go of when the
// invocation is over. An error refuses it: 429 with the message.
using Admit = std::function<Result<std::shared_ptr<void>>(const functions::Version&)>;
// For how many calls at once instances of a version are to stand ready, beside its instances_min.
using Warm = std::function<std::uint32_t(const functions::Version&)>;

class Dispatcher {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    sandbox::Sandboxes& sandboxes;
    telemetry::Telemetry& telemetry;
    telemetry::Metrics& metrics;
    const Clock& clock;
    std::vector<const ProtocolFactory*> protocols;  // one for each model; outlive this
    const functions::RuntimeTable& runtimes;
    EngineSettings settings;
    FunctionServices* services = nullptr;  // null: functions can ask nothing and stage nothing
    Admit admit = {};                      // null: no function has a limit of its own
    Warm warm = {};                        // null: what the versions' settings say is all
    ServicesDoor* door = nullptr;          // null: instances have no way to the services
    bool beside = false;                   // another one's set_beside() tells of this one
  };
  explicit Dispatcher(Parts parts);
  ~Dispatcher();

  // Resumes when the answer's head is there (or it failed). The rest of a streamed body comes
  // through reply.more; the record is written when that has ended. Never throws.
  // Cancelling (terminal) tells the instance and writes a record with outcome cancelled.
  io::Task<Answer> invoke(Invocation invocation);

  // How many more invocations of a version would be at work at once, and not stand in line: on
  // instances that are there, on their way, or that the machine and the version's limits have room
  // for and that would help. One more while runs are so short that a line keeps instances busy.
  // For callers that can hold their work back (queues).
  std::uint32_t room(const functions::VersionPtr& version) const;

  // Its calls take a notable part of the machine's CPU time: more of them at once help only while
  // cores are idle.
  bool takes_cpu(const functions::VersionPtr& version) const;

  // Somebody waits for a call, or did a moment ago: of whatever function.
  bool callers_wait() const;

  // The model of a version: at once when known, else by starting its first instance.
  io::Task<Result<functions::Model>> model_of(functions::VersionPtr version);

  // Starts one instance of a version that is not committed yet and keeps it as the first warm one
  // (adopt() hands it to the committed version's pool; it ends by itself after keep-alive if not).
  // For model unknown on executables: tells runtime_api, http_port and stdio apart by what the
  // program does (polls the Runtime API, listens on $PORT, reads stdin or exits).
  io::Task<Probe> probe(functions::VersionPtr version);
  // Also starts what instances_min asks for.
  void adopt(functions::VersionPtr version);

  // Makes the pool of a committed version known, so that its instances_min, and what Parts::warm
  // says, are kept from now on: for each version at the start of the server, and whenever that
  // changes.
  void keep(functions::VersionPtr version);

  // The version is not to be called any more: instances end when they are idle.
  void retire(const std::string& function, const std::string& revision);
  void retire_function(const std::string& function);

  std::vector<PoolStats> pools() const;
  // Nullopt: no instance of it has been wanted yet.
  std::optional<PoolStats> pool_of(const functions::Version& version) const;
  // What is in force for a version now.
  KeepAliveStats keep_alive_of(const functions::Version& version) const;

  // Merged into pools(), pool_of(), callers_wait() and the metrics from now on.
  void set_beside(Beside beside);
  // Whether so much is free, without ending what is idle.
  bool has_room(std::uint64_t memory_bytes, std::uint32_t instances) const;
  // Takes room for instances off what this one may use, and gives it back; false: so much is not
  // free. What is lent counts as used.
  bool lend(std::uint64_t memory_bytes, std::uint32_t instances);
  void take_back(std::uint64_t memory_bytes, std::uint32_t instances);
  // In place of settings.memory_bytes_max and instances_max.
  void set_room(std::uint64_t memory_bytes, std::uint32_t instances);

  // No new invocations (503 with phase accept), running ones finish until grace has passed, then
  // everything is killed. Total.
  io::Task<void> stop(std::chrono::milliseconds grace);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::engine
