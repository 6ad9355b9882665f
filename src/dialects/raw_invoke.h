#pragma once
// Calls without HTTP: bytes in, bytes out, whatever the model. Event models get the bytes as their
// event; http models get POST / with the bytes as body.

#include <string>

#include "engine/invocation.h"
#include "wire/http_message.h"

namespace mayfly::dialects {

// model is the version's, as known or learnt; never unknown.
engine::Invocation raw_invocation(functions::VersionPtr version, functions::Model model,
                                  std::string payload, std::string content_type);

// The body of the answer, whole. An error when it breaks off, is over limit (bytes), or when the
// failure of the answer stands in its place.
io::Task<Result<std::string>> raw_answer(engine::Answer answer, std::size_t limit);

}  // namespace mayfly::dialects
