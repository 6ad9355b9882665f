#pragma once
// Sink and source of everything that can be seen: invocation records, logs, metrics, bills.
// add() calls are cheap (buffered, written in batches by a thread of this room,
// Durability::buffered within 50 ms) and thread-safe; queries block on the store and go through
// io::BlockingPool.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"
#include "telemetry/record.h"

namespace mayfly::telemetry {

struct LogLine {
  std::int64_t time_us = 0;  // Unix epoch
  std::string function;
  std::uint64_t version = 0;
  std::string instance;
  std::string request_id;  // empty: not within an invocation
  enum class Stream : std::uint8_t { out = 1, err = 2, platform = 3 } stream = Stream::out;
  std::string text;  // without the newline
};

// Price of what ran; from the settings (section prices). Idle costs zero.
struct PriceTable {
  std::string currency = "USD";
  double per_million_invocations = 0.20;
  double per_gb_second = 0.0000166667;  // memory limit times (init + run) time
  double per_gb_transfer_out = 0.0;
  // 0 for what was refused or failed in the platform: only what ran is paid for.
  std::int64_t price_nano(const Record& record) const;
};

struct Limits {
  std::uint64_t log_line_bytes_max = 16 * 1024;           // longer lines are cut, with a mark
  std::uint64_t log_bytes_per_invocation_max = 1u << 20;  // the rest is dropped, with a mark
  std::uint64_t log_bytes_per_function_max = 64u << 20;   // oldest go first
  std::uint64_t records_per_function_max = 100'000;       // oldest go first; bills are kept
  // Stored records of successes, of all functions together (bursts of ten times that); failures may
  // be ten times as many. What is over is counted (FunctionTotals::records_dropped) and not stored;
  // totals and bills have it all the same. Every function has a small share of its own.
  std::uint64_t records_per_second_max = 2'000;  // setting telemetry.records_per_second_max
};

struct RecordQuery {
  std::string function;    // empty: all
  std::string request_id;  // empty: all
  std::size_t limit = 50;
  bool errors_only = false;  // outcome other than ok
};

struct LogQuery {
  std::string function;
  std::string request_id;     // empty: all
  std::int64_t since_us = 0;  // inclusive
  std::size_t limit = 1000;   // the newest so many, in order of time
};

// Sums since the server's data began; exact, durable. invocations counts every record; errors those
// that are neither ok nor refused, timeouts among them. gb_seconds and price hold what is billed.
struct FunctionTotals {
  std::string function;
  std::uint64_t invocations = 0, errors = 0, timeouts = 0, refused = 0, cold_starts = 0;
  std::uint64_t run_us = 0, init_us = 0, start_us = 0, queue_us = 0, cpu_us = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t memory_peak_bytes = 0;
  double gb_seconds = 0;
  std::int64_t price_nano = 0;
  std::uint64_t records_dropped = 0;    // not stored: over Limits::records_per_second_max
  std::uint64_t log_bytes_dropped = 0;  // cut off, over a limit, or faster than the disk
  // From arrival to end, of the last 1,000 invocations since the start of the server, microseconds;
  // 0 if none
  std::uint64_t p50_us = 0, p90_us = 0, p99_us = 0;
};

struct BillLine {
  std::string function;
  std::string day;                // 2026-11-21, UTC
  std::uint64_t invocations = 0;  // billed ones: not what was refused or failed in the platform
  double gb_seconds = 0;
  std::uint64_t bytes_out = 0;
  std::int64_t price_nano = 0;
};

class Telemetry {
 public:
  virtual ~Telemetry() = default;

  virtual void add(Record record) = 0;  // fills price_nano
  virtual void add(LogLine line) = 0;   // splits nothing: one line; enforces the limits

  // Blocks until all that was added before is in the store. Called by stop and by tests.
  virtual void flush() = 0;

  virtual Result<std::vector<Record>> records(const RecordQuery& query) = 0;  // newest first
  virtual Result<std::vector<LogLine>> logs(const LogQuery& query) = 0;       // oldest first
  virtual Result<std::vector<FunctionTotals>> totals(const std::string& function_or_empty) = 0;
  virtual Result<std::vector<BillLine>> bill(const std::string& function_or_empty,
                                             const std::string& first_day,
                                             const std::string& last_day) = 0;
  virtual const PriceTable& prices() const = 0;

  // Lines as they are added, called on the adding thread; the token unsubscribes when destroyed.
  // Afterwards it is not called again. An empty function means all. For `mayfly logs -f`.
  using LogListener = std::function<void(const LogLine&)>;
  virtual std::shared_ptr<void> follow(std::string function, LogListener listener) = 0;

  // Removes what is kept about a deleted function, except its bill.
  virtual Status forget(const std::string& function) = 0;
};

std::unique_ptr<Telemetry> make_telemetry(store::Store& store, const Clock& clock,
                                          PriceTable prices, Limits limits);

// Metrics in the Prometheus text format (names by its conventions: mayfly_invocations_total ...).
// Thread-safe. Cheap on the hot path: a handle is looked up once, then an atomic add.
class Metrics {
 public:
  class Counter {
   public:
    virtual ~Counter() = default;
    virtual void add(double n = 1) = 0;
  };
  class Gauge {
   public:
    virtual ~Gauge() = default;
    virtual void set(double value) = 0;
    virtual void add(double n) = 0;
  };
  class Histogram {
   public:
    virtual ~Histogram() = default;
    virtual void observe(double value) = 0;
  };
  using Labels = std::vector<std::pair<std::string, std::string>>;

  virtual ~Metrics() = default;
  virtual Counter& counter(const std::string& name, const std::string& help, const Labels&) = 0;
  virtual Gauge& gauge(const std::string& name, const std::string& help, const Labels&) = 0;
  virtual Histogram& histogram(const std::string& name, const std::string& help, const Labels&,
                               std::vector<double> bounds) = 0;
  // Called just before each exposition, to set gauges.
  virtual void before_exposition(std::function<void()> refresh) = 0;
  virtual std::string exposition() = 0;
};
std::unique_ptr<Metrics> make_metrics();

}  // namespace mayfly::telemetry
