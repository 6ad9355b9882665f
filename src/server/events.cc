#include "server/events.h"

#include <algorithm>
#include <thread>

#include "os/cpu_meter.h"

namespace mayfly::server {

// What triggers ask of the engine.
class Events::DispatcherRunner final : public triggers::Runner {
 public:
  DispatcherRunner(functions::Catalogue& catalogue, engine::Dispatcher& dispatcher,
                   const engine::Reserved& reserved, std::uint32_t messages_beside_callers)
      : catalogue_(catalogue),
        dispatcher_(dispatcher),
        reserved_(reserved),
        messages_beside_callers_(messages_beside_callers) {}

  functions::VersionPtr find(const std::string& name, const std::string& qualifier) override {
    return catalogue_.find(name, qualifier);
  }
  std::uint32_t room(const functions::VersionPtr& version) override {
    return reserved_.room(version->function, dispatcher_.room(version));
  }
  bool saturated(const functions::VersionPtr& version) override {
    return cpu_.saturated(std::chrono::steady_clock::now()) && dispatcher_.takes_cpu(version);
  }
  // A batch is one event, one answer and one transaction: what waits behind a large one waits long.
  Share share(const functions::VersionPtr& version) override {
    Share share;
    if (!dispatcher_.callers_wait()) return share;
    share.messages = messages_beside_callers_;
    if (dispatcher_.takes_cpu(version)) share.batches = batches_beside_callers_;
    return share;
  }
  io::Task<Result<functions::Model>> model_of(functions::VersionPtr version) override {
    return dispatcher_.model_of(std::move(version));
  }
  io::Task<engine::Answer> invoke(engine::Invocation invocation) override {
    return dispatcher_.invoke(std::move(invocation));
  }

 private:
  functions::Catalogue& catalogue_;
  engine::Dispatcher& dispatcher_;
  const engine::Reserved& reserved_;
  const std::uint32_t messages_beside_callers_;
  const std::uint32_t batches_beside_callers_ =
      std::max(2u, std::thread::hardware_concurrency()) - 1;  // one core is for the callers
  os::CpuMeter cpu_;
};

Events::Events(Parts parts) : parts_(std::move(parts)) {}
Events::~Events() = default;

Result<std::unique_ptr<Events>> Events::make(Parts parts) {
  std::unique_ptr<Events> events(new Events(std::move(parts)));
  const auto executor = events->parts_.loop.get_executor();
  auto& p = events->parts_;
  events->committer_ = std::make_unique<store::Committer>(p.store, executor);
  auto engine = queues::make_embedded_engine(
      {executor, p.store, *events->committer_, p.pool, p.clock, p.queues});
  if (engine.has_error()) return engine.error();
  events->queues_ = std::move(*engine);
  events->moves_ = std::make_unique<queues::MoveTasks>(
      queues::MoveTasks::Parts{executor, *events->queues_, p.store, *events->committer_, p.clock});
  events->state_ = std::make_unique<tables::State>(p.store, *events->committer_, p.pool);
  events->services_ =
      std::make_unique<triggers::Services>(*events->queues_, *events->state_, p.pool);
  events->targets_ = std::make_unique<triggers::Targets>(*events->queues_);
  return events;
}

Status Events::attach(engine::Dispatcher& dispatcher, const engine::Reserved& reserved) {
  runner_ = std::make_unique<DispatcherRunner>(parts_.catalogue, dispatcher, reserved,
                                               parts_.calls.messages_beside_callers);
  triggers::TriggerSettings settings;
  settings.region = parts_.engine.region;
  settings.account = parts_.engine.account;
  triggers_ = std::make_unique<triggers::QueueTriggers>(triggers::QueueTriggers::Parts{
      parts_.loop.get_executor(), *queues_, parts_.store, *committer_, parts_.pool, *runner_,
      *services_, targets_.get(), parts_.clock, std::move(settings), &parts_.metrics});
  calls_ = std::make_unique<Calls>(
      Calls::Parts{parts_.loop, *queues_, parts_.store, *committer_, parts_.pool, parts_.clock,
                   *targets_, parts_.catalogue, dispatcher, parts_.calls, parts_.engine.region,
                   parts_.engine.account, parts_.data_folder});
  MAYFLY_TRY(calls_->open());
  MAYFLY_TRY(moves_->load());
  return triggers_->load();
}

void Events::start() {
  triggers_->start();
  calls_->start();
}

void Events::review() {
  if (triggers_) triggers_->review();
}

void Events::quiesce() {
  triggers_->quiesce();
  moves_->stop();
}

io::Task<void> Events::stop() {
  auto triggers = triggers_->stop();
  co_await std::move(triggers);
  auto queues = queues_->stop();
  co_await std::move(queues);
}

}  // namespace mayfly::server
