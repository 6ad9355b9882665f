#pragma once
// Finds out how an unknown program wants to be spoken with, by what it does first: it says on the
// channel that it is ready, it connects to the Runtime API, it listens on $PORT, or it reads its
// standard input and ends.
// docs/internals/programs.md.

#include <memory>

#include "engine/instance_protocol.h"

namespace mayfly::dialects::adapters {

// Serves programs of a model yet unknown. frames speaks with those that speak frames, runtime_api
// with those that want the Runtime API, on the listener at port runtime_api_port of the sandbox;
// both outlive this.
std::unique_ptr<engine::ProtocolFactory> make_probe_factory(
    const engine::ProtocolFactory& frames, const engine::ProtocolFactory& runtime_api,
    std::uint16_t runtime_api_port = 9001);

}  // namespace mayfly::dialects::adapters
