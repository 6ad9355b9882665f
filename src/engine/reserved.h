#pragma once
// Reserved concurrency: how many calls of one function, of all its versions together, run at once.
// What is over is refused, not kept waiting. Belongs to the engine's loop.

#include <memory>
#include <string>
#include <unordered_map>

#include "engine/dispatcher.h"
#include "functions/catalogue.h"

namespace mayfly::engine {

// The catalogue outlives it. Calls that began while there was no limit are not counted.
class Reserved {
 public:
  explicit Reserved(const functions::Catalogue& catalogue)
      : catalogue_(catalogue), running_(std::make_shared<Running>()) {}

  // For Dispatcher::Parts::admit.
  Result<std::shared_ptr<void>> enter(const functions::Version& version);

  // Of so many more calls, those that its limit lets run.
  std::uint32_t room(const std::string& function, std::uint32_t offered) const;

 private:
  using Running = std::unordered_map<std::string, std::uint32_t>;
  const functions::Catalogue& catalogue_;
  std::shared_ptr<Running> running_;  // calls may end after this
};

}  // namespace mayfly::engine
