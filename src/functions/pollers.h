#pragma once
// Bounds of the provisioned pollers of a queue trigger: those of Lambda's ProvisionedPollerConfig.

#include <cstdint>

namespace mayfly::functions {

inline constexpr std::uint32_t kMinimumPollers = 2, kMinimumPollersMax = 200,
                               kMaximumPollersMax = 10'000, kMaximumPollersDefault = 200;

}  // namespace mayfly::functions
