// The fields of cron lines, as sets of numbers.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "triggers/when.h"

namespace mayfly::triggers {
namespace {

struct Field {
  const char* name;
  int low, high;
  const std::vector<std::string_view>* names = nullptr;
  int first_name = 0;  // number of names[0]
};

const std::vector<std::string_view> kMonths = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                               "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
const std::vector<std::string_view> kWeekdays = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};
const std::vector<std::string_view> kNone;

Error bad(const Field& field, std::string_view text, std::string_view why) {
  return Error{Code::invalid_argument, fmt::format("\"{}\" cannot be the {} of a cron line: {}.",
                                                   text.substr(0, 60), field.name, why)};
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

std::optional<int> plain_number(std::string_view text) {
  int value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.size() > 6 || text.front() == '-' || failed != std::errc() ||
      end != text.data() + text.size())
    return std::nullopt;
  return value;
}

Result<int> number_of(const Field& field, std::string_view text) {
  if (field.names != nullptr)
    for (std::size_t i = 0; i < field.names->size(); ++i)
      if (upper(text) == (*field.names)[i]) return field.first_name + static_cast<int>(i);
  const auto value = plain_number(text);
  if (!value || *value < field.low || *value > field.high)
    return bad(field, text, fmt::format("it takes {} to {}", field.low, field.high));
  return *value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto found = text.find(at);
    parts.push_back(text.substr(0, found));
    if (found == std::string_view::npos) return parts;
    text.remove_prefix(found + 1);
  }
}

// "*", "5", "1-5", "*/2", "3/2", "1-9/2"; ranges may wrap around (FRI-MON).
Status add_range(const Field& field, std::string_view item, const std::function<void(int)>& add) {
  int step = 1;
  bool stepped = false;
  if (const auto slash = item.find('/'); slash != std::string_view::npos) {
    const auto value = plain_number(item.substr(slash + 1));
    if (!value || *value < 1 || *value > field.high)
      return bad(field, item, fmt::format("its step takes 1 to {}", field.high));
    step = *value;
    stepped = true;
    item = item.substr(0, slash);
  }
  int from = field.low, to = field.high;
  if (item != "*") {
    const auto dash = item.find('-');
    auto first = number_of(field, item.substr(0, dash));
    if (first.has_error()) return first.error();
    from = *first;
    if (dash != std::string_view::npos) {
      auto last = number_of(field, item.substr(dash + 1));
      if (last.has_error()) return last.error();
      to = *last;
    } else if (!stepped) {
      to = from;
    }
  }
  const int span = field.high - field.low + 1;
  const int count = to >= from ? to - from : to + span - from;
  for (int i = 0; i <= count; i += step) {
    const int value = from + i;
    add(value > field.high ? value - span : value);
  }
  return ok();
}

template <std::size_t N>
Status read_set(const Field& field, std::string_view text, std::bitset<N>& out, int base = 0) {
  for (const auto item : split(text, ','))
    MAYFLY_TRY(add_range(
        field, item, [&out, base](int value) { out.set(static_cast<std::size_t>(value - base)); }));
  return ok();
}

Status read_days(std::string_view text, CronFields& cron) {
  const Field field{"day of the month", 1, 31, &kNone, 0};
  for (const auto each : split(text, ',')) {
    const std::string item = upper(each);
    if (item == "L") {
      cron.days_before_last.push_back(0);
    } else if (item == "LW" || item == "WL") {
      cron.nearest_workdays.push_back(0);
    } else if (item.starts_with("L-")) {
      const auto before = plain_number(std::string_view(item).substr(2));
      if (!before || *before < 1 || *before > 30) return bad(field, each, "L- takes 1 to 30");
      cron.days_before_last.push_back(*before);
    } else if (item.size() > 1 && item.back() == 'W') {
      auto day = number_of(field, std::string_view(item).substr(0, item.size() - 1));
      if (day.has_error()) return day.error();
      cron.nearest_workdays.push_back(*day);
    } else {
      MAYFLY_TRY(add_range(field, item,
                           [&cron](int day) { cron.days.set(static_cast<std::size_t>(day)); }));
    }
  }
  return ok();
}

Status read_weekdays(std::string_view text, bool aws, CronFields& cron) {
  const Field field{"day of the week", aws ? 1 : 0, 7, &kWeekdays, aws ? 1 : 0};
  // Sunday is 0: of 1-7 one is taken off, of 0-7 the 7 is Sunday too.
  const auto weekday = [aws](int value) { return aws ? value - 1 : value % 7; };
  for (const auto each : split(text, ',')) {
    const std::string item = upper(each);
    const auto hash = item.find('#');
    if (item == "L") {
      cron.weekdays.set(6);
    } else if (hash != std::string::npos) {
      auto day = number_of(field, std::string_view(item).substr(0, hash));
      if (day.has_error()) return day.error();
      const auto nth = plain_number(std::string_view(item).substr(hash + 1));
      if (!nth || *nth < 1 || *nth > 5) return bad(field, each, "# takes 1 to 5");
      cron.nth_weekdays.emplace_back(weekday(*day), *nth);
    } else if (item.size() > 1 && item.back() == 'L') {
      auto day = number_of(field, std::string_view(item).substr(0, item.size() - 1));
      if (day.has_error()) return day.error();
      cron.nth_weekdays.emplace_back(weekday(*day), 0);
    } else if (item.starts_with("*")) {
      const Field week{"day of the week", aws ? 1 : 0, aws ? 7 : 6, &kWeekdays, aws ? 1 : 0};
      MAYFLY_TRY(add_range(
          week, item, [&](int day) { cron.weekdays.set(static_cast<std::size_t>(weekday(day))); }));
    } else {
      const bool open = item.find('/') != std::string::npos && item.find('-') == std::string::npos;
      const Field week{"day of the week", field.low, !aws && open ? 6 : 7, &kWeekdays,
                       field.first_name};
      // Around the end of a week of 0-7 both ends are Sunday: FRI-MON steps over one of them.
      const auto dash = item.find('-');
      if (!aws && dash != std::string::npos) {
        auto first = number_of(field, std::string_view(item).substr(0, dash));
        const auto behind = std::string_view(item).substr(dash + 1);
        auto last = number_of(field, behind.substr(0, behind.find('/')));
        if (first.has_value() && last.has_value() && *last < *first) {
          const Field wrapped{"day of the week", 0, 6, &kWeekdays, 0};
          MAYFLY_TRY(add_range(wrapped, item,
                               [&](int day) { cron.weekdays.set(static_cast<std::size_t>(day)); }));
          continue;
        }
      }
      MAYFLY_TRY(add_range(
          week, item, [&](int day) { cron.weekdays.set(static_cast<std::size_t>(weekday(day))); }));
    }
  }
  return ok();
}

}  // namespace

// fields: seconds minutes hours days months weekdays years.
Result<CronFields> parse_cron(const std::vector<std::string_view>& fields, bool aws) {
  CronFields cron;
  if (fields.size() != 7)
    return Error{Code::invalid_argument, "A cron line has five, six or seven fields."};
  for (const auto text : fields)
    if (text.size() > 256)
      return Error{Code::invalid_argument, "A field of a cron line is longer than 256 bytes."};
  MAYFLY_TRY(read_set(Field{"second", 0, 59}, fields[0], cron.seconds));
  MAYFLY_TRY(read_set(Field{"minute", 0, 59}, fields[1], cron.minutes));
  MAYFLY_TRY(read_set(Field{"hour", 0, 23}, fields[2], cron.hours));
  cron.every_hour = cron.hours.all();
  MAYFLY_TRY(read_set(Field{"month", 1, 12, &kMonths, 1}, fields[4], cron.months));
  MAYFLY_TRY(read_set(Field{"year", 1970, 2199}, fields[6], cron.years, 1970));
  const auto any = [](std::string_view text) { return text == "*" || text == "?"; };
  cron.any_day = any(fields[3]);
  cron.any_weekday = any(fields[5]);
  if (aws && (fields[3] == "?") == (fields[5] == "?"))
    return Error{Code::invalid_argument,
                 "Of the day of the month and the day of the week exactly one must be ? in this "
                 "form of cron()."};
  if (!cron.any_day) MAYFLY_TRY(read_days(fields[3], cron));
  if (!cron.any_weekday) MAYFLY_TRY(read_weekdays(fields[5], aws, cron));
  return cron;
}

}  // namespace mayfly::triggers
