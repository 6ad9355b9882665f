#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <thread>

#include "store/temp_dir.h"
#include "telemetry/telemetry.h"

namespace mayfly::telemetry {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

constexpr std::int64_t kNoon = 1'795'262'400'000'000;  // 2026-11-21T12:00:00Z
constexpr std::int64_t kDay = 86'400'000'000;

class ManualClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return SteadyTime(microseconds(steady_us.load())); }
  WallTime wall_now() const override { return from_epoch_us(wall_us.load()); }
  std::atomic<std::int64_t> steady_us = 1'000'000, wall_us = kNoon;
};

// Passes on to a memory store until told to be full.
class FullableStore final : public store::Store {
 public:
  Result<std::string> get(std::string_view key) override { return inner_->get(key); }
  Status scan(const Scan& range,
              const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return inner_->scan(range, visit);
  }
  Status commit(const store::Transaction& transaction, store::Durability durability) override {
    if (full) return Error{Code::io_error, "The disk is full."};
    ++commits;
    return inner_->commit(transaction, durability);
  }
  std::atomic<bool> full = false;
  std::atomic<int> commits = 0;

 private:
  std::unique_ptr<store::Store> inner_ = store::make_memory_store();
};

Record make_record(const std::string& function, int i, Outcome outcome = Outcome::ok) {
  Record r;
  r.request_id = function + "-" + std::to_string(i);
  r.function = function;
  r.revision = "r1";
  r.instance = "i1";
  r.source = "http";
  r.arrived_us = kNoon + i;
  r.run_us = 1'000;
  r.memory_mb = 128;
  r.bytes_out = 10;
  r.outcome = outcome;
  return r;
}

LogLine make_line(const std::string& function, const std::string& request, int i,
                  std::string text) {
  LogLine line;
  line.time_us = kNoon + i;
  line.function = function;
  line.instance = "i1";
  line.request_id = request;
  line.text = std::move(text);
  return line;
}

class TelemetryTest : public testing::Test {
 protected:
  void SetUp() override { open({}); }
  void open(Limits limits) {
    telemetry_.reset();
    telemetry_ = make_telemetry(store_, clock_, prices_, limits);
  }
  std::vector<std::string> texts(const LogQuery& query) {
    std::vector<std::string> found;
    const auto lines = telemetry_->logs(query);
    EXPECT_TRUE(lines.has_value());
    for (const auto& line : *lines) found.push_back(line.text);
    return found;
  }
  std::vector<std::string> ids(const RecordQuery& query) {
    std::vector<std::string> found;
    const auto records = telemetry_->records(query);
    EXPECT_TRUE(records.has_value());
    for (const auto& record : *records) found.push_back(record.request_id);
    return found;
  }
  FunctionTotals totals(const std::string& function) {
    const auto found = telemetry_->totals(function);
    EXPECT_EQ(found->size(), 1u);
    return found->empty() ? FunctionTotals() : found->front();
  }

  FullableStore store_;
  ManualClock clock_;
  PriceTable prices_;
  std::unique_ptr<Telemetry> telemetry_;
};

TEST_F(TelemetryTest, RecordComesBackAsItWas) {
  Record r = make_record("hello", 1, Outcome::out_of_memory);
  r.version = 7;
  r.queue_us = 11;
  r.start_us = 22;
  r.init_us = 33;
  r.cpu_us = 55;
  r.memory_peak_bytes = 1ull << 40;
  r.bytes_in = 66;
  r.cold = true;
  r.start = StartKind::clone;
  r.party = Party::function;
  r.phase = Phase::run;
  r.http_status = 502;
  r.error = "killed: \xff\0 bytes";
  telemetry_->add(r);
  telemetry_->flush();
  const auto found = telemetry_->records({"hello"});
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->size(), 1u);
  const Record& f = found->front();
  EXPECT_EQ(f.request_id, r.request_id);
  EXPECT_EQ(f.function, "hello");
  EXPECT_EQ(f.version, 7u);
  EXPECT_EQ(f.revision, "r1");
  EXPECT_EQ(f.instance, "i1");
  EXPECT_EQ(f.source, "http");
  EXPECT_EQ(f.arrived_us, r.arrived_us);
  EXPECT_EQ(f.queue_us + f.start_us + f.init_us + f.run_us, 11u + 22 + 33 + 1'000);
  EXPECT_EQ(f.cpu_us, 55u);
  EXPECT_EQ(f.memory_peak_bytes, 1ull << 40);
  EXPECT_EQ(f.memory_mb, 128u);
  EXPECT_EQ(f.bytes_in, 66u);
  EXPECT_EQ(f.bytes_out, 10u);
  EXPECT_TRUE(f.cold);
  EXPECT_EQ(f.start, StartKind::clone);
  EXPECT_EQ(f.outcome, Outcome::out_of_memory);
  EXPECT_EQ(f.party, Party::function);
  EXPECT_EQ(f.phase, Phase::run);
  EXPECT_EQ(f.http_status, 502);
  EXPECT_EQ(f.error, r.error);
  EXPECT_EQ(f.price_nano, prices_.price_nano(r));
  EXPECT_GT(f.price_nano, 0);
}

TEST_F(TelemetryTest, RecordKnowsHowItsInstanceStarted) {
  Record warm = make_record("starts", 1, Outcome::ok), boot = make_record("starts", 2, Outcome::ok);
  boot.cold = true;
  boot.start = StartKind::boot;
  telemetry_->add(warm);
  telemetry_->add(boot);
  telemetry_->flush();
  const auto found = telemetry_->records({"starts"});
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->size(), 2u);
  int boots = 0;
  for (const auto& record : *found) {
    EXPECT_EQ(record.start, record.cold ? StartKind::boot : StartKind::none);
    boots += record.cold;
  }
  EXPECT_EQ(boots, 1);
}

TEST_F(TelemetryTest, QueriesAreNewestFirstAndFiltered) {
  for (int i = 0; i < 10; ++i) {
    telemetry_->add(make_record("a", i, i % 3 == 0 ? Outcome::crash : Outcome::ok));
    if (i == 4) telemetry_->flush();  // two chunks
  }
  telemetry_->add(make_record("b", 100));
  telemetry_->flush();
  EXPECT_THAT(ids({"a", "", 3}), ElementsAre("a-9", "a-8", "a-7"));
  EXPECT_THAT(ids({"a", "", 50, true}), ElementsAre("a-9", "a-6", "a-3", "a-0"));
  EXPECT_THAT(ids({"", "", 2}), ElementsAre("b-100", "a-9"));
  EXPECT_THAT(ids({"", "a-3"}), ElementsAre("a-3"));
  EXPECT_THAT(ids({"b", "a-3"}), ElementsAre());
  EXPECT_THAT(ids({"nobody"}), ElementsAre());
  EXPECT_THAT(ids({"a", "", 0}), ElementsAre());
}

TEST_F(TelemetryTest, PriceIsWhatRan) {
  Record r = make_record("a", 1);
  r.memory_mb = 1024;
  r.run_us = 750'000;
  r.init_us = 250'000;
  r.queue_us = 9'000'000;  // waiting costs nothing
  EXPECT_EQ(prices_.price_nano(r), 200 + 16'667);
  r.outcome = Outcome::refused;
  EXPECT_EQ(prices_.price_nano(r), 0);
  r.outcome = Outcome::platform_error;
  EXPECT_EQ(prices_.price_nano(r), 0);
  r.outcome = Outcome::timeout;
  EXPECT_EQ(prices_.price_nano(r), 200 + 16'667);
}

TEST_F(TelemetryTest, TotalsAndBillsAreExactAcrossRestarts) {
  std::int64_t price = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) {
      Record r = make_record("a", i);
      r.arrived_us = kNoon + (i % 2) * kDay;
      r.cold = i % 10 == 0;
      if (i % 20 == 1) r.outcome = Outcome::timeout;
      if (i % 20 == 3) r.outcome = Outcome::refused;
      price += prices_.price_nano(r);
      telemetry_->add(r);
    }
    clock_.wall_us += kDay * 5;  // days in memory go, and must come back from the store
    open({});
  }
  const auto t = totals("a");
  EXPECT_EQ(t.invocations, 300u);
  EXPECT_EQ(t.errors, 15u);
  EXPECT_EQ(t.timeouts, 15u);
  EXPECT_EQ(t.refused, 15u);
  EXPECT_EQ(t.cold_starts, 30u);
  EXPECT_EQ(t.run_us, 300'000u);
  EXPECT_EQ(t.price_nano, price);
  EXPECT_DOUBLE_EQ(t.gb_seconds, 285 * 0.001 * 128 / 1024);

  const auto bill = telemetry_->bill("a", "", "");
  ASSERT_TRUE(bill.has_value());
  ASSERT_EQ(bill->size(), 2u);
  EXPECT_EQ((*bill)[0].day, "2026-11-21");
  EXPECT_EQ((*bill)[1].day, "2026-11-22");
  EXPECT_EQ((*bill)[0].invocations, 150u);
  EXPECT_EQ((*bill)[1].invocations, 135u);
  EXPECT_EQ((*bill)[0].price_nano + (*bill)[1].price_nano, price);
  EXPECT_DOUBLE_EQ((*bill)[0].gb_seconds + (*bill)[1].gb_seconds, t.gb_seconds);
  EXPECT_EQ(telemetry_->bill("", "2026-11-22", "2026-11-22")->size(), 1u);
  EXPECT_EQ(telemetry_->bill("", "2026-11-23", "")->size(), 0u);
  EXPECT_TRUE(telemetry_->bill("", "yesterday", "").has_error());
}

TEST_F(TelemetryTest, PercentilesAreOfTheLastThousand) {
  for (int i = 0; i < 5'000; ++i) {
    Record r = make_record("a", i);
    r.run_us = i < 4'000 ? 1'000'000 : static_cast<std::uint64_t>(i - 3'999);
    telemetry_->add(r);
  }
  telemetry_->flush();
  EXPECT_EQ(totals("a").p50_us, 500u);
  EXPECT_EQ(totals("a").p90_us, 900u);
  EXPECT_EQ(totals("a").p99_us, 990u);
}

TEST_F(TelemetryTest, OldRecordsGoFirstAndBillsStay) {
  Limits limits;
  limits.records_per_function_max = 160;
  open(limits);
  for (int i = 0; i < 1'000; ++i) {
    telemetry_->add(make_record("a", i));
    if (i % 50 == 49) telemetry_->flush();
  }
  telemetry_->add(make_record("b", 1));
  telemetry_->flush();
  const auto kept = ids({"a", "", 10'000});
  EXPECT_LE(kept.size(), 160u + 20 + 50);
  EXPECT_GE(kept.size(), 150u);
  EXPECT_EQ(kept.front(), "a-999");
  EXPECT_EQ(ids({"b"}).size(), 1u);
  EXPECT_EQ(telemetry_->bill("a", "", "")->front().invocations, 1'000u);
  EXPECT_EQ(totals("a").invocations, 1'000u);
}

TEST_F(TelemetryTest, FloodOfSuccessesIsSampledButCounted) {
  Limits limits;
  limits.records_per_second_max = 10;  // and bursts of 100
  open(limits);
  for (int i = 0; i < 3'000; ++i) telemetry_->add(make_record("busy", i));
  telemetry_->flush();
  for (int i = 0; i < 20; ++i) telemetry_->add(make_record("quiet", i));
  for (int i = 0; i < 100; ++i) telemetry_->add(make_record("busy", 5'000 + i, Outcome::crash));
  telemetry_->flush();
  EXPECT_EQ(totals("busy").invocations, 3'100u);
  EXPECT_EQ(totals("busy").records_dropped, 3'000u - 150);
  EXPECT_EQ(telemetry_->bill("busy", "", "")->front().invocations, 3'100u);
  EXPECT_EQ(ids({"busy", "", 9'999, true}).size(), 100u) << "failures have a budget of their own";
  EXPECT_EQ(ids({"quiet", "", 9'999}).size(), 20u) << "a quiet function is not starved";
  clock_.steady_us += 1'000'000;
  for (int i = 0; i < 50; ++i) telemetry_->add(make_record("busy", 6'000 + i));
  telemetry_->flush();
  EXPECT_EQ(ids({"busy", "", 9'999}).size(), 150u + 100 + 10 + 5);
}

TEST_F(TelemetryTest, LogsKeepOrderTimeAndRequest) {
  for (int i = 0; i < 6; ++i) {
    telemetry_->add(make_line("a", i % 2 == 0 ? "even" : "odd", i, "line " + std::to_string(i)));
    if (i == 2) telemetry_->flush();
  }
  telemetry_->add(make_line("a", "even", 6, "first of a moment"));
  telemetry_->add(make_line("a", "even", 6, "second of a moment"));
  telemetry_->add(make_line("b", "", 1, "other"));
  telemetry_->flush();
  EXPECT_THAT(texts({"a", "", 0, 3}),
              ElementsAre("line 5", "first of a moment", "second of a moment"));
  EXPECT_THAT(texts({"a", "odd"}), ElementsAre("line 1", "line 3", "line 5"));
  EXPECT_THAT(texts({"a", "odd", kNoon + 3}), ElementsAre("line 3", "line 5"));
  EXPECT_THAT(texts({"b"}), ElementsAre("other"));
  open({});
  EXPECT_EQ(texts({"a"}).size(), 8u);
  const auto lines = *telemetry_->logs({"a", "odd", 0, 1});
  EXPECT_EQ(lines[0].time_us, kNoon + 5);
  EXPECT_EQ(lines[0].instance, "i1");
  EXPECT_EQ(lines[0].request_id, "odd");
  EXPECT_EQ(lines[0].stream, LogLine::Stream::out);
}

TEST_F(TelemetryTest, LongLineIsCutWithAMarkBetweenCharacters) {
  Limits limits;
  limits.log_line_bytes_max = 1'000;
  open(limits);
  std::string text;
  for (int i = 0; i < 500; ++i) text += "\xe2\x82\xac";  // three bytes each
  telemetry_->add(make_line("a", "r", 1, text));
  telemetry_->add(make_line("a", "r", 2, std::string(1'000, 'x')));
  telemetry_->flush();
  const auto found = texts({"a"});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_LE(found[0].size(), 1'000u);
  EXPECT_THAT(found[0], HasSubstr("bytes cut: over telemetry.log_line_bytes_max"));
  EXPECT_EQ(found[0].find(" ...") % 3, 0u);
  EXPECT_EQ(found[1].size(), 1'000u);
  EXPECT_GT(totals("a").log_bytes_dropped, 500u);
}

TEST_F(TelemetryTest, OneInvocationCannotFillTheLog) {
  Limits limits;
  limits.log_bytes_per_invocation_max = 1'000;
  open(limits);
  for (int i = 0; i < 500; ++i) telemetry_->add(make_line("a", "loud", i, std::string(99, 'x')));
  telemetry_->add(make_line("a", "other", 900, "still heard"));
  telemetry_->flush();
  const auto found = texts({"a"});
  ASSERT_EQ(found.size(), 11u + 1 + 1);
  EXPECT_THAT(found[11], HasSubstr("telemetry.log_bytes_per_invocation_max"));
  EXPECT_EQ(found[12], "still heard");
  EXPECT_EQ((*telemetry_->logs({"a"}))[11].stream, LogLine::Stream::platform);
  EXPECT_EQ(totals("a").log_bytes_dropped, 489u * 100);
}

TEST_F(TelemetryTest, OldLogsGoFirst) {
  Limits limits;
  limits.log_bytes_per_function_max = 32 * 1024;
  open(limits);
  for (int i = 0; i < 2'000; ++i) {
    telemetry_->add(make_line("a", "", i, std::to_string(i) + std::string(100, 'x')));
    if (i % 100 == 99) telemetry_->flush();
  }
  const auto found = texts({"a", "", 0, 10'000});
  std::size_t bytes = 0;
  for (const auto& text : found) bytes += text.size();
  EXPECT_LE(bytes, 48u * 1024);
  EXPECT_GE(bytes, 20u * 1024);
  EXPECT_EQ(found.back().rfind("1999x", 0), 0u);
}

TEST_F(TelemetryTest, FullDiskLosesRecordsButNoTotals) {
  telemetry_->add(make_record("a", 1));
  telemetry_->flush();
  store_.full = true;
  for (int i = 0; i < 10; ++i) telemetry_->add(make_record("a", 10 + i));
  telemetry_->flush();
  EXPECT_EQ(totals("a").invocations, 11u);
  EXPECT_EQ(totals("a").records_dropped, 10u);
  EXPECT_EQ(telemetry_->bill("a", "", "")->front().invocations, 11u);
  store_.full = false;
  telemetry_->add(make_record("a", 30));
  telemetry_->flush();
  EXPECT_THAT(ids({"a"}), ElementsAre("a-30", "a-1"));
  open({});
  EXPECT_EQ(totals("a").invocations, 12u);
  EXPECT_EQ(telemetry_->bill("a", "", "")->front().invocations, 12u);
}

TEST_F(TelemetryTest, ListenersHearUntilTheirTokenGoes) {
  std::vector<std::string> heard;
  auto token = telemetry_->follow("a", [&](const LogLine& line) { heard.push_back(line.text); });
  std::vector<std::string> all;
  auto all_token = telemetry_->follow("", [&](const LogLine& line) { all.push_back(line.text); });
  telemetry_->add(make_line("a", "", 1, "one"));
  telemetry_->add(make_line("b", "", 2, "two"));
  token.reset();
  telemetry_->add(make_line("a", "", 3, "three"));
  EXPECT_THAT(heard, ElementsAre("one"));
  EXPECT_THAT(all, ElementsAre("one", "two", "three"));
}

TEST_F(TelemetryTest, ListenerMayDropItsOwnTokenAndTokensMayOutliveTheRoom) {
  std::shared_ptr<void> token;
  int calls = 0;
  token = telemetry_->follow("a", [&](const LogLine&) {
    ++calls;
    token.reset();
  });
  telemetry_->add(make_line("a", "", 1, "one"));
  telemetry_->add(make_line("a", "", 2, "two"));
  EXPECT_EQ(calls, 1);
  auto late = telemetry_->follow("a", [](const LogLine&) {});
  telemetry_.reset();
  late.reset();
}

TEST_F(TelemetryTest, ForgetKeepsTheBill) {
  telemetry_->add(make_record("a", 1));
  telemetry_->add(make_line("a", "", 1, "one"));
  telemetry_->add(make_record("ab", 1));
  ASSERT_TRUE(telemetry_->forget("a").has_value());
  EXPECT_EQ(telemetry_->totals("a")->size(), 0u);
  EXPECT_EQ(ids({"a"}).size(), 0u);
  EXPECT_EQ(texts({"a"}).size(), 0u);
  EXPECT_EQ(ids({"ab"}).size(), 1u);
  EXPECT_EQ(telemetry_->bill("a", "", "")->front().invocations, 1u);
  telemetry_->add(make_record("a", 2));
  telemetry_->flush();
  EXPECT_EQ(totals("a").invocations, 1u);
  EXPECT_EQ(telemetry_->bill("a", "", "")->front().invocations, 2u);
}

TEST_F(TelemetryTest, ManyThreadsLoseNothing) {
  constexpr int kThreads = 4, kEach = 5'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) telemetry_->add(make_record("f" + std::to_string(t % 2), i));
    });
  for (auto& thread : threads) thread.join();
  telemetry_->flush();
  EXPECT_EQ(totals("f0").invocations + totals("f1").invocations, std::uint64_t{kThreads} * kEach);
}

// The writer blocks in the store while the queue overflows: sums are still exact.
TEST_F(TelemetryTest, OverflowingQueueKeepsTheSums) {
  constexpr int kMany = 200'000;
  for (int i = 0; i < kMany; ++i) telemetry_->add(make_record("a", i));
  telemetry_->flush();
  telemetry_->flush();
  EXPECT_EQ(totals("a").invocations, std::uint64_t{kMany});
  EXPECT_EQ(telemetry_->bill("a", "", "")->front().invocations, std::uint64_t{kMany});
}

// Not a bound, which would depend on the machine: the figure is printed.
TEST(TelemetryCost, OfAddingARecord) {
  test::TempDir directory;
  auto store = *store::open_rocksdb(directory.path());
  SystemClock clock;
  auto telemetry = make_telemetry(*store, clock, {}, {});
  constexpr int kRounds = 50, kEach = 1'600;  // a batch window's worth at 80,000/s
  double adding_ns = 0, writing_ns = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Record> records;
    for (int i = 0; i < kEach; ++i) {
      Record r = make_record("hello", i);
      r.request_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
      r.instance = "hello-0f8fad5b-0001";
      records.push_back(std::move(r));
    }
    const auto begin = std::chrono::steady_clock::now();
    for (auto& record : records) telemetry->add(std::move(record));
    const auto added = std::chrono::steady_clock::now();
    telemetry->flush();
    const auto written = std::chrono::steady_clock::now();
    adding_ns += std::chrono::duration<double, std::nano>(added - begin).count();
    writing_ns += std::chrono::duration<double, std::nano>(written - added).count();
  }
  constexpr int kRecords = kRounds * kEach;
  std::printf("add(Record): %.0f ns each; summing and writing: %.0f ns each\n",
              adding_ns / kRecords, writing_ns / kRecords);
  EXPECT_EQ(telemetry->totals("hello")->front().invocations, std::uint64_t{kRecords});
}

TEST(TelemetryRest, NothingIsWrittenWhileNothingIsAdded) {
  FullableStore store;
  SystemClock clock;
  auto telemetry = make_telemetry(store, clock, {}, {});
  telemetry->add(make_record("a", 1));
  telemetry->flush();
  const int commits = store.commits;
  telemetry->flush();
  telemetry->flush();
  EXPECT_EQ(store.commits, commits);
}

}  // namespace
}  // namespace mayfly::telemetry
