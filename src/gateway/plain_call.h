#pragma once
// Which requests need nothing of the gateway but a function's version: those that a loop beside the
// gateway's own may answer. Pure.

#include <optional>
#include <string>

#include "wire/http_message.h"

namespace mayfly::gateway {

// The function's name in a request for /function/NAME that somebody waits for; nullopt: another
// path, a qualifier, an async call, a function's own address, or a connection that is to become
// something else.
std::optional<std::string> plain_call(const wire::RequestHead& head);

}  // namespace mayfly::gateway
