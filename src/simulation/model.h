#pragma once
// What a machine costs in the simulation, and which policy runs on it. Every figure is an option of
// `mayfly simulate`; docs/internals/simulation.md says where the defaults come from.

#include <cstdint>
#include <string>

namespace mayfly::simulation {

struct Model {
  double boot_ms = 35;    // sandbox and language runtime, before the user's initialisation
  double zygote_ms = -1;  // the same when the runtime is cloned from a zygote; < 0: as boot_ms
  double clone_ms = 0.5;  // an instance from a template,
  double clone_us_per_mb = 20;    // and more for each MB that the template holds
  double template_share = 1.0;    // of an instance's memory that its template holds
  double clone_own_mb = 3;        // what a clone holds for itself,
  double clone_own_share = 0.05;  // and of the instance's memory in addition
  std::uint32_t cores = 16;   // of a node, as the scaler sees them; run times do not depend on it
  double node_memory_gb = 0;  // 0: as much as it takes
  std::uint32_t line_max = 10'000;
};

enum class PolicyKind { fixed, hybrid, mayfly };

struct PolicyOptions {
  PolicyKind kind = PolicyKind::mayfly;
  double keep_alive_s = 600;  // fixed
  // mayfly: templates stand in this share of the memory that all functions' templates would take.
  double template_budget = 0.1;
  // mayfly: milliseconds of a caller's waiting (engine/policy/felt_wait.h) that a GB held for a
  // second is worth.
  double memory_price = 10;
  std::string name() const;   // of the kind
  std::string label() const;  // with its figure: "fixed 600 s"
};

}  // namespace mayfly::simulation
