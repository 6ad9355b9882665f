#include "triggers/zone.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "os/files.h"

namespace mayfly::triggers {
namespace {

namespace chrono = std::chrono;

constexpr std::int64_t kDaySeconds = 86'400;
constexpr UtcSeconds kBegin = std::numeric_limits<std::int64_t>::min() / 4;
constexpr UtcSeconds kEnd = std::numeric_limits<std::int64_t>::max() / 4;
constexpr std::size_t kHeader = 44;
constexpr std::int32_t kOffsetMax = 26 * 3600;  // RFC 8536: -25:59:59 .. 25:59:59

std::int64_t days_of(int year, unsigned month, unsigned day) {
  return chrono::sys_days(chrono::year(year) / chrono::month(month) / chrono::day(day))
      .time_since_epoch()
      .count();
}

int year_of(std::int64_t civil) {
  const auto day = chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(civil)));
  return static_cast<int>(chrono::year_month_day(day).year());
}

// Big-endian numbers of a TZif file; bad once it would read past the end.
class Bytes {
 public:
  explicit Bytes(std::string_view in) : in_(in) {}
  bool good() const { return good_; }
  std::int64_t number(std::size_t bytes) {
    if (in_.size() < bytes) {
      good_ = false;
      in_ = {};
      return 0;
    }
    std::uint64_t value = (in_[0] & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<std::uint8_t>(in_[i]);
    in_.remove_prefix(bytes);
    return static_cast<std::int64_t>(value);
  }
  std::string_view take(std::size_t bytes) {
    if (in_.size() < bytes) {
      good_ = false;
      bytes = in_.size();
    }
    const auto taken = in_.substr(0, bytes);
    in_.remove_prefix(bytes);
    return taken;
  }
  std::string_view rest() const { return in_; }

 private:
  std::string_view in_;
  bool good_ = true;
};

struct Counts {
  std::size_t utc, standard, leap, times, types, letters;
  std::size_t block(std::size_t time_bytes) const {
    return times * (time_bytes + 1) + types * 6 + letters + leap * (time_bytes + 4) + standard +
           utc;
  }
};

bool read_header(Bytes& in, char& version, Counts& counts) {
  const auto head = in.take(kHeader);
  if (!in.good() || !head.starts_with("TZif")) return false;
  version = head[4];
  Bytes numbers(head.substr(20));
  for (auto* count : {&counts.utc, &counts.standard, &counts.leap, &counts.times, &counts.types,
                      &counts.letters}) {
    const std::int64_t value = numbers.number(4);
    if (value < 0 || value > 100'000) return false;
    *count = static_cast<std::size_t>(value);
  }
  return counts.types > 0;
}

}  // namespace

// "CET-1CEST,M3.5.0,M10.5.0/3"
class Zone::RuleText {
 public:
  explicit RuleText(std::string_view text) : text_(text) {}

  bool read(Rule& rule) {
    std::int32_t offset = 0;
    if (!skip_name() || !read_time(offset)) return false;
    rule.standard = rule.daylight = -offset;  // POSIX counts westwards
    if (text_.empty()) return true;
    if (!skip_name()) return false;
    rule.daylight = rule.standard + 3600;
    if (!text_.empty() && text_.front() != ',') {
      if (!read_time(offset)) return false;
      rule.daylight = -offset;
    }
    rule.has_daylight = true;
    return read_change(rule.begin) && read_change(rule.end) && text_.empty() &&
           std::abs(rule.daylight) < kOffsetMax;
  }

 private:
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool skip_name() {
    if (take('<')) {
      const auto close = text_.find('>');
      if (close == std::string_view::npos) return false;
      text_.remove_prefix(close + 1);
      return true;
    }
    std::size_t size = 0;
    while (size < text_.size() && std::isalpha(static_cast<unsigned char>(text_[size])) != 0)
      ++size;
    text_.remove_prefix(size);
    return size >= 3;
  }
  bool read_number(int& value) {
    if (text_.empty() || text_.front() < '0' || text_.front() > '9') return false;
    value = 0;
    while (!text_.empty() && text_.front() >= '0' && text_.front() <= '9') {
      value = value * 10 + (text_.front() - '0');
      if (value > 100'000) return false;
      text_.remove_prefix(1);
    }
    return true;
  }
  bool read_time(std::int32_t& seconds) {
    const bool negative = take('-');
    if (!negative) (void)take('+');
    int hours = 0, minutes = 0, rest = 0;
    if (!read_number(hours)) return false;
    if (take(':') && !read_number(minutes)) return false;
    if (take(':') && !read_number(rest)) return false;
    if (hours > 167 || minutes > 59 || rest > 59) return false;
    seconds = hours * 3600 + minutes * 60 + rest;
    if (negative) seconds = -seconds;
    return true;
  }
  bool read_change(Change& change) {
    if (!take(',')) return false;
    if (take('M')) {
      change.kind = Change::Kind::month_week_day;
      if (!read_number(change.month) || !take('.') || !read_number(change.week) || !take('.') ||
          !read_number(change.weekday))
        return false;
      if (change.month < 1 || change.month > 12 || change.week < 1 || change.week > 5 ||
          change.weekday > 6)
        return false;
    } else {
      change.kind = take('J') ? Change::Kind::julian : Change::Kind::day;
      if (!read_number(change.day) || change.day > 366) return false;
    }
    return !take('/') || read_time(change.seconds);
  }

  std::string_view text_;
};

CivilSeconds Zone::civil_of(const Change& change, int year) {
  std::int64_t day = 0;
  if (change.kind == Change::Kind::month_week_day) {
    const chrono::weekday weekday(static_cast<unsigned>(change.weekday));
    const chrono::month month(static_cast<unsigned>(change.month));
    const chrono::year y(year);
    const auto found =
        change.week == 5
            ? chrono::sys_days(y / month / weekday[chrono::last])
            : chrono::sys_days(y / month / weekday[static_cast<unsigned>(change.week)]);
    day = found.time_since_epoch().count();
  } else {
    day = days_of(year, 1, 1) + change.day;
    if (change.kind == Change::Kind::julian) {  // 1..365, never 29 February
      const bool behind = chrono::year(year).is_leap() && change.day >= 60;
      day += behind ? 0 : -1;
    }
  }
  return day * kDaySeconds + change.seconds;
}

Zone::Span Zone::span_by_rule(UtcSeconds time, UtcSeconds since) const {
  Span span{since, kEnd, rule_.standard};
  if (!rule_.has_daylight) return span;
  const int year = year_of(time + rule_.standard);
  std::vector<Transition> changes;
  for (int y = year - 1; y <= year + 1; ++y) {
    changes.push_back({civil_of(rule_.begin, y) - rule_.standard, rule_.daylight});
    changes.push_back({civil_of(rule_.end, y) - rule_.daylight, rule_.standard});
  }
  std::sort(changes.begin(), changes.end(),
            [](const Transition& a, const Transition& b) { return a.at < b.at; });
  for (const auto& change : changes) {
    if (change.at <= time) {
      span.begin = std::max(since, change.at);
      span.offset = change.offset;
    } else {
      span.end = change.at;
      break;
    }
  }
  return span;
}

Zone::Span Zone::span_at(UtcSeconds time) const {
  const auto next =
      std::upper_bound(transitions_.begin(), transitions_.end(), time,
                       [](UtcSeconds value, const Transition& each) { return value < each.at; });
  if (next == transitions_.end())
    return span_by_rule(time, transitions_.empty() ? kBegin : transitions_.back().at);
  if (next == transitions_.begin()) return {kBegin, next->at, first_offset_};
  return {std::prev(next)->at, next->at, std::prev(next)->offset};
}

UtcSeconds Zone::to_utc(CivilSeconds civil) const {
  // Offsets are under 26 h: what holds a day before and after brackets it.
  Span span = span_at(civil - kOffsetMax);
  while (span.end < kEnd && civil - span.offset >= span.end) {
    const Span next = span_at(span.end);
    if (civil - next.offset < next.begin) break;  // in the gap: as the old offset has it
    span = next;
  }
  return civil - span.offset;
}

Result<ZonePtr> Zone::parse(std::string name, std::string_view bytes) {
  const auto corrupt = [&name] {
    return Error{Code::corrupt, "The zoneinfo file of " + name + " is not readable."};
  };
  Bytes in(bytes);
  char version = 0;
  Counts counts{};
  if (!read_header(in, version, counts)) return corrupt();
  std::size_t time_bytes = 4;
  if (version >= '2') {  // the same again, with 64 bits
    in.take(counts.block(4));
    if (!in.good() || !read_header(in, version, counts)) return corrupt();
    time_bytes = 8;
  }
  auto zone = std::make_shared<Zone>();
  zone->name_ = name;
  std::vector<UtcSeconds> times(counts.times);
  for (auto& time : times) time = in.number(time_bytes);
  const std::string_view kinds = in.take(counts.times);
  std::vector<std::int32_t> offsets(counts.types);
  for (auto& offset : offsets) {
    offset = static_cast<std::int32_t>(in.number(4));
    in.take(2);
  }
  in.take(counts.letters + counts.leap * (time_bytes + 4) + counts.standard + counts.utc);
  if (!in.good()) return corrupt();
  for (const auto offset : offsets)
    if (std::abs(offset) >= kOffsetMax) return corrupt();
  zone->first_offset_ = offsets.front();
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto kind = static_cast<std::uint8_t>(kinds[i]);
    if (kind >= offsets.size() || (i > 0 && times[i] <= times[i - 1])) return corrupt();
    zone->transitions_.push_back({times[i], offsets[kind]});
  }
  zone->rule_.standard =
      zone->transitions_.empty() ? zone->first_offset_ : zone->transitions_.back().offset;
  std::string_view footer = in.rest();
  if (footer.starts_with('\n')) {
    footer.remove_prefix(1);
    footer = footer.substr(0, footer.find('\n'));
    if (!footer.empty() && !RuleText(footer).read(zone->rule_)) return corrupt();
  }
  return ZonePtr(zone);
}

Result<ZonePtr> Zone::load(const std::string& name, const std::string& folder) {
  const bool good = !name.empty() && name.size() <= 64 && name.front() != '/' &&
                    name.find("..") == std::string::npos &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' || c == '+';
                    });
  if (name == "UTC" || name == "Etc/UTC" || name == "Z") {  // also where there is no zoneinfo
    auto zone = std::make_shared<Zone>();
    zone->name_ = "UTC";
    return ZonePtr(zone);
  }
  if (good) {
    const auto bytes = os::read_file(folder + "/" + name);
    if (bytes.has_value() && bytes->starts_with("TZif")) return parse(name, *bytes);
  }
  return Error{Code::not_found,
               fmt::format("There is no time zone \"{}\": names are those of the package tzdata, "
                           "such as Europe/Berlin, or UTC.",
                           name.substr(0, 64))};
}

}  // namespace mayfly::triggers
