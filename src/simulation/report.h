#pragma once
// An experiment (a load, a cluster, policies) and its outcomes as text for people, as JSON and as a
// picture. Thread-safe: no state.

#include <string>
#include <vector>

#include "simulation/simulator.h"

namespace mayfly::simulation {

struct Experiment {
  LoadOptions load;
  Cluster cluster;
  std::vector<PolicyOptions> policies;
};

// Policies at several of their figures, for the curve of memory against slowdown.
std::vector<PolicyOptions> sweep(const PolicyOptions& like);

std::string report_text(const Experiment& experiment, const std::vector<Outcome>& outcomes);
// One object; all options stand in it, so that a run can be repeated from its result.
std::string report_json(const Experiment& experiment, const std::vector<Outcome>& outcomes);
// An SVG of two panels: memory held against the p99 slowdown (a point for each outcome, joined for
// each policy), and memory held over time.
std::string plot_svg(const Experiment& experiment, const std::vector<Outcome>& outcomes);

}  // namespace mayfly::simulation
