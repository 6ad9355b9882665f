#pragma once
// The parts of a server that are about events: queues, the state of functions, triggers. Part of
// the composition root: builds them in order, and takes them down in order.

#include <boost/asio/io_context.hpp>
#include <memory>

#include "base/clock.h"
#include "engine/dispatcher.h"
#include "engine/reserved.h"
#include "functions/catalogue.h"
#include "io/blocking.h"
#include "queues/embedded.h"
#include "queues/move_tasks.h"
#include "server/calls.h"
#include "store/committer.h"
#include "tables/state.h"
#include "triggers/queue_trigger.h"
#include "triggers/services.h"
#include "triggers/targets.h"

namespace mayfly::server {

class Events {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    store::Store& store;
    io::BlockingPool& pool;
    functions::Catalogue& catalogue;
    const Clock& clock;
    telemetry::Metrics& metrics;
    engine::EngineSettings engine;
    queues::EmbeddedSettings queues;
    CallsSettings calls;
    std::string data_folder;
  };
  // Reads the queues; blocks.
  static Result<std::unique_ptr<Events>> make(Parts parts);
  ~Events();

  // What the dispatcher is built with.
  engine::FunctionServices& services() { return *services_; }
  // The second half, once there is a dispatcher; reads the triggers, blocks. reserved outlives it.
  Status attach(engine::Dispatcher& dispatcher, const engine::Reserved& reserved);

  store::Committer& committer() { return *committer_; }
  queues::QueueEngine& queues() { return *queues_; }
  queues::MoveTasks& moves() { return *moves_; }
  tables::State& state() { return *state_; }
  triggers::Targets& targets() { return *targets_; }
  Calls& calls() { return *calls_; }
  triggers::QueueTriggers& triggers() { return *triggers_; }

  // Everything is there and the ports are bound: begins to work.
  void start();
  // Functions or versions have come or gone.
  void review();

  // No new work; then, when the dispatcher has stopped, the rest.
  void quiesce();
  io::Task<void> stop();

 private:
  class DispatcherRunner;
  explicit Events(Parts parts);

  Parts parts_;
  std::unique_ptr<store::Committer> committer_;
  std::unique_ptr<queues::EmbeddedEngine> queues_;
  std::unique_ptr<queues::MoveTasks> moves_;
  std::unique_ptr<tables::State> state_;
  std::unique_ptr<triggers::Services> services_;
  std::unique_ptr<triggers::Targets> targets_;
  std::unique_ptr<Calls> calls_;
  std::unique_ptr<DispatcherRunner> runner_;
  std::unique_ptr<triggers::QueueTriggers> triggers_;
};

}  // namespace mayfly::server
