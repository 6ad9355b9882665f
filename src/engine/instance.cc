#include "engine/instance.h"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>

#include <algorithm>

#include "base/ids.h"
#include "base/log.h"
#include "engine/launch_spec.h"
#include "engine/questions.h"

namespace mayfly::engine {
namespace {

using telemetry::LogLine;
using telemetry::Phase;

constexpr milliseconds kCancelGrace{500};  // for a program that was told to let go of a call
constexpr milliseconds kKeptReview{1'000};
// So long after a call that somebody waited for it keeps its whole share of the CPU: mixed work
// does not send an order to the spawner with each call.
constexpr milliseconds kAwaitedFor{1'000};
constexpr std::uint32_t kYieldingPart = 16;  // of the share, while others want the CPU too
constexpr std::size_t kLastLinesMax = 2'048;

struct TaskEnded {
  const char* what;
  void operator()(const std::exception_ptr& problem) const {
    if (!problem) return;
    try {
      std::rethrow_exception(problem);
    } catch (const std::exception& error) {
      log::error("{} of an instance failed: {}", what, error.what());
    }
  }
};

}  // namespace

Instance::Instance(std::shared_ptr<Core> core, std::shared_ptr<Pool> pool,
                   std::uint64_t memory_bytes, Kind kind, std::shared_ptr<Instance> the_template)
    : core_(std::move(core)),
      pool_(std::move(pool)),
      id_((kind == Kind::source ? "t-" : "i-") + random_hex(8)),
      memory_bytes_(memory_bytes),
      kind_(kind),
      template_(std::move(the_template)),
      room_booked_(kind != Kind::source),
      version_(pool_->effective()),
      factory_(core_->factory_for(*version_)),
      keep_alive_(&Instance::on_keep_alive, this),
      init_limit_(&Instance::on_init_timeout, this),
      grace_(&Instance::on_grace, this),
      linger_(&Instance::on_linger, this),
      kill_timer_(&Instance::on_kill, this) {}

Instance::~Instance() {
  give_room_back();
}

void Instance::begin(Pool::Waiter* waiter) {
  bound = waiter;
  if (bound != nullptr) bound->started_for = this;
  launch_began = launched = initialised = core_->now();
  boost::asio::co_spawn(core_->executor, live(shared_from_this()), TaskEnded{"the start"});
}

Result<sandbox::LaunchSpec> Instance::make_spec() {
  if (factory_ == nullptr) {
    return Error{Code::unsupported,
                 fmt::format("nothing here can run functions of model {} with runtime {}",
                             functions::model_name(version_->model), version_->settings.runtime),
                 "start of an instance", 0};
  }
  Result<functions::Runtime> runtime = functions::Runtime{};
  if (factory_->wants_runtime(*version_))
    runtime = core_->runtimes.find(version_->settings.runtime);
  if (runtime.has_error()) return std::move(runtime).error();
  auto spec = base_launch_spec(*version_, *runtime, core_->settings, id_, core_->clock.wall_now());
  spec.limits.memory_bytes = memory_bytes_;
  if (pool_->provisioned()) mark_provisioned(spec);
  if (core_->door != nullptr && version_->settings.services) {
    spec.services = true;
    core_->door->add_environment(*version_, spec.env);
  }
  if (kind_ == Kind::source) make_cloneable(spec, core_->settings);
  MAYFLY_TRY(factory_->prepare(*version_, *runtime, spec));
  if (bound != nullptr) MAYFLY_TRY(factory_->prepare_call(*version_, *bound->invocation, spec));
  return spec;
}

io::Task<Instance::Made> Instance::make_sandbox(std::shared_ptr<Instance> self) {
  if (self->kind_ == Kind::clone) {
    auto cloning = make_clone(self);
    Made made = co_await std::move(cloning);
    if (made.has_value()) co_return made;
    self->kind_ = Kind::boot;
  }
  auto spec = self->make_spec();
  if (spec.has_error()) co_return std::move(spec).error();
  auto launching = self->core_->sandboxes.launch(std::move(*spec));
  Made made = co_await std::move(launching);
  if (made.has_value()) self->count_start(**made);
  co_return made;
}

void Instance::count_start(const sandbox::Sandbox& sandbox) {
  if (!sandbox.no_zygote.empty())
    log::debug("the program of {} is started by itself: {}", id_, sandbox.no_zygote);
  core_->metrics
      .counter("mayfly_program_starts_total", "Programs of instances and templates, by origin.",
               {{"from", sandbox.from_zygote ? "zygote" : "exec"}})
      .add();
}

io::Task<Instance::Made> Instance::make_clone(std::shared_ptr<Instance> self) {
  const auto source = std::move(self->template_);
  self->template_.reset();
  if (source->state_ != State::standing)
    co_return Error{Code::unavailable, "the template has ended", "clone", 0};
  self->template_ready_ = self->pool_->keeper().ready();
  self->clone_of_ = self->pool_->keeper().generation();
  auto cloning = source->sandbox_->clone(base_clone_spec(
      *self->version_, self->id_, self->memory_bytes_, self->core_->clock.wall_now()));
  Made made = co_await std::move(cloning);
  if (made.has_error()) self->pool_->keeper().on_clone_failed(*source, made.error());
  co_return made;
}

void Instance::not_made(const Error& error) {
  auto failure = std::make_shared<Failure>();
  failure->phase = Phase::start;
  failure->code = error.code;
  failure->message = error.describe();
  if (error.code == Code::function_error) {  // its program or its folder is not there
    failure->outcome = telemetry::Outcome::init_failed;
    failure->party = telemetry::Party::function;
  }
  state_ = State::gone;
  if (kind_ != Kind::source) core_->launch_over();
  start_failed(std::move(failure));
}

io::Task<void> Instance::live(std::shared_ptr<Instance> self) {
  auto making = make_sandbox(self);
  Made made = co_await std::move(making);
  self->launched = self->initialised = self->core_->now();
  if (made.has_error()) {
    self->not_made(made.error());
    co_return;
  }
  self->sandbox_ = std::move(*made);
  if (self->kind_ == Kind::source) self->keep_shells(1);  // made while it initialises
  self->attach();
  boost::asio::co_spawn(self->core_->executor, watch(self), TaskEnded{"the watch"});
  const bool ended_already = self->state_ == State::ending;
  // The program may be gone by now.
  if (self->state_ == State::launching) self->state_ = State::initialising;
  self->core_->timers.arm(self->init_limit_, milliseconds(self->core_->settings.init_timeout_ms));
  if (self->kind_ != Kind::source) self->core_->launch_over();
  if (ended_already) self->sandbox_->kill();

  InstanceProtocol::Started started = co_await self->protocol_->start();
  self->init_limit_.disarm();
  if (self->cloned())
    started.ready = std::move(self->template_ready_);
  else
    self->initialised = self->core_->now();
  // A program that was found to serve one call only has done its duty: it may be gone already.
  const bool found_single = started.failure == nullptr &&
                            self->version_->model == functions::Model::unknown &&
                            started.ready.model == functions::Model::stdio;
  if (found_single) {
    self->kill("was started to find its model");
    self->give_room_back();
    self->pool_->on_found_single_use(*self, started.ready);
    co_return;
  }
  // A process for one call may have ended before the call looks at it: its output is there.
  const bool ran_through = self->state_ == State::gone && self->protocol_->single_use();
  if (started.failure == nullptr && self->state_ != State::initialising && !ran_through)
    started.failure = crash_failure(Phase::init);
  if (started.failure != nullptr) {
    if (started.failure->error_json.empty()) {
      auto explained = co_await self->explain_crash(started.failure);
      started.failure = std::move(explained);
    }
    self->kill("was ended because its initialisation failed");
    self->start_failed(std::move(started.failure));
    co_return;
  }
  self->initialised_well(std::move(started), ran_through);
}

void Instance::initialised_well(InstanceProtocol::Started started, bool ran_through) {
  if (kind_ == Kind::source) {
    if (started.ready.cloneable.value_or(false)) {
      state_ = State::standing;
      stood_ = true;
      // Its clones share what connections it has opened: each finds them closed, and opens its own.
      door_.reset();
      return pool_->on_template(*this, started.ready);
    }
    kind_ = Kind::boot;
    room_booked_ = pool_->on_template_declined(*this, started.ready);
    if (!room_booked_) return kill("was ended because there is no room for it");
  }
  if (!ran_through) state_ = State::ready;
  in_service_ = true;
  if (!pool_->per_call()) last_error_lines_ = {};
  pool_->on_ready(*this, started.ready);
  if (!ran_through) return;
  leave_service();
  pool_->on_gone(*this);
}

void Instance::keep_shells(unsigned count) {
  if (sandbox_) sandbox_->keep_shells(count);
}

std::uint64_t Instance::memory_used() const {
  return sandbox_ ? sandbox_->usage().memory_peak_bytes : 0;
}

void Instance::attach() {
  const std::weak_ptr<Instance> weak = weak_from_this();
  LogSink sink = [weak](const std::string& request_id, LogLine::Stream stream,
                        std::string_view text) {
    const auto self = weak.lock();
    if (!self) return;
    split_lines(text, [&](std::string_view line) { self->log(request_id, stream, line); });
  };
  protocol_ = cloned()
                  ? factory_->attach_clone(*version_, *sandbox_, core_->executor, std::move(sink))
                  : factory_->attach(*version_, *sandbox_, core_->executor, std::move(sink));
  InstanceEvents events;
  events.closed = [weak](const std::string& why) {
    if (const auto self = weak.lock()) self->on_closed(why);
  };
  events.released = [weak] {
    if (const auto self = weak.lock()) self->on_released();
  };
  events.ask = [weak](std::string question, InstanceEvents::Answering answer) {
    if (const auto self = weak.lock())
      ask_services(self->core_, self->version_, std::move(question), std::move(answer));
  };
  protocol_->listen(std::move(events));
  if (core_->door != nullptr && sandbox_->services)
    door_ = core_->door->open(version_, id_, std::move(sandbox_->services));
  open_pipes();
}

void Instance::open_pipes() {
  const std::weak_ptr<Instance> weak = weak_from_this();
  const auto pump = [&](os::Fd fd, LogLine::Stream stream) -> std::shared_ptr<LogPump> {
    if (!fd.valid()) return nullptr;  // the protocol has taken it
    auto made = std::make_shared<LogPump>(core_->executor, std::move(fd),
                                          [weak, stream](std::string_view line) {
                                            const auto self = weak.lock();
                                            if (self) self->pipe_line(stream, line);
                                          });
    made->open();
    return made;
  };
  out_ = pump(std::move(sandbox_->stdout_fd), LogLine::Stream::out);
  err_ = pump(std::move(sandbox_->stderr_fd), LogLine::Stream::err);
}

// A pipe carries no request id: with one call at a time it can only be that one.
void Instance::pipe_line(LogLine::Stream stream, std::string_view line) {
  static const std::string kNone;
  if (stream == LogLine::Stream::err && (state_ != State::ready || pool_->per_call())) {
    last_error_lines_.append(line).append("\n");
    if (last_error_lines_.size() > kLastLinesMax)
      last_error_lines_.erase(0, last_error_lines_.size() - kLastLinesMax);
  }
  const Call* call = pool_->concurrency() == 1 ? only_call() : nullptr;
  const std::string& id = call != nullptr ? call->record.request_id : kNone;
  protocol_->wrote(id, stream, line);
  log(id, stream, line);
}

void Instance::log(const std::string& request_id, LogLine::Stream stream, std::string_view line) {
  LogLine entry;
  entry.time_us = to_epoch_us(core_->clock.wall_now());
  entry.function = version_->function;
  entry.version = version_->number;
  entry.instance = id_;
  entry.request_id = request_id;
  entry.stream = stream;
  entry.text.assign(line);
  for (Call* call : calls_)
    if (call->want_tail && call->record.request_id == request_id) call->add_log(line);
  core_->telemetry.add(std::move(entry));
}

void Instance::drain_logs() {
  if (out_) out_->drain();
  if (err_) err_->drain();
}

void Instance::start_failed(std::shared_ptr<Failure> failure) {
  give_room_back();
  if (kind_ == Kind::source) return pool_->on_template_failed(*this, std::move(failure));
  pool_->on_start_failed(*this, std::move(failure));
}

io::Task<void> Instance::watch(std::shared_ptr<Instance> self) {
  auto waiting = self->sandbox_->wait();
  sandbox::Exit exit = co_await std::move(waiting);
  self->on_exit(std::move(exit));
  // What is left goes in a turn of its own, when nobody of the sandbox is on the stack any more.
  boost::asio::post(self->core_->executor, [self] { self->sandbox_.reset(); });
}

void Instance::on_exit(sandbox::Exit exit) {
  const auto keep = shared_from_this();
  if (out_) out_->close();
  if (err_) err_->close();
  exit_ = std::move(exit);
  leave_service();
  state_ = State::gone;
  keep_alive_.disarm();
  grace_.disarm();
  linger_.disarm();
  kill_timer_.disarm();
  give_room_back();
  protocol_->ended(*exit_);
  door_.reset();
  for (Park* park : exit_waiters_) park->wake();
  if (was_ready_) pool_->on_gone(*this);  // else its start fails, and that tells the pool
  if (stood_) pool_->on_template_gone(*this);
}

void Instance::leave_service() {
  if (!std::exchange(in_service_, false)) return;
  was_ready_ = true;
  pool_->on_leaves_service(*this);
}

void Instance::start_draining() {
  draining_ = true;
  leave_service();
}

void Instance::give_room_back() {
  if (std::exchange(room_booked_, false)) core_->release(memory_bytes_);
}

// ---- slots

bool Instance::has_slot() const {
  return usable() && slots_used_ < pool_->concurrency() && !(used_ && protocol_->single_use());
}

void Instance::take_slot() {
  ++slots_used_;
  used_ = true;
  keep_alive_.disarm();
}

void Instance::begin_idle() {
  idle_ = true;
  // Was it started ahead, then it stands for the one that was there before.
  if (std::exchange(ahead, false)) {
    const auto& keep = pool_->keep_alive();
    idle_since = keep.ahead_since();
    keep_for_ = std::chrono::floor<milliseconds>(keep.ahead_until() - idle_since);
    const auto left = std::chrono::ceil<milliseconds>(keep.ahead_until() - core_->now());
    return core_->timers.arm(keep_alive_, std::max(left, milliseconds(0)));
  }
  idle_since = core_->now();
  keep_for_ = pool_->keep_alive().on_idle(usage_.memory_peak_bytes);
  core_->timers.arm(keep_alive_, keep_for_);
}

void Instance::on_reused(SteadyTime now) {
  if (!std::exchange(idle_, false)) return;
  pool_->keep_alive().on_reuse(microseconds(to_us(now - idle_since)));
}

void Instance::make_way() {
  pool_->keep_alive().on_end(idle_since);
  kill("was ended to make room");
}

void Instance::free_slot() {
  --slots_used_;
  if (protocol_->single_use() && slots_used_ == 0) start_draining();
  if (draining_ && slots_used_ == 0 && state_ == State::ready) return end_politely();
  if (state_ != State::ready || draining_) return;
  if (slots_used_ == 0 && !pool_->serves(*this)) begin_idle();
  pool_->on_slot(*this);
}

void Instance::add_call(Call& call) {
  calls_.push_back(&call);
  share_cpu(call);
}

// Work that nobody waits for makes way for work that somebody waits for.
void Instance::share_cpu(const Call& call) {
  const auto now = core_->now();
  if (!call.background) awaited_until_ = now + kAwaitedFor;
  const bool yields =
      now >= awaited_until_ &&
      std::all_of(calls_.begin(), calls_.end(), [](auto* one) { return one->background; });
  if (yields == yields_ || !sandbox_) return;
  yields_ = yields;
  const auto whole = cpu_millis_of(memory_bytes_);
  sandbox_->set_cpu_share(yields ? whole / kYieldingPart : whole, !yields);
}

void Instance::remove_call(Call& call) {
  std::erase(calls_, &call);
}

void Instance::on_keep_alive(void* self) {
  auto& instance = *static_cast<Instance*>(self);
  if (!instance.idle()) return;
  if (instance.pool_->on_idle_too_long(instance)) {
    instance.pool_->keep_alive().on_end(instance.idle_since);
    return instance.end_politely();
  }
  // It is one of those that are kept: looked at again, but not in a hot loop.
  instance.core_->timers.arm(instance.keep_alive_, std::max(instance.keep_for_, kKeptReview));
}

void Instance::charge(Call& call, SteadyTime now) {
  const auto run_us = static_cast<double>(call.record.run_us);
  const bool gone = exit_.has_value();
  if (gone) usage_ = exit_->usage;
  if (!gone && sandbox_ == nullptr) return;
  if (!gone && now - usage_read_ < milliseconds(1)) {
    // Too soon to read again: what the last window showed, settled with the next reading.
    const double share = std::min(cpu_rate_ * run_us, run_us * core_->cores);
    call.record.cpu_us = static_cast<std::uint64_t>(share);
  } else {
    if (!gone) usage_ = sandbox_->usage();
    const double unpaid =
        usage_.cpu_us > cpu_charged_ ? static_cast<double>(usage_.cpu_us - cpu_charged_) : 0.0;
    double all = 0, mine = 1;
    for (const Call* other : calls_) {
      const auto from = std::max(other->assigned, usage_read_);
      const double span = std::max(1.0, static_cast<double>(to_us(now - from)));
      all += span;
      if (other == &call) mine = span;
    }
    call.record.cpu_us = static_cast<std::uint64_t>(unpaid * mine / std::max(all, mine));
    if (run_us > 0) cpu_rate_ = std::min<double>(call.record.cpu_us / run_us, core_->cores);
    usage_read_ = now;
  }
  cpu_charged_ += call.record.cpu_us;
  call.record.memory_peak_bytes = usage_.memory_peak_bytes;
}

void Instance::write_off_start(SteadyTime now) {
  if (sandbox_ == nullptr) return;
  usage_ = sandbox_->usage();
  cpu_charged_ = usage_.cpu_us;
  usage_read_ = now;
}

// ---- overdue and aborted calls

InstanceProtocol::Abort Instance::abort(const std::string& request_id) {
  if (state_ == State::gone) return InstanceProtocol::Abort::released;
  const auto state = protocol_->abort(request_id);
  if (protocol_->single_use()) kill("was ended because its caller went away");
  return state;
}

void Instance::overdue(const std::string& request_id) {
  if (state_ != State::ready && state_ != State::ending) return;
  const auto state = protocol_->abort(request_id);
  const bool alone = slots_used_ <= 1;
  if (pool_->concurrency() == 1 || (alone && state == InstanceProtocol::Abort::unknown))
    return dismiss("was ended because a call took too long", InstanceProtocol::Ending::overdue);
  if (state == InstanceProtocol::Abort::unknown) {
    start_draining();  // the others may end in peace
  } else if (state == InstanceProtocol::Abort::pending) {
    suspect_ = true;
    core_->timers.arm(grace_, kCancelGrace);
  }
}

void Instance::linger(milliseconds at_most) {
  ++lingering_;
  if (state_ == State::gone) return on_released();
  if (!linger_.armed()) core_->timers.arm(linger_, std::max(at_most, kCancelGrace));
}

void Instance::on_released() {
  if (lingering_ == 0) return;
  --lingering_;
  if (lingering_ == 0) {
    linger_.disarm();
    grace_.disarm();
    suspect_ = false;
  }
  free_slot();
}

// The program did not let go of a cancelled call: it takes no new ones. It is ended as soon as the
// calls that still work are over; each has a deadline.
void Instance::on_grace(void* self) {
  auto& instance = *static_cast<Instance*>(self);
  const auto keep = instance.shared_from_this();
  if (instance.lingering_ == 0) {
    instance.suspect_ = false;
    return instance.pool_->on_slot(instance);
  }
  instance.start_draining();
  if (instance.slots_used_ <= instance.lingering_)
    instance.kill("was ended because a cancelled call went on");
}

void Instance::on_linger(void* self) {
  on_grace(self);
}

void Instance::on_init_timeout(void* self) {
  auto& instance = *static_cast<Instance*>(self);
  instance.init_timed_out_ = true;
  instance.kill("was ended because its initialisation took too long");
}

}  // namespace mayfly::engine
