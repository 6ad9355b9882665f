#include "base/eights.h"

#include <gtest/gtest.h>

#include <string>

namespace mayfly {
namespace {

// Each byte at each place among ordinary ones.
TEST(EightsTest, AnOddCharacterIsFoundAtAnyPlace) {
  for (int c = 0; c < 256; ++c) {
    const bool printable = c >= 0x20 && c <= 0x7e;
    for (std::size_t place = 0; place < 8; ++place) {
      std::string text = "ordinary";
      text[place] = static_cast<char>(c);
      const auto eight = eight_at(text, 0);
      EXPECT_EQ(all_printable(eight), printable) << c << " at " << place;
      EXPECT_TRUE(has_character(eight, static_cast<char>(c))) << c << " at " << place;
      EXPECT_EQ(has_character(eight, '"'), c == '"') << c << " at " << place;
    }
  }
}

TEST(EightsTest, PrintableStartCountsWholeEights) {
  EXPECT_EQ(printable_start(""), 0u);
  EXPECT_EQ(printable_start("seven.."), 0u);
  EXPECT_EQ(printable_start("eight..."), 8u);
  EXPECT_EQ(printable_start("eight...and more"), 16u);
  EXPECT_EQ(printable_start("eight...and\tmore"), 8u);
  EXPECT_EQ(printable_start("eight...caf\xc3\xa9....."), 8u);
}

}  // namespace
}  // namespace mayfly
