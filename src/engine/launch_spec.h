#pragma once
// What every instance is started with, whatever its model: limits, package, environment. Pure.

#include "engine/dispatcher.h"

namespace mayfly::engine {

sandbox::LaunchSpec base_launch_spec(const functions::Version& version,
                                     const functions::Runtime& runtime,
                                     const EngineSettings& settings, const std::string& id,
                                     WallTime now);

}  // namespace mayfly::engine
