#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace mayfly::cli {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

}  // namespace

std::string paint(std::string_view text, Colour colour, bool on) {
  if (!on || colour == Colour::plain || text.empty()) return std::string(text);
  std::string_view code = "1";
  switch (colour) {
    case Colour::red:
      code = "31";
      break;
    case Colour::green:
      code = "32";
      break;
    case Colour::yellow:
      code = "33";
      break;
    case Colour::dim:
      code = "2";
      break;
    case Colour::bold:
    case Colour::plain:
      break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

bool colours_on(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(fd) == 1 && (no_color == nullptr || no_color[0] == '\0');
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      ++width;
    }
  }
  return width;
}

void Table::row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::render(bool colours) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(display_width(columns_[i].title));
    for (const auto& row : rows_) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string out;
  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string cell = cell_of(i);
      const std::string gap(widths[i] - display_width(cell), ' ');
      if (i > 0) text += "  ";
      text += columns_[i].align == Align::right ? gap + cell : cell + gap;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line([&](std::size_t i) { return paint(columns_[i].title, Colour::bold, colours); });
  for (const auto& row : rows_) line([&](std::size_t i) { return row[i]; });
  return out;
}

std::string human_us(std::uint64_t us) {
  if (us < 1'000) return fmt::format("{} µs", us);
  const double value = static_cast<double>(us);
  if (us < 9'995) return fmt::format("{:.2f} ms", value / 1e3);
  if (us < 99'950) return fmt::format("{:.1f} ms", value / 1e3);
  if (us < 999'500) return fmt::format("{:.0f} ms", value / 1e3);
  if (us < 9'995'000) return fmt::format("{:.2f} s", value / 1e6);
  if (us < 60'000'000) return fmt::format("{:.1f} s", value / 1e6);
  const std::uint64_t seconds = us / 1'000'000;
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit < 3) {
    value /= 1024;
    ++unit;
  }
  if (value >= 99.95 || value == static_cast<double>(static_cast<std::uint64_t>(value)))
    return fmt::format("{:.0f} {}", value, kUnits[unit]);
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string human_money(double amount, std::string_view currency) {
  if (amount == 0) return fmt::format("0 {}", currency);
  if (amount >= 0.01) return fmt::format("{:.2f} {}", amount, currency);
  return fmt::format("{:.9f} {}", amount, currency);
}

std::string human_ago(std::int64_t then_us, std::int64_t now_us) {
  const std::int64_t seconds = std::max<std::int64_t>(0, (now_us - then_us) / 1'000'000);
  if (seconds < 60) return fmt::format("{} s ago", seconds);
  if (seconds < 3600) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 86'400) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} d ago", seconds / 86'400);
}

std::string local_time(std::int64_t epoch_us) {
  const std::time_t seconds = static_cast<std::time_t>(epoch_us / 1'000'000);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return fmt::format("{}.{:03}", std::string_view(text, size), epoch_us / 1000 % 1000);
}

std::int64_t parse_since(std::string_view text, std::int64_t now_us) {
  std::int64_t number = 0;
  const char* last = text.data() + text.size();
  const auto [end, failed] = std::from_chars(text.data(), last, number);
  if (failed == std::errc() && end + 1 == last && number >= 0) {
    const std::int64_t unit = *end == 's'   ? 1
                              : *end == 'm' ? 60
                              : *end == 'h' ? 3600
                              : *end == 'd' ? 86'400
                                            : 0;
    if (unit == 0 || number > now_us / (unit * 1'000'000)) return 0;
    return now_us - number * unit * 1'000'000;
  }
  std::tm parts{};
  const std::string copy(text);
  const char* rest = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr || (*rest != '\0' && std::string_view(rest) != "Z")) return 0;
  return static_cast<std::int64_t>(timegm(&parts)) * 1'000'000;
}

bool write_out(std::string_view text) {
  return write_all(STDOUT_FILENO, text);
}
void write_err(std::string_view text) {
  write_all(STDERR_FILENO, text);
}

std::string sentence(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.empty()) return text;
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto word_end = std::find_if_not(text.begin(), text.end(), letter);
  const bool plain_word = word_end != text.begin() && (word_end == text.end() || *word_end == ' ' ||
                                                       *word_end == ',' || *word_end == '\'');
  if (plain_word) text[0] = static_cast<char>(text[0] - 'a' + 'A');
  if (text.back() != '.' && text.back() != '!' && text.back() != '?') text += '.';
  return text;
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

}  // namespace mayfly::cli
