#pragma once
// JSON Web Tokens: signed claims (RFC 7515 compact form, RFC 7517 keys, RFC 7518 algorithms, RFC
// 7519 claims). A key decides which algorithms it may be used with, never the token. Every byte of
// a token is hostile. Pure; thread-safe.

#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::identity {

inline constexpr std::size_t kTokenBytesMax = 16 * 1024;
inline constexpr std::size_t kKeySetBytesMax = 256 * 1024;
inline constexpr std::size_t kKeySetKeysMax = 100;

// Keys that signatures are checked with.
class KeySet {
 public:
  // {"keys":[...]}, or one key. Kinds that are not known are left out, as RFC 7517 5 asks; so are
  // keys for encryption, RSA under 2048 bits and points off their curve. oct: symmetric keys count
  // (only for sets that nobody else can read).
  enum class Symmetric { refuse, accept };
  static Result<std::shared_ptr<const KeySet>> parse(std::string_view json,
                                                     Symmetric symmetric = Symmetric::refuse);
  ~KeySet();

  std::size_t size() const;
  bool has_id(std::string_view kid) const;

 private:
  friend Result<struct SignedText> verify_jws(std::string_view, const KeySet&);
  struct Key;
  KeySet();
  std::vector<std::unique_ptr<Key>> keys_;
};

// What was signed.
struct SignedText {
  boost::json::object header;
  std::string payload;
};
// permission_denied with a sentence: malformed, an algorithm or key that does not fit, a signature
// that does not hold, a critical header; not_found: the token names a key that is not in the set.
Result<SignedText> verify_jws(std::string_view compact, const KeySet& keys);

struct TokenRules {
  std::string issuer;                 // must be iss; empty: any
  std::vector<std::string> audience;  // one of them must be in aud, or be client_id when there is
                                      // no aud; empty: any
  std::int64_t now_s = 0;             // Unix time
  std::int64_t leeway_s = 0;          // for clocks that differ
};
// Signature, then exp (wanted), nbf, iat, iss, aud. Errors as above.
Result<boost::json::object> verify_token(std::string_view token, const KeySet& keys,
                                         const TokenRules& rules);

// The words of claim scope (a text) or scp (a text or list).
std::vector<std::string> scopes_of(const boost::json::object& claims);

}  // namespace mayfly::identity
