#pragma once
// Failures as HTTP answers: the status, and who failed where. Pure; thread-safe.

#include <string>

#include "engine/invocation.h"
#include "io/http.h"
#include "telemetry/record.h"

namespace mayfly::gateway {

int http_status(Code code);
// The outcome says more than the code, except for failures of the platform and of the client.
int http_status(const engine::Failure& failure);

// The answer to a call of this function that failed: status, X-Mayfly-Error, X-Mayfly-Request-Id,
// Retry-After where it helps, and a JSON body that says the same. What the user's code said is not
// for the public: the message names the command that shows it instead.
io::HttpResponse failure_response(const engine::Failure& failure, const std::string& function,
                                  const std::string& request_id);
io::HttpResponse error_response(const Error& error, telemetry::Party party, telemetry::Phase phase,
                                const std::string& request_id);

}  // namespace mayfly::gateway
