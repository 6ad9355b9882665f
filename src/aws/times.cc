#include "aws/times.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

namespace mayfly::aws {
namespace {

using std::chrono::day;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

// Takes exactly digits digits off the front.
bool take(std::string_view& text, std::size_t digits, int& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

double take_fraction(std::string_view& text) {
  if (text.size() < 2 || text[0] != '.' || text[1] < '0' || text[1] > '9') return 0;
  text.remove_prefix(1);
  double value = 0, place = 0.1;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
    value += place * (text.front() - '0');
    place /= 10;
  }
  return value;
}

struct Fields {
  int year_ = 0, month_ = 0, day_ = 0, hour_ = 0, minute_ = 0, second_ = 0;
};

std::optional<std::int64_t> epoch_of(const Fields& f) {
  const year_month_day date{year(f.year_), month(static_cast<unsigned>(f.month_)),
                            day(static_cast<unsigned>(f.day_))};
  if (!date.ok() || f.hour_ > 23 || f.minute_ > 59 || f.second_ > 60) return std::nullopt;
  return std::int64_t{sys_days(date).time_since_epoch().count()} * 86'400 + f.hour_ * 3600 +
         f.minute_ * 60 + f.second_;
}

struct Civil {
  Fields f;
  unsigned weekday = 0;
};

Civil civil_of(std::int64_t epoch_s) {
  // Years of more than four digits have no form here.
  epoch_s = std::clamp<std::int64_t>(epoch_s, -62'135'596'800, 253'402'300'799);
  const std::int64_t days = epoch_s >= 0 ? epoch_s / 86'400 : (epoch_s - 86'399) / 86'400;
  const auto rest = static_cast<int>(epoch_s - days * 86'400);
  const sys_days at{std::chrono::days(days)};
  const year_month_day date(at);
  return {
      {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
       static_cast<int>(static_cast<unsigned>(date.day())), rest / 3600, rest / 60 % 60, rest % 60},
      std::chrono::weekday(at).c_encoding()};
}

}  // namespace

std::optional<std::int64_t> parse_basic_time(std::string_view text) {
  Fields f;
  if (!take(text, 4, f.year_) || !take(text, 2, f.month_) || !take(text, 2, f.day_) ||
      !take(text, 'T') || !take(text, 2, f.hour_) || !take(text, 2, f.minute_) ||
      !take(text, 2, f.second_) || text != "Z")
    return std::nullopt;
  return epoch_of(f);
}

std::optional<double> parse_iso8601(std::string_view text) {
  Fields f;
  if (!take(text, 4, f.year_) || !take(text, '-') || !take(text, 2, f.month_) || !take(text, '-') ||
      !take(text, 2, f.day_) || (!take(text, 'T') && !take(text, 't')) || !take(text, 2, f.hour_) ||
      !take(text, ':') || !take(text, 2, f.minute_) || !take(text, ':') ||
      !take(text, 2, f.second_))
    return std::nullopt;
  const double fraction = take_fraction(text);
  const auto epoch = epoch_of(f);
  if (!epoch) return std::nullopt;
  if (text == "Z" || text == "z" || text.empty()) return static_cast<double>(*epoch) + fraction;
  const int sign = text.front() == '-' ? -1 : 1;
  int hours = 0, minutes = 0;
  if ((!take(text, '+') && !take(text, '-')) || !take(text, 2, hours) || !take(text, ':') ||
      !take(text, 2, minutes) || !text.empty() || hours > 23 || minutes > 59)
    return std::nullopt;
  return static_cast<double>(*epoch - sign * (hours * 3600 + minutes * 60)) + fraction;
}

std::optional<double> parse_http_date(std::string_view text) {
  const auto comma = text.find(", ");
  if (comma != 3) return std::nullopt;
  text.remove_prefix(5);
  Fields f;
  if (!take(text, 2, f.day_) || !take(text, ' ') || text.size() < 4) return std::nullopt;
  for (int i = 0; i < 12; ++i)
    if (text.substr(0, 3) == kMonths[i]) f.month_ = i + 1;
  text.remove_prefix(3);
  if (!take(text, ' ') || !take(text, 4, f.year_) || !take(text, ' ') || !take(text, 2, f.hour_) ||
      !take(text, ':') || !take(text, 2, f.minute_) || !take(text, ':') ||
      !take(text, 2, f.second_))
    return std::nullopt;
  const double fraction = take_fraction(text);
  const auto epoch = epoch_of(f);
  if (!epoch || text != " GMT") return std::nullopt;
  return static_cast<double>(*epoch) + fraction;
}

std::string basic_time(std::int64_t epoch_s) {
  const auto [f, weekday] = civil_of(epoch_s);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", f.year_, f.month_, f.day_, f.hour_,
                     f.minute_, f.second_);
}

std::string iso8601(double epoch_s) {
  const auto ms = static_cast<std::int64_t>(
      std::llround(std::clamp(epoch_s, -62'135'596'800.0, 253'402'300'799.0) * 1000));
  const std::int64_t whole = ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
  const auto [f, weekday] = civil_of(whole);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", f.year_, f.month_, f.day_,
                                 f.hour_, f.minute_, f.second_);
  if (const auto rest = ms - whole * 1000; rest != 0) text += fmt::format(".{:03}", rest);
  return text + "Z";
}

std::string http_date(double epoch_s) {
  const auto [f, weekday] = civil_of(static_cast<std::int64_t>(std::floor(epoch_s)));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[weekday], f.day_,
                     kMonths[f.month_ - 1], f.year_, f.hour_, f.minute_, f.second_);
}

}  // namespace mayfly::aws
