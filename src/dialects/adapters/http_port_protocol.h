#pragma once
// Programs that serve HTTP on $PORT. The engine is their only client: it connects to the port on
// the sandbox's own loopback. docs/internals/programs.md.

#include <memory>

#include "engine/instance_protocol.h"

namespace mayfly::dialects::adapters {

inline constexpr std::uint16_t kProgramPort = 8080;  // $PORT inside the sandbox

// Serves versions of model http_port.
std::unique_ptr<engine::ProtocolFactory> make_http_port_factory();

// Speaks with the program behind connector. Ready as soon as a connection is accepted.
std::unique_ptr<engine::InstanceProtocol> make_http_port_protocol(
    boost::asio::any_io_executor executor, io::Connector connector);

}  // namespace mayfly::dialects::adapters
