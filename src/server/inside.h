#pragma once
// How functions reach this server's AWS-shaped services from inside their sandboxes: variables that
// their clients look for, and behind the listener of each sandbox the endpoint of the API port, and
// nothing else of this server.

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "aws/endpoint.h"
#include "engine/services_door.h"
#include "io/http_server.h"

namespace mayfly::server {

struct InsideSettings {
  std::size_t connections_max = 64;       // of one instance
  std::size_t body_bytes_max = 64 << 20;  // of all requests that are being read at once
};

// Belongs to the loop of the dispatcher, which it outlives.
class Inside : public engine::ServicesDoor {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    io::HttpServerOptions http;
    InsideSettings settings;
    std::size_t request_bytes_max = 8u << 20;  // setting aws.body_bytes_max
    std::string secret;                        // of this server, from which credentials are made
    std::string account;
  };
  explicit Inside(Parts parts);
  ~Inside() override;

  // Where requests go from now on; outlives the dispatcher.
  void serve(aws::Endpoint& endpoint);

  void add_environment(const functions::Version& version, std::vector<std::string>& env) override;
  std::shared_ptr<void> open(functions::VersionPtr version, const std::string& instance,
                             os::Fd listener) override;

 private:
  struct State;
  class Way;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::server
