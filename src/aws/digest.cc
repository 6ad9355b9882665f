#include "aws/digest.h"

#include <openssl/evp.h>

#include <cstring>

namespace mayfly::aws {
namespace {

constexpr std::size_t kBlock = 64;  // of SHA-256

// EVP_get_digestbyname and the one-shot calls look their algorithm up each time.
class Context {
 public:
  explicit Context(const char* name)
      : algorithm_(EVP_MD_fetch(nullptr, name, nullptr)), context_(EVP_MD_CTX_new()) {
    if (!algorithm_ || !context_) std::abort();  // OpenSSL without it: nothing can be signed
  }
  ~Context() {
    EVP_MD_CTX_free(context_);
    EVP_MD_free(algorithm_);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void digest(std::string_view first, std::string_view second, std::uint8_t* out) {
    unsigned size = 0;
    if (EVP_DigestInit_ex(context_, algorithm_, nullptr) != 1 ||
        EVP_DigestUpdate(context_, first.data(), first.size()) != 1 ||
        EVP_DigestUpdate(context_, second.data(), second.size()) != 1 ||
        EVP_DigestFinal_ex(context_, out, &size) != 1)
      std::abort();
  }

 private:
  EVP_MD* algorithm_;
  EVP_MD_CTX* context_;
};

Context& sha256_context() {
  thread_local Context context("SHA256");
  return context;
}

template <class Digest>
std::string hex(const Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(digest.size() * 2, '0');
  for (std::size_t i = 0; i < digest.size(); ++i) {
    text[2 * i] = kDigits[digest[i] >> 4];
    text[2 * i + 1] = kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace

Sha256 sha256(std::string_view data) {
  Sha256 out;
  sha256_context().digest(data, {}, out.data());
  return out;
}

Sha256 hmac_sha256(std::string_view key, std::string_view data) {
  Sha256 short_key;
  if (key.size() > kBlock) {
    short_key = sha256(key);
    key = bytes_of(short_key);
  }
  char inner[kBlock], outer[kBlock];
  std::memset(inner, 0x36, kBlock);
  std::memset(outer, 0x5c, kBlock);
  for (std::size_t i = 0; i < key.size(); ++i) {
    inner[i] = static_cast<char>(inner[i] ^ key[i]);
    outer[i] = static_cast<char>(outer[i] ^ key[i]);
  }
  Sha256 first, second;
  sha256_context().digest({inner, kBlock}, data, first.data());
  sha256_context().digest({outer, kBlock}, bytes_of(first), second.data());
  return second;
}

Md5 md5(std::string_view data) {
  thread_local Context context("MD5");
  Md5 out;
  context.digest(data, {}, out.data());
  return out;
}

std::string_view bytes_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string hex_of(const Sha256& digest) {
  return hex(digest);
}

std::string hex_of(const Md5& digest) {
  return hex(digest);
}

}  // namespace mayfly::aws
