#pragma once
// How the command prints: aligned tables, human units, colours on a terminal only. Pure but for
// write() and the questions about the terminal.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::cli {

enum class Colour { plain, red, green, yellow, dim, bold };

// text wrapped in the colour's escape codes when on is true.
std::string paint(std::string_view text, Colour colour, bool on);
// True when standard output (fd 1) or error (fd 2) is a terminal, and NO_COLOR is not set.
bool colours_on(int fd);

class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Title line (bold on colours), then the rows; columns two blanks apart, none at line ends. Cells
  // may hold escape codes: those take no width.
  std::string render(bool colours) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Characters on the screen: UTF-8 sequences count one, escape codes nothing.
std::size_t display_width(std::string_view text);

std::string human_us(std::uint64_t us);        // 850 µs, 12.3 ms, 4.21 s, 3m12s
std::string human_bytes(std::uint64_t bytes);  // 512 B, 1.5 kB, 128 MB
std::string human_count(std::uint64_t count);  // 1,234,567
std::string human_money(double amount, std::string_view currency);  // 0.000042 USD
// Since then: 5 s ago, 3 min ago, 2 h ago, 4 d ago.
std::string human_ago(std::int64_t then_us, std::int64_t now_us);
// 2026-11-21 08:30:00.123, local time.
std::string local_time(std::int64_t epoch_us);

// "10m", "2h", "90s", "1d", or "2026-11-21T08:30:00Z" to microseconds of the epoch; 0 when neither.
std::int64_t parse_since(std::string_view text, std::int64_t now_us);

// Everything to standard output; false when it is closed.
bool write_out(std::string_view text);
void write_err(std::string_view text);

// What is wrong, as a sentence: it begins with a capital, unless it begins with a path or another
// name, and ends with a full stop.
std::string sentence(std::string text);
// Foreign text for a terminal: control characters other than newline and tab become visible.
std::string printable(std::string_view text);

}  // namespace mayfly::cli
