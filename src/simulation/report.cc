#include "simulation/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace mayfly::simulation {
namespace {

struct Column {
  const char* title;
  std::function<std::string(const Outcome&)> cell;
};

std::string figure(double value) {
  if (value >= 1000) return fmt::format("{:.0f}", value);
  if (value >= 100) return fmt::format("{:.1f}", value);
  return fmt::format("{:.2f}", value);
}
std::string percent(double share) {
  return fmt::format("{:.2f} %", 100 * share);
}

std::string table(const std::vector<Column>& columns, const std::vector<Outcome>& outcomes) {
  std::vector<std::vector<std::string>> lines(1 + outcomes.size());
  for (const auto& column : columns) {
    lines[0].emplace_back(column.title);
    for (std::size_t i = 0; i < outcomes.size(); ++i)
      lines[i + 1].push_back(column.cell(outcomes[i]));
  }
  std::vector<std::size_t> widths(columns.size());
  for (const auto& line : lines)
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  std::string text;
  for (const auto& line : lines) {
    text += fmt::format("{:<{}}", line[0], widths[0]);
    for (std::size_t c = 1; c < line.size(); ++c)
      text += fmt::format("  {:>{}}", line[c], widths[c]);
    text += '\n';
  }
  return text;
}

// The first outcome of a policy, with the figure that was asked for.
const Outcome* find(const std::vector<Outcome>& outcomes, const std::string& policy) {
  for (const auto& outcome : outcomes)
    if (outcome.policy == policy) return &outcome;
  return nullptr;
}

std::string comparison(const std::vector<Outcome>& outcomes) {
  const Outcome* fixed = find(outcomes, "fixed");
  const Outcome* ours = find(outcomes, "mayfly");
  if (fixed == nullptr || ours == nullptr || fixed->held_gb() <= 0) return {};
  const auto all = [](const Outcome& o) { return o.held_gb_h() + o.busy_gb_h; };
  return fmt::format(
      "\n{} holds {:.3f} of the memory of {} ({:.3f} with busy instances); p99 slowdown {:.4f} "
      "against {:.4f} (of calls), "
      "{:.4f} "
      "against {:.4f} (hot applications cut).\n",
      ours->label, ours->held_gb() / fixed->held_gb(), fixed->label, all(*ours) / all(*fixed),
      ours->slowdown_p99, fixed->slowdown_p99, ours->slowdown_p99_capped,
      fixed->slowdown_p99_capped);
}

std::string series_json(const Outcome& outcome) {
  std::string text;
  for (const auto& sample : outcome.series)
    text += fmt::format("{}[{:.4f},{:.4f},{:.4f},{:.4f}]", text.empty() ? "" : ",", sample.hour,
                        sample.idle_gb, sample.templates_gb, sample.busy_gb);
  return text;
}

std::string outcome_json(const Outcome& o) {
  std::string text =
      fmt::format(R"({{"policy":"{}","label":"{}","calls":{},"simulated_calls":{},"refused":{},)",
                  o.policy, o.label, o.calls, o.simulated_calls, o.refused);
  text += fmt::format(
      R"("share":{{"warm":{},"queued":{},"clone":{},"boot":{}}},"starts":{{"clones":{},"boots":{},)"
      R"("ahead_of_need":{},"boot_cpu_hours":{}}},)",
      o.share(o.warm), o.share(o.queued), o.share(o.cloned), o.share(o.booted), o.clones, o.boots,
      o.prewarmed, o.boot_cpu_h);
  text += fmt::format(
      R"("templates":{{"made":{},"evicted":{}}},"instances_evicted":{},"memory":{{"held_gb":{},)"
      R"("idle_gb_hours":{},"templates_gb_hours":{},"busy_gb_hours":{}}},)",
      o.templates_made, o.templates_evicted, o.instances_evicted, o.held_gb(), o.idle_gb_h,
      o.templates_gb_h, o.busy_gb_h);
  text += fmt::format(
      R"("start_delay_ms":{{"p50":{},"p99":{},"p999":{}}},"slowdown":{{"p50":{},"p99":{},"p999":{},)"
      R"("p99_capped":{}}},)",
      o.delay_p50_ms, o.delay_p99_ms, o.delay_p999_ms, o.slowdown_p50, o.slowdown_p99,
      o.slowdown_p999, o.slowdown_p99_capped);
  text += fmt::format(
      R"("functions":{{"slowdown_p50":{},"slowdown_p90":{},"slowdown_p99":{},"cold_share_p50":{},)"
      R"("cold_share_p75":{}}},"series":[{}]}})",
      o.function_slowdown_p50, o.function_slowdown_p90, o.function_slowdown_p99,
      o.function_cold_p50, o.function_cold_p75, series_json(o));
  return text;
}

}  // namespace

std::vector<PolicyOptions> sweep(const PolicyOptions& like) {
  std::vector<PolicyOptions> policies;
  for (const double seconds : {60, 180, 600, 1200, 3600}) {
    policies.push_back(like);
    policies.back().kind = PolicyKind::fixed;
    policies.back().keep_alive_s = seconds;
  }
  policies.push_back(like);
  policies.back().kind = PolicyKind::hybrid;
  for (const double price : {0.3, 1.0, 3.0, 10.0, 30.0, 100.0}) {
    policies.push_back(like);
    policies.back().kind = PolicyKind::mayfly;
    policies.back().memory_price = price;
  }
  return policies;
}

std::string report_text(const Experiment& experiment, const std::vector<Outcome>& outcomes) {
  const auto& load = experiment.load;
  std::string text =
      fmt::format("functions {}, nodes {}, hours {} after {} of warm-up, seed {}", load.functions,
                  experiment.cluster.nodes, load.hours, load.warmup_h, load.seed);
  if (!outcomes.empty())
    text += fmt::format("; {:.0f} calls, of which {:.0f} simulated", outcomes[0].calls,
                        outcomes[0].simulated_calls);
  text += "\n\nCalls, by what they met, and how long until they ran\n";
  text += table({{"policy", [](const Outcome& o) { return o.label; }},
                 {"warm", [](const Outcome& o) { return percent(o.share(o.warm)); }},
                 {"in line", [](const Outcome& o) { return percent(o.share(o.queued)); }},
                 {"clone", [](const Outcome& o) { return percent(o.share(o.cloned)); }},
                 {"boot", [](const Outcome& o) { return percent(o.share(o.booted)); }},
                 {"refused", [](const Outcome& o) { return percent(o.share(o.refused)); }},
                 {"delay p50", [](const Outcome& o) { return figure(o.delay_p50_ms) + " ms"; }},
                 {"p99", [](const Outcome& o) { return figure(o.delay_p99_ms) + " ms"; }},
                 {"p99.9", [](const Outcome& o) { return figure(o.delay_p999_ms) + " ms"; }}},
                outcomes);
  text += "\nSlowdown: response time / run time\n";
  text +=
      table({{"policy", [](const Outcome& o) { return o.label; }},
             {"calls p99", [](const Outcome& o) { return fmt::format("{:.4f}", o.slowdown_p99); }},
             {"p99.9", [](const Outcome& o) { return figure(o.slowdown_p999); }},
             {"p99, hot cut", [](const Outcome& o) { return figure(o.slowdown_p99_capped); }},
             {"functions p50", [](const Outcome& o) { return figure(o.function_slowdown_p50); }},
             {"p90", [](const Outcome& o) { return figure(o.function_slowdown_p90); }},
             {"p99", [](const Outcome& o) { return figure(o.function_slowdown_p99); }},
             {"cold p50", [](const Outcome& o) { return percent(o.function_cold_p50); }},
             {"cold p75", [](const Outcome& o) { return percent(o.function_cold_p75); }}},
            outcomes);
  text += "\nMemory held, the mean over time, and starts\n";
  text +=
      table({{"policy", [](const Outcome& o) { return o.label; }},
             {"held GB", [](const Outcome& o) { return figure(o.held_gb()); }},
             {"idle GB", [](const Outcome& o) { return figure(o.idle_gb_h / o.hours); }},
             {"templates GB", [](const Outcome& o) { return figure(o.templates_gb_h / o.hours); }},
             {"busy GB", [](const Outcome& o) { return figure(o.busy_gb_h / o.hours); }},
             {"held GB h", [](const Outcome& o) { return figure(o.held_gb_h()); }},
             {"clones", [](const Outcome& o) { return fmt::format("{}", o.clones); }},
             {"boots", [](const Outcome& o) { return fmt::format("{}", o.boots); }},
             {"ahead", [](const Outcome& o) { return fmt::format("{}", o.prewarmed); }},
             {"boot CPU h", [](const Outcome& o) { return figure(o.boot_cpu_h); }}},
            outcomes);
  return text + comparison(outcomes);
}

std::string report_json(const Experiment& experiment, const std::vector<Outcome>& outcomes) {
  const auto& l = experiment.load;
  const auto& m = experiment.cluster.model;
  std::string text = fmt::format(
      R"({{"seed":{},"load":{{"functions":{},"hours":{},"warmup_hours":{},"rate_max":{},)"
      R"("run_sigma":{},"run_min_ms":{},"run_max_s":{},"init_ms":{},"init_sigma":{},"peak":{},)"
      R"("burst_gap":{}}},)",
      l.seed, l.functions, l.hours, l.warmup_h, l.rate_max, l.run_sigma, l.run_min_ms, l.run_max_s,
      l.init_ms, l.init_sigma, l.peak, l.burst_gap);
  text += fmt::format(
      R"("model":{{"nodes":{},"node_memory_gb":{},"cores":{},"boot_ms":{},"zygote_ms":{},)"
      R"("clone_ms":{},"clone_us_per_mb":{},"template_share":{},"clone_own_mb":{},)"
      R"("clone_own_share":{}}},"outcomes":[)",
      experiment.cluster.nodes, m.node_memory_gb, m.cores, m.boot_ms,
      m.zygote_ms < 0 ? m.boot_ms : m.zygote_ms, m.clone_ms, m.clone_us_per_mb, m.template_share,
      m.clone_own_mb, m.clone_own_share);
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    text += (i > 0 ? ",\n" : "\n") + outcome_json(outcomes[i]);
  return text + "\n]}\n";
}

}  // namespace mayfly::simulation
