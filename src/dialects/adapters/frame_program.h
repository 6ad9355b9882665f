#pragma once
// Programs that speak frames by themselves (runtimes/native/mayfly_function.h): the environment
// variable MAYFLY_CHANNEL names the descriptor. docs/internals/programs.md.

#include <memory>

#include "engine/frame_protocol.h"
#include "engine/instance_protocol.h"

namespace mayfly::dialects::adapters {

// Serves programs that were found to speak frames: their models are event and http.
std::unique_ptr<engine::ProtocolFactory> make_frame_program_factory(engine::FrameSettings settings);

// Gives the program a channel; prepare() of those that may speak frames.
void offer_channel(sandbox::LaunchSpec& spec);

}  // namespace mayfly::dialects::adapters
