#pragma once
// Instances whose sandbox has extensions, or may get some from within the runtime: the life of the
// extensions around the protocol by which the runtime itself is spoken with.
// docs/internals/runtime-api.md.

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "dialects/lambda/extensions_api.h"
#include "dialects/lambda/runtime_api_protocol.h"
#include "dialects/lambda/telemetry_api.h"
#include "engine/instance_protocol.h"

namespace mayfly::dialects::lambda {

// Names of the programs in /opt/extensions of its layers, in order; at most ten. Looks at the disk.
std::vector<std::string> external_extensions(const functions::Version& version);

// What serves inside one sandbox, beside the Runtime API.
struct SandboxApis {
  std::shared_ptr<TelemetryHub> telemetry;
  std::shared_ptr<ExtensionsApi> extensions;
};
SandboxApis make_sandbox_apis(const functions::Version& version, sandbox::Sandbox& sandbox,
                              boost::asio::any_io_executor executor,
                              const RuntimeApiSettings& settings);

// The program of spec is started by mayfly-supervisor when the version has external extensions.
Status add_supervisor(const functions::Version& version, const RuntimeApiSettings& settings,
                      sandbox::LaunchSpec& spec);

// inner, with the extensions' part of starts, calls and ends.
std::unique_ptr<engine::InstanceProtocol> extend_protocol(
    std::unique_ptr<engine::InstanceProtocol> inner, SandboxApis apis,
    const functions::Version& version, sandbox::Sandbox& sandbox,
    boost::asio::any_io_executor executor, engine::LogSink log);

// For versions with external extensions whose runtime is spoken with by another factory (frames),
// which must outlive this one. They are not cloned: their processes cannot be.
std::unique_ptr<engine::ProtocolFactory> make_extensions_factory(
    const engine::ProtocolFactory& inner, RuntimeApiSettings settings);

}  // namespace mayfly::dialects::lambda
