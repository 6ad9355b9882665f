#pragma once
// What an instance of a function takes under a model: memory in bytes, times in microseconds. Pure.

#include <cstdint>

#include "simulation/load.h"
#include "simulation/model.h"

namespace mayfly::simulation {

class Costs {
 public:
  Costs(const Model& model, PolicyKind policy) : model_(model), policy_(policy) {}
  // Of a clone what it holds for itself, beside its template.
  std::uint64_t bytes(const Function& function, bool clone) const;
  std::uint64_t template_bytes(const Function& function) const;
  std::int64_t boot_us(const Function& function) const;
  std::int64_t clone_us(const Function& function) const;

 private:
  const Model model_;
  const PolicyKind policy_;
};

}  // namespace mayfly::simulation
