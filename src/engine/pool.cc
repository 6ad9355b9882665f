#include "engine/pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "engine/instance.h"

namespace mayfly::engine {
namespace {

using functions::Model;
using telemetry::Outcome;
using telemetry::Party;
using telemetry::Phase;

constexpr std::size_t kRunningMax = 8;  // running calls that are looked at
constexpr microseconds kBootUnknown{100'000};
constexpr std::size_t kSpreadMax = 16;  // instances looked at for the least busy one

}  // namespace

Pool::Pool(std::shared_ptr<Core> core, functions::VersionPtr version, std::string key)
    : core_(std::move(core)),
      version_(std::move(version)),
      effective_(version_),
      key_(std::move(key)),
      review_timer_(&Pool::on_review, this),
      keeper_(*core_, *this),
      keep_alive_(*core_, *this) {
  settle(nullptr);
  settle_warm();
  keeper_.set_uncloneable(version_->uncloneable);
}

Pool::~Pool() = default;

void Pool::settle_warm() {
  warm_calls_ = core_->warm ? core_->warm(*version_) : 0;
}

std::uint32_t Pool::kept() const {
  if (retired_) return 0;
  return std::max(version_->settings.instances_min,
                  (warm_calls_ + concurrency_ - 1) / std::max(1u, concurrency_));
}

void Pool::set_version(functions::VersionPtr version) {
  core_->forget_address(version_.get());
  version_ = std::move(version);
  // What was learnt stays when the catalogue still does not know.
  if (retired_) retired_ = false;
  keeper_.reopen();
  if (!version_->uncloneable.empty()) keeper_.set_uncloneable(version_->uncloneable);
  const Model learnt = effective_->model;
  effective_ = version_;
  if (version_->model == Model::unknown && learnt != Model::unknown) {
    Ready ready;
    ready.model = learnt;
    ready.concurrency = concurrency_;
    settle(&ready);
  } else {
    settle(nullptr);
  }
}

void Pool::settle(const Ready* ready) {
  if (effective_->model == Model::unknown && ready != nullptr) {
    auto learnt = std::make_shared<functions::Version>(*effective_);
    learnt->model = ready->model;
    if (learnt->settings.concurrency != 0)
      learnt->concurrency = learnt->settings.concurrency;
    else if (ready->concurrency != 0)
      learnt->concurrency = ready->concurrency;
    else
      learnt->concurrency = functions::default_concurrency(ready->model);
    effective_ = std::move(learnt);
  }
  concurrency_ = std::max(1u, effective_->concurrency);
  if (effective_->model == Model::stdio) concurrency_ = 1;
  const auto* factory = core_->factory_for(*effective_);
  per_call_ = factory != nullptr && factory->per_call(*effective_);
}

std::uint64_t Pool::memory_bytes() const {
  const std::uint64_t mb = version_->settings.memory_mb;
  return (mb != 0 ? mb : 128) << 20;
}

milliseconds Pool::timeout() const {
  return milliseconds(version_->settings.timeout_ms != 0 ? version_->settings.timeout_ms : 30'000);
}

scaler::PoolView Pool::view() const {
  scaler::PoolView view;
  view.waiting = static_cast<std::uint32_t>(line_.size());
  view.ready = ready_;
  view.starting = starting_;
  view.concurrency = concurrency_;
  view.instances_min = kept();
  view.instances_max = version_->settings.instances_max;
  view.per_call = per_call_;
  view.cores = core_->cores;
  view.start_median = keeper_.standing() ? keeper_.clone_time() : start_times_.value();
  view.run_median = run_times_.value();
  view.run_least = run_least_.value();
  view.cpu_mean = cpu_times_.value();
  view.line_since = line_since_;
  if (!line_.empty()) view.first_since = line_.front()->since;
  return view;
}

std::optional<microseconds> Pool::running_for() const {
  std::array<std::int64_t, kRunningMax> spans;
  std::size_t count = 0;
  const auto now = core_->now();
  for (std::size_t i = 0; i < instances_.size() && i < kSpreadMax && count < kRunningMax; ++i)
    if (const Call* call = instances_[i]->oldest_call())
      spans[count++] = to_us(now - call->assigned);
  if (count == 0) return std::nullopt;
  const auto middle = spans.begin() + static_cast<std::ptrdiff_t>(count / 2);
  std::nth_element(spans.begin(), middle, spans.begin() + static_cast<std::ptrdiff_t>(count));
  return microseconds(*middle);
}

microseconds Pool::rebuild_cost() const {
  return keeper_.standing() ? keeper_.clone_time() : boot_median();
}

microseconds Pool::boot_median() const {
  return start_times_.value().value_or(kBootUnknown);
}

// ---- slots

std::shared_ptr<Instance> Pool::take() {
  keep_alive_.on_call();
  while (!free_.empty() && !free_.back()->has_slot()) unlist(*free_.back());
  if (free_.empty()) return nullptr;
  Instance* chosen = free_.back();
  if (concurrency_ > 1) {
    std::size_t looked = 0;
    for (auto it = free_.rbegin(); it != free_.rend() && looked < kSpreadMax; ++it, ++looked)
      if ((*it)->has_slot() && (*it)->slots_used() < chosen->slots_used()) chosen = *it;
  }
  chosen->take_slot();
  if (!chosen->has_slot()) unlist(*chosen);
  return chosen->shared_from_this();
}

void Pool::list(Instance& instance) {
  if (instance.listed || !instance.has_slot()) return;
  instance.listed = true;
  free_.push_back(&instance);
}

void Pool::unlist(Instance& instance) {
  if (!std::exchange(instance.listed, false)) return;
  if (free_.back() == &instance)
    free_.pop_back();
  else
    std::erase(free_, &instance);
}

void Pool::give(Waiter& waiter, std::shared_ptr<Instance> instance, bool cold, Resume resume) {
  if (waiter.in_line) {
    line_.erase(waiter.place);
    waiter.in_line = false;
  }
  waiter.patience.disarm();
  instance->take_slot();
  waiter.instance = std::move(instance);
  waiter.cold = cold;
  // One level deep: a call that is over at once would hand on from inside the one before.
  if (resume == Resume::later || handing_) return waiter.park.wake();
  auto handler = waiter.park.release();
  if (!handler) return;
  const auto keep = shared_from_this();
  handing_ = true;
  (*handler)();
  handing_ = false;
}

void Pool::serve_line(Instance& instance, bool cold, Resume resume) {
  while (!line_.empty() && instance.has_slot())
    give(*line_.front(), instance.shared_from_this(), cold, resume);
  list(instance);
}

bool Pool::serves(const Instance& instance) const {
  return !per_call_ && !line_.empty() && instance.has_slot();
}

// The next call is on its way to the program before the answer of the last one is to its caller:
// the program works while the engine writes.
void Pool::on_slot(Instance& instance) {
  if (!per_call_) serve_line(instance, false, Resume::now);
}

// ---- the line

std::shared_ptr<Failure> Pool::enqueue(Waiter& waiter) {
  waiter.pool = this;
  keep_alive_.on_miss();
  if (ready_ == 0 && last_failure_ && core_->now() < backoff_until_)
    return std::make_shared<Failure>(*last_failure_);
  const bool node_full = ready_ + starting_ > 0 && !core_->fits(memory_bytes());
  const auto patience = timeout() + milliseconds(core_->settings.init_timeout_ms);
  const auto queueing = scaler::may_wait(view(), core_->settings.line_max, patience, !node_full);
  if (queueing.line != scaler::Line::wait) return refusal(queueing, node_full);
  waiter.since = core_->now();
  if (line_.empty()) line_since_ = waiter.since;
  waiter.in_line = true;
  waiter.place = line_.insert(line_.end(), &waiter);
  waiter.patience.set(&Pool::on_patience, &waiter);
  core_->timers.arm(waiter.patience, patience);
  review();
  return nullptr;
}

void Pool::leave(Waiter& waiter) {
  waiter.patience.disarm();
  if (waiter.in_line) {
    line_.erase(waiter.place);
    waiter.in_line = false;
  }
  if (waiter.started_for != nullptr) {
    waiter.started_for->bound = nullptr;
    waiter.started_for->kill("was ended because its caller went away");
    waiter.started_for = nullptr;
  }
  if (waiter.instance) {
    const auto instance = std::move(waiter.instance);
    instance->free_slot();
  }
  forget_if_empty();
}

void Pool::fail(Waiter& waiter, std::shared_ptr<Failure> failure) {
  if (waiter.in_line) {
    line_.erase(waiter.place);
    waiter.in_line = false;
  }
  waiter.patience.disarm();
  waiter.started_for = nullptr;
  waiter.failure = std::move(failure);
  waiter.park.wake();
}

void Pool::fail_line(const std::shared_ptr<Failure>& failure) {
  while (!line_.empty()) fail(*line_.front(), std::make_shared<Failure>(*failure));
}

std::shared_ptr<Failure> Pool::refusal(scaler::Queueing queueing, bool node_full) const {
  auto failure = std::make_shared<Failure>();
  failure->outcome = Outcome::refused;
  failure->phase = Phase::queue;
  failure->code = Code::resource_exhausted;
  failure->retry_after_s = std::max(1u, queueing.retry_after_s);
  const auto& name = version_->function;
  const std::uint32_t max = version_->settings.instances_max;
  if (line_.size() >= core_->settings.line_max) {
    failure->message = fmt::format("{} calls of function {} wait already (setting engine.line_max)",
                                   line_.size(), name);
  } else if (node_full || max == 0 || ready_ + starting_ < max) {
    failure->message =
        fmt::format("no capacity for function {}: {}", name, core_->why_full(memory_bytes()));
  } else {
    failure->message = fmt::format(
        "function {} is busy: its {} instances take {} calls at once and {} more wait (settings "
        "instances_max and concurrency of the function)",
        name, max, max * concurrency_, line_.size());
  }
  return failure;
}

void Pool::on_patience(void* target) {
  auto& waiter = *static_cast<Waiter*>(target);
  const auto pool = waiter.pool->shared_from_this();
  auto failure =
      pool->refusal({scaler::Line::refuse_slow, 1}, !pool->core_->fits(pool->memory_bytes()));
  failure->message += fmt::format(
      "; the call waited {:.1f} seconds",
      double((pool->timeout().count() + pool->core_->settings.init_timeout_ms)) / 1000.0);
  pool->fail(waiter, std::move(failure));
}

// ---- starts

void Pool::review() {
  const auto now = core_->now();
  auto seen = view();
  if (now < backoff_until_) {
    if (!line_.empty() || seen.instances_min > 0)
      core_->timers.arm(review_timer_, std::chrono::ceil<milliseconds>(backoff_until_ - now));
    return;
  }
  if (core_->stopping && line_.empty()) return;
  if (!line_.empty()) seen.running_for = running_for();
  if (scaler::wanted_starts(seen, now) > 0 || extra_starts_ > 0)
    core_->queue_launch(shared_from_this());
  if (!line_.empty() && !review_timer_.armed())
    core_->timers.arm(review_timer_, scaler::review_after(seen));
}

void Pool::on_review(void* self) {
  static_cast<Pool*>(self)->shared_from_this()->review();
}

Pool::Launch Pool::launch_next() {
  auto seen = view();
  if (!line_.empty()) seen.running_for = running_for();
  const auto wanted = scaler::wanted_starts(seen, core_->now());
  if (wanted == 0 && extra_starts_ == 0) return Launch::none;
  if (!core_->reserve(*this, memory_bytes())) {
    const auto full = refusal({scaler::Line::refuse_full, 1}, true);
    tell_watchers(nullptr, full);
    // With instances of its own the line will be served; without, nobody knows when.
    if (ready_ + starting_ == 0) fail_line(full);
    return Launch::none;
  }
  Waiter* waiter = nullptr;
  if (per_call_ && !line_.empty()) {
    waiter = line_.front();
    line_.pop_front();
    waiter->in_line = false;
    waiter->patience.disarm();
  }
  if (wanted == 0) --extra_starts_;
  const auto us = [](const std::optional<microseconds>& time) { return time ? time->count() : -1; };
  log::debug(
      "function {} gets an instance: {} wait, {} ready, {} starting, start {} us, run {} us, at "
      "least {} us, CPU {} us, running for {} us",
      version_->function, seen.waiting, seen.ready, seen.starting, us(seen.start_median),
      us(seen.run_median), us(seen.run_least), us(seen.cpu_mean), us(seen.running_for));
  ++starting_;
  auto source = keeper_.source();
  const auto kind = source ? Instance::Kind::clone : Instance::Kind::boot;
  auto instance = std::make_shared<Instance>(core_, shared_from_this(), memory_bytes(), kind,
                                             std::move(source));
  instance->ahead = wanted == 0 && keep_alive_.claim_start();
  instances_.push_back(instance);
  instance->begin(waiter);
  return wanted > 1 || (per_call_ && !line_.empty()) ? Launch::one_and_more : Launch::one;
}

void Pool::start_for(Watcher& watcher, bool as_template) {
  if (as_template && keeper_.standing()) {
    watcher.ready = keeper_.ready();
    watcher.done = true;
    return;
  }
  watchers_.push_back(&watcher);
  if (starting_ > 0) return;
  if (last_failure_ && core_->now() < backoff_until_) {
    watcher.failure = std::make_shared<Failure>(*last_failure_);
    watcher.done = true;
    return;
  }
  if (as_template && keeper_.build()) return;
  extra_starts_ = 1;
  core_->queue_launch(shared_from_this());
}

void Pool::start_ahead() {
  extra_starts_ = 1;
  core_->queue_launch(shared_from_this());
}

void Pool::unwatch(Watcher& watcher) {
  std::erase(watchers_, &watcher);
  forget_if_empty();
}

void Pool::tell_watchers(const Ready* ready, const std::shared_ptr<Failure>& failure) {
  extra_starts_ = 0;
  for (Watcher* watcher : watchers_) {
    watcher->done = true;
    if (ready != nullptr) watcher->ready = *ready;
    if (failure) watcher->failure = std::make_shared<Failure>(*failure);
    watcher->park.wake();
  }
  watchers_.clear();
}

void Pool::on_ready(Instance& instance, const Ready& ready) {
  --starting_;
  ++ready_;
  last_failure_.reset();
  line_since_ = core_->now();  // what this one does for the line is to be seen first
  settle(&ready);
  if (instance.cloned()) {
    keeper_.on_cloned(instance.clone_of(),
                      microseconds(to_us(instance.launched - instance.launch_began)));
  } else {
    failures_ = 0;  // a clone has shown nothing yet
    start_times_.add(to_us(instance.initialised - instance.launch_began));
    keeper_.on_boot();
  }
  instance.awaited = std::any_of(watchers_.begin(), watchers_.end(),
                                 [](const Watcher* watcher) { return watcher->for_call; });
  tell_watchers(&ready, nullptr);
  if (instance.bound != nullptr) {
    Waiter& waiter = *std::exchange(instance.bound, nullptr);
    waiter.started_for = nullptr;
    give(waiter, instance.shared_from_this(), true, Resume::later);
    return;
  }
  if (per_call_) return instance.kill("was ended because no call waited for it");
  const bool nothing_waits = line_.empty();
  serve_line(instance, true, Resume::later);
  if (instance.slots_used() == 0) {
    // Whoever comes later pays for the call alone.
    if (!instance.awaited) instance.write_off_start(core_->now());
    instance.begin_idle();
  }
  if (!nothing_waits) review();
}

void Pool::on_found_single_use(Instance& instance, const Ready& ready) {
  const auto keep = shared_from_this();
  --starting_;
  failures_ = 0;
  last_failure_.reset();
  settle(&ready);
  std::erase_if(instances_, [&](const auto& held) { return held.get() == &instance; });
  tell_watchers(&ready, nullptr);
  review();
}

void Pool::on_start_failed(Instance& instance, std::shared_ptr<Failure> failure) {
  --starting_;
  const auto keep = shared_from_this();
  Waiter* const bound = std::exchange(instance.bound, nullptr);
  std::erase_if(instances_, [&](const auto& held) { return held.get() == &instance; });
  if (bound != nullptr) {
    fail(*bound, std::move(failure));
  } else if (!core_->stopping) {
    ++failures_;
    backoff_until_ = core_->now() + scaler::backoff_after(failures_);
    last_failure_ = failure;
    tell_watchers(nullptr, failure);
    if (ready_ == 0) fail_line(failure);
  } else {
    tell_watchers(nullptr, failure);
    fail_line(failure);
  }
  review();
  forget_if_empty();
}

void Pool::on_template(Instance& instance, const Ready& ready) {
  failures_ = 0;
  last_failure_.reset();
  start_times_.add(to_us(instance.initialised - instance.launch_began));
  settle(&ready);
  keeper_.on_standing(instance, ready);
  tell_watchers(&ready, nullptr);
  review();
}

bool Pool::on_template_declined(Instance& instance, Ready& ready) {
  keeper_.on_declined(ready.why);
  ready.notes.push_back("Each instance runs its initialisation by itself and is not cloned: " +
                        keeper_.uncloneable());
  if (retired_ || !core_->reserve(*this, memory_bytes())) {
    settle(&ready);
    tell_watchers(&ready, nullptr);
    forget_if_empty();
    return false;
  }
  ++starting_;
  instances_.push_back(instance.shared_from_this());
  return true;
}

void Pool::on_template_failed(Instance& instance, std::shared_ptr<Failure> failure) {
  const auto keep = shared_from_this();
  keeper_.on_failed(instance, *failure);
  // What the user's code said, or did not say in time, is the answer. Anything else may be because
  // it was to be a template: an ordinary start has the last word.
  const bool answer = !failure->error_json.empty() || failure->code == Code::deadline_exceeded;
  if (watchers_.empty() || answer || retired_ || core_->stopping) {
    tell_watchers(nullptr, failure);
  } else {
    extra_starts_ = 1;
    core_->queue_launch(shared_from_this());
  }
  review();
  forget_if_empty();
}

void Pool::on_template_gone(Instance& instance) {
  const auto keep = shared_from_this();
  keeper_.on_gone(instance);
  forget_if_empty();
}

void Pool::on_leaves_service(Instance& instance) {
  --ready_;
  unlist(instance);
  if (!core_->stopping || !line_.empty()) review();
}

void Pool::on_gone(Instance& instance) {
  unlist(instance);
  const auto keep = shared_from_this();
  // A clone that dies before it has answered anything is a start that failed.
  if (instance.cloned() && !instance.served && !instance.asked_to_end())
    backoff_until_ = core_->now() + scaler::backoff_after(++failures_);
  if (instance.cloned()) keeper_.on_clone_gone(instance.clone_of());
  std::erase_if(instances_, [&](const auto& held) { return held.get() == &instance; });
  review();
  forget_if_empty();
}

bool Pool::on_idle_too_long(Instance& instance) {
  return scaler::may_end(view(), instance.idle_since, instance.keep_for(), core_->now());
}

// ---- the end

void Pool::retire() {
  retired_ = true;
  end_idle();
  keeper_.close("was ended because its version is not called any more");
  forget_if_empty();
}

void Pool::end_idle() {
  const auto instances = instances_;
  for (const auto& instance : instances)
    if (instance->idle()) instance->end_politely();
}

void Pool::kill_all(const std::string& why) {
  const auto instances = instances_;
  for (const auto& instance : instances) instance->kill(why);
  keeper_.close(why);
}

void Pool::forget_if_empty() {
  if (retired_ && empty()) core_->forget(*this);
}

std::vector<std::shared_ptr<Instance>> Pool::idle_instances() const {
  std::vector<std::shared_ptr<Instance>> idle;
  for (const auto& instance : instances_)
    if (instance->idle()) idle.push_back(instance);
  const std::uint32_t have = ready_ + starting_;
  const std::size_t spare = have > kept() ? have - kept() : 0;
  if (idle.size() > spare) idle.resize(spare);
  return idle;
}

PoolStats Pool::stats() const {
  PoolStats stats;
  stats.function = version_->function;
  stats.version = version_->number;
  stats.revision = version_->revision;
  stats.starting = starting_;
  stats.waiting = static_cast<std::uint32_t>(line_.size());
  for (const auto& instance : instances_) {
    if (instance->state() != Instance::State::ready) continue;
    ++stats.instances;
    if (instance->slots_used() > 0) ++stats.busy;
    stats.running += static_cast<std::uint32_t>(instance->calls());
  }
  stats.templates = keeper_.standing() ? 1 : 0;
  stats.template_bytes = keeper_.bytes();
  stats.shells = keeper_.shells();
  if (last_failure_) stats.start_failure = last_failure_->message;
  stats.clones = keeper_.clones();
  stats.memory_bytes = (std::uint64_t{stats.instances} + stats.starting) * memory_bytes();
  return stats;
}

// ---- metrics

telemetry::Metrics::Counter& Pool::outcome_counter(Outcome outcome) {
  auto& counter = outcomes_.at(static_cast<std::size_t>(outcome));
  if (counter == nullptr)
    counter = &core_->metrics.counter(
        "mayfly_invocations_total", "Invocations by how they ended.",
        {{"function", version_->function}, {"outcome", std::string(outcome_name(outcome))}});
  return *counter;
}

telemetry::Metrics::Counter& Pool::cold_starts() {
  if (cold_starts_ == nullptr)
    cold_starts_ = &core_->metrics.counter("mayfly_cold_starts_total",
                                           "Invocations that waited for an instance to start.",
                                           {{"function", version_->function}});
  return *cold_starts_;
}

telemetry::Metrics::Histogram& Pool::durations() {
  if (durations_ == nullptr)
    durations_ = &core_->metrics.histogram(
        "mayfly_invocation_duration_seconds", "Time in the handler, until the end of its answer.",
        {{"function", version_->function}},
        {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60});
  return *durations_;
}

}  // namespace mayfly::engine
