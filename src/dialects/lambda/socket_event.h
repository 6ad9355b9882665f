#pragma once
// WebSocket connections as API Gateway tells functions of them: CONNECT, MESSAGE, DISCONNECT.

#include <memory>

#include "dialects/lambda/http_event.h"
#include "gateway/websockets.h"

namespace mayfly::dialects::lambda {

std::unique_ptr<gateway::SocketDialect> make_socket_dialect(EventSettings settings = {});

}  // namespace mayfly::dialects::lambda
