#pragma once
// WebSocket connections of applications: the handshake, messages that become calls of functions,
// and what is sent to clients from elsewhere. Messages of one connection run up to a few at a time,
// in no promised order, as with API Gateway. Belongs to one loop.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/gateway.h"

namespace mayfly::gateway {

// What the events of a connection say about it. Plain.
struct SocketFacts {
  std::string id;
  std::string route_key;  // "$connect", "$disconnect", "$default" or the key of a route
  std::string event_id;   // of the request or message
  WallTime connected, now;
  std::uint16_t close_code = 0;  // $disconnect
  std::string close_reason;
  bool binary = false;  // a message of bytes
};

// Turns what happens on a connection into the events of its functions. Stateless.
class SocketDialect {
 public:
  virtual ~SocketDialect() = default;
  // head: of the handshake; body: of a message. match carries application, stage and identity.
  virtual std::string event(const wire::RequestHead& head, const RouteMatch& match,
                            const SocketFacts& facts, std::string_view body) const = 0;
  // Status and body of an answer; fields of $connect's answer go into the handshake. function_error
  // when the answer has no valid form.
  virtual Result<io::HttpResponse> reply(std::string_view reply) const = 0;
  // The value at "$request.body.a.b" of a message; empty when there is none.
  virtual std::string selected(std::string_view selection, std::string_view body) const = 0;
};

struct SocketInfo {
  WallTime connected, last_active;
  std::string source_ip, user_agent;
  std::string api_id, stage;  // of the API that it belongs to
};

class WebSockets {
 public:
  struct Parts {
    std::function<functions::VersionPtr(std::string_view name_and_qualifier)> find_version;
    engine::Invoke invoke;
    const SocketDialect* dialect = nullptr;
    SocketSettings settings;
    const Clock* clock = nullptr;
  };
  explicit WebSockets(Parts parts);
  ~WebSockets();

  // The answer to a handshake that may come in: 101, or what $connect refused with. match names the
  // application, its stage and who comes.
  io::Task<io::HttpResponse> connect(io::HttpRequest request, RouteMatch match, std::string id);

  // not_found: there is no such connection (any more); too_large; resource_exhausted: the client
  // does not read what was sent before.
  Status send(std::string_view id, std::string_view data, bool binary);
  Result<SocketInfo> find(std::string_view id) const;
  Status close(std::string_view id);

  // Closes all of them with 1001.
  void stop();

 private:
  struct State;
  struct Connection;
  class Session;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::gateway
