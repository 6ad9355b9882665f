#pragma once
// What a proxy changes in heads (RFC 9110 7.6.1). Pure.

#include <string>

#include "engine/invocation.h"
#include "wire/http_message.h"

namespace mayfly::dialects::adapters {

// Without the fields that belong to one connection, among them those that Connection names.
wire::Headers end_to_end(const wire::Headers& headers);

// The request of an invocation as a program behind a proxy expects it: X-Forwarded-For, -Proto,
// -Host and -Prefix, X-Mayfly-Request-Id and X-Amzn-Trace-Id are set. An event becomes POST /.
Result<wire::RequestHead> proxied_request(const engine::Invocation& invocation);

}  // namespace mayfly::dialects::adapters
