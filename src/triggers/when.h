#pragma once
// When a schedule is due: cron(...), rate(...), at(...) and plain cron lines. Pure; fuzzed.
//
//   cron(0 10 ? * MON-FRI *)       EventBridge: minute hour day month weekday year; one day is ?
//   cron(*/5 * * * *)              five fields, as crontab(5) has them
//   cron(0 30 8 ? * MON 2026)      seven: seconds in front
//   */10 * * * * *                 without cron(): five fields, or seconds in front of them
//   @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually
//   rate(5 minutes)                seconds, minutes, hours, days, weeks
//   at(2026-11-21T10:00:00)        once; with Z behind it in UTC whatever the zone
//
// Lists, ranges, steps, names of months and weekdays; L (last day; L-3; 6L: last Friday), W (15W:
// the working day nearest to it; LW) and # (MON#2: second Monday). Weekdays are 1-7 from Sunday
// with six and seven fields inside cron(), as AWS has them, else 0-7 with 0 and 7 Sunday.

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "triggers/zone.h"

namespace mayfly::triggers {

struct CronFields {
  std::bitset<60> seconds, minutes;
  std::bitset<24> hours;
  std::bitset<13> months;                         // 1..12
  std::bitset<230> years;                         // from 1970
  std::bitset<32> days;                           // 1..31
  std::vector<int> days_before_last;              // L is 0, L-3 is 3
  std::vector<int> nearest_workdays;              // 15W; 0: LW
  std::bitset<7> weekdays;                        // 0 is Sunday
  std::vector<std::pair<int, int>> nth_weekdays;  // weekday, 1..5; 0: last of the month
  bool any_day = true, any_weekday = true;
  bool every_hour = true;  // then a repeated hour has its ticks twice
};

class When {
 public:
  enum class Kind : std::uint8_t { cron, rate, at };

  // invalid_argument names the field and what it may be.
  static Result<When> parse(std::string_view text);

  Kind kind() const { return kind_; }
  // The first time after `after`; none: never again. anchor: from where rates count, usually the
  // start of the schedule.
  //
  // Clocks that change: a time that does not exist (spring) is skipped by cron, and moved on by the
  // length of the gap by at. An hour that comes twice (autumn) has the ticks of a fixed hour once,
  // in its first pass; schedules for every hour go on through both.
  std::optional<WallTime> next(WallTime after, const Zone& zone, WallTime anchor) const;

 private:
  std::optional<UtcSeconds> next_cron(UtcSeconds after, const Zone& zone) const;

  Kind kind_ = Kind::cron;
  CronFields cron_;
  std::int64_t rate_s_ = 0;
  CivilSeconds at_ = 0;
  bool at_utc_ = false;
};

Result<CronFields> parse_cron(const std::vector<std::string_view>& fields, bool aws);
// The first civil second from `from` on that fits.
std::optional<CivilSeconds> next_civil(const CronFields& cron, CivilSeconds from);

}  // namespace mayfly::triggers
