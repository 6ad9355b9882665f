#pragma once
// API Gateway's management API for WebSocket connections (execute-api, 2018-11-29): what a backend
// sends to a client, asks about it, and how it ends the connection. At the API port, under
// /@connections/ID, with or without a stage in front.

#include <string>

#include "aws/service.h"
#include "gateway/websockets.h"

namespace mayfly::dialects::connections {

// Belongs to the loop of the gateway, which outlives it.
class Connections : public aws::Service {
 public:
  // region, account: of the ARNs that a session's rights name.
  Connections(gateway::WebSockets& sockets, std::string region, std::string account)
      : sockets_(sockets), region_(std::move(region)), account_(std::move(account)) {}

  const aws::Contract& contract() const override;
  std::vector<aws::Need> needs(const aws::Call& call) const override;
  io::Task<aws::Outcome<boost::json::object>> call(aws::Call call) override;
  io::Task<aws::Outcome<io::HttpResponse>> answer(aws::Call call, std::string body) override;

 private:
  gateway::WebSockets& sockets_;
  std::string region_, account_;
};

}  // namespace mayfly::dialects::connections
