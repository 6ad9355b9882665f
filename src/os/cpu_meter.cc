#include "os/cpu_meter.h"

#include <fcntl.h>
#include <time.h>

#include <algorithm>
#include <charconv>

#include "os/files.h"

namespace mayfly::os {
namespace {

constexpr milliseconds kLookEvery{100};

}  // namespace

CpuMeter::CpuMeter(std::string stat_file) {
  if (auto opened = open_file(stat_file, O_RDONLY); opened.has_value()) stat_ = std::move(*opened);
}

double CpuMeter::idle_share(SteadyTime now) {
  if (!stat_ || (total_ != 0 && now - read_at_ < kLookEvery)) return idle_share_;
  char buffer[256];
  std::string_view line = pread_text(stat_.get(), buffer, sizeof buffer);
  line = line.substr(0, line.find('\n'));
  if (!line.starts_with("cpu ")) return 1;
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
  if (total_ != 0 && total > total_)
    idle_share_ = static_cast<double>(idle - idle_) / static_cast<double>(total - total_);
  idle_ = idle;
  total_ = total;
  read_at_ = now;
  return idle_share_;
}

double ThreadMeter::idle_share(SteadyTime now) {
  if (used_us_ >= 0 && now - read_at_ < kLookEvery) return idle_share_;
  timespec time{};
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 1;
  const std::int64_t used = time.tv_sec * 1'000'000 + time.tv_nsec / 1000;
  const std::int64_t past = to_us(now - read_at_);
  if (used_us_ >= 0)
    idle_share_ =
        std::clamp(1 - static_cast<double>(used - used_us_) / static_cast<double>(past), 0.0, 1.0);
  used_us_ = used;
  read_at_ = now;
  return idle_share_;
}

}  // namespace mayfly::os
