#include "wire/utf8.h"

#include <gtest/gtest.h>

namespace mayfly::wire {
namespace {

TEST(Utf8, FollowsTheRfc) {
  for (const char* good :
       {"", "abc", "0123456789abcdef", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
        "12345678\xC3\xA9", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC3", "\xC3(", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "1234567\xE2\x82", "\xE2\x28\xA1"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
  EXPECT_EQ(utf8_length("\xE2\x82\xAC and more"), 3u);
  EXPECT_EQ(utf8_length("\xE2\x82"), 0u);
}

}  // namespace
}  // namespace mayfly::wire
