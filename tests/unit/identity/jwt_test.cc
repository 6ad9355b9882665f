#include "identity/jwt.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>

namespace mayfly::identity {
namespace {

namespace json = boost::json;

std::string vectors_file(const std::string& name) {
  const std::string path = std::string(MAYFLY_SOURCE_DIR) + "/../shared/vectors/" + name;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string url64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k <= have; ++k) out += kDigits[bits >> (18 - 6 * k) & 63];
  }
  return out;
}

// Vectors of C2SP/wycheproof: whoever passes them takes no token that is forged in a known way.
TEST(Jws, WycheproofVectors) {
  const std::string text = vectors_file("jose/json_web_signature_test.json");
  if (text.empty()) GTEST_SKIP() << "../shared/vectors/jose is not there";
  const auto document = json::parse(text);
  int valid = 0, invalid = 0;
  for (const auto& group : document.at("testGroups").as_array()) {
    const auto& object = group.as_object();
    const auto* key = object.if_contains("public");
    if (key == nullptr) key = &object.at("private");
    auto keys = KeySet::parse(json::serialize(*key), KeySet::Symmetric::accept);
    ASSERT_TRUE(keys.has_value()) << keys.error().message;
    for (const auto& test : object.at("tests").as_array()) {
      const std::string jws = test.at("jws").is_string() ? std::string(test.at("jws").as_string())
                                                         : json::serialize(test.at("jws"));
      // Called valid there, and refused here: 346, 350 (the key is for PS256, the token says
      // PS384), 347, 351 (no algorithm has the key's name ES521), 372, 373 (characters that are no
      // base64url).
      const auto number = test.at("tcId").as_int64();
      const bool strict = number == 346 || number == 347 || number == 350 || number == 351 ||
                          number == 372 || number == 373;
      const bool wanted = test.at("result").as_string() == "valid" && !strict;
      const auto got = verify_jws(jws, **keys);
      const auto& comment = test.at("comment").as_string();
      (wanted ? valid : invalid) += 1;
      EXPECT_EQ(got.has_value(), wanted)
          << test.at("tcId") << " " << comment << " of " << object.at("comment") << ": "
          << (got.has_error() ? got.error().message : "accepted");
    }
  }
  EXPECT_GT(valid, 40);
  EXPECT_GT(invalid, 350);
}

constexpr std::string_view kSecretSet =
    R"({"keys":[{"kty":"oct","kid":"one","alg":"HS256",
        "k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]})";

TEST(KeySets, WhatIsLeftOut) {
  const auto size = [](std::string_view text, KeySet::Symmetric symmetric) {
    const auto set = KeySet::parse(text, symmetric);
    return set.has_value() ? static_cast<int>((*set)->size()) : -1;
  };
  EXPECT_EQ(size(kSecretSet, KeySet::Symmetric::accept), 1);
  EXPECT_EQ(size(kSecretSet, KeySet::Symmetric::refuse), 0);
  EXPECT_EQ(size(R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"new"},{}]})",
                 KeySet::Symmetric::refuse),
            0);
  EXPECT_EQ(size(R"({"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]})",
                 KeySet::Symmetric::refuse),
            0);
  for (const std::string_view bad : {"", "[]", "{\"keys\":1}", "{\"keys\":[1]}", "{"})
    EXPECT_EQ(size(bad, KeySet::Symmetric::refuse), -1) << bad;
}

TEST(Tokens, NamesOfKeysAndCriticalHeaders) {
  const auto keys = KeySet::parse(kSecretSet, KeySet::Symmetric::accept);
  ASSERT_TRUE(keys.has_value());
  const auto code = [&](std::string_view header) {
    const auto got = verify_jws(url64(header) + ".e30.AAAA", **keys);
    return got.has_error() ? got.error().code : Code::internal;
  };
  EXPECT_EQ(code(R"({"alg":"HS256","kid":"two"})"), Code::not_found);
  EXPECT_EQ(code(R"({"alg":"HS256","kid":"one"})"), Code::permission_denied);
  EXPECT_EQ(code(R"({"alg":"none"})"), Code::permission_denied);
  EXPECT_EQ(code(R"({"alg":"RS256","kid":"one"})"), Code::permission_denied);
  EXPECT_EQ(code(R"({"alg":"HS256","kid":"one","crit":["exp"]})"), Code::permission_denied);
  EXPECT_EQ(verify_jws(std::string(20'000, 'a'), **keys).error().message, "the token is too long");
}

TEST(Tokens, Scopes) {
  const auto words = [](std::string_view claims) {
    std::string out;
    for (const auto& word : scopes_of(json::parse(claims).as_object())) out += word + "|";
    return out;
  };
  EXPECT_EQ(words(R"({"scope":"a  b c"})"), "a|b|c|");
  EXPECT_EQ(words(R"({"scp":["x","y",3]})"), "x|y|");
  EXPECT_EQ(words(R"({"scp":"x"})"), "x|");
  EXPECT_EQ(words("{}"), "");
}

}  // namespace
}  // namespace mayfly::identity
