#pragma once
// The instances and the waiting line of one version. Private to the engine; on one loop only.

#include <array>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "engine/core.h"
#include "engine/keep_alive.h"
#include "engine/median.h"
#include "engine/template_keeper.h"

namespace mayfly::engine {

class Instance;

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // A call in line. Lives in the frame of the coroutine that waits.
  struct Waiter {
    Park park;
    const Invocation* invocation = nullptr;
    std::shared_ptr<Instance> instance;  // one slot of it is taken for this call
    bool cold = false;                   // which was started while the call waited
    std::shared_ptr<Failure> failure;
    Pool* pool = nullptr;
    bool in_line = false;
    SteadyTime since{};  // in line
    std::list<Waiter*>::iterator place;
    Instance* started_for = nullptr;  // per_call: on its way
    TimerQueue::Entry patience;
  };
  // Someone who wants to know how the next start ends.
  struct Watcher {
    Park park;
    bool for_call = false;  // a call waits for what it learns
    bool done = false;
    Ready ready;
    std::shared_ptr<Failure> failure;
  };

  Pool(std::shared_ptr<Core> core, functions::VersionPtr version, std::string key);
  ~Pool();

  const functions::VersionPtr& version() const { return version_; }
  // With the model that the first instance showed, when the catalogue does not know it.
  const functions::VersionPtr& effective() const { return effective_; }
  const std::string& key() const { return key_; }
  // The catalogue's own object for the same revision.
  void set_version(functions::VersionPtr version);
  bool provisioned() const { return warm_calls_ > 0; }
  // Asks anew for how many calls instances are to stand ready.
  void settle_warm();
  std::uint32_t concurrency() const { return concurrency_; }
  functions::Model model() const { return effective_->model; }
  std::uint64_t memory_bytes() const;
  milliseconds timeout() const;
  bool per_call() const { return per_call_; }

  // A free slot, taken; null when there is none.
  std::shared_ptr<Instance> take();
  // Stands in line; a failure when the call is refused at once.
  std::shared_ptr<Failure> enqueue(Waiter& waiter);
  // The waiter goes away: out of the line, or gives back what it was given.
  void leave(Waiter& waiter);

  // Starts an instance for a watcher if none is on its way or ready; as_template: the template,
  // when the version can have one.
  void start_for(Watcher& watcher, bool as_template = false);
  void unwatch(Watcher& watcher);

  // Looks at the line and asks for starts.
  void review();
  // Makes one start if that is still worth it; true when yet another is.
  enum class Launch { none, one, one_and_more };
  Launch launch_next();

  // From instances.
  void on_ready(Instance& instance, const Ready& ready);
  // The first instance showed that every call needs a process of its own.
  void on_found_single_use(Instance& instance, const Ready& ready);
  void on_start_failed(Instance& instance, std::shared_ptr<Failure> failure);
  // From the instance that is, or was to be, the template. Declined: it can only serve; true: it is
  // the pool's now, as one that is starting.
  void on_template(Instance& instance, const Ready& ready);
  bool on_template_declined(Instance& instance, Ready& ready);
  void on_template_failed(Instance& instance, std::shared_ptr<Failure> failure);
  void on_template_gone(Instance& instance);
  void on_leaves_service(Instance& instance);
  void on_gone(Instance& instance);
  void on_slot(Instance& instance);  // a slot is free
  // A call in line takes the free slot.
  bool serves(const Instance& instance) const;
  bool on_idle_too_long(Instance& instance);  // true: it may be ended
  // first: of its instance; the CPU time of the initialisation is in it.
  void run_took(std::int64_t run_us, std::int64_t cpu_us, bool first) {
    run_times_.add(run_us);
    run_least_.add(run_us, core_->now());
    if (!first) cpu_times_.add(cpu_us);
    failures_ = 0;
  }

  // One instance that no call waits for, unless there is one by now.
  void start_ahead();

  // The version is not to be called any more.
  void retire();
  bool retired() const { return retired_; }
  void end_idle();
  void kill_all(const std::string& why);
  bool empty() const {
    return instances_.empty() && line_.empty() && watchers_.empty() && keeper_.empty();
  }

  PoolStats stats() const;
  scaler::PoolView view() const;
  std::vector<std::shared_ptr<Instance>> idle_instances() const;
  microseconds rebuild_cost() const;
  microseconds boot_median() const;
  std::optional<microseconds> run_median() const { return run_times_.value(); }
  TemplateKeeper& keeper() { return keeper_; }
  KeepAlive& keep_alive() { return keep_alive_; }
  std::size_t waiting() const { return line_.size(); }
  std::uint32_t ready_count() const { return ready_; }
  std::uint32_t starting_count() const { return starting_; }

  // Metrics of the function, looked up once.
  telemetry::Metrics::Counter& outcome_counter(telemetry::Outcome outcome);
  telemetry::Metrics::Counter& cold_starts();
  telemetry::Metrics::Histogram& durations();

 private:
  void settle(const Ready* ready);
  std::uint32_t kept() const;        // so many instances stay, called or not
  enum class Resume { now, later };  // now: the waiter runs inside the call
  void give(Waiter& waiter, std::shared_ptr<Instance> instance, bool cold, Resume resume);
  void serve_line(Instance& instance, bool cold, Resume resume);
  void list(Instance& instance);
  void fail_line(const std::shared_ptr<Failure>& failure);
  void fail(Waiter& waiter, std::shared_ptr<Failure> failure);
  void tell_watchers(const Ready* ready, const std::shared_ptr<Failure>& failure);
  void unlist(Instance& instance);
  std::optional<microseconds> running_for() const;
  std::shared_ptr<Failure> refusal(scaler::Queueing queueing, bool node_full) const;
  void forget_if_empty();
  static void on_review(void* self);
  static void on_patience(void* waiter);

  const std::shared_ptr<Core> core_;
  functions::VersionPtr version_, effective_;
  const std::string key_;
  std::uint32_t concurrency_ = 1;
  std::uint32_t warm_calls_ = 0;
  bool per_call_ = false;
  bool retired_ = false;
  bool handing_ = false;  // a waiter runs inside give()

  std::vector<std::shared_ptr<Instance>> instances_;
  std::vector<Instance*> free_;  // have a slot; the last is the one used last
  std::uint32_t ready_ = 0, starting_ = 0;
  std::list<Waiter*> line_;
  SteadyTime line_since_;
  std::vector<Watcher*> watchers_;
  std::uint32_t extra_starts_ = 0;  // for watchers

  SlowLeast run_least_;
  RecentMedian run_times_, start_times_;
  RecentMean cpu_times_;
  std::uint32_t failures_ = 0;
  SteadyTime backoff_until_{};
  std::shared_ptr<Failure> last_failure_;
  TimerQueue::Entry review_timer_;
  TemplateKeeper keeper_;
  KeepAlive keep_alive_;

  std::array<telemetry::Metrics::Counter*, 9> outcomes_{};
  telemetry::Metrics::Counter* cold_starts_ = nullptr;
  telemetry::Metrics::Histogram* durations_ = nullptr;
};

}  // namespace mayfly::engine
