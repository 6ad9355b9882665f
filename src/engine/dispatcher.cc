#include "engine/dispatcher.h"

#include <fmt/format.h>
#include <boost/asio/this_coro.hpp>

#include <utility>

#include "base/ids.h"
#include "engine/answer_body.h"
#include "engine/call.h"
#include "engine/core.h"
#include "engine/instance.h"
#include "engine/pool.h"
#include "engine/questions.h"
#include "engine/template_keeper.h"
#include "wire/http_message.h"

namespace mayfly::engine {
namespace {

using functions::Model;
using telemetry::Outcome;
using telemetry::Party;
using telemetry::Phase;

constexpr milliseconds kAllKilledTakes{5'000};
constexpr std::uint32_t kRoomLooked = 64;  // more starts at once than that are not looked for

std::shared_ptr<Failure> cancelled_failure(Phase phase) {
  auto failure = std::make_shared<Failure>();
  failure->outcome = Outcome::cancelled;
  failure->party = Party::client;
  failure->phase = phase;
  failure->code = Code::cancelled;
  failure->message = "the caller went away";
  return failure;
}

std::shared_ptr<Failure> stopping_failure() {
  auto failure = std::make_shared<Failure>();
  failure->phase = Phase::accept;
  failure->code = Code::unavailable;
  failure->message = "the server is stopping and takes no new calls";
  failure->retry_after_s = 1;
  return failure;
}

// With the phases so far; the record waits for what the caller is told.
Answer answer_of(Call& call) {
  Answer answer;
  answer.receipt = Receipt(call.shared_from_this());
  answer.request_id = call.record.request_id;
  answer.function = call.pool->version()->function;
  answer.instance = call.record.instance;
  answer.cold = call.record.cold;
  answer.queue_us = call.record.queue_us;
  answer.start_us = call.record.start_us;
  answer.init_us = call.record.init_us;
  return answer;
}

// The caller did not know the model and took it for one of events, but an instance came up
// meanwhile.
std::shared_ptr<Failure> model_failure() {
  auto failure = std::make_shared<Failure>();
  failure->phase = Phase::run;
  failure->code = Code::unavailable;
  failure->message = "the function started only now, and it speaks HTTP";
  failure->retry_after_s = 1;
  return failure;
}

std::shared_ptr<Failure> refused_failure(std::string message) {
  auto failure = std::make_shared<Failure>();
  failure->outcome = Outcome::refused;
  failure->phase = Phase::accept;
  failure->code = Code::resource_exhausted;
  failure->message = std::move(message);
  failure->retry_after_s = 1;
  return failure;
}

// Once the call is finished: its record is complete, and its receipt keeps it.
void add_report(Answer& answer, const Call& call) {
  if (!call.want_tail || !call.finished()) return;
  answer.report = telemetry::report_of(call.record);
  if (answer.failure && !answer.failure->exit.empty())
    answer.report.error_type = "Runtime.ExitError";
}

Answer failed(Call& call, std::shared_ptr<Failure> failure, Call::Slot slot) {
  const auto request_id = call.record.request_id;
  Answer answer = answer_of(call);
  answer.run_us = call.run_us_so_far();
  if (call.instance && call.want_tail && call.pool->concurrency() == 1) call.instance->drain_logs();
  failure->log_tail = call.log_tail();
  call.finish(end_of(*failure), slot);
  answer.failure = std::move(failure);
  add_report(answer, call);
  return answer;
}

}  // namespace

struct Dispatcher::State : std::enable_shared_from_this<State> {
  explicit State(Parts parts)
      : beside_another(parts.beside), core(std::make_shared<Core>(std::move(parts))) {}

  static io::Task<Answer> run(std::shared_ptr<Core> core, Invocation& invocation);
  static io::Task<std::shared_ptr<Failure>> get_slot(std::shared_ptr<Call> call,
                                                     const Invocation* invocation);
  static Answer complete(Call& call, Reply reply);
  static io::Task<Answer> settle(std::shared_ptr<Call> call, InstanceProtocol::Called called);
  static io::Task<Answer> collect(std::shared_ptr<Call> call, Answer answer);
  static io::Task<Pool::Watcher*> first_start(std::shared_ptr<Core> core,
                                              functions::VersionPtr version, Pool::Watcher* watcher,
                                              bool as_template);
  void register_gauges();

  const bool beside_another;
  const std::shared_ptr<Core> core;
  Beside beside;
};

Dispatcher::Dispatcher(Parts parts) : state_(std::make_shared<State>(std::move(parts))) {
  if (!state_->beside_another) state_->register_gauges();
}

Dispatcher::~Dispatcher() {
  state_->core->stopping = true;
  const auto pools = state_->core->pools;
  for (const auto& [key, pool] : pools) pool->kill_all("was ended because the server stopped");
  state_->core->timers.stop();
  state_->core->forget_all();
}

void Dispatcher::State::register_gauges() {
  struct Gauges {
    telemetry::Metrics::Gauge &idle, &busy, &starting, &waiting, &memory, &templates,
        &template_bytes, &shells;
  };
  auto& metrics = core->metrics;
  const std::string name = "mayfly_instances", help = "Instances by what they do.";
  const auto gauges = std::make_shared<Gauges>(
      Gauges{metrics.gauge(name, help, {{"state", "idle"}}),
             metrics.gauge(name, help, {{"state", "busy"}}),
             metrics.gauge(name, help, {{"state", "starting"}}),
             metrics.gauge("mayfly_queue_waiting", "Calls that wait for an instance.", {}),
             metrics.gauge("mayfly_memory_committed_bytes",
                           "Memory limits of all instances together.", {}),
             metrics.gauge("mayfly_template_ready", "Templates that stand ready to be cloned.", {}),
             metrics.gauge("mayfly_template_memory_bytes", "Memory of all templates.", {}),
             metrics.gauge("mayfly_template_shells", "Shells kept prepared for clones.", {})});
  metrics.before_exposition([weak = weak_from_this(), gauges] {
    const auto self = weak.lock();
    if (!self) return;
    PoolStats sum;
    for (const auto& [key, pool] : self->core->pools) add(sum, pool->stats());
    sum.templates = static_cast<std::uint32_t>(self->core->templates->size());
    sum.template_bytes = self->core->templates->bytes();
    for (const auto& stats : self->beside.pools) add(sum, stats);
    gauges->idle.set(sum.instances - sum.busy);
    gauges->busy.set(sum.busy);
    gauges->starting.set(sum.starting);
    gauges->waiting.set(sum.waiting);
    gauges->templates.set(sum.templates);
    gauges->template_bytes.set(static_cast<double>(sum.template_bytes));
    gauges->shells.set(sum.shells);
    gauges->memory.set(static_cast<double>(self->core->node.memory_used));
  });
}

io::Task<Answer> Dispatcher::invoke(Invocation invocation) {
  const auto core = state_->core;
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  auto running = State::run(core, invocation);
  Answer answer = co_await std::move(running);
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  co_return answer;
}

io::Task<Answer> Dispatcher::State::run(std::shared_ptr<Core> core, Invocation& invocation) {
  if (invocation.request_id.empty()) invocation.request_id = new_uuid();
  const auto pool = core->pool_for(invocation.version);
  const auto call = std::make_shared<Call>(core, pool, invocation);
  if (core->stopping) co_return failed(*call, stopping_failure(), Call::Slot::free);
  if (core->admit) {
    auto admitted = core->admit(*invocation.version);
    if (admitted.has_error())
      co_return failed(*call, refused_failure(std::move(admitted.error().message)),
                       Call::Slot::free);
    call->admitted = std::move(*admitted);
  }
  const bool streamed = invocation.more != nullptr;
  if (streamed) count_request(invocation, call);

  InstanceProtocol::Called called;
  for (int attempt = 0;; ++attempt) {
    std::shared_ptr<Instance> instance = pool->take();
    if (instance) {
      const bool awaited = std::exchange(instance->awaited, false);
      call->assign(std::move(instance), awaited);
    } else {
      auto waiting = get_slot(call, &invocation);
      std::shared_ptr<Failure> failure = co_await std::move(waiting);
      if (failure) co_return failed(*call, std::move(failure), Call::Slot::free);
    }
    if (invocation.kind == PayloadKind::event && functions::takes_http(pool->model()))
      co_return failed(*call, model_failure(), Call::Slot::free);
    const std::size_t body_size = invocation.body.size();
    called = co_await call->instance->protocol().call(invocation, call->deadline);
    // An instance that was gone before it had got anything: another one may take the call.
    const bool untouched = !called.delivered && !streamed && invocation.body.size() == body_size;
    const bool crashed = called.failure && called.failure->outcome == Outcome::crash;
    if (!crashed || !untouched || call->timed_out || attempt > 0) break;
    const auto gone = call->instance;
    call->unassign();
    gone->kill("was ended because it hung up");
    gone->free_slot();
  }
  std::string effects = std::move(called.reply.effects);
  Answer answer;
  if (!called.failure && !called.reply.more && !call->timed_out) {
    answer = complete(*call, std::move(called.reply));
  } else {
    auto settling = settle(call, std::move(called));
    answer = co_await std::move(settling);
  }
  if (answer.failure || (effects.empty() && !invocation.settlement)) co_return answer;
  // The instance is free already; the caller waits until it is durable.
  answer.reply.effects = std::move(effects);
  auto committing = commit_effects(core, std::move(invocation.version),
                                   std::move(invocation.settlement), std::move(answer));
  Answer committed = co_await std::move(committing);
  co_return committed;
}

io::Task<std::shared_ptr<Failure>> Dispatcher::State::get_slot(std::shared_ptr<Call> call,
                                                               const Invocation* invocation) {
  Pool::Waiter waiter;
  waiter.invocation = invocation;
  if (auto refused = call->pool->enqueue(waiter)) co_return refused;
  const bool go_on = co_await waiter.park.wait();
  if (!go_on) {
    call->pool->leave(waiter);
    co_return cancelled_failure(Phase::queue);
  }
  if (waiter.failure) co_return std::move(waiter.failure);
  call->assign(std::move(waiter.instance), waiter.cold);
  co_return nullptr;
}

// A reply that is here as a whole: its call is over.
Answer Dispatcher::State::complete(Call& call, Reply reply) {
  Answer answer = answer_of(call);
  answer.reply = std::move(reply);
  call.record.bytes_out += answer.reply.body.size();
  if (call.want_tail) {
    if (call.pool->concurrency() == 1) call.instance->drain_logs();
    answer.reply.log_tail = call.log_tail();
  }
  answer.run_us = call.run_us_so_far();
  call.finish({}, Call::Slot::free);
  add_report(answer, call);
  return answer;
}

// A call that failed, or whose reply is still coming.
io::Task<Answer> Dispatcher::State::settle(std::shared_ptr<Call> call,
                                           InstanceProtocol::Called called) {
  if (call->timed_out) co_return failed(*call, call->timeout_failure(), Call::Slot::aborted);
  if (called.failure) {
    auto failure = std::move(called.failure);
    if (failure->outcome == Outcome::cancelled)
      co_return failed(*call, std::move(failure), Call::Slot::aborted);
    if (failure->outcome == Outcome::crash) {
      auto explaining = call->instance->explain_crash(std::move(failure));
      failure = co_await std::move(explaining);
    }
    if (call->pool->per_call()) {
      call->instance->drain_logs();
      auto wrote = call->instance->last_error_lines();
      while (wrote.ends_with('\n')) wrote.pop_back();
      if (!wrote.empty()) {
        failure->message += "; it wrote: " + wrote;
        failure->quotes_function = true;
      }
      if (failure->outcome == Outcome::function_error && failure->error_json.empty()) {
        failure->error_json = "{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":";
        wire::append_json_string(failure->error_json, failure->message);
        failure->error_json += '}';
      }
    }
    co_return failed(*call, std::move(failure), Call::Slot::free);
  }
  Answer answer = answer_of(*call);
  answer.reply = std::move(called.reply);
  call->record.bytes_out += answer.reply.body.size();
  answer.reply.more = wrap_answer(call, std::move(answer.reply.more));
  if (answer.reply.kind == PayloadKind::event) {
    auto collecting = collect(call, std::move(answer));
    answer = co_await std::move(collecting);
  }
  answer.run_us = call->run_us_so_far();
  co_return answer;
}

// An event's result is one value: a large one came in several frames, and is handed on whole.
io::Task<Answer> Dispatcher::State::collect(std::shared_ptr<Call> call, Answer answer) {
  for (;;) {
    auto reading = answer.reply.more->read();
    Result<std::string> part = co_await std::move(reading);
    if (part.has_value() && part->empty()) break;
    if (part.has_value()) {
      answer.reply.body += *part;
      continue;
    }
    answer.failure = std::make_shared<Failure>();
    answer.failure->outcome = call->ended.outcome;
    answer.failure->party = call->ended.party;
    answer.failure->phase = call->ended.phase;
    answer.failure->code = part.error().code;
    answer.failure->message = part.error().message;
    break;
  }
  answer.reply.more.reset();
  if (answer.failure)
    answer.failure->log_tail = call->log_tail();
  else
    answer.reply.log_tail = call->log_tail();
  add_report(answer, *call);
  co_return answer;
}

// ---- first starts

// Starts an instance when there is need to, and waits for how it ends.
io::Task<Pool::Watcher*> Dispatcher::State::first_start(std::shared_ptr<Core> core,
                                                        functions::VersionPtr version,
                                                        Pool::Watcher* watcher, bool as_template) {
  const auto pool = core->pool_for(version);
  if (core->stopping) {
    watcher->failure = stopping_failure();
    co_return watcher;
  }
  pool->start_for(*watcher, as_template);
  while (!watcher->done) {
    const bool go_on = co_await watcher->park.wait();
    if (!go_on) break;
  }
  pool->unwatch(*watcher);
  if (!watcher->done) watcher->failure = cancelled_failure(Phase::init);
  co_return watcher;
}

std::uint32_t Dispatcher::room(const functions::VersionPtr& version) const {
  constexpr microseconds kShortRun{20'000};
  auto& core = *state_->core;
  if (core.stopping) return 0;
  const auto pool = core.find_pool(*version);
  scaler::PoolView view;
  view.concurrency = std::max(1u, version->concurrency);
  view.instances_max = version->settings.instances_max;
  std::uint64_t memory = std::uint64_t{version->settings.memory_mb} << 20;
  if (pool) {
    view = pool->view();
    memory = pool->memory_bytes();
  }
  const std::uint32_t have = view.ready + view.starting;
  std::uint64_t most = have;
  // What idle instances of others hold can be had, too.
  for (auto node = core.node; most < have + kRoomLooked && scaler::fits(node, memory); ++most) {
    node.memory_used += memory;
    ++node.instances;
  }
  if (most == have) {
    for (const auto& [key, other] : core.pools)
      if (other != pool) most += other->idle_instances().size();
  }
  if (view.instances_max != 0) most = std::min<std::uint64_t>(most, view.instances_max);
  if (pool) most = std::min<std::uint64_t>(most, std::max(have, scaler::useful_instances(view)));
  std::uint64_t slots = most * (view.per_call ? 1 : std::max(1u, view.concurrency));
  if (most > 0 && view.run_median && *view.run_median < kShortRun) ++slots;
  const std::uint64_t taken = std::uint64_t{view.running} + view.waiting;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(slots > taken ? slots - taken : 0, UINT32_MAX));
}

bool Dispatcher::takes_cpu(const functions::VersionPtr& version) const {
  const auto pool = state_->core->find_pool(*version);
  return pool && scaler::takes_cpu(pool->view());
}

bool Dispatcher::callers_wait() const {
  constexpr milliseconds kMoment{100};
  const auto& core = *state_->core;
  return core.awaited_at != SteadyTime{} && core.now() - core.awaited_at < kMoment;
}

io::Task<Result<Model>> Dispatcher::model_of(functions::VersionPtr version) {
  if (version->model != Model::unknown) co_return version->model;
  const auto core = state_->core;
  const auto pool = core->pool_for(version);
  if (pool->model() != Model::unknown) co_return pool->model();
  Pool::Watcher watcher;
  watcher.for_call = true;
  auto starting = State::first_start(core, version, &watcher, false);
  (void)co_await std::move(starting);
  if (watcher.failure) {
    co_return Error{watcher.failure->code, watcher.failure->message,
                    std::string(phase_name(watcher.failure->phase)), 0};
  }
  co_return watcher.ready.model;
}

io::Task<Probe> Dispatcher::probe(functions::VersionPtr version) {
  const auto core = state_->core;
  Pool::Watcher watcher;
  auto starting = State::first_start(core, version, &watcher, true);
  (void)co_await std::move(starting);
  Probe probe;
  probe.failure = std::move(watcher.failure);
  probe.model = watcher.ready.model;
  probe.handler = std::move(watcher.ready.handler);
  probe.runtime = std::move(watcher.ready.runtime);
  probe.concurrency = watcher.ready.concurrency;
  probe.notes = std::move(watcher.ready.notes);
  const auto pool = core->find_pool(*version);
  if (pool) probe.uncloneable = pool->keeper().uncloneable();
  // A candidate that fails leaves nothing behind.
  if (pool && probe.failure) pool->retire();
  co_return probe;
}

void Dispatcher::adopt(functions::VersionPtr version) {
  const auto& core = *state_->core;
  if (const auto pool = core.find_pool(*version)) {
    pool->set_version(version);
    for (const auto& [key, other] : core.pools)
      if (other != pool && other->version()->function == version->function &&
          other->version()->number == version->number)
        pool->keep_alive().inherit(other->keep_alive());
  }
  keep(std::move(version));
}

void Dispatcher::keep(functions::VersionPtr version) {
  const auto& core = state_->core;
  if (core->stopping) return;
  const bool wanted =
      version->settings.instances_min > 0 || (core->warm && core->warm(*version) > 0);
  if (!wanted && !core->find_pool(*version)) return;
  const auto pool = core->pool_for(version);
  pool->settle_warm();
  pool->review();
}

// ---- the end

void Dispatcher::retire(const std::string& function, const std::string& revision) {
  const auto pools = state_->core->pools;
  for (const auto& [key, pool] : pools)
    if (pool->version()->function == function && pool->version()->revision == revision)
      pool->retire();
}

void Dispatcher::retire_function(const std::string& function) {
  const auto pools = state_->core->pools;
  for (const auto& [key, pool] : pools)
    if (pool->version()->function == function) pool->retire();
}

std::vector<PoolStats> Dispatcher::pools() const {
  std::vector<PoolStats> stats;
  stats.reserve(state_->core->pools.size());
  for (const auto& [key, pool] : state_->core->pools) stats.push_back(pool->stats());
  merge(stats, state_->beside.pools);
  return stats;
}

std::optional<PoolStats> Dispatcher::pool_of(const functions::Version& version) const {
  std::vector<PoolStats> stats;
  if (const auto pool = state_->core->find_pool(version)) stats.push_back(pool->stats());
  std::vector<PoolStats> beside;
  for (const auto& each : state_->beside.pools)
    if (each.function == version.function && each.version == version.number &&
        each.revision == version.revision)
      beside.push_back(each);
  merge(stats, beside);
  if (stats.empty()) return std::nullopt;
  return std::move(stats.front());
}

void Dispatcher::set_beside(Beside beside) {
  if (beside.callers_wait) state_->core->awaited_at = state_->core->now();
  state_->beside = std::move(beside);
}

bool Dispatcher::has_room(std::uint64_t memory_bytes, std::uint32_t instances) const {
  const auto& node = state_->core->node;
  return node.instances + instances <= node.instances_max &&
         node.memory_used + memory_bytes <= node.memory_max;
}

bool Dispatcher::lend(std::uint64_t memory_bytes, std::uint32_t instances) {
  if (!has_room(memory_bytes, instances)) return false;
  auto& node = state_->core->node;
  node.instances += instances;
  node.memory_used += memory_bytes;
  return true;
}

void Dispatcher::take_back(std::uint64_t memory_bytes, std::uint32_t instances) {
  auto& node = state_->core->node;
  node.instances -= instances;
  node.memory_used -= memory_bytes;
}

void Dispatcher::set_room(std::uint64_t memory_bytes, std::uint32_t instances) {
  auto& core = *state_->core;
  core.node.memory_max = core.settings.memory_bytes_max = memory_bytes;
  core.node.instances_max = core.settings.instances_max = instances;
}

KeepAliveStats Dispatcher::keep_alive_of(const functions::Version& version) const {
  KeepAliveStats stats;
  if (const auto pool = state_->core->find_pool(version)) stats = pool->keep_alive().stats();
  if (const auto set = KeepAlive::set_by(version)) {
    stats.why = KeepAliveStats::Why::setting;
    stats.stay = *set;
    stats.again_from = milliseconds(0);
  }
  return stats;
}

io::Task<void> Dispatcher::stop(std::chrono::milliseconds grace) {
  const auto core = state_->core;
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  core->stopping = true;
  const auto pools = core->pools;
  for (const auto& [key, pool] : pools) pool->end_idle();
  Park limit_park;
  TimerQueue::Entry limit(&Park::wake_by, &core->quiet);
  core->timers.arm(limit, grace);
  const auto until = core->now() + grace;
  while (core->calls_running > 0 && core->now() < until) {
    const bool go_on = co_await core->quiet.wait();
    if (!go_on) break;
  }
  limit.disarm();
  const auto left = core->pools;
  for (const auto& [key, pool] : left) pool->kill_all("was ended because the server stopped");
  const auto killed_until = core->now() + kAllKilledTakes;
  for (const auto& [key, pool] : left) {
    while (!pool->empty() && core->now() < killed_until) {
      TimerQueue::Entry tick(&Park::wake_by, &limit_park);
      core->timers.arm(tick, milliseconds(2));
      const bool go_on = co_await limit_park.wait();
      if (!go_on) break;
    }
  }
  core->timers.stop();
}

}  // namespace mayfly::engine
