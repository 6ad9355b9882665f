// What can be asked of the recorder. All block on the store.

#include <algorithm>

#include "telemetry/bytes.h"
#include "telemetry/recorder.h"

namespace mayfly::telemetry {
namespace {

// Chunks of log lines may overlap a little in time: lines come from several pipes.
constexpr std::int64_t kDisorderUs = 60'000'000;
constexpr std::size_t kDisorderLines = 100'000;
constexpr std::size_t kLinesMax = 10'000'000;

std::int64_t end_us(const Record& record) {
  return record.arrived_us + static_cast<std::int64_t>(record.queue_us + record.start_us +
                                                       record.init_us + record.run_us);
}

Error damaged(std::string_view what, const std::string& function) {
  return Error{Code::corrupt,
               "The stored " + std::string(what) + " of function " + function + " are damaged.",
               "read telemetry"};
}

bool is_day(const std::string& text) {
  if (text.size() != 10) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (i == 4 || i == 7 ? text[i] != '-' : text[i] < '0' || text[i] > '9') return false;
  return true;
}

}  // namespace

// Appends the newest matching records of one function with the sequence of their chunks.
Status Recorder::collect_records(const std::string& function, const RecordQuery& query,
                                 std::vector<std::pair<std::uint64_t, Record>>& out) {
  const std::string prefix = records_prefix(function);
  std::size_t found = 0;
  bool intact = true;
  MAYFLY_TRY(store_.scan(
      {prefix, store::prefix_end(prefix), SIZE_MAX, true},
      [&](std::string_view key, std::string_view value) {
        std::vector<Record> records;
        intact = decode_records(value, function, records) && intact;
        for (auto record = records.rbegin(); record != records.rend(); ++record) {
          if (query.errors_only && record->outcome == Outcome::ok) continue;
          if (!query.request_id.empty() && record->request_id != query.request_id) continue;
          out.emplace_back(from_big_endian(key.substr(prefix.size())), std::move(*record));
          if (++found >= query.limit) return false;
        }
        return true;
      }));
  if (!intact) return damaged("records", function);
  return ok();
}

Result<std::vector<Record>> Recorder::records(const RecordQuery& query) {
  std::vector<std::pair<std::uint64_t, std::string>> functions;  // by newest chunk
  {
    std::lock_guard lock(state_mutex_);
    for (const auto& [name, state] : ledger_.functions())
      if (query.function.empty() || name == query.function)
        functions.emplace_back(state.row.last_sequence, name);
  }
  std::sort(functions.rbegin(), functions.rend());
  std::vector<std::pair<std::uint64_t, Record>> found;
  // By batch, then by end: pipes and loops mix within a batch.
  const auto newer = [](const auto& a, const auto& b) {
    return std::pair(batch_of(a.first), end_us(a.second)) >
           std::pair(batch_of(b.first), end_us(b.second));
  };
  for (const auto& [last_sequence, name] : functions) {
    if (query.limit == 0) break;
    if (found.size() >= query.limit) {
      // Nothing of this function, or of those behind it, can be among the newest.
      std::stable_sort(found.begin(), found.end(), newer);
      found.resize(query.limit);
      if (batch_of(last_sequence) < batch_of(found.back().first)) break;
    }
    MAYFLY_TRY(collect_records(name, query, found));
  }
  std::stable_sort(found.begin(), found.end(), newer);
  if (found.size() > query.limit) found.resize(query.limit);
  std::vector<Record> records;
  records.reserve(found.size());
  for (auto& [sequence, record] : found) records.push_back(std::move(record));
  return records;
}

Result<std::vector<LogLine>> Recorder::logs(const LogQuery& query) {
  std::vector<LogLine> found;
  const std::string prefix = logs_prefix(query.function);
  bool intact = true;
  std::int64_t oldest_wanted = query.since_us;
  MAYFLY_TRY(store_.scan({prefix, store::prefix_end(prefix), SIZE_MAX, true},
                         [&](std::string_view, std::string_view value) {
                           std::vector<LogLine> lines;
                           intact = decode_lines(value, query.function, lines) && intact;
                           if (lines.empty()) return true;
                           if (lines.back().time_us < oldest_wanted - kDisorderUs) return false;
                           for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
                             if (line->time_us < query.since_us) continue;
                             if (!query.request_id.empty() && line->request_id != query.request_id)
                               continue;
                             found.push_back(std::move(*line));
                           }
                           // With enough in hand only lines that are not older than all of it still
                           // matter.
                           if (found.size() >= query.limit)
                             oldest_wanted = std::max(
                                 oldest_wanted,
                                 std::min_element(found.begin(), found.end(), [](auto& a, auto& b) {
                                   return a.time_us < b.time_us;
                                 })->time_us);
                           return found.size() < std::min(query.limit, kLinesMax) + kDisorderLines;
                         }));
  if (!intact) return damaged("logs", query.function);
  // They came newest first; lines of the same moment keep the order in which they were added.
  std::reverse(found.begin(), found.end());
  std::stable_sort(found.begin(), found.end(),
                   [](const LogLine& a, const LogLine& b) { return a.time_us < b.time_us; });
  if (found.size() > query.limit)
    found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(query.limit));
  return found;
}

Result<std::vector<FunctionTotals>> Recorder::totals(const std::string& function_or_empty) {
  std::vector<FunctionTotals> totals;
  {
    std::lock_guard lock(state_mutex_);
    if (function_or_empty.empty()) {
      for (const auto& [name, state] : ledger_.functions())
        totals.push_back(ledger_.totals(name, state));
    } else if (const auto* state = ledger_.find(function_or_empty)) {
      totals.push_back(ledger_.totals(function_or_empty, *state));
    }
  }
  std::sort(totals.begin(), totals.end(),
            [](const auto& a, const auto& b) { return a.function < b.function; });
  return totals;
}

Result<std::vector<BillLine>> Recorder::bill(const std::string& function_or_empty,
                                             const std::string& first_day,
                                             const std::string& last_day) {
  for (const auto& day : {first_day, last_day})
    if (!day.empty() && !is_day(day))
      return Error{Code::invalid_argument, "'" + day + "' is not a day; write YYYY-MM-DD."};
  flush();
  const auto wanted = [&](std::string_view day) {
    return (first_day.empty() || day >= first_day) && (last_day.empty() || day <= last_day);
  };
  std::map<std::pair<std::string, std::string>, BillRow> rows;
  const std::string prefix = function_or_empty.empty() ? "t/b/" : bill_prefix(function_or_empty);
  bool intact = true;
  MAYFLY_TRY(store_.scan(
      {prefix, store::prefix_end(prefix)}, [&](std::string_view key, std::string_view value) {
        key.remove_prefix(4);
        const auto split = key.find('\0');
        if (split == std::string_view::npos || !wanted(key.substr(split + 1))) return true;
        BillRow row;
        intact = decode(value, row) && intact;
        rows[{std::string(key.substr(0, split)), std::string(key.substr(split + 1))}] = row;
        return true;
      }));
  if (!intact) return damaged("bills", function_or_empty.empty() ? "(all)" : function_or_empty);
  {
    // What could not be written yet (a full disk) counts all the same.
    std::lock_guard lock(state_mutex_);
    for (const auto& [name, state] : ledger_.functions()) {
      if (!function_or_empty.empty() && name != function_or_empty) continue;
      for (const auto& bill : state.days)
        if (bill.loaded && wanted(day_text(bill.day))) rows[{name, day_text(bill.day)}] = bill.row;
    }
  }
  std::vector<BillLine> lines;
  for (const auto& [key, row] : rows)
    lines.push_back(
        {key.first, key.second, row.invocations, row.used.value(), row.bytes_out, row.price_nano});
  return lines;
}

}  // namespace mayfly::telemetry
