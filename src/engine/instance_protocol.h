#pragma once
// How the engine speaks with a running instance. Frames are the native way (engine/frame_protocol);
// programs that cannot speak frames are met in their own protocol by adapters in dialects/
// (Runtime API, HTTP on $PORT, stdin/stdout). One contract, one shared test file.

#include <functional>
#include <memory>
#include <string>

#include "engine/invocation.h"
#include "functions/runtimes.h"
#include "sandbox/sandbox.h"
#include "telemetry/telemetry.h"

namespace mayfly::engine {

// What an instance says once its initialisation is over.
struct Ready {
  functions::Model model = functions::Model::unknown;
  std::string handler, runtime;
  std::uint32_t concurrency = 0;
  std::vector<std::string> notes;
};

// Log text of an instance, attributed where the protocol can tell. The engine drains the stdout and
// stderr pipes by itself; protocols pass on only what came another way (log frames).
using LogSink = std::function<void(const std::string& request_id, telemetry::LogLine::Stream,
                                   std::string_view text)>;

// One started instance. Belongs to the loop. Several call()s may run at once, up to the version's
// concurrency; the engine sees to that.
class InstanceProtocol {
 public:
  virtual ~InstanceProtocol() = default;

  // Waits until the program is ready. A Failure: initialisation failed (party function, with
  // error_json, when the user's code did it).
  struct Started {
    Ready ready;
    std::shared_ptr<Failure> failure;
  };
  virtual io::Task<Started> start() = 0;

  // One invocation. deadline is when the engine will kill the instance. Resumes with the head of the
  // reply. An instance that dies meanwhile yields a Failure with outcome crash.
  struct Called {
    std::shared_ptr<Failure> failure;
    Reply reply;
  };
  virtual io::Task<Called> call(Invocation& invocation, WallTime deadline) = 0;

  // True when the instance takes one call only and ends (stdio).
  virtual bool single_use() const { return false; }

  // The engine is about to end the sandbox: be polite. Must not block.
  virtual void shutdown() {}
};

// Knows how programs of one model are started and spoken with. Stateless; shared.
class ProtocolFactory {
 public:
  virtual ~ProtocolFactory() = default;
  virtual bool serves(const functions::Version& version) const = 0;
  // Adds what this model needs to the launch: argv, environment, ports, fds, mounts. The engine has
  // filled in id, limits, network, the package at /var/task and the user's environment.
  virtual Status prepare(const functions::Version& version, const functions::Runtime& runtime,
                         sandbox::LaunchSpec& spec) const = 0;
  virtual std::unique_ptr<InstanceProtocol> attach(const functions::Version& version,
                                                   sandbox::Sandbox& sandbox,
                                                   boost::asio::any_io_executor executor,
                                                   LogSink log) const = 0;
};

}  // namespace mayfly::engine
