// The parts of the native API that go on beside requests: log streams and the deletion of packages.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <mutex>
#include <optional>

#include "dialects/native/log_stream.h"
#include "dialects/native/package_keeper.h"

namespace mayfly::dialects::native {
namespace {

namespace asio = boost::asio;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Only follow() is real.
class FakeTelemetry final : public telemetry::Telemetry {
 public:
  void add(telemetry::Record) override {}
  void add(telemetry::LogLine line) override {
    if (listener) listener(line);
  }
  void flush() override {}
  Result<std::vector<telemetry::Record>> records(const telemetry::RecordQuery&) override {
    return std::vector<telemetry::Record>();
  }
  Result<std::vector<telemetry::LogLine>> logs(const telemetry::LogQuery&) override {
    return std::vector<telemetry::LogLine>();
  }
  Result<std::vector<telemetry::FunctionTotals>> totals(const std::string&) override {
    return std::vector<telemetry::FunctionTotals>();
  }
  Result<std::vector<telemetry::BillLine>> bill(const std::string&, const std::string&,
                                                const std::string&) override {
    return std::vector<telemetry::BillLine>();
  }
  const telemetry::PriceTable& prices() const override { return prices_; }
  std::shared_ptr<void> follow(std::string, LogListener wanted) override {
    listener = std::move(wanted);
    return {this, [this](void*) { listener = nullptr; }};
  }
  Status forget(const std::string&) override { return ok(); }

  LogListener listener;

 private:
  telemetry::PriceTable prices_;
};

telemetry::LogLine line(std::int64_t time_us, std::string text, std::string request = "r") {
  telemetry::LogLine made;
  made.time_us = time_us;
  made.request_id = std::move(request);
  made.text = std::move(text);
  return made;
}

class LogFeedTest : public ::testing::Test {
 protected:
  std::shared_ptr<LogFeed> follow(const std::string& request_id = {}) {
    auto feed = std::make_shared<LogFeed>(loop_, request_id);
    feed->subscribe(telemetry_, "f");
    return feed;
  }
  void begin_next(const std::shared_ptr<LogFeed>& feed) {
    answer_.reset();
    asio::co_spawn(loop_, feed->next(), [this](std::exception_ptr, Result<std::string> got) {
      answer_ = got.has_value() ? *got : "error";
    });
  }
  std::string next(const std::shared_ptr<LogFeed>& feed) {
    begin_next(feed);
    loop_.restart();
    while (!answer_ && loop_.run_one() > 0) {
    }
    return answer_.value_or("nothing");
  }

  FakeTelemetry telemetry_;
  asio::io_context loop_;
  std::optional<std::string> answer_;
};

TEST_F(LogFeedTest, LinesComeInOrderAndOnce) {
  auto feed = follow();
  telemetry_.add(line(1, "in the query too"));
  telemetry_.add(line(2, "same"));
  telemetry_.add(line(2, "same"));
  feed->start_after({line(1, "in the query too"), line(2, "same")});
  const std::string first = next(feed);
  EXPECT_THAT(first, HasSubstr("\"text\":\"same\""));
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 1) << first;
}

TEST_F(LogFeedTest, WaitingReaderIsWokenByALine) {
  auto feed = follow();
  begin_next(feed);
  loop_.restart();
  loop_.poll();
  EXPECT_FALSE(answer_);
  telemetry_.add(line(5, "late"));
  loop_.restart();
  loop_.poll();
  ASSERT_TRUE(answer_);
  EXPECT_THAT(*answer_, HasSubstr("late"));
}

TEST_F(LogFeedTest, OtherInvocationsAreLeftOut) {
  auto feed = follow("mine");
  telemetry_.add(line(1, "theirs", "other"));
  telemetry_.add(line(2, "ours", "mine"));
  EXPECT_EQ(next(feed).find("theirs"), std::string::npos);
}

TEST_F(LogFeedTest, SlowReaderLosesLinesAndIsToldHowMany) {
  auto feed = follow();
  for (int i = 0; i < 6; ++i) telemetry_.add(line(i, std::string(1u << 20, 'x')));
  EXPECT_THAT(next(feed), HasSubstr("3 lines were dropped"));
}

TEST_F(LogFeedTest, CloseEndsTheStreamAndLettingGoUnsubscribes) {
  auto feed = follow();
  begin_next(feed);
  loop_.poll();
  feed->close();
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(answer_.value_or("nothing"), "");
  EXPECT_TRUE(telemetry_.listener);
  feed.reset();
  loop_.restart();
  loop_.poll();
  EXPECT_FALSE(telemetry_.listener);
}

class ManualClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return now; }
  WallTime wall_now() const override { return {}; }
  SteadyTime now = std::chrono::steady_clock::now();
};

class PackageKeeperTest : public ::testing::Test {
 protected:
  // Runs until so many collections are over; the keep sets of all. It asks what is in use before
  // and after each.
  std::vector<std::set<std::string>> run(int collections) {
    loop_.restart();
    while (asked_ < 2 * collections && loop_.run_one_for(std::chrono::seconds(10)) > 0) {
    }
    EXPECT_EQ(asked_, 2 * collections);
    loop_.poll();
    return collected_;
  }
  io::Task<void> take_hold() { hold_.emplace(co_await keeper_->hold()); }
  void begin_hold() {
    asio::co_spawn(loop_, take_hold(), [](std::exception_ptr) {});
  }

  asio::io_context loop_;
  ManualClock clock_;
  std::set<std::string> in_use_{"used"};
  int asked_ = 0;
  std::mutex deleting_;
  std::vector<std::set<std::string>> collected_;  // written by the pool's thread
  io::BlockingPool pool_{1};
  std::optional<PackageKeeper::Hold> hold_;
  std::shared_ptr<PackageKeeper> keeper_ = std::make_shared<PackageKeeper>(
      PackageKeeper::Parts{loop_, pool_, clock_,
                           [this] {
                             ++asked_;
                             return in_use_;
                           },
                           [this](const std::set<std::string>& keep) {
                             std::lock_guard lock(deleting_);
                             collected_.push_back(keep);
                             return std::size_t{0};
                           },
                           std::chrono::hours(1)});
};

TEST_F(PackageKeeperTest, KeepsWhatIsUsedAndWhatWasTouchedLately) {
  keeper_->touch("uploaded");
  keeper_->collect();
  EXPECT_THAT(run(1), ElementsAre(std::set<std::string>{"used", "uploaded"}));
  clock_.now += std::chrono::hours(2);
  keeper_->collect();
  EXPECT_EQ(run(2).back(), std::set<std::string>{"used"});
}

TEST_F(PackageKeeperTest, WaitsWhileSomebodyHolds) {
  begin_hold();
  run(0);
  ASSERT_TRUE(hold_);
  keeper_->collect();
  keeper_->collect();
  EXPECT_TRUE(run(0).empty());
  hold_.reset();
  EXPECT_EQ(run(1).size(), 1u);
}

TEST_F(PackageKeeperTest, HoldersWaitWhileItDeletes) {
  {
    std::lock_guard lock(deleting_);
    keeper_->collect();
    begin_hold();
    loop_.restart();
    loop_.poll();
    EXPECT_FALSE(hold_);
  }
  EXPECT_EQ(run(1).size(), 1u);
  EXPECT_TRUE(hold_);
}

}  // namespace
}  // namespace mayfly::dialects::native
