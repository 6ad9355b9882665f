#pragma once
// The protocols by which the engine speaks with instances, and the dialects by which HTTP becomes
// invocations: one of each kind, chosen by the model of a function.

#include <memory>
#include <vector>

#include "engine/instance_protocol.h"
#include "gateway/gateway.h"

namespace mayfly::server {

// Stateless; must outlive the dispatcher, the gateway and the API.
class Adapters {
 public:
  virtual ~Adapters() = default;
  virtual std::vector<const engine::ProtocolFactory*> protocols() const = 0;
  virtual const gateway::HttpDialect& event_dialect() const = 0;
  virtual const gateway::HttpDialect& http_dialect() const = 0;
  virtual const gateway::AuthorizerDialect& authorizers() const = 0;
  virtual const gateway::SocketDialect& sockets() const = 0;
};

// body_bytes_max: setting http.body_bytes_max; events are held in memory whole.
std::unique_ptr<Adapters> make_adapters(const engine::EngineSettings& settings,
                                        std::size_t body_bytes_max);

}  // namespace mayfly::server
