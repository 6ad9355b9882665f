#include "simulation/model.h"

#include <fmt/format.h>

namespace mayfly::simulation {

std::string PolicyOptions::name() const {
  if (kind == PolicyKind::fixed) return "fixed";
  return kind == PolicyKind::hybrid ? "hybrid" : "mayfly";
}

std::string PolicyOptions::label() const {
  if (kind == PolicyKind::fixed) return fmt::format("fixed {} s", keep_alive_s);
  if (kind == PolicyKind::hybrid) return "hybrid";
  return fmt::format("mayfly {} ms", memory_price);
}

}  // namespace mayfly::simulation
