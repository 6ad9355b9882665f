#include "triggers/when.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace mayfly::triggers {
namespace {

namespace chrono = std::chrono;

constexpr std::int64_t kDay = 86'400;
constexpr int kLastYear = 2199;
constexpr std::size_t kExpressionMax = 256;

Error no_schedule(std::string_view text, std::string_view why) {
  return Error{Code::invalid_argument,
               fmt::format("\"{}\" is no schedule: {}. Forms are cron(0 10 ? * MON-FRI *), "
                           "*/5 * * * *, rate(5 minutes), at(2026-11-21T10:00:00).",
                           text.substr(0, 100), why)};
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const auto from = text.find_first_not_of(" \t");
    if (from == std::string_view::npos) return words;
    text.remove_prefix(from);
    const auto end = text.find_first_of(" \t");
    words.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return words;
    text.remove_prefix(end);
  }
}

std::optional<int> digits(std::string_view text, std::size_t from, std::size_t count) {
  int value = 0;
  for (std::size_t i = from; i < from + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

// "2026-11-21T10:00:00"
std::optional<CivilSeconds> civil_time(std::string_view text) {
  if (text.size() != 19 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2),
             hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const auto date = chrono::year(*year) / chrono::month(static_cast<unsigned>(*month)) /
                    chrono::day(static_cast<unsigned>(*day));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return chrono::sys_days(date).time_since_epoch().count() * kDay + *hour * 3600 + *minute * 60 +
         *second;
}

Result<std::int64_t> rate_of(std::string_view text, std::string_view inside) {
  const auto words = words_of(inside);
  std::int64_t count = 0;
  if (words.size() != 2) return no_schedule(text, "rate() takes a number and a unit");
  const auto [end, failed] =
      std::from_chars(words[0].data(), words[0].data() + words[0].size(), count);
  if (failed != std::errc() || end != words[0].data() + words[0].size() || count < 1 ||
      count > 1'000'000)
    return no_schedule(text, "the number of rate() takes 1 to 1000000");
  std::string_view unit = words[1];
  if (unit.ends_with('s')) unit.remove_suffix(1);
  const std::int64_t one = unit == "second"   ? 1
                           : unit == "minute" ? 60
                           : unit == "hour"   ? 3600
                           : unit == "day"    ? kDay
                           : unit == "week"   ? 7 * kDay
                                              : 0;
  if (one == 0)
    return no_schedule(text, "the unit of rate() is seconds, minutes, hours, days or weeks");
  return count * one;
}

std::string_view nickname(std::string_view text) {
  if (text == "@hourly") return "0 * * * *";
  if (text == "@daily" || text == "@midnight") return "0 0 * * *";
  if (text == "@weekly") return "0 0 * * 0";
  if (text == "@monthly") return "0 0 1 * *";
  if (text == "@yearly" || text == "@annually") return "0 0 1 1 *";
  return {};
}

Result<CronFields> cron_of(std::string_view text, std::string_view line, bool in_parentheses) {
  auto words = words_of(line);
  const std::size_t given = words.size();
  if (given < 5 || given > 7) return no_schedule(text, "a cron line has five, six or seven fields");
  const bool seconds = given == 7 || (given == 6 && !in_parentheses);
  const bool years = given == 7 || (given == 6 && in_parentheses);
  if (!seconds) words.insert(words.begin(), "0");
  if (!years) words.push_back("*");
  return parse_cron(words, in_parentheses && given > 5);
}

// Days of a month that fit, as bits 1 to 31.
std::uint32_t days_of(const CronFields& cron, chrono::year_month month) {
  const int length = static_cast<int>(static_cast<unsigned>((month / chrono::last).day()));
  const auto first = chrono::sys_days(month / 1);
  const int first_weekday = static_cast<int>(chrono::weekday(first).c_encoding());
  const auto weekday_of = [first_weekday](int day) { return (first_weekday + day - 1) % 7; };
  std::uint32_t by_day = 0, by_weekday = 0;
  const auto add = [length](std::uint32_t& set, int day) {
    if (day >= 1 && day <= length) set |= 1u << day;
  };
  for (int day = 1; day <= length; ++day) {
    if (cron.any_day || cron.days.test(static_cast<std::size_t>(day))) add(by_day, day);
    if (cron.any_weekday || cron.weekdays.test(static_cast<std::size_t>(weekday_of(day))))
      add(by_weekday, day);
  }
  for (const int before : cron.days_before_last) add(by_day, length - before);
  for (const int wanted : cron.nearest_workdays) {
    int day = wanted == 0 ? length : wanted;
    if (day > length) continue;
    // Within the month: the 1st on a Saturday becomes the 3rd, the last on a Sunday the Friday.
    if (weekday_of(day) == 6)
      day = day > 1 ? day - 1 : day + 2;
    else if (weekday_of(day) == 0)
      day = day < length ? day + 1 : day - 2;
    add(by_day, day);
  }
  for (const auto& [weekday, nth] : cron.nth_weekdays) {
    const int first_one = 1 + (weekday - first_weekday + 7) % 7;
    if (nth > 0)
      add(by_weekday, first_one + 7 * (nth - 1));
    else
      add(by_weekday, first_one + 7 * ((length - first_one) / 7));
  }
  // crontab(5): when both are given, either will do.
  if (!cron.any_day && !cron.any_weekday) return by_day | by_weekday;
  return by_day & by_weekday;
}

// The first time of day from `from` on; -1: none.
int time_of_day(const CronFields& cron, int from) {
  for (int hour = from / 3600; hour < 24; ++hour) {
    if (!cron.hours.test(static_cast<std::size_t>(hour))) continue;
    const int minute_from = hour == from / 3600 ? from / 60 % 60 : 0;
    for (int minute = minute_from; minute < 60; ++minute) {
      if (!cron.minutes.test(static_cast<std::size_t>(minute))) continue;
      const int second_from = hour * 60 + minute == from / 60 ? from % 60 : 0;
      for (int second = second_from; second < 60; ++second)
        if (cron.seconds.test(static_cast<std::size_t>(second)))
          return hour * 3600 + minute * 60 + second;
    }
  }
  return -1;
}

}  // namespace

std::optional<CivilSeconds> next_civil(const CronFields& cron, CivilSeconds from) {
  const auto start = chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(from)));
  const chrono::year_month_day first(start);
  const auto days_in = [](chrono::sys_days day) { return day.time_since_epoch().count(); };
  chrono::year_month month = first.year() / first.month();
  const int latest = time_of_day(cron, 0);
  for (; static_cast<int>(month.year()) <= kLastYear; month += chrono::months(1)) {
    const int year = static_cast<int>(month.year());
    if (year < 1970) continue;
    if (!cron.years.test(static_cast<std::size_t>(year - 1970)) ||
        !cron.months.test(static_cast<unsigned>(month.month())))
      continue;
    const std::uint32_t days = days_of(cron, month);
    const bool begins = month == first.year() / first.month();
    for (unsigned day = begins ? static_cast<unsigned>(first.day()) : 1; day <= 31; ++day) {
      if ((days & (1u << day)) == 0) continue;
      const chrono::sys_days date(month / chrono::day(day));
      int time = latest;
      if (date == start) time = time_of_day(cron, static_cast<int>(from - days_in(start) * kDay));
      if (time >= 0) return days_in(date) * kDay + time;
    }
  }
  return std::nullopt;
}

Result<When> When::parse(std::string_view text) {
  if (text.size() > kExpressionMax) return no_schedule(text, "it is longer than 256 bytes");
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  When when;
  const auto inside = [text](std::string_view word) -> std::optional<std::string_view> {
    if (!text.starts_with(word) || !text.ends_with(')')) return std::nullopt;
    return text.substr(word.size(), text.size() - word.size() - 1);
  };
  if (const auto rate = inside("rate(")) {
    auto period = rate_of(text, *rate);
    if (period.has_error()) return period.error();
    when.kind_ = Kind::rate;
    when.rate_s_ = *period;
    return when;
  }
  if (auto at = inside("at(")) {
    when.kind_ = Kind::at;
    when.at_utc_ = at->ends_with('Z');
    if (when.at_utc_) at->remove_suffix(1);
    const auto civil = civil_time(*at);
    if (!civil) return no_schedule(text, "at() takes a time like 2026-11-21T10:00:00");
    when.at_ = *civil;
    return when;
  }
  const auto cron = inside("cron(");
  std::string_view line = cron ? *cron : text;
  if (text.starts_with('@')) {
    line = nickname(text);
    if (line.empty()) return no_schedule(text, "there is no such name");
  }
  auto fields = cron_of(text, line, cron.has_value());
  if (fields.has_error()) return fields.error();
  when.cron_ = std::move(*fields);
  return when;
}

std::optional<UtcSeconds> When::next_cron(UtcSeconds after, const Zone& zone) const {
  UtcSeconds from = after + 1;
  // Each round ends at a tick, or goes on behind a change of the offset or a repeated time.
  for (int round = 0; round < 100'000; ++round) {
    const Zone::Span span = zone.span_at(from);
    const auto civil = next_civil(cron_, from + span.offset);
    if (!civil) return std::nullopt;
    const UtcSeconds found = *civil - span.offset;
    if (found >= span.end) {
      from = span.end;
      continue;
    }
    if (!cron_.every_hour) {
      const Zone::Span before = zone.span_at(span.begin - 1);
      const bool repeated = before.offset > span.offset && *civil - before.offset < span.begin;
      if (repeated) {
        from = found + 1;
        continue;
      }
    }
    return found;
  }
  return std::nullopt;
}

std::optional<WallTime> When::next(WallTime after, const Zone& zone, WallTime anchor) const {
  const auto seconds_of = [](WallTime time) {
    return chrono::floor<chrono::seconds>(time).time_since_epoch().count();
  };
  const auto time_of = [](UtcSeconds seconds) { return WallTime(chrono::seconds(seconds)); };
  const UtcSeconds since = seconds_of(after);
  if (kind_ == Kind::at) {
    const UtcSeconds at = at_utc_ ? at_ : zone.to_utc(at_);
    if (at <= since) return std::nullopt;
    return time_of(at);
  }
  if (kind_ == Kind::rate) {
    const UtcSeconds first = seconds_of(anchor);
    if (since < first) return time_of(first + rate_s_);
    return time_of(first + ((since - first) / rate_s_ + 1) * rate_s_);
  }
  const auto found = next_cron(since, zone);
  if (!found) return std::nullopt;
  return time_of(*found);
}

}  // namespace mayfly::triggers
