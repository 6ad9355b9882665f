#pragma once
// How instances reach the platform's own services: the engine hands the listener of each sandbox,
// and who sits behind it, to a room above, which serves it.

#include <memory>
#include <string>
#include <vector>

#include "functions/types.h"
#include "os/fd.h"

namespace mayfly::engine {

// Belongs to the dispatcher's loop; outlives the dispatcher.
class ServicesDoor {
 public:
  virtual ~ServicesDoor() = default;

  // Adds what programs of the version find the services by; what is in env already stays.
  virtual void add_environment(const functions::Version& version,
                               std::vector<std::string>& env) = 0;

  // Serves what comes in by the listener as the instance's own, until the last copy of what it
  // returns goes.
  virtual std::shared_ptr<void> open(functions::VersionPtr version, const std::string& instance,
                                     os::Fd listener) = 0;
};

}  // namespace mayfly::engine
