#pragma once
// A blocking client of the server's API, and how the command finds that server.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/pack.h"
#include "io/http_client.h"

namespace mayfly::cli {

// As given on the command line; empty: look on.
struct FindOptions {
  std::string api, key, data;
};

struct Target {
  std::string api;  // "http://127.0.0.1:8081"
  std::string key;
  std::string source;  // where this was found, for messages
};

// Flags, then MAYFLY_API, MAYFLY_KEY and MAYFLY_DATA, then the note of the last server that this
// user started, then the default data directory. unavailable says where it looked and how to start.
Result<Target> find_server(const FindOptions& options);

// $XDG_DATA_HOME/mayfly, else ~/.local/share/mayfly.
std::string default_data_dir();

struct Response {
  int status = 0;
  wire::Headers headers;
  std::string body;
};

// Errors are of the transport: unavailable when nobody answers. What the server says, errors among
// it, is a Response.
class Client {
 public:
  explicit Client(Target target);
  ~Client();

  Result<Response> request(const std::string& method, const std::string& target,
                           std::string body = {}, const std::string& content_type = {},
                           const std::vector<std::pair<std::string, std::string>>& fields = {});
  // The file as the body, in pieces.
  Result<Response> upload(const std::string& method, const std::string& target,
                          const PackedFile& file, const std::string& content_type = {});
  // chunk() gets a successful body as it comes, until it returns false; a failure is read whole.
  Result<Response> stream(const std::string& target,
                          const std::function<bool(std::string_view)>& chunk);

  const Target& target() const { return target_; }

 private:
  struct Exchange;
  Result<Response> run(std::unique_ptr<Exchange> exchange);
  static io::Task<void> perform(io::HttpClient* client, Exchange* exchange);

  Target target_;
  boost::asio::io_context loop_;
  std::unique_ptr<io::HttpClient> http_;
};

}  // namespace mayfly::cli
