#include "engine/reserved.h"

#include <fmt/format.h>

#include <algorithm>

namespace mayfly::engine {

Result<std::shared_ptr<void>> Reserved::enter(const functions::Version& version) {
  const auto limit = catalogue_.belongings(version.function).reserved_concurrency;
  if (!limit) return std::shared_ptr<void>();
  std::uint32_t& now = (*running_)[version.function];
  if (now >= *limit) {
    if (now == 0) running_->erase(version.function);
    return Error{Code::resource_exhausted,
                 fmt::format("The function {} runs as many calls at once as are reserved for it "
                             "({}).",
                             version.function, *limit)};
  }
  ++now;
  const auto leave = [running = running_, function = version.function](void*) {
    const auto found = running->find(function);
    if (found != running->end() && --found->second == 0) running->erase(found);
  };
  return std::shared_ptr<void>(&now, leave);
}

std::uint32_t Reserved::room(const std::string& function, std::uint32_t offered) const {
  const auto limit = catalogue_.belongings(function).reserved_concurrency;
  if (!limit) return offered;
  const auto found = running_->find(function);
  const std::uint32_t now = found == running_->end() ? 0 : found->second;
  return std::min(offered, *limit - std::min(now, *limit));
}

}  // namespace mayfly::engine
