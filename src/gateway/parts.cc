#include "gateway/gateway.h"

namespace mayfly::gateway {

GatewaySeams seams_of(GatewayParts parts) {
  functions::Catalogue* catalogue = &parts.catalogue;
  engine::Dispatcher* dispatcher = &parts.dispatcher;
  return GatewaySeams{
      [catalogue](std::string_view name) { return catalogue->find_qualified(name); },
      [catalogue] { return catalogue->apps(); },
      [catalogue] { return catalogue->generation(); },
      [dispatcher](functions::VersionPtr version) {
        return dispatcher->model_of(std::move(version));
      },
      [dispatcher](engine::Invocation&& invocation) {
        return dispatcher->invoke(std::move(invocation));
      },
      parts.metrics,
      parts.event_dialect,
      parts.http_dialect,
      std::move(parts.accept_call),
      parts.payload_bytes_max,
      std::move(parts.doors),
  };
}

}  // namespace mayfly::gateway
