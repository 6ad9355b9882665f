#include "simulation/costs.h"

#include <algorithm>
#include <cmath>

namespace mayfly::simulation {

std::uint64_t Costs::bytes(const Function& function, bool clone) const {
  const double all = function.memory_mb * 1e6;
  if (!clone) return static_cast<std::uint64_t>(all);
  return static_cast<std::uint64_t>(
      std::min(all, model_.clone_own_mb * 1e6 + model_.clone_own_share * all));
}

std::uint64_t Costs::template_bytes(const Function& function) const {
  return static_cast<std::uint64_t>(model_.template_share * function.memory_mb * 1e6);
}

std::int64_t Costs::boot_us(const Function& function) const {
  const bool zygote = policy_ == PolicyKind::mayfly && model_.zygote_ms >= 0;
  return std::llround(1000 * (zygote ? model_.zygote_ms : model_.boot_ms)) + function.init_us;
}

std::int64_t Costs::clone_us(const Function& function) const {
  return std::llround(1000 * model_.clone_ms +
                      model_.clone_us_per_mb * double(template_bytes(function)) / 1e6);
}

}  // namespace mayfly::simulation
