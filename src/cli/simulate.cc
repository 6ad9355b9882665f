// `mayfly simulate`: the scheduling policies against a published load, on a virtual clock. Needs no
// server.

#include <cstdio>
#include <fstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "simulation/report.h"

namespace mayfly::cli {
namespace {

using simulation::Experiment;
using simulation::PolicyKind;
using simulation::PolicyOptions;

struct Flags {
  Experiment experiment;
  PolicyOptions policy;
  std::vector<std::string> policies;
  bool sweep = false;
  std::string plot, trace;
};

void add_load_options(CLI::App* c, Flags& flags) {
  auto& load = flags.experiment.load;
  c->add_option("--functions", load.functions, "Functions deployed")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  c->add_option("--hours", load.hours, "Measured time")
      ->type_name("H")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  c->add_option("--warmup", load.warmup_h, "Time before it, in which policies learn")
      ->type_name("H")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  c->add_option("--seed", load.seed, "The same seed gives the same calls")
      ->type_name("N")
      ->capture_default_str();
  c->add_option("--rate-max", load.rate_max,
                "Applications called more often are simulated at so many calls a second, each of "
                "which stands for several")
      ->type_name("CALLS")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  c->add_option("--init-ms", load.init_ms, "Median of the functions' initialisations")
      ->type_name("MS")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  c->add_option("--init-sigma", load.init_sigma, "Spread of their logarithm")
      ->type_name("X")
      ->check(CLI::Range(0.0, 5.0))
      ->capture_default_str();
  c->add_option("--run-sigma", load.run_sigma, "Spread of one function's run times, likewise")
      ->type_name("X")
      ->check(CLI::Range(0.0, 5.0))
      ->capture_default_str();
  c->add_option("--peak", load.peak, "Busiest hour of a day against the quietest")
      ->type_name("X")
      ->check(CLI::Range(1.0, 100.0))
      ->capture_default_str();
  c->add_option("--burst-gap", load.burst_gap,
                "Calls of CV above 1 come in bursts with gaps of this part of the mean (0: "
                "hyper-exponential with balanced means)")
      ->type_name("X")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
}

void add_model_options(CLI::App* c, Flags& flags) {
  auto& cluster = flags.experiment.cluster;
  auto& model = cluster.model;
  const auto figure = [&](const char* name, double& value, const char* unit, double most,
                          const char* what) {
    c->add_option(name, value, what)
        ->type_name(unit)
        ->check(CLI::Range(0.0, most))
        ->capture_default_str();
  };
  c->add_option("--nodes", cluster.nodes, "Machines")
      ->type_name("N")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  figure("--node-memory", model.node_memory_gb, "GB", 1e6, "Memory of each (0: what it takes)");
  figure("--boot-ms", model.boot_ms, "MS", 1e6, "Sandbox and language runtime, without a template");
  c->add_option("--zygote-ms", model.zygote_ms,
                "The same for Mayfly, when a zygote has the runtime loaded (default: --boot-ms)")
      ->type_name("MS")
      ->check(CLI::Range(0.0, 1e6));
  figure("--clone-ms", model.clone_ms, "MS", 1e6, "A clone of a template,");
  figure("--clone-us-per-mb", model.clone_us_per_mb, "US", 1e6, "and more for each MB of it");
  figure("--template-share", model.template_share, "X", 1,
         "Memory of a template against a booted instance's");
  figure("--clone-own-mb", model.clone_own_mb, "MB", 1e6, "Memory of a clone for itself,");
  figure("--clone-own-share", model.clone_own_share, "X", 1,
         "and this part of a booted instance's in addition");
}

void add_policy_options(CLI::App* c, Flags& flags) {
  c->add_option("--policy", flags.policies,
                "fixed, hybrid or mayfly; may be repeated (default: all)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"fixed", "hybrid", "mayfly"}))
      ->take_all()
      ->allow_extra_args(false);
  c->add_option("--keep-alive", flags.policy.keep_alive_s, "Of policy fixed")
      ->type_name("S")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  c->add_option("--template-budget", flags.policy.template_budget,
                "Of policy mayfly: memory for templates, as a part of what all of them would take")
      ->type_name("X")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  c->add_option("--memory-price", flags.policy.memory_price,
                "Of policy mayfly: milliseconds of waiting that a GB held for a second is worth")
      ->type_name("MS")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  c->add_flag("--sweep", flags.sweep, "Every policy at several of its figures");
  c->add_option("--plot", flags.plot, "Write a picture of the outcome")->type_name("FILE.svg");
  c->add_option(
       "--trace", flags.trace,
       "Write the load itself as CSV (time in s, function, run in ms) and simulate nothing")
      ->type_name("FILE.csv");
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return true;
  fmt::print(stderr, "mayfly: {} cannot be written\n", path);
  return false;
}

int write_trace(const Flags& flags) {
  std::ofstream file(flags.trace, std::ios::binary | std::ios::trunc);
  const simulation::Load load(flags.experiment.load);
  simulation::write_trace(load, file);
  file.close();
  if (file) return kOk;
  fmt::print(stderr, "mayfly: {} cannot be written\n", flags.trace);
  return kRefused;
}

int run_simulate(const Context& context, Flags& flags) {
  if (!flags.trace.empty()) return write_trace(flags);
  auto& experiment = flags.experiment;
  std::vector<PolicyOptions> wanted;
  for (const auto kind : {PolicyKind::fixed, PolicyKind::hybrid, PolicyKind::mayfly}) {
    wanted.push_back(flags.policy);
    wanted.back().kind = kind;
  }
  // The asked-for figures come first: the picture over time shows them.
  if (flags.sweep)
    for (const auto& policy : simulation::sweep(flags.policy))
      if (std::none_of(wanted.begin(), wanted.end(),
                       [&](const auto& other) { return other.label() == policy.label(); }))
        wanted.push_back(policy);
  for (const auto& policy : wanted)
    if (flags.policies.empty() || std::find(flags.policies.begin(), flags.policies.end(),
                                            policy.name()) != flags.policies.end())
      experiment.policies.push_back(policy);
  const simulation::Load load(experiment.load);
  std::vector<simulation::Outcome> outcomes;
  for (const auto& policy : experiment.policies) {
    if (!context.json) fmt::print(stderr, "simulating {} ...\n", policy.label());
    outcomes.push_back(simulation::simulate(load, experiment.cluster, policy));
  }
  const std::string text = context.json ? simulation::report_json(experiment, outcomes)
                                        : simulation::report_text(experiment, outcomes);
  fmt::print("{}", text);
  if (flags.plot.empty()) return kOk;
  return write_file(flags.plot, simulation::plot_svg(experiment, outcomes)) ? kOk : kRefused;
}

}  // namespace

void add_simulate(CLI::App& command, Context& context, int& code) {
  auto flags = std::make_shared<Flags>();
  add_load_options(&command, *flags);
  add_model_options(&command, *flags);
  add_policy_options(&command, *flags);
  command.callback([&context, &code, flags] { code = run_simulate(context, *flags); });
}

}  // namespace mayfly::cli
