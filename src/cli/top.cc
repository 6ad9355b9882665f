// mayfly top: the functions at work, refreshed every second.

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <vector>

#include "cli/commands.h"

namespace mayfly::cli {

namespace json = boost::json;
using Align = Table::Align;

namespace {

constexpr int kRefreshMs = 1000;

struct Row {
  std::string name;
  std::int64_t invocations = 0, errors = 0, cold = 0, cpu_us = 0;
  std::int64_t instances = 0, running = 0, waiting = 0, memory = 0, p50 = 0, p99 = 0;
  double calls_s = 0, errors_s = 0, cold_s = 0, cpu_share = 0;
};

using Sample = std::map<std::string, Row>;

Sample sample_of(const json::value& answer) {
  Sample sample;
  for (const auto& function : list_of(answer, "functions")) {
    Row row;
    row.name = text_of(function, "function");
    row.invocations = number_of(function, "invocations");
    row.errors = number_of(function, "errors");
    row.cold = number_of(function, "cold_starts");
    row.cpu_us = number_of(function, "cpu_us");
    row.instances = number_of(function, "instances");
    row.running = number_of(function, "running");
    row.waiting = number_of(function, "waiting");
    row.memory = number_of(function, "memory_bytes");
    row.p50 = number_of(function, "p50_us");
    row.p99 = number_of(function, "p99_us");
    sample[row.name] = row;
  }
  return sample;
}

void add_rates(Sample& now, const Sample& before, double seconds) {
  for (auto& [name, row] : now) {
    const auto old = before.find(name);
    if (old == before.end() || seconds <= 0) continue;
    row.calls_s = static_cast<double>(row.invocations - old->second.invocations) / seconds;
    row.errors_s = static_cast<double>(row.errors - old->second.errors) / seconds;
    row.cold_s = static_cast<double>(row.cold - old->second.cold) / seconds;
    row.cpu_share = static_cast<double>(row.cpu_us - old->second.cpu_us) / 1e4 / seconds;
  }
}

std::string render(const Sample& sample, std::size_t rows_max, bool colour) {
  std::vector<Row> rows;
  Row sum;
  for (const auto& [name, row] : sample) {
    rows.push_back(row);
    sum.calls_s += row.calls_s;
    sum.instances += row.instances;
    sum.running += row.running;
    sum.waiting += row.waiting;
    sum.memory += row.memory;
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tie(a.calls_s, a.running, a.instances) >
           std::tie(b.calls_s, b.running, b.instances);
  });
  if (rows.size() > rows_max) rows.resize(rows_max);
  Table table({{"FUNCTION"},
               {"CALLS/S", Align::right},
               {"ERRORS/S", Align::right},
               {"COLD/S", Align::right},
               {"CPU %", Align::right},
               {"P50", Align::right},
               {"P99", Align::right},
               {"RUNNING", Align::right},
               {"WAITING", Align::right},
               {"INSTANCES", Align::right},
               {"MEMORY", Align::right}});
  for (const auto& row : rows)
    table.row({printable(row.name), fmt::format("{:.1f}", row.calls_s),
               paint(fmt::format("{:.1f}", row.errors_s),
                     row.errors_s > 0 ? Colour::red : Colour::plain, colour),
               fmt::format("{:.1f}", row.cold_s), fmt::format("{:.1f}", row.cpu_share),
               human_us(static_cast<std::uint64_t>(row.p50)),
               human_us(static_cast<std::uint64_t>(row.p99)), std::to_string(row.running),
               std::to_string(row.waiting), std::to_string(row.instances),
               human_bytes(static_cast<std::uint64_t>(row.memory))});
  return fmt::format("{} functions  {:.1f} calls/s  {} running  {} waiting  {} instances  {}\n\n",
                     sample.size(), sum.calls_s, sum.running, sum.waiting, sum.instances,
                     human_bytes(static_cast<std::uint64_t>(sum.memory))) +
         table.render(colour);
}

// The terminal in raw mode on its second screen; put back on destruction.
class Screen {
 public:
  Screen() {
    tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    write_out("\x1b[?1049h\x1b[?25l");
  }
  ~Screen() {
    write_out("\x1b[?25h\x1b[?1049l");
    tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  std::size_t height() const {
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
  }

  // Waits for the next refresh; false when q, Ctrl-C or the end of the terminal came first.
  bool pause() const {
    pollfd keys{STDIN_FILENO, POLLIN, 0};
    if (::poll(&keys, 1, kRefreshMs) <= 0) return true;
    char key = 0;
    return ::read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 3;
  }

 private:
  termios before_{};
};

}  // namespace

int top(Context& context) {
  int code = kOk;
  auto answer = fetch_json(context, "GET", "/v1/stats", code);
  if (!answer) return code;
  if (context.json) return print_json(*answer);
  Sample before = sample_of(*answer);
  const bool colour = context.colour();
  if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
    write_out(render(before, before.size(), colour));
    return kOk;
  }
  {
    Screen screen;
    std::int64_t then = now_us();
    while (true) {
      const std::size_t height = screen.height();
      write_out("\x1b[H\x1b[2J" + render(before, height > 6 ? height - 6 : 1, colour) +
                paint("\nq quits", Colour::dim, colour));
      if (!screen.pause()) break;
      answer = fetch_json(context, "GET", "/v1/stats", code);
      if (!answer) break;
      const std::int64_t now = now_us();
      Sample sample = sample_of(*answer);
      add_rates(sample, before, static_cast<double>(now - then) / 1e6);
      before = std::move(sample);
      then = now;
    }
  }
  if (code != kOk) write_err("mayfly: The server went away.\n");
  return code;
}

}  // namespace mayfly::cli
