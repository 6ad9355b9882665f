#pragma once
// The rows of this room in the store, all under "t/". Values begin with a version byte.
//   t/t/FUNCTION                     totals and counters of one function
//   t/b/FUNCTION\0YYYY-MM-DD         bill line
//   t/r/FUNCTION\0<sequence>         a chunk of invocation records, in the order of their ends
//   t/l/FUNCTION\0<time><sequence>   a chunk of log lines, in the order of time
// Chunks hold what one batch of the writer had of one function: one put for many lines.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/record.h"
#include "telemetry/telemetry.h"

namespace mayfly::telemetry {

inline constexpr std::string_view kTotalsPrefix = "t/t/";

std::string totals_key(std::string_view function);
std::string bill_prefix(std::string_view function);  // of all days
std::string bill_key(std::string_view function, std::string_view day);
std::string records_prefix(std::string_view function);
std::string records_key(std::string_view function, std::uint64_t sequence);
std::string logs_prefix(std::string_view function);
std::string logs_key(std::string_view function, std::int64_t time_us, std::uint64_t sequence);

// Sequences count up for ever. Their upper part is the number of the writer's batch: chunks of one
// batch are of the same age.
inline std::uint64_t batch_of(std::uint64_t sequence) {
  return sequence >> 20;
}
inline std::uint64_t next_batch(std::uint64_t sequence) {
  return (batch_of(sequence) + 1) << 20;
}

// Megabyte-microseconds, exact: whole megabyte-seconds and the rest.
struct GbSeconds {
  std::uint64_t mb_seconds = 0;
  std::uint64_t mb_us = 0;  // below 1'000'000
  void add(std::uint64_t mb, std::uint64_t us);
  double value() const;
};

struct BillRow {
  std::uint64_t invocations = 0;
  GbSeconds used;
  std::uint64_t bytes_out = 0;
  std::int64_t price_nano = 0;
};

struct TotalsRow {
  FunctionTotals totals;  // without name, gb_seconds and percentiles
  GbSeconds used;
  std::uint64_t records_stored = 0;
  std::uint64_t log_bytes_stored = 0;
  std::uint64_t last_sequence = 0;
};

std::string encode(const BillRow& row);
bool decode(std::string_view bytes, BillRow& row);
std::string encode(const TotalsRow& row);
bool decode(std::string_view bytes, TotalsRow& row);

// Chunks. The function's name is in the key. Adding to a chunk: append_*; complete it with
// finish_chunk, which puts version and count in front.
void append_record(std::string& chunk, const Record& record);
struct LogContext {  // the line before, whose ids are not repeated
  std::int64_t time_us = 0;
  std::string instance, request_id;
};
void append_line(std::string& chunk, LogContext& context, const LogLine& line);
std::string finish_chunk(std::string_view body, std::uint64_t count);

// 0 when the chunk is damaged.
std::uint64_t chunk_count(std::string_view chunk);
// False when the chunk is damaged; what came before the damage is in out.
bool decode_records(std::string_view chunk, std::string_view function, std::vector<Record>& out);
bool decode_lines(std::string_view chunk, std::string_view function, std::vector<LogLine>& out);

}  // namespace mayfly::telemetry
