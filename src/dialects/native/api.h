#pragma once
// The native HTTP API of Mayfly: /v1/..., /metrics and /healthz on the API port; what the CLI, the
// console and scripts use. Reference: docs/reference/api.md. Belongs to the engine's loop.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "engine/deployer.h"
#include "engine/dispatcher.h"
#include "functions/catalogue.h"
#include "functions/packages.h"
#include "identity/access_keys.h"
#include "io/blocking.h"
#include "io/http.h"
#include "queues/engine.h"
#include "telemetry/telemetry.h"

namespace mayfly::triggers {
class AsyncCalls;
class QueueTriggers;
class Schedules;
class Topics;
class EventBuses;
}  // namespace mayfly::triggers
namespace mayfly::tables {
class State;
}
namespace mayfly::buckets {
class Buckets;
struct Object;
}  // namespace mayfly::buckets

namespace mayfly::dialects::native {

// What /v1/info says beside what the parts know.
struct ServerFacts {
  std::string version;      // "0.1.0"
  std::string api_url;      // "http://127.0.0.1:8081"
  std::string gateway_url;  // "http://127.0.0.1:8080"
  std::string data_dir;
  std::string url_base;         // in front of /url/ID/ of function URLs
  std::string region, account;  // in ARNs
  int pid = 0;
  SteadyTime started;
  std::uint64_t memory_bytes_max = 0;  // for all instances; 0: 80 % of the machine's
  std::uint32_t instances_max = 0;
  std::size_t body_bytes_max = 64u << 20;  // of an invocation's payload: http.body_bytes_max
};

struct ApiParts {
  boost::asio::io_context& loop;
  functions::Catalogue& catalogue;
  functions::Packages& packages;
  engine::Dispatcher& dispatcher;
  engine::Deployer& deployer;
  telemetry::Telemetry& telemetry;
  telemetry::Metrics& metrics;
  io::BlockingPool& pool;
  const sandbox::Sandboxes& sandboxes;
  std::string key;       // what clients send as Authorization: Bearer KEY
  std::string key_file;  // where people find it; for the text of a 401
  // The parts that are about events; the server's own has all of them.
  triggers::QueueTriggers* triggers = nullptr;
  tables::State* state = nullptr;
  triggers::AsyncCalls* calls = nullptr;
  triggers::Schedules* schedules = nullptr;
  queues::QueueEngine* queues = nullptr;
  triggers::Topics* topics = nullptr;
  triggers::EventBuses* buses = nullptr;
  identity::AccessKeys* keys = nullptr;
  buckets::Buckets* buckets = nullptr;
  // Whether a target of notifications is there.
  std::function<Status(const std::string& target)> check_target = nullptr;
};

class PackageKeeper;

class Api {
 public:
  explicit Api(ApiParts parts);
  ~Api();

  // The addresses are known only once the ports are bound.
  void set_facts(ServerFacts facts);

  io::Task<io::HttpResponse> handle(io::HttpRequest request);

  // Ends the streams of `logs --follow`: they would hold back a stop for ever.
  void close_streams();

  // Whoever else deploys from packages holds them by it.
  std::shared_ptr<PackageKeeper> package_keeper() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::dialects::native
