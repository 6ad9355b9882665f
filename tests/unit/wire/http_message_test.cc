#include "wire/http_message.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mayfly::wire {
namespace {

namespace fs = std::filesystem;

fs::path vectors(const char* folder) {
  const char* root = std::getenv("MAYFLY_VECTORS");
  const fs::path base = root != nullptr
                            ? fs::path(root)
                            : fs::path(MAYFLY_SOURCE_DIR).parent_path() / "shared/vectors";
  return base / folder;
}

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Headers, KeepOrderAndSpellingAndIgnoreCaseInLookUp) {
  Headers headers;
  headers.add("Content-Type", "text/plain");
  headers.add("X-A", "1");
  headers.add("x-a", "2");
  EXPECT_EQ(headers.size(), 3u);
  EXPECT_EQ(*headers.find("x-A"), "1");
  EXPECT_EQ(headers[0].name, "Content-Type");
  EXPECT_FALSE(headers.find("missing"));
  headers.set("X-a", "3");
  EXPECT_EQ(headers.size(), 2u);
  EXPECT_EQ(*headers.find("x-a"), "3");
  headers.remove("content-type");
  EXPECT_FALSE(headers.contains("Content-Type"));
}

TEST(Headers, SetMayUseItsOwnViews) {
  Headers headers;
  headers.add("A", "a long enough value to leave the small string buffer");
  headers.set(headers[0].name, headers[0].value);
  EXPECT_EQ(*headers.find("a"), "a long enough value to leave the small string buffer");
}

TEST(Headers, CopiesAreIndependent) {
  Headers a;
  a.add("X", "1");
  Headers b = a;
  EXPECT_TRUE(a == b);
  b.set("X", "2");
  EXPECT_FALSE(a == b);
  EXPECT_EQ(*a.find("X"), "1");
}

TEST(RequestHead, SplitsPathAndQuery) {
  RequestHead head;
  head.target = "/a%20b?x=1?2";
  EXPECT_EQ(head.path(), "/a%20b");
  EXPECT_EQ(head.query(), "x=1?2");
  head.target = "/";
  EXPECT_EQ(head.path(), "/");
  EXPECT_EQ(head.query(), "");
}

TEST(JsonString, EscapesAndReplacesInvalidUtf8) {
  std::string out;
  append_json_string(out, std::string_view("a\"\\\n\x01\0z", 7));
  EXPECT_EQ(out, "\"a\\\"\\\\\\n\\u0001\\u0000z\"");
  const auto encoded = [](std::string_view text) {
    std::string json;
    append_json_string(json, text);
    return std::string(boost::json::parse(json).as_string());
  };
  EXPECT_EQ(encoded("caf\xc3\xa9 \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xf0\x9f\x98\x80");
  EXPECT_EQ(encoded("\xe9"), "\xef\xbf\xbd");
  EXPECT_EQ(encoded("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd");                  // overlong NUL
  EXPECT_EQ(encoded("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // surrogate
  EXPECT_EQ(encoded("\xf4\x90\x80\x80").size(), 12u);                          // over U+10FFFF
  EXPECT_EQ(encoded("x\xf0\x9f"), "x\xef\xbf\xbd\xef\xbf\xbd");                // cut off
}

TEST(RequestHead, EncodesAsTheFrameProtocolWantsIt) {
  RequestHead head;
  head.method = "GET";
  head.target = "/function/f/a?x=1&y=%22";
  head.headers.add("Host", "h");
  head.headers.add("X-Quote", "\"q\"");
  head.remote_ip = "127.0.0.1";
  EXPECT_EQ(encode_request_head(head, "/a", "/function/f"),
            R"({"method":"GET","path":"/a","query":"x=1&y=%22","headers":[["Host","h"],)"
            R"(["X-Quote","\"q\""]],"remote":"127.0.0.1","scheme":"http","version":"1.1",)"
            R"("base":"/function/f"})");
}

TEST(ResponseHead, RoundTrips) {
  ResponseHead head;
  head.status = 404;
  head.headers.add("Content-Type", "text/plain");
  head.headers.add("Set-Cookie", "a=1");
  head.headers.add("Set-Cookie", "b=\"2\"");
  const auto back = decode_response_head(encode_response_head(head));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->status, 404);
  EXPECT_TRUE(back->headers == head.headers);
}

TEST(ResponseHead, RefusesWhatBreaksTheContract) {
  for (const char* bad : {
           "",
           "[]",
           "null",
           "{",
           "{}",
           R"({"status":"200"})",
           R"({"status":99})",
           R"({"status":600})",
           R"({"status":200.5})",
           R"({"status":200,"headers":{}})",
           R"({"status":200,"headers":[["a"]]})",
           R"({"status":200,"headers":[["a",1]]})",
           R"({"status":200,"headers":[["a b","c"]]})",
           R"({"status":200,"headers":[["","c"]]})",
           R"({"status":200,"headers":[["a:","c"]]})",
           R"({"status":200,"headers":[["a","c\r\nd"]]})",
           R"({"status":200,"headers":[["a","c\nd"]]})",
           R"({"status":200,"headers":[["a","c\u0000d"]]})",
           R"({"status":200} x)",
       })
    EXPECT_FALSE(decode_response_head(bad)) << bad;
  EXPECT_TRUE(decode_response_head(R"({"status":200})"));
  EXPECT_TRUE(decode_response_head(R"( {"headers":[["a",""]],"status":599} )"));
}

// The suite tests parsers of any JSON; our head is an object, so each text becomes a member of one.
TEST(ResponseHead, ReadsJsonAsJsonTestSuiteSays) {
  const fs::path folder = vectors("json");
  if (!fs::exists(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(".json") || name[0] == 'i') continue;
    const std::string text = "{\"status\":200,\"x\":" + slurp(entry.path()) + "}";
    EXPECT_EQ(decode_response_head(text).has_value(), name[0] == 'y') << name;
    ++seen;
  }
  EXPECT_GT(seen, 200);
}

TEST(PercentDecode, DecodesAndRefuses) {
  EXPECT_EQ(percent_decode("a%20b%2Fc%e2%82%ac"), "a b/c\xe2\x82\xac");
  EXPECT_EQ(percent_decode(""), "");
  EXPECT_EQ(percent_decode("+"), "+");
  for (const char* bad : {"%", "%4", "a%zz", "%00", "x%0", "%-1"})
    EXPECT_FALSE(percent_decode(bad)) << bad;
}

}  // namespace
}  // namespace mayfly::wire
