#include "simulation/recorder.h"

#include <utility>

namespace mayfly::simulation {

Recorder::Recorder(const Load& load, const PolicyOptions& options)
    : load_(load), per_function_(load.functions().size()) {
  outcome_.policy = options.name();
  outcome_.label = options.label();
  outcome_.hours = load.options().hours;
}

void Recorder::begun(std::uint32_t function, std::int64_t arrived, std::int64_t run, Met met,
                     std::int64_t now) {
  if (!measured(arrived)) return;
  const double weight = load_.functions()[function].weight;
  const double delay = double(now - arrived), excess = delay / double(run);
  delays_.add(delay / 1000, weight);
  slowdowns_.add(excess, weight);
  slowdowns_capped_.add(excess, 1);
  outcome_.calls += weight;
  outcome_.simulated_calls += 1;
  auto& own = per_function_[function];
  own.calls += 1;
  own.excess += excess;
  if (met == Met::warm) outcome_.warm += weight;
  if (met == Met::queued) outcome_.queued += weight;
  if (met == Met::clone) outcome_.cloned += weight;
  if (met == Met::boot) outcome_.booted += weight;
  if (met == Met::clone || met == Met::boot) own.cold += 1;
}

void Recorder::refused(std::uint32_t function, std::int64_t now) {
  if (!measured(now)) return;
  const double weight = load_.functions()[function].weight;
  outcome_.calls += weight;
  outcome_.simulated_calls += 1;
  outcome_.refused += weight;
}

void Recorder::count(std::uint64_t Outcome::*number, std::int64_t now) {
  if (measured(now)) ++(outcome_.*number);
}

void Recorder::booted(std::int64_t boot_us, std::int64_t now) {
  count(&Outcome::boots, now);
  if (measured(now)) outcome_.boot_cpu_h += double(boot_us) / 3600e6;
}

void Recorder::sample(std::int64_t now) {
  if (now == load_.warmup_us())
    for (auto* gauge : {&idle, &templates, &busy}) gauge->restart(now);
  outcome_.series.push_back({double(now - load_.warmup_us()) / 3600e6, idle.gigabytes(),
                             templates.gigabytes(), busy.gigabytes()});
}

Outcome Recorder::finish() {
  for (auto* gauge : {&idle, &templates, &busy}) gauge->settle(load_.end_us());
  outcome_.idle_gb_h = idle.gigabyte_hours();
  outcome_.templates_gb_h = templates.gigabyte_hours();
  outcome_.busy_gb_h = busy.gigabyte_hours();
  outcome_.delay_p50_ms = delays_.at(0.5);
  outcome_.delay_p99_ms = delays_.at(0.99);
  outcome_.delay_p999_ms = delays_.at(0.999);
  outcome_.slowdown_p50 = 1 + slowdowns_.at(0.5);
  outcome_.slowdown_p99 = 1 + slowdowns_.at(0.99);
  outcome_.slowdown_p999 = 1 + slowdowns_.at(0.999);
  outcome_.slowdown_p99_capped = 1 + slowdowns_capped_.at(0.99);
  std::vector<double> slow, cold;
  for (const auto& own : per_function_) {
    if (own.calls <= 0) continue;
    slow.push_back(1 + own.excess / own.calls);
    cold.push_back(own.cold / own.calls);
  }
  outcome_.function_slowdown_p50 = percentile(slow, 0.5);
  outcome_.function_slowdown_p90 = percentile(slow, 0.9);
  outcome_.function_slowdown_p99 = percentile(slow, 0.99);
  outcome_.function_cold_p50 = percentile(cold, 0.5);
  outcome_.function_cold_p75 = percentile(cold, 0.75);
  return std::move(outcome_);
}

}  // namespace mayfly::simulation
