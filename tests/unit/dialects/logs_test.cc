#include "dialects/logs/logs.h"

#include <gtest/gtest.h>

namespace mayfly::dialects::logs {
namespace {

bool says(std::string_view pattern, std::string_view text) {
  const auto filter = parse_filter(pattern);
  EXPECT_TRUE(filter.has_value()) << pattern;
  return filter.has_value() && filter->matches(text);
}

TEST(LogFilter, Words) {
  EXPECT_TRUE(says("", "anything"));
  EXPECT_TRUE(says("ERROR", "an ERROR here"));
  EXPECT_FALSE(says("ERROR", "an error here"));
  EXPECT_TRUE(says("a b", "b then a"));
  EXPECT_FALSE(says("a b", "a only"));
  EXPECT_TRUE(says("\"a b\"", "x a b y"));
  EXPECT_FALSE(says("\"a b\"", "b a"));
  EXPECT_TRUE(says("-debug x", "x"));
  EXPECT_FALSE(says("-debug x", "x debug"));
  EXPECT_TRUE(says("?one ?two", "two"));
  EXPECT_FALSE(says("?one ?two", "three"));
  for (const std::string_view bad : {"{ $.a = 1 }", "[a, b]", "%re%", "\"open"})
    EXPECT_EQ(parse_filter(bad).error().code, "InvalidParameterException") << bad;
}

TEST(LogStream, IsAnInstanceOnOneDay) {
  telemetry::LogLine line;
  line.time_us = 1'788'256'800'000'000;
  line.instance = "abc";
  EXPECT_EQ(stream_of(line), "2026/09/01/[$LATEST]abc");
  line.version = 3;
  EXPECT_EQ(stream_of(line), "2026/09/01/[3]abc");
}

}  // namespace
}  // namespace mayfly::dialects::logs
