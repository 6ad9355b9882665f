#include "wire/json_slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(JsonSlices, TakesWhatIsJson) {
  for (const char* good : {"0", "-0", "12", "1.50", "1e9", "1E-9", "-1.5e+3", "true", "false",
                           "null", "\"\"", "\"a\\u00e9\\n\\/\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"",
                           "[]", "[ ]", "[1,[2],{}]", "{}", "{ \"a\" : 1 , \"b\":[ ] }"}) {
    const std::string text = std::string(" \n") + good + "\t ";
    const auto read = check_json(text);
    ASSERT_TRUE(read.has_value()) << good;
    EXPECT_EQ(*read, good);
  }
}

TEST(JsonSlices, RefusesWhatIsNone) {
  for (const char* bad : {"",
                          " ",
                          "01",
                          "1.",
                          ".5",
                          "-",
                          "+1",
                          "1e",
                          "tru",
                          "nul",
                          "\"",
                          "\"\\x\"",
                          "\"\\u12g4\"",
                          "\"\n\"",
                          "[1,]",
                          "[1 2]",
                          "[",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{a:1}",
                          "{\"a\":1,}",
                          "1 2",
                          "NaN",
                          "Infinity",
                          "\"\xc3\"",
                          "\"\xff\"",
                          "\"\xed\xa0\x80\"",
                          "\"\xc0\xaf\"",
                          "\"\xf4\x90\x80\x80\""})
    EXPECT_TRUE(check_json(bad).has_error()) << bad;
  EXPECT_TRUE(check_json(std::string(1000, '[') + std::string(1000, ']')).has_error());
  EXPECT_TRUE(check_json(std::string(100, '[') + std::string(100, ']')).has_value());
}

TEST(JsonSlices, MembersStayWhatWasSent) {
  const auto members =
      json_members(R"({"n":1.50,"big":12345678901234567890,"\u0061":{"x":[1]}})", "It");
  ASSERT_TRUE(members.has_value());
  EXPECT_THAT(*members, ElementsAre(Pair("n", "1.50"), Pair("big", "12345678901234567890"),
                                    Pair("a", R"({"x":[1]})")));
  EXPECT_THAT(json_members(R"({"a":1,"\u0061":2})", "It").error().message,
              HasSubstr("\"a\" twice"));
  EXPECT_THAT(json_members("[1]", "It").error().message, HasSubstr("It must be an object"));
  EXPECT_TRUE(json_members("{ }", "It")->empty());
}

TEST(JsonSlices, ElementsTextsAndNumbers) {
  EXPECT_THAT(*json_elements("[1, \"a,]\" ,[2]]", "It"), ElementsAre("1", "\"a,]\"", "[2]"));
  EXPECT_TRUE(json_elements("{}", "It").has_error());
  EXPECT_EQ(*json_string(R"("a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")", "It"),
            "a\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_TRUE(json_string(R"("\ud83d")", "It").has_error());
  EXPECT_TRUE(json_string(R"("\ude00")", "It").has_error());
  EXPECT_TRUE(json_string(R"("\ud83dx")", "It").has_error());
  EXPECT_TRUE(json_string("5", "It").has_error());
  EXPECT_EQ(*json_integer("-9223372036854775808", "It"), INT64_MIN);
  EXPECT_TRUE(json_integer("9223372036854775808", "It").has_error());
  EXPECT_TRUE(json_integer("1.0", "It").has_error());
  EXPECT_TRUE(json_integer("\"1\"", "It").has_error());
}

}  // namespace
}  // namespace mayfly::wire
