#include "telemetry/report_lines.h"

#include <gtest/gtest.h>

namespace mayfly::telemetry {
namespace {

CallReport a_report() {
  CallReport report;
  report.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
  report.run_us = 12'345;
  report.memory_mb = 256;
  report.memory_peak_bytes = (36u << 20) + 1;
  return report;
}

TEST(ReportLines, AreWordedAsOnLambda) {
  const auto report = a_report();
  EXPECT_EQ(start_line(report),
            "START RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd Version: $LATEST");
  EXPECT_EQ(end_line(report), "END RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd");
  EXPECT_EQ(report_line(report),
            "REPORT RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\tDuration: 12.35 ms\t"
            "Billed Duration: 13 ms\tMemory Size: 256 MB\tMax Memory Used: 37 MB");
}

TEST(ReportLines, AColdStartIsReportedAndBilled) {
  auto report = a_report();
  report.version = 7;
  report.init_us = 100'700;
  EXPECT_TRUE(start_line(report).ends_with(" Version: 7"));
  EXPECT_NE(report_line(report).find("\tBilled Duration: 114 ms\t"), std::string::npos);
  EXPECT_TRUE(report_line(report).ends_with("\tInit Duration: 100.70 ms"));
  report.restored = true;
  EXPECT_TRUE(report_line(report).ends_with("\tRestore Duration: 100.70 ms"));
}

TEST(ReportLines, SayHowACallFailed) {
  auto report = a_report();
  report.outcome = Outcome::timeout;
  EXPECT_TRUE(report_line(report).ends_with("\tStatus: timeout"));
  report.outcome = Outcome::crash;
  report.error_type = "Runtime.ExitError";
  EXPECT_TRUE(report_line(report).ends_with("\tStatus: error\tError Type: Runtime.ExitError"));
  EXPECT_EQ(timeout_line(from_epoch_us(1'767'225'600'123'000), "abc", milliseconds(3'000)),
            "2026-01-01T00:00:00.123Z abc Task timed out after 3.00 seconds");
}

TEST(ReportLines, ComeFromARecord) {
  Record record;
  record.request_id = "abc";
  record.version = 3;
  record.run_us = 5'000;
  record.start_us = 1'000;
  record.init_us = 2'000;
  record.memory_mb = 128;
  EXPECT_EQ(report_of(record).init_us, 0u);
  record.cold = true;
  record.start = StartKind::boot;
  EXPECT_EQ(report_of(record).init_us, 2'000u);
  EXPECT_FALSE(report_of(record).restored);
  record.start = StartKind::clone;
  EXPECT_EQ(report_of(record).init_us, 3'000u);
  EXPECT_TRUE(report_of(record).restored);
  EXPECT_EQ(billed_ms(report_of(record)), 8u);
}

TEST(ReportLines, EncloseTheLog) {
  const auto report = a_report();
  const auto text = log_with_report(report, "one\ntwo\n");
  EXPECT_EQ(text, start_line(report) + "\none\ntwo\n" + end_line(report) + "\n" +
                      report_line(report) + "\n");
  EXPECT_EQ(log_with_report(report, "one\ntwo"), text);
}

TEST(ReportLines, KeepTheEndOfALongLogAndWholeCharacters) {
  const auto report = a_report();
  std::string log;
  for (int i = 0; i < 3'000; ++i) log += "\xe2\x82\xac";
  for (std::size_t max : {4'096u, 4'095u, 4'094u}) {
    const auto text = log_with_report(report, log, max);
    EXPECT_LE(text.size(), max);
    EXPECT_GT(text.size(), max - 3);
    EXPECT_EQ(text.substr(0, 3), "\xe2\x82\xac");
    EXPECT_TRUE(text.ends_with(report_line(report) + "\n"));
  }
}

TEST(ReportLines, HaveAFormInJson) {
  auto report = a_report();
  report.request_id = "a\"b";
  const auto now = from_epoch_us(1'767'225'600'123'000);
  EXPECT_EQ(start_record(now, report),
            "{\"time\":\"2026-01-01T00:00:00.123Z\",\"type\":\"platform.start\",\"record\":{"
            "\"requestId\":\"a\\\"b\",\"version\":\"$LATEST\"}}");
  report.init_us = 1'000;
  report.outcome = Outcome::crash;
  report.error_type = "Runtime.ExitError";
  EXPECT_EQ(report_record(now, report),
            "{\"time\":\"2026-01-01T00:00:00.123Z\",\"type\":\"platform.report\",\"record\":{"
            "\"requestId\":\"a\\\"b\",\"metrics\":{\"durationMs\":12.345,\"billedDurationMs\":14,"
            "\"memorySizeMB\":256,\"maxMemoryUsedMB\":37,\"initDurationMs\":1.000},"
            "\"status\":\"error\",\"errorType\":\"Runtime.ExitError\"}}");
  EXPECT_NE(runtime_done_record(now, report).find("\"type\":\"platform.runtimeDone\""),
            std::string::npos);
}

TEST(ReportLines, RecordsHaveLevels) {
  auto report = a_report();
  const auto now = from_epoch_us(1'767'225'600'123'000);
  using Level = SystemLogLevel;
  const std::string start = start_record(now, report) + "\n", log = "{\"a\":1}\n";
  const auto done = [&] { return runtime_done_record(now, report) + "\n"; };
  const auto end = [&] { return report_record(now, report) + "\n"; };
  EXPECT_EQ(log_with_records(now, report, log, Level::info), start + log + end());
  EXPECT_EQ(log_with_records(now, report, log, Level::debug), start + log + done() + end());
  EXPECT_EQ(log_with_records(now, report, log, Level::warn), log);
  EXPECT_EQ(log_with_records(now, report, "", Level::warn), "");
  report.outcome = Outcome::timeout;
  EXPECT_EQ(log_with_records(now, report, log, Level::warn), log + done() + end());
  EXPECT_EQ(log_with_records(now, report, log, Level::info, 10), end().substr(end().size() - 10));
}

}  // namespace
}  // namespace mayfly::telemetry
