#include "simulation/simulator.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>

#include "engine/policy/felt_wait.h"
#include "engine/policy/placement.h"
#include "simulation/costs.h"
#include "simulation/event_queue.h"
#include "simulation/keeper.h"
#include "simulation/recorder.h"
#include "simulation/state.h"

namespace mayfly::simulation {
namespace {

namespace policy = engine::policy;
namespace scaler = engine::scaler;

enum Event : std::uint32_t { kArrival, kReady, kDone, kIdleTimer, kReview, kPrewarm, kSample };

// How long a call stands in line at most: deadline and initialisation, as in the engine.
constexpr milliseconds kPatience{610'000};
constexpr std::uint32_t kHomesAtFirst = 1, kHomesMax = 8;

class Simulation {
 public:
  Simulation(const Load& load, const Cluster& cluster, const PolicyOptions& options);
  Outcome run();

 private:
  // Calls.
  void on_arrival(std::uint32_t application);
  void refuse(std::uint32_t function) { recorder_.refused(function, now_); }
  void begin(std::uint32_t id, WaitingCall call, Met met, bool clone);
  void on_done(std::uint32_t id, std::uint64_t detail);
  bool serve_line(std::uint32_t id, Met met, bool clone);
  // Starts.
  std::optional<std::uint32_t> choose_pool(std::uint32_t function);
  std::uint32_t make_pool(std::uint32_t function, std::uint32_t node);
  void review(std::uint32_t id);
  bool start(std::uint32_t id, bool ahead);
  bool reserve(std::uint32_t id, std::uint64_t bytes);
  void on_ready(std::uint32_t id, std::uint64_t detail);
  bool make_template(std::uint32_t id);
  void use_template(Pool& pool);
  void end_template(Node& node, std::size_t at);
  // The end of instances.
  void becomes_idle(std::uint32_t id, bool clone);
  void stays_idle(std::uint32_t id, IdleInstance instance);
  void end_idle(std::uint32_t id, std::size_t at);
  void on_idle_timer(std::uint32_t id, std::int64_t armed_for);
  void arm_timer(std::uint32_t id, std::int64_t at);
  void on_prewarm(std::uint32_t id, std::uint64_t token);
  // Views and costs.
  scaler::PoolView view(const Pool& pool, bool with_times) const;
  std::uint64_t bytes(const Pool& pool, bool clone) const {
    return costs_.bytes(function(pool), clone);
  }
  std::int64_t next_start_us(const Pool& pool) const;
  policy::TemplateCost template_cost(const Pool& pool) const;
  void sample();

  const Function& function(const Pool& pool) const { return load_.functions()[pool.function]; }

  const Load& load_;
  const Cluster cluster_;
  const PolicyOptions options_;
  const Costs costs_;
  Recorder recorder_;
  Arrivals arrivals_;
  EventQueue queue_;
  std::unique_ptr<Keeper> keeper_;
  std::int64_t now_ = 0;
  std::vector<Node> nodes_;
  std::vector<Pool> pools_;
  std::vector<std::vector<std::uint32_t>> pools_of_;  // of each function
  double budget_bytes_ = 0;                           // for templates, of each node
};

Simulation::Simulation(const Load& load, const Cluster& cluster, const PolicyOptions& options)
    : load_(load),
      cluster_(cluster),
      options_(options),
      costs_(cluster.model, options.kind),
      recorder_(load, options),
      arrivals_(load),
      keeper_(make_keeper(options)),
      nodes_(std::max(1u, cluster.nodes)),
      pools_of_(load.functions().size()) {
  double all = 0;
  for (const auto& function : load.functions()) all += function.memory_mb * 1e6;
  budget_bytes_ =
      options.template_budget * cluster.model.template_share * all / double(nodes_.size());
  for (auto& node : nodes_) {
    const double gb = cluster.model.node_memory_gb;
    node.view.memory_max = gb > 0 ? static_cast<std::uint64_t>(gb * 1e9) : UINT64_MAX / 2;
    node.view.instances_max = UINT32_MAX;
  }
}

// ---- views and costs

std::int64_t Simulation::next_start_us(const Pool& pool) const {
  if (!pool.has_template()) return costs_.boot_us(function(pool));
  return std::max<std::int64_t>(0, pool.template_ready - now_) + costs_.clone_us(function(pool));
}

policy::TemplateCost Simulation::template_cost(const Pool& pool) const {
  const Function& own = function(pool);
  const microseconds saved(costs_.boot_us(own) - costs_.clone_us(own));
  return {costs_.template_bytes(own), policy::felt_wait(saved, pool.runs.value())};
}

scaler::PoolView Simulation::view(const Pool& pool, bool with_times) const {
  scaler::PoolView view;
  view.waiting = static_cast<std::uint32_t>(pool.waiting());
  view.ready = pool.ready();
  view.starting = pool.starting;
  view.running = pool.busy;
  view.cores = cluster_.model.cores;
  view.line_since = to_time(pool.line_since);
  if (pool.waiting() > 0) view.first_since = to_time(pool.line[pool.line_head].at);
  if (pool.waiting() > 0 && pool.busy > 0) view.running_for = microseconds(now_ - pool.line_moved);
  if (with_times) {
    view.start_median = microseconds(next_start_us(pool));
    view.run_median = pool.runs.value();
  }
  return view;
}

// ---- calls

void Simulation::on_arrival(std::uint32_t application) {
  const Call call = arrivals_.draw(application, now_);
  const std::int64_t next = arrivals_.next_at(application);
  if (next < load_.end_us()) queue_.push({next, kArrival, application});

  const auto chosen = choose_pool(call.function);
  if (!chosen) return refuse(call.function);
  const std::uint32_t id = *chosen;
  Pool& pool = pools_[id];
  if (pool.busy > 0) {
    keeper_->on_call(id, microseconds(0));
  } else if (pool.last_end >= 0) {
    keeper_->on_call(id, microseconds(now_ - pool.last_end));
  }
  pool.prewarm_planned = false;
  if (!pool.idle.empty()) {
    const IdleInstance instance = pool.idle.back();
    pool.idle.pop_back();
    const auto held = std::int64_t(bytes(pool, instance.clone));
    recorder_.idle.add(-held, now_);
    recorder_.busy.add(held, now_);
    keeper_->on_reuse(id, microseconds(now_ - instance.since));
    return begin(id, {now_, call.run_us}, Met::warm, instance.clone);
  }
  keeper_->on_miss(id, to_time(now_));
  const bool node_full = pool.ready() + pool.starting > 0 &&
                         !scaler::fits(nodes_[pool.node].view, bytes(pool, pool.has_template()));
  const auto queueing =
      scaler::may_wait(view(pool, true), cluster_.model.line_max, kPatience, !node_full);
  if (queueing.line != scaler::Line::wait) return refuse(call.function);
  if (pool.waiting() == 0) pool.line_since = pool.line_moved = now_;
  pool.line.push_back({now_, call.run_us});
  review(id);
}

void Simulation::begin(std::uint32_t id, WaitingCall call, Met met, bool clone) {
  Pool& pool = pools_[id];
  ++pool.busy;
  queue_.push({now_ + call.run, kDone, id, std::uint64_t(call.run) << 1 | (clone ? 1 : 0)});
  recorder_.begun(pool.function, call.at, call.run, met, now_);
}

// The first call in line, if there is one.
bool Simulation::serve_line(std::uint32_t id, Met met, bool clone) {
  Pool& pool = pools_[id];
  if (pool.waiting() == 0) return false;
  const WaitingCall call = pool.line[pool.line_head++];
  if (pool.line_head == pool.line.size()) {
    pool.line.clear();
    pool.line_head = 0;
  }
  pool.line_moved = now_;
  begin(id, call, met, clone);
  return true;
}

void Simulation::on_done(std::uint32_t id, std::uint64_t detail) {
  Pool& pool = pools_[id];
  const bool clone = (detail & 1) != 0;
  --pool.busy;
  pool.runs.add(static_cast<std::int64_t>(detail >> 1));
  pool.last_end = now_;
  if (!serve_line(id, Met::queued, clone)) becomes_idle(id, clone);
}

// ---- starts

std::uint32_t Simulation::make_pool(std::uint32_t function, std::uint32_t node) {
  const auto id = static_cast<std::uint32_t>(pools_.size());
  pools_.emplace_back();
  pools_.back().function = function;
  pools_.back().node = node;
  keeper_->add_pool();
  nodes_[node].pools.push_back(id);
  pools_of_[function].push_back(id);
  return id;
}

std::optional<std::uint32_t> Simulation::choose_pool(std::uint32_t function) {
  auto& own = pools_of_[function];
  const auto count = static_cast<std::uint32_t>(nodes_.size());
  if (count == 1) return own.empty() ? make_pool(function, 0) : own.front();
  if (own.size() == 1 && !pools_[own.front()].idle.empty()) return own.front();

  std::vector<policy::NodeOffer> offers;
  std::vector<std::uint32_t> at;  // nodes
  const auto offer = [&](std::uint32_t number, const Pool* pool) {
    const Node& node = nodes_[number];
    Pool none;
    none.function = function;
    const Pool& seen = pool != nullptr ? *pool : none;
    policy::NodeOffer made;
    made.idle = !seen.idle.empty();
    made.has_template = seen.has_template();
    made.fits = scaler::fits(node.view, bytes(seen, seen.has_template()));
    made.has_pool = seen.busy + seen.starting > 0;
    made.waiting = static_cast<std::uint32_t>(seen.waiting());
    made.memory_used = node.view.memory_used;
    offers.push_back(made);
    at.push_back(number);
  };
  for (const auto id : own) offer(pools_[id].node, &pools_[id]);
  std::optional<std::size_t> best;
  for (std::uint32_t homes = 0, wanted = kHomesAtFirst; homes < kHomesMax; wanted = homes + 2) {
    for (; homes < wanted; ++homes) {
      const std::uint32_t number = policy::home_node(function, homes, count);
      if (std::find(at.begin(), at.end(), number) == at.end()) offer(number, nullptr);
    }
    best = policy::place(offers);
    if (best && (offers[*best].idle || offers[*best].fits)) break;
  }
  // All are full: the first home may still end idle instances of others.
  const std::uint32_t number = best ? at[*best] : policy::home_node(function, 0, count);
  for (const auto id : own)
    if (pools_[id].node == number) return id;
  return make_pool(function, number);
}

void Simulation::review(std::uint32_t id) {
  const auto seen = view(pools_[id], true);
  const std::uint32_t wanted = scaler::wanted_starts(seen, to_time(now_));
  for (std::uint32_t i = 0; i < wanted; ++i)
    if (!start(id, false)) break;
  Pool& pool = pools_[id];
  if (pool.waiting() > 0 && pool.ready() + pool.starting == 0) {
    // Nobody would ever serve them.
    for (; pool.line_head < pool.line.size(); ++pool.line_head) refuse(pool.function);
    pool.line.clear();
    pool.line_head = 0;
  }
  if (pool.waiting() > 0 && pool.review_at < now_) {
    pool.review_at = now_ + microseconds(scaler::review_after(seen)).count();
    queue_.push({pool.review_at, kReview, id});
  }
}

// Books room on the node, ending idle instances of other pools when that is what it takes.
bool Simulation::reserve(std::uint32_t id, std::uint64_t wanted) {
  Node& node = nodes_[pools_[id].node];
  if (!scaler::fits(node.view, wanted)) {
    std::vector<scaler::Idle> idle;
    std::vector<std::uint32_t> owners;
    for (const auto other : node.pools) {
      const Pool& pool = pools_[other];
      if (other == id) continue;
      for (const auto& instance : pool.idle) {
        idle.push_back({to_time(instance.since), bytes(pool, instance.clone),
                        microseconds(next_start_us(pool))});
        owners.push_back(other);
      }
    }
    const auto victims = scaler::make_room(node.view, wanted, idle, to_time(now_));
    if (!victims) return false;
    // Of each pool in the order of its list, so that the longest idle one goes.
    for (const auto victim : *victims) {
      end_idle(owners[victim], 0);
      recorder_.count(&Outcome::instances_evicted, now_);
    }
    if (!scaler::fits(node.view, wanted)) return false;
  }
  node.view.memory_used += wanted;
  ++node.view.instances;
  return true;
}

// detail of kReady: bit 0 a clone, bit 1 ahead of need.
bool Simulation::start(std::uint32_t id, bool ahead) {
  const bool cloning = options_.kind == PolicyKind::mayfly;
  std::int64_t takes = 0;
  bool clone = false;
  if (cloning && pools_[id].has_template()) {
    if (!reserve(id, bytes(pools_[id], true))) return false;
    takes = next_start_us(pools_[id]);
    use_template(pools_[id]);
    clone = true;
  } else {
    takes = costs_.boot_us(function(pools_[id]));
    if (cloning && make_template(id)) {
      pools_[id].template_ready = now_ + takes;
      takes += costs_.clone_us(function(pools_[id]));
      clone = true;
    }
    if (!reserve(id, bytes(pools_[id], clone))) {
      if (clone) end_template(nodes_[pools_[id].node], pools_[id].template_at);
      return false;
    }
    recorder_.booted(costs_.boot_us(function(pools_[id])), now_);
  }
  Pool& pool = pools_[id];
  ++pool.starting;
  if (clone) ++pool.clones;
  if (pool.has_template()) nodes_[pool.node].templates[pool.template_at].pinned = pool.clones > 0;
  if (clone) recorder_.count(&Outcome::clones, now_);
  if (ahead) recorder_.count(&Outcome::prewarmed, now_);
  recorder_.busy.add(std::int64_t(bytes(pool, clone)), now_);
  // A call that waited for the making of the template met a boot.
  const bool booted = !clone || pool.template_ready > now_;
  queue_.push({now_ + takes, kReady, id,
               std::uint64_t(clone ? 1 : 0) | (ahead ? 2 : 0) | (booted ? 4 : 0)});
  return true;
}

void Simulation::use_template(Pool& pool) {
  Node& node = nodes_[pool.node];
  const policy::TemplateCost cost = template_cost(pool);
  pool.value = policy::after_use(pool.value, cost, node.floor, to_time(now_));
  node.templates[pool.template_at].priority = pool.value.priority;
}

bool Simulation::make_template(std::uint32_t id) {
  Pool& pool = pools_[id];
  Node& node = nodes_[pool.node];
  const std::uint64_t size = costs_.template_bytes(function(pool));
  const double room = budget_bytes_ - double(node.template_bytes);
  const double lacking = std::max(0.0, double(size) - room);
  const policy::TemplateCost cost = template_cost(pool);
  pool.value = policy::after_use(pool.value, cost, node.floor, to_time(now_));
  auto admission = policy::admit_template(node.templates, static_cast<std::uint64_t>(lacking),
                                          pool.value.priority, node.floor);
  node.floor = admission.floor;
  if (!admission.admitted) return false;
  // From the back, so that the places of the others stay what they are.
  std::sort(admission.victims.begin(), admission.victims.end(), std::greater<>());
  for (const auto victim : admission.victims) {
    end_template(node, victim);
    recorder_.count(&Outcome::templates_evicted, now_);
  }
  if (node.view.memory_used + size > node.view.memory_max) return false;
  node.view.memory_used += size;
  node.template_bytes += size;
  recorder_.templates.add(std::int64_t(size), now_);
  pool.template_at = static_cast<std::uint32_t>(node.templates.size());
  node.templates.push_back({pool.value.priority, size, true});
  node.template_pools.push_back(id);
  recorder_.count(&Outcome::templates_made, now_);
  return true;
}

void Simulation::end_template(Node& node, std::size_t at) {
  const std::uint64_t size = node.templates[at].bytes;
  node.view.memory_used -= size;
  node.template_bytes -= size;
  recorder_.templates.add(-std::int64_t(size), now_);
  pools_[node.template_pools[at]].template_at = Pool::kNoTemplate;
  if (at + 1 != node.templates.size()) {
    node.templates[at] = node.templates.back();
    node.template_pools[at] = node.template_pools.back();
    pools_[node.template_pools[at]].template_at = static_cast<std::uint32_t>(at);
  }
  node.templates.pop_back();
  node.template_pools.pop_back();
}

void Simulation::on_ready(std::uint32_t id, std::uint64_t detail) {
  Pool& pool = pools_[id];
  const bool clone = (detail & 1) != 0, ahead = (detail & 2) != 0, booted = (detail & 4) != 0;
  --pool.starting;
  pool.line_since = now_;
  if (serve_line(id, booted ? Met::boot : Met::clone, clone)) {
    if (pool.waiting() > 0) review(id);
    return;
  }
  if (!ahead) return becomes_idle(id, clone);
  const auto held = std::int64_t(bytes(pool, clone));
  recorder_.busy.add(-held, now_);
  stays_idle(id, {pool.prewarm_since, std::max(now_, pool.prewarm_until), clone});
}

// ---- the end of instances

void Simulation::becomes_idle(std::uint32_t id, bool clone) {
  Pool& pool = pools_[id];
  recorder_.busy.add(-std::int64_t(bytes(pool, clone)), now_);
  const microseconds start(next_start_us(pool));
  const policy::KeepCosts costs{double(policy::felt_wait(start, pool.runs.value()).count()),
                                double(start.count()), double(bytes(pool, clone)),
                                options_.memory_price * 1e3 / 1e9};
  const bool alone = pool.busy == 0 && pool.idle.empty() && pool.starting == 0;
  // The hybrid policy unloads the whole application: what else is idle goes too.
  const bool last = pool.busy == 0 && pool.starting == 0;
  const bool whole = options_.kind == PolicyKind::hybrid ? last : alone;
  const auto plan = keeper_->plan(id, costs, start, whole);
  const bool again = plan.again_from.count() > 0;
  while (again && !pool.idle.empty()) end_idle(id, pool.idle.size() - 1);
  stays_idle(id, {now_, now_ + plan.stay.count(), clone});
  if (!again) return;
  pool.prewarm_planned = true;
  ++pool.prewarm_token;
  pool.prewarm_since = now_;
  pool.prewarm_until = now_ + plan.again_until.count();
  const std::int64_t begin = now_ + plan.again_from.count() - next_start_us(pool);
  queue_.push({std::max(now_, begin), kPrewarm, id, pool.prewarm_token});
}

// Enters the list, or ends at once.
void Simulation::stays_idle(std::uint32_t id, IdleInstance instance) {
  Pool& pool = pools_[id];
  recorder_.idle.add(std::int64_t(bytes(pool, instance.clone)), now_);
  pool.idle.push_back(instance);
  if (instance.until <= now_) return end_idle(id, pool.idle.size() - 1);
  arm_timer(id, instance.until);
}

void Simulation::end_idle(std::uint32_t id, std::size_t at) {
  Pool& pool = pools_[id];
  const IdleInstance instance = pool.idle[at];
  pool.idle.erase(pool.idle.begin() + std::ptrdiff_t(at));
  const std::uint64_t held = bytes(pool, instance.clone);
  recorder_.idle.add(-std::int64_t(held), now_);
  Node& node = nodes_[pool.node];
  node.view.memory_used -= held;
  --node.view.instances;
  if (instance.clone && --pool.clones == 0 && pool.has_template())
    node.templates[pool.template_at].pinned = false;
  keeper_->on_end(id, to_time(instance.since));
}

void Simulation::arm_timer(std::uint32_t id, std::int64_t at) {
  Pool& pool = pools_[id];
  if (pool.timer_at >= now_ && pool.timer_at <= at) return;
  pool.timer_at = at;
  queue_.push({at, kIdleTimer, id, std::uint64_t(at)});
}

void Simulation::on_idle_timer(std::uint32_t id, std::int64_t armed_for) {
  Pool& pool = pools_[id];
  if (pool.timer_at != armed_for) return;  // an earlier one was armed since
  pool.timer_at = -1;
  for (std::size_t i = 0; i < pool.idle.size();) {
    const auto& instance = pool.idle[i];
    const auto keep =
        std::chrono::floor<milliseconds>(microseconds(instance.until - instance.since));
    const bool due = instance.until <= now_;
    if (due && scaler::may_end(view(pool, false), to_time(instance.since), keep, to_time(now_)))
      end_idle(id, i);
    else
      ++i;
  }
  std::int64_t next = INT64_MAX;
  for (const auto& instance : pool.idle) next = std::min(next, instance.until);
  if (next != INT64_MAX) arm_timer(id, next);
}

void Simulation::on_prewarm(std::uint32_t id, std::uint64_t token) {
  Pool& pool = pools_[id];
  if (!pool.prewarm_planned || token != pool.prewarm_token) return;
  pool.prewarm_planned = false;
  if (pool.ready() + pool.starting > 0) return;
  if (start(id, true)) keeper_->on_prewarm(id);
}

// ---- the run

void Simulation::sample() {
  recorder_.sample(now_);
  const auto step = std::max<std::int64_t>(1, std::llround(cluster_.sample_minutes * 60e6));
  if (now_ + step < load_.end_us()) queue_.push({now_ + step, kSample, 0});
}

Outcome Simulation::run() {
  queue_.push({load_.warmup_us(), kSample, 0});
  for (std::uint32_t i = 0; i < load_.applications().size(); ++i) {
    const std::int64_t at = arrivals_.next_at(i);
    if (at < load_.end_us()) queue_.push({at, kArrival, i});
  }
  while (!queue_.empty() && queue_.top().at_us < load_.end_us()) {
    const auto event = queue_.pop();
    now_ = event.at_us;
    switch (event.kind) {
      case kArrival:
        on_arrival(event.id);
        break;
      case kReady:
        on_ready(event.id, event.detail);
        break;
      case kDone:
        on_done(event.id, event.detail);
        break;
      case kIdleTimer:
        on_idle_timer(event.id, std::int64_t(event.detail));
        break;
      case kReview:
        if (pools_[event.id].waiting() > 0) review(event.id);
        break;
      case kPrewarm:
        on_prewarm(event.id, event.detail);
        break;
      default:
        sample();
    }
  }
  return recorder_.finish();
}

}  // namespace

Outcome simulate(const Load& load, const Cluster& cluster, const PolicyOptions& policy) {
  return Simulation(load, cluster, policy).run();
}

}  // namespace mayfly::simulation
