#pragma once
// Addresses of functions, as the gateway looks them up.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "functions/catalogue.h"
#include "gateway/identity.h"

namespace mayfly::dialects::lambda_api {

// Belongs to the engine's loop. Reads what CreateFunctionUrlConfig wrote; built anew when the
// catalogue has changed.
class UrlBook {
 public:
  explicit UrlBook(const functions::Catalogue& catalogue) : catalogue_(catalogue) {}
  std::shared_ptr<const gateway::UrlTarget> find(std::string_view id);

 private:
  const functions::Catalogue& catalogue_;
  std::uint64_t generation_ = 0;
  bool built_ = false;
  std::map<std::string, std::shared_ptr<const gateway::UrlTarget>, std::less<>> targets_;
};

}  // namespace mayfly::dialects::lambda_api
