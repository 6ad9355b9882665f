#include "dialects/inside/credentials.h"

#include "aws/digest.h"
#include "base/base64.h"

namespace mayfly::dialects::inside {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kIdLetters = 16, kSecretLetters = 40;

aws::Sha256 derive(std::string_view secret, std::string_view what, std::string_view function) {
  std::string text = "mayfly function credentials\n";
  text.append(what).append("\n").append(function);
  return aws::hmac_sha256(secret, text);
}

std::string base64_of(const aws::Sha256& digest) {
  std::string out;
  append_base64(out, aws::bytes_of(digest));
  return out;
}

}  // namespace

Credentials credentials_of(std::string_view server_secret, std::string_view function) {
  Credentials made;
  made.key.id = "ASIA";
  const aws::Sha256 id = derive(server_secret, "id", function);
  for (std::size_t i = 0; i < kIdLetters; ++i) made.key.id += kLetters[id[i] % kLetters.size()];
  made.key.secret = base64_of(derive(server_secret, "secret", function)).substr(0, kSecretLetters);
  made.key.name = "function " + std::string(function);
  made.token = base64_of(derive(server_secret, "token", function));
  return made;
}

}  // namespace mayfly::dialects::inside
