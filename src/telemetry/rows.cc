#include "telemetry/rows.h"

#include <algorithm>

#include "telemetry/bytes.h"

namespace mayfly::telemetry {
namespace {

constexpr std::uint8_t kRowVersion = 1;
constexpr std::uint8_t kAttemptFollows = 0x80;  // in the byte of a record's start

std::string key_of(std::string_view prefix, std::string_view function) {
  std::string key(prefix);
  key += function;
  key += '\0';
  return key;
}

}  // namespace

std::string totals_key(std::string_view function) {
  return std::string(kTotalsPrefix) + std::string(function);
}
std::string bill_prefix(std::string_view function) {
  return key_of("t/b/", function);
}
std::string bill_key(std::string_view function, std::string_view day) {
  return bill_prefix(function) + std::string(day);
}
std::string records_prefix(std::string_view function) {
  return key_of("t/r/", function);
}
std::string records_key(std::string_view function, std::uint64_t sequence) {
  return records_prefix(function) + big_endian(sequence);
}
std::string logs_prefix(std::string_view function) {
  return key_of("t/l/", function);
}
std::string logs_key(std::string_view function, std::int64_t time_us, std::uint64_t sequence) {
  return logs_prefix(function) +
         big_endian(static_cast<std::uint64_t>(std::max<std::int64_t>(time_us, 0))) +
         big_endian(sequence);
}

void GbSeconds::add(std::uint64_t mb, std::uint64_t us) {
  // us is split first, so that no product can overflow.
  mb_seconds += mb * (us / 1'000'000);
  mb_us += mb * (us % 1'000'000);
  mb_seconds += mb_us / 1'000'000;
  mb_us %= 1'000'000;
}

double GbSeconds::value() const {
  return (static_cast<double>(mb_seconds) + static_cast<double>(mb_us) / 1e6) / 1024.0;
}

std::string encode(const BillRow& row) {
  std::string bytes;
  ByteWriter out(bytes);
  out.byte(kRowVersion);
  out.number(row.invocations);
  out.number(row.used.mb_seconds);
  out.number(row.used.mb_us);
  out.number(row.bytes_out);
  out.signed_number(row.price_nano);
  return bytes;
}

bool decode(std::string_view bytes, BillRow& row) {
  ByteReader in(bytes);
  if (in.byte() != kRowVersion) return false;
  row.invocations = in.number();
  row.used.mb_seconds = in.number();
  row.used.mb_us = in.number();
  row.bytes_out = in.number();
  row.price_nano = in.signed_number();
  return in.good();
}

std::string encode(const TotalsRow& row) {
  const auto& t = row.totals;
  std::string bytes;
  ByteWriter out(bytes);
  out.byte(kRowVersion);
  for (const std::uint64_t value : {t.invocations,
                                    t.errors,
                                    t.timeouts,
                                    t.refused,
                                    t.cold_starts,
                                    t.run_us,
                                    t.init_us,
                                    t.start_us,
                                    t.queue_us,
                                    t.cpu_us,
                                    t.bytes_in,
                                    t.bytes_out,
                                    t.memory_peak_bytes,
                                    row.used.mb_seconds,
                                    row.used.mb_us,
                                    t.records_dropped,
                                    t.log_bytes_dropped,
                                    row.records_stored,
                                    row.log_bytes_stored,
                                    row.last_sequence})
    out.number(value);
  out.signed_number(t.price_nano);
  return bytes;
}

bool decode(std::string_view bytes, TotalsRow& row) {
  auto& t = row.totals;
  ByteReader in(bytes);
  if (in.byte() != kRowVersion) return false;
  for (std::uint64_t* value : {&t.invocations,
                               &t.errors,
                               &t.timeouts,
                               &t.refused,
                               &t.cold_starts,
                               &t.run_us,
                               &t.init_us,
                               &t.start_us,
                               &t.queue_us,
                               &t.cpu_us,
                               &t.bytes_in,
                               &t.bytes_out,
                               &t.memory_peak_bytes,
                               &row.used.mb_seconds,
                               &row.used.mb_us,
                               &t.records_dropped,
                               &t.log_bytes_dropped,
                               &row.records_stored,
                               &row.log_bytes_stored,
                               &row.last_sequence})
    *value = in.number();
  t.price_nano = in.signed_number();
  return in.good();
}

void append_record(std::string& chunk, const Record& r) {
  ByteWriter out(chunk);
  out.text(r.request_id);
  out.number(r.version);
  out.text(r.revision);
  out.text(r.instance);
  out.text(r.source);
  out.signed_number(r.arrived_us);
  for (const std::uint64_t value :
       {r.queue_us, r.start_us, r.init_us, r.run_us, r.cpu_us, r.memory_peak_bytes,
        std::uint64_t{r.memory_mb}, r.bytes_in, r.bytes_out})
    out.number(value);
  // 1 was the whole of it before there were clones: 0, or cold as 1 (boot) and 2 (clone).
  // The high bit: the number of the attempt follows.
  const int start = !r.cold ? 0 : r.start == StartKind::clone ? 2 : 1;
  out.byte(static_cast<std::uint8_t>(start | (r.attempt > 1 ? kAttemptFollows : 0)));
  if (r.attempt > 1) out.number(r.attempt);
  out.byte(static_cast<std::uint8_t>(r.outcome));
  out.byte(static_cast<std::uint8_t>(r.party));
  out.byte(static_cast<std::uint8_t>(r.phase));
  out.signed_number(r.http_status);
  out.text(r.error);
  out.signed_number(r.price_nano);
}

void append_line(std::string& chunk, LogContext& context, const LogLine& line) {
  ByteWriter out(chunk);
  const bool same_instance = line.instance == context.instance;
  const bool same_request = line.request_id == context.request_id;
  out.byte(static_cast<std::uint8_t>(static_cast<int>(line.stream) | (same_instance ? 4 : 0) |
                                     (same_request ? 8 : 0)));
  out.signed_number(line.time_us - context.time_us);
  out.number(line.version);
  if (!same_instance) out.text(context.instance = line.instance);
  if (!same_request) out.text(context.request_id = line.request_id);
  out.text(line.text);
  context.time_us = line.time_us;
}

std::string finish_chunk(std::string_view body, std::uint64_t count) {
  std::string chunk;
  chunk.reserve(body.size() + 11);
  ByteWriter out(chunk);
  out.byte(kRowVersion);
  out.number(count);
  chunk += body;
  return chunk;
}

std::uint64_t chunk_count(std::string_view chunk) {
  ByteReader in(chunk);
  if (in.byte() != kRowVersion) return 0;
  const std::uint64_t count = in.number();
  return in.good() ? count : 0;
}

bool decode_records(std::string_view chunk, std::string_view function, std::vector<Record>& out) {
  ByteReader in(chunk);
  if (in.byte() != kRowVersion) return false;
  const std::uint64_t count = in.number();
  for (std::uint64_t i = 0; i < count && in.good(); ++i) {
    Record r;
    r.function = function;
    r.request_id = in.text();
    r.version = in.number();
    r.revision = in.text();
    r.instance = in.text();
    r.source = in.text();
    r.arrived_us = in.signed_number();
    for (std::uint64_t* value :
         {&r.queue_us, &r.start_us, &r.init_us, &r.run_us, &r.cpu_us, &r.memory_peak_bytes})
      *value = in.number();
    r.memory_mb = static_cast<std::uint32_t>(in.number());
    r.bytes_in = in.number();
    r.bytes_out = in.number();
    std::uint8_t start = in.byte();
    if ((start & kAttemptFollows) != 0) r.attempt = static_cast<std::uint32_t>(in.number());
    start &= static_cast<std::uint8_t>(~kAttemptFollows);
    r.cold = start != 0;
    r.start = start == 0 ? StartKind::none : start == 2 ? StartKind::clone : StartKind::boot;
    r.outcome = static_cast<Outcome>(in.byte());
    r.party = static_cast<Party>(in.byte());
    r.phase = static_cast<Phase>(in.byte());
    r.http_status = static_cast<int>(in.signed_number());
    r.error = in.text();
    r.price_nano = in.signed_number();
    if (in.good()) out.push_back(std::move(r));
  }
  return in.good();
}

bool decode_lines(std::string_view chunk, std::string_view function, std::vector<LogLine>& out) {
  ByteReader in(chunk);
  if (in.byte() != kRowVersion) return false;
  const std::uint64_t count = in.number();
  LogLine line;
  line.function = function;
  for (std::uint64_t i = 0; i < count && in.good(); ++i) {
    const std::uint8_t flags = in.byte();
    line.stream = static_cast<LogLine::Stream>(flags & 3);
    line.time_us += in.signed_number();
    line.version = in.number();
    if ((flags & 4) == 0) line.instance = in.text();
    if ((flags & 8) == 0) line.request_id = in.text();
    line.text = in.text();
    if (in.good()) out.push_back(line);
  }
  return in.good();
}

}  // namespace mayfly::telemetry
