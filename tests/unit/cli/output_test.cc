#include "cli/output.h"

#include <gtest/gtest.h>

namespace mayfly::cli {
namespace {

TEST(Output, DurationsChooseTheirUnit) {
  EXPECT_EQ(human_us(0), "0 µs");
  EXPECT_EQ(human_us(999), "999 µs");
  EXPECT_EQ(human_us(1'000), "1.00 ms");
  EXPECT_EQ(human_us(12'345), "12.3 ms");
  EXPECT_EQ(human_us(99'949), "99.9 ms");
  EXPECT_EQ(human_us(123'456), "123 ms");
  EXPECT_EQ(human_us(999'600), "1.00 s");
  EXPECT_EQ(human_us(12'300'000), "12.3 s");
  EXPECT_EQ(human_us(192'000'000), "3m12s");
  EXPECT_EQ(human_us(7'260'000'000), "2h01m");
}

TEST(Output, BytesChooseTheirUnit) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 kB");
  EXPECT_EQ(human_bytes(128u << 20), "128 MB");
  EXPECT_EQ(human_bytes((1u << 20) - 1), "1.0 MB");
  EXPECT_EQ(human_bytes(3ull << 40), "3 TB");
}

TEST(Output, CountsAndMoney) {
  EXPECT_EQ(human_count(7), "7");
  EXPECT_EQ(human_count(123), "123");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_money(0, "USD"), "0 USD");
  EXPECT_EQ(human_money(0.0000042, "USD"), "0.000004200 USD");
  EXPECT_EQ(human_money(12.345, "EUR"), "12.35 EUR");
}

TEST(Output, SentencesLeaveNamesAsTheyAre) {
  EXPECT_EQ(sentence("the server stopped\n"), "The server stopped.");
  EXPECT_EQ(sentence("can't read x!"), "Can't read x!");
  EXPECT_EQ(sentence("app/mayfly.yaml: line 3: no path"), "app/mayfly.yaml: line 3: no path.");
  EXPECT_EQ(sentence("app.mjs has no handler"), "app.mjs has no handler.");
  EXPECT_EQ(sentence("deploy: nothing was sent"), "deploy: nothing was sent.");
  EXPECT_EQ(sentence(""), "");
}

TEST(Output, AgesRoundDown) {
  const std::int64_t now = 1'000'000'000'000;
  EXPECT_EQ(human_ago(now - 59'999'999, now), "59 s ago");
  EXPECT_EQ(human_ago(now - 60'000'000, now), "1 min ago");
  EXPECT_EQ(human_ago(now - 2 * 3'600'000'000, now), "2 h ago");
  EXPECT_EQ(human_ago(now + 5'000'000, now), "0 s ago");  // clocks may differ
}

TEST(Output, TableAlignsByWidthOnTheScreen) {
  Table table({{"NAME"}, {"TIME", Table::Align::right}, {"END"}});
  table.row({"a", "12 µs", "x"});
  table.row({"longer", paint("7 ms", Colour::red, true), ""});
  EXPECT_EQ(table.render(false),
            "NAME     TIME  END\n"
            "a       12 µs  x\n"
            "longer   \x1b[31m7 ms\x1b[0m\n");
}

TEST(Output, SinceTakesAgesAndMoments) {
  const std::int64_t now = 1'700'000'000'000'000;
  EXPECT_EQ(parse_since("90s", now), now - 90'000'000);
  EXPECT_EQ(parse_since("10m", now), now - 600'000'000);
  EXPECT_EQ(parse_since("2h", now), now - 7'200'000'000);
  EXPECT_EQ(parse_since("1d", now), now - 86'400'000'000);
  EXPECT_EQ(parse_since("2023-11-14T22:13:20Z", now), now);
  for (const char* bad : {"", "10", "m", "-5m", "10x", "10mm", "yesterday", "2023-11-14",
                          "99999999999999d", "2023-11-14T22:13:20+01:00"})
    EXPECT_EQ(parse_since(bad, now), 0) << bad;
}

TEST(Output, ControlCharactersCannotReachTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\r\tc\n\x7f"), "a\\x1b[2Jb\\x0d\tc\n\\x7f");
  EXPECT_EQ(printable("µ"), "µ");
}

}  // namespace
}  // namespace mayfly::cli
