#pragma once
// What every instance is started with, whatever its model: limits, package, environment. Pure.

#include "engine/dispatcher.h"

namespace mayfly::engine {

// A core for small functions, more with the memory, as on AWS (1,769 MB for each further one).
std::uint32_t cpu_millis_of(std::uint64_t memory_bytes);

sandbox::LaunchSpec base_launch_spec(const functions::Version& version,
                                     const functions::Runtime& runtime,
                                     const EngineSettings& settings, const std::string& id,
                                     WallTime now);

// What its instances are told of how they came to be: kept ready ahead of calls.
void mark_provisioned(sandbox::LaunchSpec& spec);

// What a clone of the version's template has of its own: identity, limits, the environment that
// differs from instance to instance.
sandbox::CloneSpec base_clone_spec(const functions::Version& version, const std::string& id,
                                   std::uint64_t memory_bytes, WallTime now);

// The program may be cloned: it finds the libraries that this takes in /var/runtime-lib. Before
// ProtocolFactory::prepare(), which adds what its runtime needs.
void make_cloneable(sandbox::LaunchSpec& spec, const EngineSettings& settings);

}  // namespace mayfly::engine
