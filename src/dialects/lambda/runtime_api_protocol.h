#pragma once
// Programs that poll the AWS Lambda Runtime API (custom runtimes, binaries
// built with AWS's runtime libraries). The program finds the API at
// AWS_LAMBDA_RUNTIME_API on its own loopback; the engine serves it on the
// listening socket that came with the sandbox. docs/internals/runtime-api.md.

#include <memory>
#include <string>

#include "engine/instance_protocol.h"

namespace mayfly::dialects::lambda {

struct RuntimeApiSettings {
  std::string region = "us-east-1", account = "000000000000";
  // Of a buffered response or an error, as on AWS; streamed HTTP answers have
  // no limit.
  std::size_t response_bytes_max = 6 * 1024 * 1024 + 100;
  std::uint16_t port = 9001;  // inside the sandbox
  std::string runtime_lib;    // host folder with mayfly-supervisor; empty: no
                              // external extensions
};

// Serves versions of the model runtime_api, and of the runtime "provided" with
// a model yet unknown.
std::unique_ptr<engine::ProtocolFactory> make_runtime_api_factory(RuntimeApiSettings settings = {});

}  // namespace mayfly::dialects::lambda
