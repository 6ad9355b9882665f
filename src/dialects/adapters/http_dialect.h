#pragma once
// HTTP for the models that speak it (http, http_port, stdio): head and body go through as they are.

#include <memory>

#include "gateway/gateway.h"

namespace mayfly::dialects::adapters {

std::unique_ptr<gateway::HttpDialect> make_http_dialect();

}  // namespace mayfly::dialects::adapters
