#pragma once
// SHA-256, HMAC and MD5 without an allocation or a look-up for each call: every signed request
// needs half a dozen of them. Thread-safe.

#include <openssl/sha.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace mayfly::aws {

using Sha256 = std::array<std::uint8_t, 32>;
using Md5 = std::array<std::uint8_t, 16>;

Sha256 sha256(std::string_view data);
Sha256 hmac_sha256(std::string_view key, std::string_view data);

// SHA-256 of what comes bit by bit.
class Sha256Stream {
 public:
  Sha256Stream();
  void add(std::string_view data);
  Sha256 finish();  // and begins anew

 private:
  SHA256_CTX context_;
};

// A key with which many texts are signed: its share of the work is done once (RFC 2104 4).
class HmacKey {
 public:
  explicit HmacKey(std::string_view key);
  Sha256 sign(std::string_view data) const;

 private:
  SHA256_CTX inner_, outer_;
};

Md5 md5(std::string_view data);

std::string_view bytes_of(const Sha256& digest);
std::string hex_of(const Sha256& digest);
std::string hex_of(const Md5& digest);

}  // namespace mayfly::aws
