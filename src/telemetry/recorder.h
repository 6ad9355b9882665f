#pragma once
// Telemetry over a Store: a queue that is cheap to add to, and one thread that sums, encodes and
// writes in batches. The thread sleeps while nothing is added.

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "store/store.h"
#include "telemetry/ledger.h"
#include "telemetry/log_gate.h"
#include "telemetry/rows.h"
#include "telemetry/telemetry.h"

namespace mayfly::telemetry {

class Recorder final : public Telemetry {
 public:
  Recorder(store::Store& store, const Clock& clock, PriceTable prices, Limits limits);
  ~Recorder() override;  // writes what is queued

  void add(Record record) override;
  void add(LogLine line) override;
  void flush() override;
  Result<std::vector<Record>> records(const RecordQuery& query) override;
  Result<std::vector<LogLine>> logs(const LogQuery& query) override;
  Result<std::vector<FunctionTotals>> totals(const std::string& function_or_empty) override;
  Result<std::vector<BillLine>> bill(const std::string& function_or_empty,
                                     const std::string& first_day,
                                     const std::string& last_day) override;
  const PriceTable& prices() const override { return prices_; }
  std::shared_ptr<void> follow(std::string function, LogListener listener) override;
  Status forget(const std::string& function) override;

 private:
  struct Batch {
    std::vector<Record> records;
    std::vector<LogLine> lines;
    std::unordered_map<std::string, std::uint64_t> dropped_log_bytes;
  };
  struct Chunk {
    std::string function, key, value;
    std::uint64_t count = 0;      // of records
    std::uint64_t log_bytes = 0;  // key and value
  };
  struct Trimmed {
    std::string function;
    std::uint64_t records = 0, log_bytes = 0;
  };
  enum class Measure { records, bytes };

  void load();
  void run();
  void write(Batch& batch);
  void sum(Batch& batch, std::vector<const Record*>& kept);
  bool take_token(FunctionState& state, const Record& record, std::int64_t now_us);
  void chunk_records(const std::vector<const Record*>& kept, std::vector<Chunk>& chunks);
  void chunk_lines(Batch& batch, std::vector<Chunk>& chunks);
  void load_bills(const std::vector<std::string>& functions);
  void put_rows(const std::vector<std::string>& functions, store::Transaction& transaction);
  std::vector<Trimmed> trim(const std::vector<std::string>& functions,
                            store::Transaction& transaction);
  std::uint64_t trim_prefix(const std::string& prefix, std::uint64_t excess, Measure measure,
                            store::Transaction& transaction);
  void forget_old_days(const std::vector<std::string>& functions);
  void enqueue(LogLine line);
  Status collect_records(const std::string& function, const RecordQuery& query,
                         std::vector<std::pair<std::uint64_t, Record>>& out);

  store::Store& store_;
  const Clock& clock_;
  const PriceTable prices_;
  const Limits limits_;
  LogGate gate_;

  std::mutex queue_mutex_;
  std::condition_variable wake_writer_, flushed_;
  // Protected by queue_mutex_.
  Batch queue_;
  std::size_t queued_log_bytes_ = 0;
  bool writer_called_ = false;
  bool stopping_ = false;
  std::uint64_t flush_asked_ = 0, flush_done_ = 0;

  std::mutex commit_mutex_;  // held over a batch, before state_mutex_; forget() waits for it
  std::mutex state_mutex_;
  Ledger ledger_;                           // protected by state_mutex_
  std::uint64_t sequence_ = 0;              // writer only
  double success_tokens_, failure_tokens_;  // writer only
  std::int64_t tokens_filled_us_;           // writer only
  bool retry_ = false;                      // writer only: rows that could not be written wait

  std::thread writer_;
};

}  // namespace mayfly::telemetry
