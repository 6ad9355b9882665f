// link: mayfly_identity
// A key set and a token, a line break between them. Nobody who has no key makes a token that holds,
// and a set that was read takes any text as a token.

#include <boost/json/serialize.hpp>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "identity/jwt.h"

namespace {

using namespace mayfly::identity;

// Its secret is known to nobody: 32 random bytes.
constexpr std::string_view kSecretSet =
    R"({"kty":"oct","alg":"HS256","k":"kF1a9R6sYw0nq3y7mE2d4Vt8uJxLzCbPhQoXgTiNeSA"})";

void check_token(std::string_view token, const KeySet& keys, bool known_keys) {
  const TokenRules rules{"https://issuer", {"client"}, 1'800'000'000, 0};
  const auto claims = verify_token(token, keys, rules);
  if (claims.has_error()) {
    if (claims.error().message.empty()) std::abort();
    return;
  }
  if (!known_keys || keys.size() == 0 || token.size() > kTokenBytesMax) std::abort();
  if (!claims->contains("exp") || claims->at("iss").as_string() != "https://issuer") std::abort();
  for (const auto& scope : scopes_of(*claims))
    if (scope.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const auto secret = KeySet::parse(kSecretSet, KeySet::Symmetric::accept);
  if (secret.has_error() || (*secret)->size() != 1) std::abort();
  const auto line = text.find('\n');
  const std::string_view token = line == std::string_view::npos ? text : text.substr(line + 1);
  check_token(token, **secret, false);
  const auto keys = KeySet::parse(text.substr(0, line), KeySet::Symmetric::accept);
  if (keys.has_error()) return 0;
  if ((*keys)->size() > kKeySetKeysMax) std::abort();
  const auto open = KeySet::parse(text.substr(0, line));
  if (open.has_error() || (*open)->size() > (*keys)->size()) std::abort();
  check_token(token, **keys, true);
  return 0;
}
