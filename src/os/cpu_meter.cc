#include "os/cpu_meter.h"

#include <fcntl.h>

#include <charconv>

#include "os/files.h"

namespace mayfly::os {
namespace {

constexpr milliseconds kLookEvery{100};
constexpr std::uint64_t kIdlePart = 20;

}  // namespace

CpuMeter::CpuMeter(std::string stat_file) {
  if (auto opened = open_file(stat_file, O_RDONLY); opened.has_value()) stat_ = std::move(*opened);
}

bool CpuMeter::saturated(SteadyTime now) {
  if (!stat_ || (total_ != 0 && now - read_at_ < kLookEvery)) return saturated_;
  char buffer[256];
  std::string_view line = pread_text(stat_.get(), buffer, sizeof buffer);
  line = line.substr(0, line.find('\n'));
  if (!line.starts_with("cpu ")) return false;
  line.remove_prefix(4);
  // user nice system idle iowait irq softirq steal, in ticks (proc(5))
  std::uint64_t values[8] = {}, total = 0;
  for (auto& value : values) {
    while (line.starts_with(' ')) line.remove_prefix(1);
    const auto [end, failed] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (failed != std::errc()) break;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    total += value;
  }
  const std::uint64_t idle = values[3] + values[4];
  if (total_ != 0 && total > total_) saturated_ = (idle - idle_) * kIdlePart < total - total_;
  idle_ = idle;
  total_ = total;
  read_at_ = now;
  return saturated_;
}

}  // namespace mayfly::os
