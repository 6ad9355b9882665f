#include "triggers/when.h"

#include <gtest/gtest.h>

namespace mayfly::triggers {
namespace {

WallTime utc(const std::string& text) {  // 2026-11-21T10:00:00
  static const Zone kUtc;
  return *When::parse("at(" + text + "Z)")->next(WallTime(seconds(-1)), kUtc, WallTime());
}

ZonePtr zone(const std::string& name) {
  auto loaded = Zone::load(name);
  EXPECT_TRUE(loaded.has_value()) << name;
  return *loaded;
}

// The next ticks, in UTC, as one line.
std::string ticks(const std::string& expression, const std::string& after, int count,
                  const std::string& zone_name = "UTC") {
  auto when = When::parse(expression);
  if (when.has_error()) return when.error().message;
  const auto where = zone(zone_name);
  std::string out;
  WallTime time = utc(after);
  for (int i = 0; i < count; ++i) {
    const auto next = when->next(time, *where, utc("2026-01-01T00:00:00"));
    if (!next) return out + "end";
    EXPECT_GT(*next, time);
    time = *next;
    out += to_rfc3339(time).substr(0, 19) + " ";
  }
  return out;
}

TEST(When, CrontabLines) {
  EXPECT_EQ(ticks("*/15 * * * *", "2026-11-21T10:00:00", 2),
            "2026-11-21T10:15:00 2026-11-21T10:30:00 ");
  EXPECT_EQ(ticks("0 9 * * MON-FRI", "2026-11-20T09:00:00", 2),
            "2026-11-23T09:00:00 2026-11-24T09:00:00 ");
  EXPECT_EQ(ticks("0 0 * * 7", "2026-11-21T00:00:00", 1), "2026-11-22T00:00:00 ");
  EXPECT_EQ(ticks("0 0 * * 0", "2026-11-21T00:00:00", 1), "2026-11-22T00:00:00 ");
  EXPECT_EQ(ticks("0 0 * * 5-7", "2026-11-21T00:00:00", 2),
            "2026-11-22T00:00:00 2026-11-27T00:00:00 ");
  EXPECT_EQ(ticks("0 0 * * fri-mon", "2026-11-20T00:00:00", 4),
            "2026-11-21T00:00:00 2026-11-22T00:00:00 2026-11-23T00:00:00 2026-11-27T00:00:00 ");
  // Day and weekday both given: either will do.
  EXPECT_EQ(ticks("0 0 13 * 5", "2026-11-10T00:00:00", 3),
            "2026-11-13T00:00:00 2026-11-20T00:00:00 2026-11-27T00:00:00 ");
  EXPECT_EQ(ticks("0 0 29 2 *", "2026-01-01T00:00:00", 1), "2028-02-29T00:00:00 ");
  EXPECT_EQ(ticks("@daily", "2026-12-31T12:00:00", 1), "2027-01-01T00:00:00 ");
  EXPECT_EQ(ticks("*/20 * * * * *", "2026-11-21T10:00:41", 2),
            "2026-11-21T10:01:00 2026-11-21T10:01:20 ");
  EXPECT_EQ(ticks("50-10/10 * * * * *", "2026-11-21T10:00:10", 4),
            "2026-11-21T10:00:50 2026-11-21T10:01:00 2026-11-21T10:01:10 2026-11-21T10:01:50 ");
}

TEST(When, EventBridgeForms) {
  EXPECT_EQ(ticks("cron(0 10 * * ? *)", "2026-11-21T10:00:00", 1), "2026-11-22T10:00:00 ");
  EXPECT_EQ(ticks("cron(15 12 ? * 2 *)", "2026-11-21T10:00:00", 1), "2026-11-23T12:15:00 ");
  EXPECT_EQ(ticks("cron(0 8 1 * ? *)", "2026-11-21T10:00:00", 2),
            "2026-12-01T08:00:00 2027-01-01T08:00:00 ");
  EXPECT_EQ(ticks("cron(0/10 * ? * MON-FRI *)", "2026-11-20T23:50:00", 1), "2026-11-23T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 L * ? *)", "2026-02-01T00:00:00", 2),
            "2026-02-28T00:00:00 2026-03-31T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 L-3 * ? *)", "2026-02-01T00:00:00", 1), "2026-02-25T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 ? * 6L *)", "2026-11-01T00:00:00", 1), "2026-11-27T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 ? * FRIL *)", "2026-11-01T00:00:00", 1), "2026-11-27T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 ? * 3#2 *)", "2026-11-01T00:00:00", 1), "2026-11-10T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 ? * MON#5 *)", "2026-11-01T00:00:00", 1), "2026-11-30T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 ? * 1 *)", "2026-11-21T00:00:00", 1), "2026-11-22T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 1 1 ? 2026)", "2026-11-01T00:00:00", 1), "end");
  EXPECT_EQ(ticks("cron(0 0 1 1 ? 2030-2031)", "2026-11-01T00:00:00", 3),
            "2030-01-01T00:00:00 2031-01-01T00:00:00 end");
  EXPECT_EQ(ticks("cron(30 0 10 ? * MON 2026)", "2026-11-21T00:00:00", 1), "2026-11-23T10:00:30 ");
}

TEST(When, NearestWorkdays) {
  // 15 November 2026 is a Sunday, 15 August 2026 a Saturday.
  EXPECT_EQ(ticks("cron(0 0 15W 11 ? *)", "2026-11-01T00:00:00", 1), "2026-11-16T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 15W 8 ? *)", "2026-08-01T00:00:00", 1), "2026-08-14T00:00:00 ");
  // 1 August 2026 is a Saturday: not into July. 31 May 2026 is a Sunday: not into June.
  EXPECT_EQ(ticks("cron(0 0 1W 8 ? *)", "2026-07-31T00:00:00", 1), "2026-08-03T00:00:00 ");
  EXPECT_EQ(ticks("cron(0 0 LW 5 ? *)", "2026-05-01T00:00:00", 1), "2026-05-29T00:00:00 ");
}

TEST(When, Rates) {
  EXPECT_EQ(ticks("rate(5 minutes)", "2026-01-01T00:00:00", 2),
            "2026-01-01T00:05:00 2026-01-01T00:10:00 ");
  EXPECT_EQ(ticks("rate(1 day)", "2026-01-03T12:00:00", 1), "2026-01-04T00:00:00 ");
  EXPECT_EQ(ticks("rate(1 hour)", "2025-12-01T00:00:00", 1), "2026-01-01T01:00:00 ");
}

TEST(When, Once) {
  EXPECT_EQ(ticks("at(2026-11-21T10:00:00)", "2026-11-21T09:00:00", 2), "2026-11-21T10:00:00 end");
  EXPECT_EQ(ticks("at(2026-11-21T10:00:00)", "2026-11-21T10:00:00", 1), "end");
  EXPECT_EQ(ticks("at(2026-11-21T10:00:00)", "2026-11-01T00:00:00", 1, "America/New_York"),
            "2026-11-21T15:00:00 ");
  EXPECT_EQ(ticks("at(2026-11-21T10:00:00Z)", "2026-11-01T00:00:00", 1, "America/New_York"),
            "2026-11-21T10:00:00 ");
}

TEST(When, ClocksThatAreSetForward) {
  // Berlin, 29 March 2026: 02:00 to 03:00 do not exist. A fixed time in them is skipped...
  EXPECT_EQ(ticks("30 2 * * *", "2026-03-27T12:00:00", 3, "Europe/Berlin"),
            "2026-03-28T01:30:00 2026-03-30T00:30:00 2026-03-31T00:30:00 ");
  // ... every hour goes on, and a time that was named once is moved on.
  EXPECT_EQ(ticks("30 * * * *", "2026-03-29T00:00:00", 3, "Europe/Berlin"),
            "2026-03-29T00:30:00 2026-03-29T01:30:00 2026-03-29T02:30:00 ");
  EXPECT_EQ(ticks("at(2026-03-29T02:30:00)", "2026-03-01T00:00:00", 1, "Europe/Berlin"),
            "2026-03-29T01:30:00 ");
}

TEST(When, ClocksThatAreSetBack) {
  // Berlin, 25 October 2026: 02:00 to 03:00 come twice, 00:00Z and 01:00Z.
  EXPECT_EQ(ticks("30 2 * * *", "2026-10-24T12:00:00", 2, "Europe/Berlin"),
            "2026-10-25T00:30:00 2026-10-26T01:30:00 ");
  EXPECT_EQ(ticks("30 * * * *", "2026-10-24T23:45:00", 3, "Europe/Berlin"),
            "2026-10-25T00:30:00 2026-10-25T01:30:00 2026-10-25T02:30:00 ");
  EXPECT_EQ(ticks("at(2026-10-25T02:30:00)", "2026-10-01T00:00:00", 1, "Europe/Berlin"),
            "2026-10-25T00:30:00 ");
}

TEST(When, FarYearsFollowTheRuleOfTheZone) {
  EXPECT_EQ(ticks("cron(0 12 1 7 ? 2150)", "2026-01-01T00:00:00", 1, "Europe/Berlin"),
            "2150-07-01T10:00:00 ");
  EXPECT_EQ(ticks("cron(0 12 1 1 ? 2150)", "2026-01-01T00:00:00", 1, "Australia/Sydney"),
            "2150-01-01T01:00:00 ");
}

TEST(When, RefusesWhatIsNoSchedule) {
  for (const char* text : {"",
                           "cron()",
                           "cron(0 10 * * *  * * *)",
                           "cron(0 10 * * * *)",
                           "cron(0 10 ? * ? *)",
                           "60 * * * *",
                           "* 24 * * *",
                           "* * 32 * *",
                           "* * 0 * *",
                           "* * * 13 *",
                           "* * * * 8",
                           "cron(0 0 ? * 0 *)",
                           "cron(0 0 ? * 8 *)",
                           "*/0 * * * *",
                           "*/99 * * * *",
                           "1- * * * *",
                           ", * * * *",
                           "1,,2 * * * *",
                           "a * * * *",
                           "* * * FOO *",
                           "0 0 ? * MON#6 *",
                           "0 0 L-31 * *",
                           "0 0 W * *",
                           "-1 * * * *",
                           "99999999999999 * * * *",
                           "rate(0 minutes)",
                           "rate(5)",
                           "rate(five minutes)",
                           "rate(5 fortnights)",
                           "rate(-1 day)",
                           "at(2026-02-30T00:00:00)",
                           "at(2026-11-21)",
                           "at(2026-11-21T24:00:00)",
                           "@often",
                           "* * * *"})
    EXPECT_TRUE(When::parse(text).has_error()) << text;
  EXPECT_TRUE(When::parse(std::string(10'000, '*')).has_error());
}

TEST(Zone, NamesDoNotLeaveTheFolder) {
  for (const char* name : {"../../../etc/passwd", "/etc/passwd", "", "Nowhere/Land",
                           "posixrules/..", "Europe/../../passwd", "tzdata.zi"})
    EXPECT_TRUE(Zone::load(name).has_error()) << name;
}

TEST(Zone, BrokenFilesAreErrors) {
  EXPECT_TRUE(Zone::parse("x", "").has_error());
  EXPECT_TRUE(Zone::parse("x", "TZif").has_error());
  EXPECT_TRUE(Zone::parse("x", std::string("TZif2") + std::string(500, '\xff')).has_error());
}

TEST(Zone, SpansMeet) {
  for (const char* name : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                           "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia", "Europe/Dublin"}) {
    const auto where = zone(name);
    UtcSeconds at = -2'000'000'000;
    for (int i = 0; i < 600 && at < 6'000'000'000; ++i) {
      const auto span = where->span_at(at);
      ASSERT_LE(span.begin, at) << name;
      ASSERT_GT(span.end, at) << name;
      ASSERT_EQ(where->span_at(span.end - 1).offset, span.offset) << name << " " << at;
      at = span.end;
    }
  }
}

}  // namespace
}  // namespace mayfly::triggers
