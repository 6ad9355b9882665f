#include "telemetry/ledger.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace mayfly::telemetry {
namespace {

constexpr std::int64_t kDayUs = 86'400'000'000;

std::uint64_t percentile(std::vector<std::uint32_t>& samples, double share) {
  if (samples.empty()) return 0;
  const auto rank =
      static_cast<std::size_t>(std::ceil(share * static_cast<double>(samples.size())));
  const auto at = samples.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(samples.begin(), at, samples.end());
  return *at;
}

std::int64_t day_number(std::int64_t time_us) {
  return time_us >= 0 ? time_us / kDayUs : (time_us - kDayUs + 1) / kDayUs;
}

}  // namespace

std::string day_text(std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string day_of(std::int64_t time_us) {
  return day_text(day_number(time_us));
}

std::int64_t PriceTable::price_nano(const Record& record) const {
  if (is_unbilled(record.outcome)) return 0;
  const double gb_seconds = static_cast<double>(record.memory_mb) / 1024.0 *
                            static_cast<double>(record.init_us + record.run_us) / 1e6;
  const double gb_out = static_cast<double>(record.bytes_out) / (1024.0 * 1024.0 * 1024.0);
  const double price =
      per_million_invocations / 1e6 + gb_seconds * per_gb_second + gb_out * per_gb_transfer_out;
  return std::llround(price * 1e9);
}

const FunctionState* Ledger::find(const std::string& function) const {
  const auto found = functions_.find(function);
  return found == functions_.end() ? nullptr : &found->second;
}

void Ledger::mark(const std::string& function, FunctionState& state) {
  if (state.dirty) return;
  state.dirty = true;
  dirty_.push_back(function);
}

std::vector<std::string> Ledger::take_dirty() {
  std::vector<std::string> taken;
  taken.swap(dirty_);
  for (const auto& function : taken)
    if (const auto found = functions_.find(function); found != functions_.end())
      found->second.dirty = false;
  return taken;
}

DayBill& Ledger::bill_of(FunctionState& state, std::int64_t time_us) {
  const std::int64_t day = day_number(time_us);
  for (auto& bill : state.days)
    if (bill.day == day) return bill;
  state.days.push_back({day, {}, false, false});
  return state.days.back();
}

void Ledger::add(const Record& record) {
  auto& state = functions_[record.function];
  auto& t = state.row.totals;
  ++t.invocations;
  if (record.outcome == Outcome::refused)
    ++t.refused;
  else if (record.outcome != Outcome::ok)
    ++t.errors;
  if (record.outcome == Outcome::timeout) ++t.timeouts;
  if (record.cold) ++t.cold_starts;
  t.run_us += record.run_us;
  t.init_us += record.init_us;
  t.start_us += record.start_us;
  t.queue_us += record.queue_us;
  t.cpu_us += record.cpu_us;
  t.bytes_in += record.bytes_in;
  t.bytes_out += record.bytes_out;
  t.memory_peak_bytes = std::max(t.memory_peak_bytes, record.memory_peak_bytes);
  t.price_nano += record.price_nano;
  if (!is_unbilled(record.outcome)) {
    const std::uint64_t billed_us = record.init_us + record.run_us;
    state.row.used.add(record.memory_mb, billed_us);
    auto& bill = bill_of(state, record.arrived_us);
    ++bill.row.invocations;
    bill.row.used.add(record.memory_mb, billed_us);
    bill.row.bytes_out += record.bytes_out;
    bill.row.price_nano += record.price_nano;
    bill.dirty = true;
  }
  const std::uint64_t duration = record.queue_us + record.start_us + record.init_us + record.run_us;
  const auto sample = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(duration, std::numeric_limits<std::uint32_t>::max()));
  if (state.samples.size() < kSamples)
    state.samples.push_back(sample);
  else
    state.samples[state.next_sample++ % kSamples] = sample;
  mark(record.function, state);
}

FunctionTotals Ledger::totals(const std::string& function, const FunctionState& state) const {
  FunctionTotals totals = state.row.totals;
  totals.function = function;
  totals.gb_seconds = state.row.used.value();
  auto samples = state.samples;
  totals.p50_us = percentile(samples, 0.50);
  totals.p90_us = percentile(samples, 0.90);
  totals.p99_us = percentile(samples, 0.99);
  return totals;
}

}  // namespace mayfly::telemetry
