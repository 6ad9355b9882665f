#pragma once
// Time zones from the system's zoneinfo files (TZif, RFC 8536), because GCC 12's library has none.
// A Zone does not change; thread-safe once made.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::triggers {

// Seconds of the Unix epoch (UTC), and the same of a clock on the wall: civil seconds.
using UtcSeconds = std::int64_t;
using CivilSeconds = std::int64_t;

class Zone {
 public:
  // "UTC", "Europe/Berlin" ...; not_found when the system has no such zone.
  static Result<std::shared_ptr<const Zone>> load(const std::string& name,
                                                  const std::string& folder = kFolder);
  // From the bytes of a TZif file. Pure.
  static Result<std::shared_ptr<const Zone>> parse(std::string name, std::string_view bytes);

  // A time during which one offset holds: [begin, end).
  struct Span {
    UtcSeconds begin, end;
    std::int32_t offset;  // civil = utc + offset
  };
  Span span_at(UtcSeconds time) const;

  // A civil time that comes twice is its first; one that does not come at all is moved on by the
  // length of the gap.
  UtcSeconds to_utc(CivilSeconds civil) const;
  const std::string& name() const { return name_; }

  static constexpr const char* kFolder = "/usr/share/zoneinfo";

 private:
  // A yearly change of the rule that holds behind the last transition, in the form of POSIX TZ.
  struct Change {
    enum class Kind : std::uint8_t { month_week_day, julian, day };
    Kind kind = Kind::month_week_day;
    int month = 0, week = 0, weekday = 0, day = 0;
    std::int32_t seconds = 7200;  // civil, of the day
  };
  struct Rule {
    std::int32_t standard = 0, daylight = 0;
    bool has_daylight = false;
    Change begin, end;  // of daylight saving
  };
  class RuleText;

  static CivilSeconds civil_of(const Change& change, int year);
  Span span_by_rule(UtcSeconds time, UtcSeconds since) const;

  std::string name_;
  struct Transition {
    UtcSeconds at;
    std::int32_t offset;  // from then on
  };
  std::int32_t first_offset_ = 0;
  std::vector<Transition> transitions_;
  Rule rule_;
};
using ZonePtr = std::shared_ptr<const Zone>;

}  // namespace mayfly::triggers
