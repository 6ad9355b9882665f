#include "telemetry/recorder.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "telemetry/bytes.h"

namespace mayfly::telemetry {
namespace {

constexpr auto kBatchWindow = std::chrono::milliseconds(20);
constexpr auto kRetryPause = std::chrono::seconds(1);
constexpr std::size_t kQueuedRecordsMax = 64 * 1024;
constexpr std::size_t kQueuedLogBytesMax = 32u << 20;
constexpr std::size_t kBatchRecordsFull = 16 * 1024;  // worth a batch before the window ends
constexpr std::uint64_t kChunkBytesMax = 64 * 1024;
constexpr std::uint64_t kChunkRecordsMax = 256;
constexpr double kBurstSeconds = 10;
constexpr double kFailureFactor = 10;
constexpr double kOwnShareBurst = 50;
constexpr double kOwnSharePerSecond = 5;

// Keeps the room for the next batch, unless it was made for a flood that is over.
template <class T>
void empty(std::vector<T>& items) {
  const bool too_roomy = items.capacity() > 4096 && items.size() < items.capacity() / 8;
  if (too_roomy)
    std::vector<T>().swap(items);
  else
    items.clear();
}

}  // namespace

Recorder::Recorder(store::Store& store, const Clock& clock, PriceTable prices, Limits limits)
    : store_(store),
      clock_(clock),
      prices_(std::move(prices)),
      limits_(limits),
      gate_(limits),
      success_tokens_(static_cast<double>(limits.records_per_second_max) * kBurstSeconds),
      failure_tokens_(success_tokens_ * kFailureFactor),
      tokens_filled_us_(to_us(clock.steady_now().time_since_epoch())) {
  load();
  writer_ = std::thread([this] { run(); });
}

Recorder::~Recorder() {
  {
    std::lock_guard lock(queue_mutex_);
    stopping_ = true;
  }
  wake_writer_.notify_one();
  writer_.join();
}

void Recorder::load() {
  std::size_t damaged = 0;
  const auto status =
      store_.scan({std::string(kTotalsPrefix), store::prefix_end(kTotalsPrefix)},
                  [&](std::string_view key, std::string_view value) {
                    TotalsRow row;
                    if (!decode(value, row)) {
                      ++damaged;
                      return true;
                    }
                    sequence_ = std::max(sequence_, row.last_sequence);
                    ledger_.state(std::string(key.substr(kTotalsPrefix.size()))).row = row;
                    return true;
                  });
  if (status.has_error())
    log::error("Totals of functions could not be read: {}", status.error().describe());
  if (damaged > 0) log::error("{} rows of totals are damaged; these functions count anew", damaged);
}

void Recorder::add(Record record) {
  {
    std::unique_lock lock(queue_mutex_);
    if (queue_.records.size() < kQueuedRecordsMax) {
      queue_.records.push_back(std::move(record));
      if (writer_called_ && queue_.records.size() != kBatchRecordsFull) return;
      writer_called_ = true;
      lock.unlock();
      wake_writer_.notify_one();
      return;
    }
  }
  // The disk does not keep up: the record itself is lost, what it adds to the sums is not.
  record.price_nano = prices_.price_nano(record);
  std::lock_guard lock(state_mutex_);
  ledger_.add(record);
  ++ledger_.state(record.function).row.totals.records_dropped;
}

void Recorder::add(LogLine line) {
  const std::uint64_t cut = cut_line(line, limits_.log_line_bytes_max);
  const auto verdict = gate_.admit(line);
  if (verdict == LogGate::Verdict::drop || cut > 0) {
    const std::uint64_t lost = cut + (verdict == LogGate::Verdict::drop ? line.text.size() + 1 : 0);
    std::lock_guard lock(queue_mutex_);
    queue_.dropped_log_bytes[line.function] += lost;
  }
  if (verdict == LogGate::Verdict::drop) return;
  LogLine mark;
  if (verdict == LogGate::Verdict::pass_with_mark) {
    mark = line;
    mark.stream = LogLine::Stream::platform;
    mark.text = fmt::format(
        "[the rest of this invocation's output is dropped: over "
        "telemetry.log_bytes_per_invocation_max ({} bytes)]",
        limits_.log_bytes_per_invocation_max);
  }
  enqueue(std::move(line));
  if (!mark.text.empty()) enqueue(std::move(mark));
}

void Recorder::enqueue(LogLine line) {
  gate_.tell(line);
  std::unique_lock lock(queue_mutex_);
  const std::size_t size = line.text.size() + 100;  // with the ids
  if (queued_log_bytes_ + size > kQueuedLogBytesMax) {
    queue_.dropped_log_bytes[line.function] += line.text.size() + 1;
    return;
  }
  queued_log_bytes_ += size;
  queue_.lines.push_back(std::move(line));
  if (writer_called_) return;
  writer_called_ = true;
  lock.unlock();
  wake_writer_.notify_one();
}

std::shared_ptr<void> Recorder::follow(std::string function, LogListener listener) {
  return gate_.follow(std::move(function), std::move(listener));
}

void Recorder::flush() {
  std::unique_lock lock(queue_mutex_);
  const std::uint64_t mine = ++flush_asked_;
  wake_writer_.notify_one();
  flushed_.wait(lock, [&] { return flush_done_ >= mine; });
}

void Recorder::run() {
  Batch batch;
  for (;;) {
    std::uint64_t flushing = 0;
    bool last = false;
    {
      std::unique_lock lock(queue_mutex_);
      const auto hurry = [&] { return stopping_ || flush_asked_ > flush_done_; };
      const auto called = [&] { return writer_called_ || hurry(); };
      if (retry_)
        wake_writer_.wait_for(lock, kRetryPause, called);
      else
        wake_writer_.wait(lock, called);
      if (!hurry())
        wake_writer_.wait_for(lock, kBatchWindow, [&] {
          return hurry() || queue_.records.size() >= kBatchRecordsFull;
        });
      std::swap(batch, queue_);
      queued_log_bytes_ = 0;
      writer_called_ = false;
      flushing = flush_asked_;
      last = stopping_;
    }
    write(batch);
    empty(batch.records);
    empty(batch.lines);
    batch.dropped_log_bytes.clear();
    {
      std::lock_guard lock(queue_mutex_);
      flush_done_ = flushing;
    }
    flushed_.notify_all();
    if (last) return;
  }
}

void Recorder::write(Batch& batch) {
  std::lock_guard commit_lock(commit_mutex_);
  std::vector<const Record*> kept;
  std::vector<Chunk> chunks;
  std::vector<std::string> dirty;
  store::Transaction transaction;
  {
    std::lock_guard lock(state_mutex_);
    sequence_ = next_batch(sequence_);
    sum(batch, kept);
    chunk_records(kept, chunks);
    chunk_lines(batch, chunks);
    dirty = ledger_.take_dirty();
  }
  if (dirty.empty()) return;
  load_bills(dirty);
  const auto trimmed = trim(dirty, transaction);
  put_rows(dirty, transaction);
  for (auto& chunk : chunks) transaction.put(std::move(chunk.key), std::move(chunk.value));
  const auto status = store_.commit(transaction, store::Durability::buffered);
  if (status.has_value()) {
    if (retry_) log::info("Records and totals are written again");
    retry_ = false;
    forget_old_days(dirty);
    return;
  }
  if (!retry_)
    log::warn("Records and logs are being dropped, totals wait: {}", status.error().describe());
  retry_ = true;
  // The chunks are lost and so are counted; the sums stay in memory until they can be written.
  std::lock_guard lock(state_mutex_);
  for (const auto& chunk : chunks) {
    auto& row = ledger_.state(chunk.function).row;
    row.totals.records_dropped += chunk.count;
    row.totals.log_bytes_dropped += chunk.log_bytes;
    row.records_stored -= std::min(row.records_stored, chunk.count);
    row.log_bytes_stored -= std::min(row.log_bytes_stored, chunk.log_bytes);
  }
  for (const auto& trim : trimmed) {
    auto& row = ledger_.state(trim.function).row;
    row.records_stored += trim.records;
    row.log_bytes_stored += trim.log_bytes;
  }
  for (const auto& function : dirty) {
    ledger_.mark_dirty(function);
    for (auto& bill : ledger_.state(function).days) bill.dirty = true;
  }
}

void Recorder::sum(Batch& batch, std::vector<const Record*>& kept) {
  const std::int64_t now_us = to_us(clock_.steady_now().time_since_epoch());
  const double passed =
      static_cast<double>(std::max<std::int64_t>(now_us - tokens_filled_us_, 0)) / 1e6;
  const double rate = static_cast<double>(limits_.records_per_second_max);
  tokens_filled_us_ = now_us;
  success_tokens_ = std::min(success_tokens_ + passed * rate, rate * kBurstSeconds);
  failure_tokens_ = std::min(failure_tokens_ + passed * rate * kFailureFactor,
                             rate * kBurstSeconds * kFailureFactor);
  for (auto& record : batch.records) {
    record.price_nano = prices_.price_nano(record);
    ledger_.add(record);
    auto& state = ledger_.state(record.function);
    if (take_token(state, record, now_us))
      kept.push_back(&record);
    else
      ++state.row.totals.records_dropped;
  }
  for (const auto& [function, bytes] : batch.dropped_log_bytes) {
    ledger_.state(function).row.totals.log_bytes_dropped += bytes;
    ledger_.mark_dirty(function);
  }
}

bool Recorder::take_token(FunctionState& state, const Record& record, std::int64_t now_us) {
  double& shared = record.outcome == Outcome::ok ? success_tokens_ : failure_tokens_;
  if (shared >= 1) {
    shared -= 1;
    return true;
  }
  // A function that is called now and then is seen even when another one takes all there is.
  const double passed =
      static_cast<double>(std::max<std::int64_t>(now_us - state.share_filled_us, 0)) / 1e6;
  state.share_filled_us = now_us;
  state.own_share = std::min(state.own_share + passed * kOwnSharePerSecond, kOwnShareBurst);
  if (state.own_share < 1) return false;
  state.own_share -= 1;
  return true;
}

void Recorder::chunk_records(const std::vector<const Record*>& kept, std::vector<Chunk>& chunks) {
  const std::uint64_t count_max =
      std::clamp<std::uint64_t>(limits_.records_per_function_max / 16, 1, kChunkRecordsMax);
  std::unordered_map<std::string_view, std::vector<const Record*>> by_function;
  for (const Record* record : kept) by_function[record->function].push_back(record);
  for (const auto& [name, records] : by_function) {
    const std::string function(name);
    auto& state = ledger_.state(function);
    std::string body;
    std::uint64_t count = 0;
    const auto finish = [&] {
      if (count == 0) return;
      state.row.last_sequence = ++sequence_;
      state.row.records_stored += count;
      chunks.push_back(
          {function, records_key(function, sequence_), finish_chunk(body, count), count, 0});
      body.clear();
      count = 0;
    };
    for (const Record* record : records) {
      append_record(body, *record);
      if (++count == count_max || body.size() > kChunkBytesMax) finish();
    }
    finish();
  }
}

void Recorder::chunk_lines(Batch& batch, std::vector<Chunk>& chunks) {
  const std::uint64_t bytes_max =
      std::clamp<std::uint64_t>(limits_.log_bytes_per_function_max / 16, 256, kChunkBytesMax);
  std::unordered_map<std::string_view, std::vector<const LogLine*>> by_function;
  for (const auto& line : batch.lines) by_function[line.function].push_back(&line);
  for (auto& [name, lines] : by_function) {
    std::stable_sort(lines.begin(), lines.end(),
                     [](const LogLine* a, const LogLine* b) { return a->time_us < b->time_us; });
    const std::string function(name);
    auto& state = ledger_.state(function);
    std::string body;
    LogContext context;
    std::uint64_t count = 0;
    std::int64_t first_us = 0;
    const auto finish = [&] {
      if (count == 0) return;
      std::string key = logs_key(function, first_us, ++sequence_);
      std::string value = finish_chunk(body, count);
      state.row.log_bytes_stored += key.size() + value.size();
      state.row.last_sequence = sequence_;
      const std::uint64_t bytes = key.size() + value.size();
      chunks.push_back({function, std::move(key), std::move(value), 0, bytes});
      body.clear();
      context = {};
      count = 0;
    };
    for (const LogLine* line : lines) {
      if (count == 0) first_us = line->time_us;
      append_line(body, context, *line);
      ++count;
      if (body.size() >= bytes_max) finish();
    }
    finish();
    ledger_.mark_dirty(function);
  }
}

// A bill line of a day that the store may know from before is completed before it is written.
void Recorder::load_bills(const std::vector<std::string>& functions) {
  for (const auto& function : functions) {
    std::vector<std::int64_t> wanted;
    {
      std::lock_guard lock(state_mutex_);
      for (const auto& bill : ledger_.state(function).days)
        if (!bill.loaded) wanted.push_back(bill.day);
    }
    for (const std::int64_t day : wanted) {
      const auto stored = store_.get(bill_key(function, day_text(day)));
      if (stored.has_error() && stored.error().code != Code::not_found) continue;  // later
      BillRow before;
      if (stored.has_value() && !decode(*stored, before))
        log::error("The bill of {} for {} is damaged and starts anew", function, day_text(day));
      std::lock_guard lock(state_mutex_);
      for (auto& bill : ledger_.state(function).days) {
        if (bill.day != day) continue;
        bill.row.invocations += before.invocations;
        bill.row.used.mb_seconds += before.used.mb_seconds;
        bill.row.used.add(1, before.used.mb_us);
        bill.row.bytes_out += before.bytes_out;
        bill.row.price_nano += before.price_nano;
        bill.loaded = true;
      }
    }
  }
}

void Recorder::put_rows(const std::vector<std::string>& functions,
                        store::Transaction& transaction) {
  std::lock_guard lock(state_mutex_);
  for (const auto& function : functions) {
    auto& state = ledger_.state(function);
    transaction.put(totals_key(function), encode(state.row));
    for (auto& bill : state.days) {
      if (!bill.dirty || !bill.loaded) continue;
      transaction.put(bill_key(function, day_text(bill.day)), encode(bill.row));
      bill.dirty = false;
    }
  }
}

// Days that are over are read from the store, should anybody ask.
void Recorder::forget_old_days(const std::vector<std::string>& functions) {
  std::lock_guard lock(state_mutex_);
  const std::int64_t today = to_epoch_us(clock_.wall_now()) / 86'400'000'000;
  for (const auto& function : functions)
    std::erase_if(ledger_.state(function).days, [&](const DayBill& bill) {
      return !bill.dirty && bill.loaded && bill.day + 1 < today;
    });
}

std::vector<Recorder::Trimmed> Recorder::trim(const std::vector<std::string>& functions,
                                              store::Transaction& transaction) {
  const std::uint64_t records_max = limits_.records_per_function_max;
  const std::uint64_t bytes_max = limits_.log_bytes_per_function_max;
  std::vector<Trimmed> trimmed;
  for (const auto& function : functions) {
    std::uint64_t records = 0, bytes = 0;
    {
      std::lock_guard lock(state_mutex_);
      const auto& row = ledger_.state(function).row;
      records = row.records_stored;
      bytes = row.log_bytes_stored;
    }
    // An eighth more than allowed gathers first, so that trimming is rare.
    Trimmed gone{function, 0, 0};
    if (records > records_max + records_max / 8)
      gone.records = trim_prefix(records_prefix(function), records - records_max, Measure::records,
                                 transaction);
    if (bytes > bytes_max)
      gone.log_bytes = trim_prefix(logs_prefix(function), bytes - (bytes_max - bytes_max / 8),
                                   Measure::bytes, transaction);
    if (gone.records == 0 && gone.log_bytes == 0) continue;
    std::lock_guard lock(state_mutex_);
    auto& row = ledger_.state(function).row;
    gone.records = std::min(gone.records, row.records_stored);
    gone.log_bytes = std::min(gone.log_bytes, row.log_bytes_stored);
    row.records_stored -= gone.records;
    row.log_bytes_stored -= gone.log_bytes;
    trimmed.push_back(std::move(gone));
  }
  return trimmed;
}

// Deletes the oldest chunks until at least excess is gone; returns what is gone.
std::uint64_t Recorder::trim_prefix(const std::string& prefix, std::uint64_t excess,
                                    Measure measure, store::Transaction& transaction) {
  std::uint64_t gone = 0;
  std::string last;
  const auto status = store_.scan(
      {prefix, store::prefix_end(prefix)}, [&](std::string_view key, std::string_view value) {
        if (gone >= excess) return false;
        gone += measure == Measure::records ? chunk_count(value) : key.size() + value.size();
        last = key;
        return true;
      });
  if (status.has_error() || last.empty()) return 0;
  last += '\0';  // the range ends just behind it
  transaction.delete_ranges.emplace_back(prefix, last);
  return gone;
}

Status Recorder::forget(const std::string& function) {
  flush();
  std::lock_guard commit_lock(commit_mutex_);
  store::Transaction transaction;
  transaction.remove(totals_key(function));
  for (const auto& prefix : {records_prefix(function), logs_prefix(function)})
    transaction.delete_ranges.emplace_back(prefix, store::prefix_end(prefix));
  MAYFLY_TRY(store_.commit(transaction, store::Durability::buffered));
  std::lock_guard lock(state_mutex_);
  auto& state = ledger_.state(function);
  const bool owes = std::any_of(state.days.begin(), state.days.end(),
                                [](const DayBill& bill) { return bill.dirty; });
  // A bill that could not be written yet stays until it can.
  if (owes)
    state.row = {};
  else
    ledger_.erase(function);
  return ok();
}

std::unique_ptr<Telemetry> make_telemetry(store::Store& store, const Clock& clock,
                                          PriceTable prices, Limits limits) {
  return std::make_unique<Recorder>(store, clock, std::move(prices), limits);
}

}  // namespace mayfly::telemetry
