#pragma once
// The sums: totals and bills of every function, in memory, exact. The recorder feeds it and writes
// the rows that changed together with the records that changed them. Not thread-safe.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "telemetry/rows.h"
#include "telemetry/telemetry.h"

namespace mayfly::telemetry {

// 2026-11-21, in UTC.
std::string day_of(std::int64_t time_us);

struct DayBill {
  std::int64_t day = 0;  // since the epoch
  BillRow row;
  bool loaded = false;  // row includes what the store had before; else only what came since
  bool dirty = false;
};

struct FunctionState {
  TotalsRow row;
  std::vector<DayBill> days;           // the present one, seldom more
  std::vector<std::uint32_t> samples;  // ring of the last durations, grown as needed
  std::size_t next_sample = 0;
  double own_share = 50;  // records that may be stored whatever others do
  std::int64_t share_filled_us = 0;
  bool dirty = false;
};

class Ledger {
 public:
  static constexpr std::size_t kSamples = 1000;

  FunctionState& state(const std::string& function) { return functions_[function]; }
  const FunctionState* find(const std::string& function) const;
  void erase(const std::string& function) { functions_.erase(function); }
  std::unordered_map<std::string, FunctionState>& functions() { return functions_; }

  // Adds a record whose price is set.
  void add(const Record& record);

  FunctionTotals totals(const std::string& function, const FunctionState& state) const;

  // Names whose rows changed since they were last taken.
  std::vector<std::string> take_dirty();
  void mark_dirty(const std::string& function) { mark(function, functions_[function]); }

 private:
  void mark(const std::string& function, FunctionState& state);
  DayBill& bill_of(FunctionState& state, std::int64_t time_us);

  std::unordered_map<std::string, FunctionState> functions_;
  std::vector<std::string> dirty_;
};

std::string day_text(std::int64_t day);

}  // namespace mayfly::telemetry
