#pragma once
// Streamed bodies of a call, seen by its record: bytes are counted, and the call is over when its
// answer has ended. Private to the engine.

#include <memory>
#include <string>

#include "engine/call.h"

namespace mayfly::engine {

// Takes the place of invocation.more and counts what goes through.
void count_request(Invocation& invocation, std::shared_ptr<Call> call);

// The end of body finishes the call; letting go of it earlier cancels the call.
io::BodyReaderPtr wrap_answer(std::shared_ptr<Call> call, io::BodyReaderPtr body);

}  // namespace mayfly::engine
