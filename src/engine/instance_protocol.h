#pragma once
// How the engine speaks with a running instance. Frames are the native way (engine/frame_protocol);
// programs that cannot speak frames are met in their own protocol by adapters in dialects/
// (Runtime API, HTTP on $PORT, stdin/stdout). One contract, one shared test file.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  // Of a program that was started as a template: it waits for orders to clone it, or it serves as
  // an ordinary instance, and why. Not set: it knows nothing of templates, and serves.
  std::optional<bool> cloneable;
  std::string why;
};

// Log text of an instance, attributed where the protocol can tell. The engine drains the stdout and
// stderr pipes by itself; protocols pass on only what came another way (log frames).
using LogSink = std::function<void(const std::string& request_id, telemetry::LogLine::Stream,
                                   std::string_view text)>;

// What a protocol tells the engine without being asked. Both may be called until the protocol is
// destroyed; never from inside start(), call() or abort().
struct InstanceEvents {
  // The program can no longer be spoken with. why is empty when it hung up, else the breach of the
  // protocol as a phrase ("sent a frame of an unknown type"). The engine ends the instance.
  std::function<void(const std::string& why)> closed;
  // The program has let go of a call that abort() left pending.
  std::function<void()> released;
  // A call that runs asks the platform something (engine/function_services.h): JSON, to be answered
  // with JSON, once, at any time, also after the call is over. Empty: nobody answers.
  using Answering = std::function<void(Result<std::string>)>;
  std::function<void(std::string question, Answering answer)> ask;
};

// One started instance. Belongs to the loop. Several call()s may run at once, up to the version's
// concurrency; the engine sees to that. The engine owns the sandbox, kills it, and waits for it:
// a protocol neither kills nor waits.
class InstanceProtocol {
 public:
  virtual ~InstanceProtocol() = default;

  // Once, before start().
  virtual void listen(InstanceEvents events) { events_ = std::move(events); }

  // Waits until the program is ready. A Failure: initialisation failed (party function, with
  // error_json, when the user's code did it). The engine sees to the time limit.
  struct Started {
    Ready ready;
    std::shared_ptr<Failure> failure;
  };
  virtual io::Task<Started> start() = 0;

  // One invocation. deadline is when the engine will kill the instance; it goes to the program.
  // Resumes with the head of the reply. An instance that dies meanwhile yields a Failure with
  // outcome crash and an empty message: the engine knows the reason. The invocation outlives the
  // call; its `more` is taken. delivered false: nothing of it can have reached the program, so
  // another instance may get it.
  struct Called {
    std::shared_ptr<Failure> failure;
    Reply reply;
    bool delivered = true;
  };
  virtual io::Task<Called> call(Invocation& invocation, WallTime deadline) = 0;

  // Nobody wants the answer any more: a call() or a read of its body that waits resumes with
  // outcome cancelled, and the program is told when the protocol has a way.
  enum class Abort {
    released,  // the program does not work on it any more (or was not reached yet)
    pending,   // it has been told: events.released follows when it lets go
    unknown,   // the protocol cannot tell: an overdue instance takes no new calls
  };
  virtual Abort abort(const std::string& request_id) = 0;

  // The sandbox is gone: whatever still waits resumes now with outcome crash. Once.
  virtual void ended(const sandbox::Exit& exit) = 0;

  // False when the program cannot be spoken with any more: an answer that broke off did so because
  // the program is gone.
  virtual bool healthy() const = 0;

  // True when the instance takes one call only and ends (stdio).
  virtual bool single_use() const { return false; }

  // The engine is about to end the sandbox: be polite. Must not block.
  virtual void shutdown() {}
  // Instead of shutdown(), where the program has something to do before it ends. Returns how long
  // it may take, from the SIGTERM that follows; 0: as the engine does it, at once but for idle.
  enum class Ending { idle, overdue, broken };
  virtual std::chrono::milliseconds farewell(Ending ending) {
    if (ending == Ending::idle) shutdown();
    return std::chrono::milliseconds(0);
  }

  // A line that the program wrote to its standard output or error, as it went to the log.
  virtual void wrote(const std::string&, telemetry::LogLine::Stream, std::string_view) {}

 protected:
  InstanceEvents events_;
};

// Knows how programs of one model are started and spoken with. Stateless; shared.
class ProtocolFactory {
 public:
  virtual ~ProtocolFactory() = default;
  virtual bool serves(const functions::Version& version) const = 0;
  // False when it needs nothing of the table of runtimes: prepare() then gets an empty Runtime.
  virtual bool wants_runtime(const functions::Version&) const { return true; }
  // True when every call gets a process of its own, started for it: prepare_call() is asked too,
  // and nothing is started ahead of need.
  virtual bool per_call(const functions::Version&) const { return false; }
  // Adds what this model needs to the launch: argv, environment, ports, fds, mounts. The engine has
  // filled in id, limits, network, the package at /var/task and the user's environment.
  virtual Status prepare(const functions::Version& version, const functions::Runtime& runtime,
                         sandbox::LaunchSpec& spec) const = 0;
  // What depends on the invocation (per_call only).
  virtual Status prepare_call(const functions::Version&, const Invocation&,
                              sandbox::LaunchSpec&) const {
    return ok();
  }
  // May take the descriptors of the sandbox; it and the version outlive the protocol.
  virtual std::unique_ptr<InstanceProtocol> attach(const functions::Version& version,
                                                   sandbox::Sandbox& sandbox,
                                                   boost::asio::any_io_executor executor,
                                                   LogSink log) const = 0;

  // True when programs of this kind can be cloned after their initialisation: prepare() of a
  // template finds spec.cloneable set, and attach_clone() speaks with a clone, which is ready from
  // the beginning.
  virtual bool clones(const functions::Version&, const functions::Runtime&) const { return false; }
  virtual std::unique_ptr<InstanceProtocol> attach_clone(const functions::Version& version,
                                                         sandbox::Sandbox& sandbox,
                                                         boost::asio::any_io_executor executor,
                                                         LogSink log) const {
    return attach(version, sandbox, std::move(executor), std::move(log));
  }
};

// Sets NAME=value in an environment, in place of an earlier value.
void set_env(std::vector<std::string>& env, std::string_view name, std::string_view value);

// How a program ended, in the words that AWS Lambda has from Go: "exit status 3",
// "signal: segmentation fault".
std::string exit_text(const sandbox::Exit& exit);

// The failure of a program that ended while it was needed; the engine fills in the message.
std::shared_ptr<Failure> crash_failure(telemetry::Phase phase, std::string message = {});
// The failure that the user's code reported as {"errorType","errorMessage","stackTrace"}; any
// bytes.
std::shared_ptr<Failure> function_failure(telemetry::Phase phase, std::string error_json);

}  // namespace mayfly::engine
