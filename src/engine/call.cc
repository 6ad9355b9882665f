#include "engine/call.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.h"
#include "engine/instance.h"
#include "engine/pool.h"

namespace mayfly::engine {

Receipt::Receipt(std::shared_ptr<Call> call) : call_(std::move(call)) {
  call_->hold_record();
}

Receipt& Receipt::operator=(Receipt&& other) noexcept {
  let_go();
  call_ = std::move(other.call_);
  return *this;
}

Receipt::~Receipt() {
  let_go();
}

void Receipt::rejected(const Failure& failure) {
  if (call_) call_->reject(end_of(failure));
}

void Receipt::answered(int http_status) {
  if (call_) call_->answered(http_status);
  let_go();
}

void Receipt::let_go() {
  if (const auto call = std::exchange(call_, nullptr)) call->release_record();
}

namespace {

constexpr std::size_t kTailMax = 4096;

std::int64_t overlap_us(SteadyTime a_from, SteadyTime a_to, SteadyTime b_from, SteadyTime b_to) {
  return std::max<std::int64_t>(0, to_us(std::min(a_to, b_to) - std::max(a_from, b_from)));
}

}  // namespace

CallEnd end_of(const Failure& failure) {
  return {failure.outcome, failure.party, failure.phase, failure.message};
}

Call::Call(std::shared_ptr<Core> the_core, std::shared_ptr<Pool> the_pool,
           const Invocation& invocation)
    : core(std::move(the_core)), pool(std::move(the_pool)), timer_(&Call::on_deadline, this) {
  const auto now = core->now();
  arrived = invocation.arrived == SteadyTime{} ? now : invocation.arrived;
  record.request_id = invocation.request_id;
  const auto& version = *pool->version();
  record.function = version.function;
  record.version = version.number;
  record.revision = version.revision;
  record.source = invocation.source;
  record.attempt = invocation.attempt;
  record.arrived_us = to_epoch_us(core->clock.wall_now()) - to_us(now - arrived);
  record.memory_mb = static_cast<std::uint32_t>(pool->memory_bytes() >> 20);
  record.bytes_in = invocation.body.size();
  want_tail = invocation.want_log_tail;
  background = invocation.background;
  if (!background) core->awaited_at = now;
  core->call_began();
}

// A call whose coroutine was dropped (the loop ends) leaves a record all the same.
Call::~Call() {
  if (finished_) return;
  finish({telemetry::Outcome::cancelled, telemetry::Party::client, telemetry::Phase::none,
          "the call was dropped"},
         Slot::aborted);
}

void Call::assign(std::shared_ptr<Instance> given, bool cold) {
  instance = std::move(given);
  assigned = core->now();
  const auto wait = std::max<std::int64_t>(0, to_us(assigned - arrived));
  record.instance = instance->id();
  record.start_us = record.init_us = 0;
  if (cold) {
    record.start_us = static_cast<std::uint64_t>(
        overlap_us(arrived, assigned, instance->launch_began, instance->launched));
    record.init_us = static_cast<std::uint64_t>(
        overlap_us(arrived, assigned, instance->launched, instance->initialised));
    record.cold = record.start_us + record.init_us > 0;
    if (record.cold)
      record.start = instance->cloned() ? telemetry::StartKind::clone : telemetry::StartKind::boot;
  }
  record.queue_us = static_cast<std::uint64_t>(wait) - record.start_us - record.init_us;
  deadline = core->clock.wall_now() + pool->timeout();
  instance->add_call(*this);
  instance->on_reused(assigned);
  core->timers.arm(timer_, pool->timeout());
}

void Call::unassign() {
  timer_.disarm();
  if (!instance) return;
  instance->remove_call(*this);
  instance.reset();
}

std::uint64_t Call::run_us_so_far() const {
  if (!instance) return 0;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, to_us(core->now() - assigned)));
}

void Call::finish(CallEnd end, Slot slot) {
  if (std::exchange(finished_, true)) return;
  timer_.disarm();
  admitted.reset();
  const auto now = core->now();
  if (instance) {
    if (pool->concurrency() == 1) instance->drain_logs();
    record.run_us = run_us_so_far();
    const bool first = !instance->charged();
    instance->charge(*this, now);
    if (end.outcome == telemetry::Outcome::ok || end.outcome == telemetry::Outcome::function_error)
      instance->served = true;
    if (end.outcome == telemetry::Outcome::ok)
      pool->run_took(static_cast<std::int64_t>(record.run_us),
                     static_cast<std::int64_t>(record.cpu_us), first);
    instance->remove_call(*this);
    if (slot == Slot::free) {
      instance->free_slot();
    } else {
      const auto state = instance->abort(record.request_id);
      if (state == InstanceProtocol::Abort::pending)
        instance->linger(std::max(
            milliseconds(1), std::chrono::ceil<milliseconds>(assigned + pool->timeout() - now)));
      else
        instance->free_slot();
    }
  } else {
    record.queue_us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, to_us(now - arrived))) -
                      record.start_us - record.init_us;
  }
  if (!rejected_) set_end(std::move(end));
  if (!receipt_out_) write();
}

void Call::set_end(CallEnd end) {
  record.outcome = end.outcome;
  record.party = end.party;
  record.phase = end.phase;
  ended = {end.outcome, end.party, end.phase, {}};
  record.error = std::move(end.error);
  std::replace(record.error.begin(), record.error.end(), '\n', ' ');
}

void Call::reject(CallEnd end) {
  rejected_ = true;
  set_end(std::move(end));
}

void Call::answered(int http_status) {
  // Who left before the answer began was told nothing.
  const bool left = finished_ && ended.outcome == telemetry::Outcome::cancelled;
  record.http_status = left ? 0 : http_status;
}

void Call::release_record() {
  receipt_out_ = false;
  if (finished_) write();
}

void Call::write() {
  pool->outcome_counter(record.outcome).add();
  if (record.cold) pool->cold_starts().add();
  if (instance) pool->durations().observe(static_cast<double>(record.run_us) / 1e6);
  core->telemetry.add(std::move(record));
  core->call_over();
}

std::shared_ptr<Failure> Call::timeout_failure() const {
  auto failure = std::make_shared<Failure>();
  failure->outcome = telemetry::Outcome::timeout;
  failure->party = telemetry::Party::function;
  failure->phase = telemetry::Phase::run;
  failure->code = Code::deadline_exceeded;
  failure->message = fmt::format("Task timed out after {:.2f} seconds",
                                 static_cast<double>(pool->timeout().count()) / 1000.0);
  return failure;
}

void Call::add_log(std::string_view line) {
  if (!want_tail) return;
  tail_.append(line);
  tail_ += '\n';
  if (tail_.size() > 2 * kTailMax) tail_.erase(0, tail_.size() - kTailMax);
}

std::string Call::log_tail() const {
  return tail_.size() <= kTailMax ? tail_ : tail_.substr(tail_.size() - kTailMax);
}

void Call::on_deadline(void* self) {
  // The answer's coroutine may be the last owner of the call.
  const auto call = static_cast<Call*>(self)->shared_from_this();
  call->timed_out = true;
  if (call->instance) {
    const auto instance = call->instance;
    instance->overdue(call->record.request_id);
  }
}

}  // namespace mayfly::engine
