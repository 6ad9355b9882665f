#pragma once
// Replays a load on a virtual clock over nodes whose pools follow one policy. What decides is the
// code that the engine runs: engine/scaler.h and engine/policy/; here are only the instances that
// they decide about. One thread; the same load, model and policy give the same outcome.

#include "simulation/load.h"
#include "simulation/measures.h"
#include "simulation/model.h"

namespace mayfly::simulation {

struct Cluster {
  std::uint32_t nodes = 1;
  Model model;
  double sample_minutes = 10;  // between two points of the series
};

Outcome simulate(const Load& load, const Cluster& cluster, const PolicyOptions& policy);

}  // namespace mayfly::simulation
