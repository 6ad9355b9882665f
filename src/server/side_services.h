#pragma once
// What instances on a loop beside ask of the platform, asked on the loop where its services live.

#include <boost/asio/io_context.hpp>

#include "engine/function_services.h"
#include "engine/services_door.h"

namespace mayfly::server {

// Called on the loop beside; home is that of services, which it outlives.
class SideServices final : public engine::FunctionServices {
 public:
  SideServices(boost::asio::io_context& home, engine::FunctionServices& services)
      : home_(home), services_(services) {}

  io::Task<Result<std::string>> ask(functions::VersionPtr version, std::string question) override;
  io::Task<Status> commit(functions::VersionPtr version, std::string effects,
                          std::shared_ptr<engine::Settlement> settlement,
                          std::string result) override;

 private:
  boost::asio::io_context& home_;
  engine::FunctionServices& services_;
};

// The same of a door, whose environment is the same wherever it is asked for.
class SideDoor final : public engine::ServicesDoor {
 public:
  SideDoor(boost::asio::io_context& home, engine::ServicesDoor& door) : home_(home), door_(door) {}

  void add_environment(const functions::Version& version, std::vector<std::string>& env) override;
  std::shared_ptr<void> open(functions::VersionPtr version, const std::string& instance,
                             os::Fd listener) override;

 private:
  boost::asio::io_context& home_;
  engine::ServicesDoor& door_;
};

}  // namespace mayfly::server
