#pragma once
// Queue triggers: functions handle the messages of queues. A durable table of event source
// mappings, and for each of them a poller that receives as much as the function can run now, hands
// it over in batches, and sees to what failed. How and why: docs/decisions/0016-triggers.md.
//
// Belongs to the engine's loop. What nobody sends to costs nothing: an idle poller waits in a
// receive that has no end.

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/function_services.h"
#include "engine/invocation.h"
#include "io/blocking.h"
#include "queues/engine.h"
#include "store/committer.h"
#include "store/store.h"
#include "telemetry/telemetry.h"
#include "triggers/mapping.h"
#include "triggers/targets.h"

namespace mayfly::triggers {

// What triggers need of the engine and the catalogue.
class Runner {
 public:
  virtual ~Runner() = default;
  // Null when there is no such function or version.
  virtual functions::VersionPtr find(const std::string& name, const std::string& qualifier) = 0;
  // How many more invocations would run at once now, and not stand in line.
  virtual std::uint32_t room(const functions::VersionPtr& version) = 0;
  // The function computes and no core is left: more at once would only take time from what runs.
  virtual bool saturated(const functions::VersionPtr& version) = 0;
  // What may be under way at once for a function now, beside callers who wait for theirs.
  struct Share {
    std::uint32_t batches = UINT32_MAX;
    std::uint32_t messages = UINT32_MAX;  // of a batch
  };
  virtual Share share(const functions::VersionPtr& version) = 0;
  virtual io::Task<Result<functions::Model>> model_of(functions::VersionPtr version) = 0;
  virtual io::Task<engine::Answer> invoke(engine::Invocation invocation) = 0;
};

struct TriggerSettings {
  std::string region = "us-east-1", account = "000000000000";  // for ARNs
  // Of one event (Lambda's limit); a larger batch becomes several invocations.
  std::size_t event_bytes_max = 6u << 20;
};

// How a mapping is doing.
struct TriggerStatus {
  enum class State { enabled, disabled, no_queue, no_function } state = State::enabled;
  std::string last_result;    // a sentence; empty: nothing has happened yet
  std::uint32_t running = 0;  // batches
  std::uint64_t batches = 0, handled = 0, failed = 0, filtered = 0, given_up = 0;  // messages
};
std::string_view state_name(TriggerStatus::State state);

class QueueTriggers {
 public:
  // All of them outlive this. targets may be null: then on_failure can be queues only.
  struct Parts {
    boost::asio::any_io_executor loop;
    queues::QueueEngine& queues;
    store::Store& store;
    store::Committer& committer;
    io::BlockingPool& pool;
    Runner& runner;
    engine::FunctionServices& services;
    Targets* targets;
    const Clock& clock;
    TriggerSettings settings;
    telemetry::Metrics* metrics = nullptr;  // null: counts nothing
  };
  explicit QueueTriggers(Parts parts);
  ~QueueTriggers();

  // Reads the table; at start, blocks.
  Status load();
  // Begins to receive.
  void start();

  // Durable when they resume. create() makes the id; already_exists when there is one for the same
  // queue and function, not_found when one of them is missing.
  io::Task<Result<Mapping>> create(Mapping mapping);
  io::Task<Result<Mapping>> update(Mapping mapping);
  io::Task<Status> remove(std::string id);

  // By id or "QUEUE:FUNCTION[:VERSION]".
  std::optional<Mapping> find(const std::string& id) const;
  std::vector<Mapping> list() const;  // by queue, then function
  TriggerStatus status(const std::string& id) const;

  // Functions or queues have come or gone: looks again at the mappings that miss one.
  void review();
  // Does what is due by the clock: for tests on a virtual one.
  void run_due();

  // Receives nothing more from now on.
  void quiesce();
  // quiesce(), then resumes when the batches that run have ended. Messages of those that did not
  // end well are given back.
  io::Task<void> stop();

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::triggers
