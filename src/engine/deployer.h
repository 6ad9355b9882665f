#pragma once
// Deploys as a service: from settings and a stored package to a version that takes invocations.
// Nothing is visible, and the old revision serves on, until the new one has been checked and is
// durable. One change of one function at a time; different functions go on side by side. A change
// that has begun is finished even when its caller goes away. Belongs to one loop.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/dispatcher.h"
#include "functions/catalogue.h"

namespace mayfly::engine {

struct DeployRequest {
  std::string function;
  functions::Settings settings;
  std::string package;          // SHA-256 of a package that is stored already
  bool check = true;            // start one instance first, and refuse the deploy when that fails
  functions::Along along = {};  // not looked at when nothing has changed
};

struct Deployed {
  functions::VersionPtr version;      // null when failure is set
  bool unchanged = false;             // code and settings were those of $LATEST: nothing was done
  bool created = false;               // there was no function of that name
  std::vector<std::string> detected;  // what was found out, for people
  std::shared_ptr<Failure> failure;   // the check failed; what stood before still stands
};

class Deployer {
 public:
  struct Parts {
    boost::asio::io_context& loop;
    functions::Catalogue& catalogue;
    Dispatcher& dispatcher;
    telemetry::Telemetry& telemetry;
    io::BlockingPool& pool;
    std::function<void()> changed = {};  // functions or versions have come or gone; may be empty
  };
  explicit Deployer(Parts parts);
  ~Deployer();

  // An Error: the request is refused before anything was started, or could not be made durable.
  io::Task<Result<Deployed>> deploy(DeployRequest request);

  // A numbered snapshot of $LATEST.
  io::Task<Result<functions::VersionPtr>> publish(std::string function);

  // The function, its versions, its logs and records; what it cost stays in the bill.
  io::Task<Status> remove(std::string function);

  // Changes that run or wait; a server that stops waits for zero.
  std::size_t running() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mayfly::engine
