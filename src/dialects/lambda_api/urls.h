#pragma once
// Addresses of functions, as the gateway looks them up.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
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

// Function URLs as the native API sets them, in the form that the control API keeps.
struct UrlWish {
  bool iam = false;        // requests are signed
  bool streaming = false;  // answers go out as they come
  functions::Cors cors{.max_age_s = 0};
  bool operator==(const UrlWish&) const = default;
};
// qualifier: an alias, or empty. Empty: there is none.
std::string url_id(const functions::Belongings& belongings, const std::string& qualifier);
UrlWish url_wish(const functions::Belongings& belongings, const std::string& qualifier);
// A URL that is there keeps its id and what Mayfly does not act on.
void put_url(functions::Belongings& belongings, const std::string& qualifier, const UrlWish& wish,
             const std::string& new_id, WallTime now);
void remove_url(functions::Belongings& belongings, const std::string& qualifier);
// BASE/url/ID/
std::string url_address(std::string_view base, std::string_view id);

}  // namespace mayfly::dialects::lambda_api
