#pragma once
// The temporary credentials of a function: made from the server's secret and the function's name,
// so that nothing is kept for an instance, and always the same. Pure.

#include <string>
#include <string_view>

#include "identity/access_keys.h"

namespace mayfly::dialects::inside {

struct Credentials {
  identity::AccessKey key;  // its id begins with ASIA, as of temporary ones
  std::string token;
};

Credentials credentials_of(std::string_view server_secret, std::string_view function);

}  // namespace mayfly::dialects::inside
