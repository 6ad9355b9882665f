#include "identity/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <optional>

namespace mayfly::identity {

namespace {

namespace json = boost::json;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using PKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using PKeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;

constexpr int kRsaBitsMin = 2048, kRsaBitsMax = 8192;
constexpr std::size_t kSecretBytesMin = 32;

enum class Family { rsa, ec, ed25519, secret };
enum class Scheme { pkcs1, pss, ecdsa, eddsa, hmac };

struct Algorithm {
  std::string_view name;
  Family family;
  Scheme scheme;
  const EVP_MD* (*digest)();
  std::string_view curve;
};

const Algorithm* find_algorithm(std::string_view name) {
  static constexpr Algorithm kAlgorithms[] = {
      {"RS256", Family::rsa, Scheme::pkcs1, EVP_sha256, {}},
      {"RS384", Family::rsa, Scheme::pkcs1, EVP_sha384, {}},
      {"RS512", Family::rsa, Scheme::pkcs1, EVP_sha512, {}},
      {"PS256", Family::rsa, Scheme::pss, EVP_sha256, {}},
      {"PS384", Family::rsa, Scheme::pss, EVP_sha384, {}},
      {"PS512", Family::rsa, Scheme::pss, EVP_sha512, {}},
      {"ES256", Family::ec, Scheme::ecdsa, EVP_sha256, "P-256"},
      {"ES384", Family::ec, Scheme::ecdsa, EVP_sha384, "P-384"},
      {"ES512", Family::ec, Scheme::ecdsa, EVP_sha512, "P-521"},
      {"EdDSA", Family::ed25519, Scheme::eddsa, nullptr, {}},
      {"HS256", Family::secret, Scheme::hmac, EVP_sha256, {}},
      {"HS384", Family::secret, Scheme::hmac, EVP_sha384, {}},
      {"HS512", Family::secret, Scheme::hmac, EVP_sha512, {}},
  };
  for (const auto& one : kAlgorithms)
    if (one.name == name) return &one;
  return nullptr;
}

Error refused(std::string why) {
  return Error{Code::permission_denied, std::move(why), "token"};
}

int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

// base64url without padding (RFC 7515 2); bits that stand for nothing must be 0, so that one text
// has one form.
std::optional<std::string> decode_url64(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = sextet(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if ((count += 6) < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return out;
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<json::object> json_object(std::string_view text) {
  json::parse_options options;
  options.max_depth = 16;
  boost::system::error_code failed;
  auto value = json::parse({text.data(), text.size()}, failed, {}, options);
  if (failed || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

const unsigned char* raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Number number_from(std::string_view bytes) {
  return Number(BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr));
}

PKey key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const PKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return nullptr;
  return PKey(made);
}

PKey rsa_key(const json::object& jwk) {
  const auto n = decode_url64(text_of(jwk, "n")), e = decode_url64(text_of(jwk, "e"));
  if (!n || !e || n->empty() || e->empty() || e->size() > 8 ||
      n->size() > static_cast<std::size_t>(kRsaBitsMax / 8 + 1))
    return nullptr;
  const Number modulus = number_from(*n), exponent = number_from(*e);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || !builder || BN_num_bits(modulus.get()) < kRsaBitsMin ||
      !BN_is_odd(modulus.get()) || !BN_is_odd(exponent.get()) || BN_is_one(exponent.get()) ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    return nullptr;
  return key_from("RSA", builder.get());
}

PKey ec_key(const json::object& jwk, const std::string& curve) {
  const std::size_t size = curve == "P-256"   ? 32
                           : curve == "P-384" ? 48
                           : curve == "P-521" ? 66
                                              : 0;
  const auto x = decode_url64(text_of(jwk, "x")), y = decode_url64(text_of(jwk, "y"));
  if (size == 0 || !x || !y || x->size() != size || y->size() != size) return nullptr;
  const std::string point = "\x04" + *x + *y;
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.c_str(),
                                      0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1)
    return nullptr;
  PKey key = key_from("EC", builder.get());
  if (!key) return nullptr;
  const PKeyContext context(EVP_PKEY_CTX_new(key.get(), nullptr));
  return context && EVP_PKEY_public_check(context.get()) == 1 ? std::move(key) : nullptr;
}

// r and s side by side become the DER form that OpenSSL reads.
std::optional<std::string> der_signature(std::string_view pair) {
  const std::size_t half = pair.size() / 2;
  const Signature signature(ECDSA_SIG_new());
  Number r = number_from(pair.substr(0, half)), s = number_from(pair.substr(half));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1)
    return std::nullopt;
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return std::nullopt;
  std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}

bool holds_hmac(const Algorithm& algorithm, const std::string& secret, std::string_view text,
                std::string_view signature) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(algorithm.digest(), secret.data(), static_cast<int>(secret.size()), raw(text),
           text.size(), mac, &size) == nullptr)
    return false;
  return signature.size() == size && CRYPTO_memcmp(mac, signature.data(), size) == 0;
}

bool holds_public(const Algorithm& algorithm, EVP_PKEY* key, std::string_view text,
                  std::string_view signature) {
  std::string der;
  if (algorithm.scheme == Scheme::ecdsa) {
    const std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_bits(key) + 7) / 8;
    if (signature.size() != 2 * size) return false;
    auto converted = der_signature(signature);
    if (!converted) return false;
    der = std::move(*converted);
    signature = der;
  } else if (algorithm.family == Family::rsa &&
             signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(key))) {
    return false;
  }
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;  // belongs to context
  const EVP_MD* digest = algorithm.digest == nullptr ? nullptr : algorithm.digest();
  if (!context || EVP_DigestVerifyInit(context.get(), &options, digest, nullptr, key) != 1)
    return false;
  if (algorithm.scheme == Scheme::pkcs1 &&
      EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) != 1)
    return false;
  if (algorithm.scheme == Scheme::pss &&
      (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1))
    return false;
  const int result =
      EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(text), text.size());
  ERR_clear_error();
  return result == 1;
}

// A key for encryption signs nothing.
bool is_for_signatures(const json::object& jwk) {
  const std::string use = text_of(jwk, "use");
  if (!use.empty() && use != "sig") return false;
  const auto* operations = jwk.if_contains("key_ops");
  if (operations == nullptr) return true;
  if (!operations->is_array()) return false;
  return std::any_of(operations->get_array().begin(), operations->get_array().end(),
                     [](const json::value& one) { return one.is_string() && one == "verify"; });
}

}  // namespace

struct KeySet::Key {
  std::string id, algorithm, curve;
  Family family = Family::rsa;
  PKey key;
  std::string secret;

  bool fits(const Algorithm& wanted) const {
    return family == wanted.family && (algorithm.empty() || algorithm == wanted.name) &&
           (wanted.curve.empty() || wanted.curve == curve);
  }
};

KeySet::KeySet() = default;
KeySet::~KeySet() = default;

std::size_t KeySet::size() const {
  return keys_.size();
}

bool KeySet::has_id(std::string_view kid) const {
  return std::any_of(keys_.begin(), keys_.end(), [kid](const auto& key) { return key->id == kid; });
}

Result<std::shared_ptr<const KeySet>> KeySet::parse(std::string_view text, Symmetric symmetric) {
  if (text.size() > kKeySetBytesMax) return refused("The key set is over 256 KB.");
  auto object = json_object(text);
  if (!object) return refused("The key set is no JSON object.");
  json::array single;
  const json::array* list = &single;
  if (const auto* keys = object->if_contains("keys")) {
    if (!keys->is_array()) return refused("The key set has keys that are no list.");
    list = &keys->get_array();
  } else {
    single.push_back(*object);
  }
  std::shared_ptr<KeySet> set(new KeySet);
  for (const auto& item : *list) {
    if (!item.is_object()) return refused("The key set holds a key that is no object.");
    if (set->keys_.size() >= kKeySetKeysMax) return refused("The key set has over 100 keys.");
    const json::object& jwk = item.get_object();
    if (!is_for_signatures(jwk)) continue;
    auto key = std::make_unique<Key>();
    key->id = text_of(jwk, "kid");
    key->algorithm = text_of(jwk, "alg");
    key->curve = text_of(jwk, "crv");
    const std::string kind = text_of(jwk, "kty");
    if (kind == "RSA") {
      key->key = rsa_key(jwk);
    } else if (kind == "EC") {
      key->family = Family::ec;
      key->key = ec_key(jwk, key->curve);
    } else if (kind == "OKP" && key->curve == "Ed25519") {
      key->family = Family::ed25519;
      const auto x = decode_url64(text_of(jwk, "x"));
      if (x && x->size() == 32)
        key->key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(*x), x->size()));
    } else if (kind == "oct" && symmetric == Symmetric::accept) {
      key->family = Family::secret;
      if (auto secret = decode_url64(text_of(jwk, "k"))) key->secret = std::move(*secret);
      if (key->secret.size() < kSecretBytesMin) continue;
    }
    if (key->key || !key->secret.empty()) set->keys_.push_back(std::move(key));
  }
  ERR_clear_error();
  return std::shared_ptr<const KeySet>(std::move(set));
}

Result<SignedText> verify_jws(std::string_view compact, const KeySet& keys) {
  if (compact.size() > kTokenBytesMax) return refused("the token is too long");
  const auto first = compact.find('.');
  const auto second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos || compact.find('.', second + 1) != std::string_view::npos)
    return refused("the token is malformed");
  const auto header_text = decode_url64(compact.substr(0, first));
  auto payload = decode_url64(compact.substr(first + 1, second - first - 1));
  const auto signature = decode_url64(compact.substr(second + 1));
  if (!header_text || !payload || !signature || signature->empty())
    return refused("the token is malformed");
  auto header = json_object(*header_text);
  if (!header) return refused("the token has no valid header");
  const Algorithm* algorithm = find_algorithm(text_of(*header, "alg"));
  if (algorithm == nullptr) return refused("the token's algorithm is not allowed");
  if (header->contains("crit") || header->contains("b64"))
    return refused("the token has a critical header that is not known");
  const bool named = header->contains("kid");
  const std::string kid = text_of(*header, "kid");
  if (named && !keys.has_id(kid))
    return Error{Code::not_found, "the token names a key that is not known", "token"};
  const std::string_view text = compact.substr(0, second);
  bool fits = false;
  for (const auto& key : keys.keys_) {
    if ((named && key->id != kid) || !key->fits(*algorithm)) continue;
    fits = true;
    const bool holds = algorithm->scheme == Scheme::hmac
                           ? holds_hmac(*algorithm, key->secret, text, *signature)
                           : holds_public(*algorithm, key->key.get(), text, *signature);
    if (holds) return SignedText{std::move(*header), std::move(*payload)};
  }
  return refused(fits ? "the signature is invalid" : "no key fits the token's algorithm");
}

namespace {

// A NumericDate: seconds, perhaps with a fraction. nullopt: absent; an error when it is no number.
Result<std::optional<std::int64_t>> time_claim(const json::object& claims, std::string_view name) {
  const auto* value = claims.if_contains(name);
  if (value == nullptr) return std::optional<std::int64_t>();
  if (!value->is_number()) return refused("the claim " + std::string(name) + " is no time");
  const double seconds = value->to_number<double>();
  if (!(seconds > -1e12 && seconds < 1e12))
    return refused("the claim " + std::string(name) + " is no time");
  return std::optional<std::int64_t>(static_cast<std::int64_t>(std::floor(seconds)));
}

bool names_audience(const json::object& claims, const std::vector<std::string>& wanted) {
  const auto is_wanted = [&wanted](const json::value& value) {
    return value.is_string() && std::find(wanted.begin(), wanted.end(),
                                          std::string_view(value.get_string())) != wanted.end();
  };
  const auto* audience = claims.if_contains("aud");
  if (audience == nullptr) {
    const auto* client = claims.if_contains("client_id");
    return client != nullptr && is_wanted(*client);
  }
  if (!audience->is_array()) return is_wanted(*audience);
  const auto& list = audience->get_array();
  return std::any_of(list.begin(), list.end(), is_wanted);
}

void add_words(std::string_view text, std::vector<std::string>& words) {
  while (!text.empty()) {
    const auto end = text.find(' ');
    if (end != 0) words.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
}

}  // namespace

Result<json::object> verify_token(std::string_view token, const KeySet& keys,
                                  const TokenRules& rules) {
  auto text = verify_jws(token, keys);
  if (text.has_error()) return std::move(text).error();
  auto claims = json_object(text->payload);
  if (!claims) return refused("the token has no claims");
  struct {
    std::string_view name;
    std::optional<std::int64_t> value;
  } times[] = {{"exp", {}}, {"nbf", {}}, {"iat", {}}};
  for (auto& time : times) {
    auto read = time_claim(*claims, time.name);
    if (read.has_error()) return std::move(read).error();
    time.value = *read;
  }
  const auto& [expires, not_before, issued] = times;
  if (!expires.value) return refused("the token has no expiry");
  if (*expires.value + rules.leeway_s <= rules.now_s) return refused("the token has expired");
  if (not_before.value && *not_before.value - rules.leeway_s > rules.now_s)
    return refused("the token is not valid yet");
  if (issued.value && *issued.value - rules.leeway_s > rules.now_s)
    return refused("the token was issued in the future");
  if (!rules.issuer.empty() && text_of(*claims, "iss") != rules.issuer)
    return refused("the token has an invalid issuer");
  if (!rules.audience.empty() && !names_audience(*claims, rules.audience))
    return refused("the token has an invalid audience");
  return std::move(*claims);
}

std::vector<std::string> scopes_of(const json::object& claims) {
  std::vector<std::string> words;
  for (const std::string_view name : {"scope", "scp"}) {
    const auto* value = claims.if_contains(name);
    if (value == nullptr) continue;
    if (value->is_string()) add_words(std::string_view(value->get_string()), words);
    if (value->is_array())
      for (const auto& item : value->get_array())
        if (item.is_string()) words.emplace_back(item.get_string());
  }
  return words;
}

}  // namespace mayfly::identity
