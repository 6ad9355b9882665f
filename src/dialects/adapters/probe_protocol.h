#pragma once
// Finds out how an unknown program wants to be spoken with, by what it does first: it connects to
// the Runtime API, it listens on $PORT, or it reads its standard input and ends.
// docs/internals/programs.md.

#include <memory>

#include "engine/instance_protocol.h"

namespace mayfly::dialects::adapters {

// Serves programs of a model yet unknown. runtime_api speaks with those that want the Runtime API,
// on the listener at port runtime_api_port of the sandbox; it outlives this.
std::unique_ptr<engine::ProtocolFactory> make_probe_factory(
    const engine::ProtocolFactory& runtime_api, std::uint16_t runtime_api_port = 9001);

}  // namespace mayfly::dialects::adapters
