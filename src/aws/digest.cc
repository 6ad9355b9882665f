#include "aws/digest.h"

#include <openssl/md5.h>
#include <openssl/sha.h>

#include <cstring>

#include "base/ids.h"

// OpenSSL 3 would have everybody use EVP, which costs more here than the digests of such short
// texts themselves, and whose contexts cannot be copied without an allocation.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace mayfly::aws {
namespace {

constexpr std::size_t kBlock = 64;  // of SHA-256

Sha256 finish(SHA256_CTX& context) {
  Sha256 out;
  SHA256_Final(out.data(), &context);
  return out;
}

SHA256_CTX begin_padded(std::string_view key, char padding) {
  char block[kBlock];
  std::memset(block, padding, kBlock);
  for (std::size_t i = 0; i < key.size(); ++i) block[i] = static_cast<char>(block[i] ^ key[i]);
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, block, kBlock);
  return context;
}

}  // namespace

Sha256 sha256(std::string_view data) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, data.data(), data.size());
  return finish(context);
}

HmacKey::HmacKey(std::string_view key) {
  Sha256 short_key;
  if (key.size() > kBlock) {
    short_key = sha256(key);
    key = bytes_of(short_key);
  }
  inner_ = begin_padded(key, 0x36);
  outer_ = begin_padded(key, 0x5c);
}

Sha256 HmacKey::sign(std::string_view data) const {
  SHA256_CTX context = inner_;
  SHA256_Update(&context, data.data(), data.size());
  const Sha256 inner = finish(context);
  context = outer_;
  SHA256_Update(&context, inner.data(), inner.size());
  return finish(context);
}

Sha256Stream::Sha256Stream() {
  SHA256_Init(&context_);
}

void Sha256Stream::add(std::string_view data) {
  SHA256_Update(&context_, data.data(), data.size());
}

Sha256 Sha256Stream::finish() {
  Sha256 digest;
  SHA256_Final(digest.data(), &context_);
  SHA256_Init(&context_);
  return digest;
}

Sha256 hmac_sha256(std::string_view key, std::string_view data) {
  return HmacKey(key).sign(data);
}

Md5 md5(std::string_view data) {
  MD5_CTX context;
  MD5_Init(&context);
  MD5_Update(&context, data.data(), data.size());
  Md5 out;
  MD5_Final(out.data(), &context);
  return out;
}

std::string_view bytes_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string hex_of(const Sha256& digest) {
  return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string hex_of(const Md5& digest) {
  return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace mayfly::aws

#pragma GCC diagnostic pop
