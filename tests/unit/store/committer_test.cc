// Group commit: order, durability, errors, and what happens at the end.

#include "store/committer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <mutex>

#include "store/store.h"

namespace mayfly::store {
namespace {

using ::testing::ElementsAre;

// A store whose writes wait until the test lets them, and fail when it says so.
class Gated final : public Store {
 public:
  Result<std::string> get(std::string_view key) override { return inner_->get(key); }
  Status scan(const Scan& range,
              const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return inner_->scan(range, visit);
  }
  Status commit(const Transaction& transaction, Durability durability) override {
    return inner_->commit(transaction, durability);
  }
  void commit_group(std::span<Change> group) override {
    std::unique_lock lock(mutex_);
    ++waiting;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --waiting;
    groups.push_back(group.size());
    for (auto& change : group) synced.push_back(change.durability == Durability::synced);
    if (failing) {
      for (auto& change : group) change.status = Error{Code::io_error, "The disk is full."};
      return;
    }
    Store::commit_group(group);
  }
  void set_open(bool open) {
    std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  void await_writer() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting > 0; });
  }
  // Read by the test while the writer is at rest.
  std::vector<std::size_t> groups;
  std::vector<bool> synced;
  std::atomic<bool> failing = false;

 private:
  std::unique_ptr<Store> inner_ = make_memory_store();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting = 0;
};

struct CommitterTest : testing::Test {
  void run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      loop.restart();
      loop.run_for(std::chrono::milliseconds(1));
    }
    ASSERT_TRUE(done());
  }
  Committer::Done note(int number) {
    return [this, number](const Status& status, Transaction&) {
      (status.has_value() ? written : refused).push_back(number);
    };
  }
  Gated store;
  boost::asio::io_context loop;
  std::vector<int> written, refused;
};

boost::asio::awaitable<void> commit_into(Committer& committer, std::optional<Status>& status) {
  Transaction transaction;
  transaction.put("k", "v");
  status = co_await committer.commit(std::move(transaction), Durability::synced);
}

TEST_F(CommitterTest, ACoroutineResumesWhenItIsWritten) {
  Committer committer(store, loop.get_executor());
  std::optional<Status> status;
  boost::asio::co_spawn(loop, commit_into(committer, status), [](std::exception_ptr) {});
  run_until([&] { return status.has_value(); });
  EXPECT_TRUE(status->has_value());
  EXPECT_EQ(*store.get("k"), "v");
}

TEST_F(CommitterTest, WhatComesWhileItWritesIsTheNextGroup) {
  Committer committer(store, loop.get_executor());
  store.set_open(false);
  committer.submit(Transaction().put("a", "1"), Durability::synced, note(0));
  loop.restart();
  loop.poll();
  store.await_writer();
  for (int i = 1; i <= 5; ++i)
    committer.submit(Transaction().put("a", std::to_string(i)), Durability::buffered, note(i));
  loop.restart();
  loop.poll();
  EXPECT_TRUE(written.empty());
  store.set_open(true);
  run_until([&] { return written.size() == 6; });
  EXPECT_THAT(written, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(store.groups, ElementsAre(1, 5));
  EXPECT_THAT(store.synced, ElementsAre(true, false, false, false, false, false));
  EXPECT_EQ(committer.totals().groups, 2u);
  EXPECT_EQ(committer.totals().transactions, 6u);
}

TEST_F(CommitterTest, ErrorsReachThoseThatWereNotWritten) {
  Committer committer(store, loop.get_executor());
  store.failing = true;
  committer.submit(Transaction().put("a", "1"), Durability::synced, note(0));
  run_until([&] { return !refused.empty(); });
  store.failing = false;
  committer.submit(Transaction().put("a", "2"), Durability::synced, note(1));
  committer.submit(Transaction().require("a", "x"), Durability::synced, note(2));
  committer.submit(Transaction().require("a", "2").put("b", "3"), Durability::synced, note(3));
  run_until([&] { return written.size() == 2; });
  EXPECT_THAT(refused, ElementsAre(0, 2));
  EXPECT_THAT(written, ElementsAre(1, 3));
}

TEST_F(CommitterTest, TheEndWritesAndTellsNobody) {
  {
    Committer committer(store, loop.get_executor());
    committer.submit(Transaction().put("a", "1"), Durability::synced, note(0));
  }
  EXPECT_EQ(*store.get("a"), "1");
  loop.restart();
  loop.poll();
  EXPECT_TRUE(written.empty());
}

TEST_F(CommitterTest, CompletionsGiveTheTransactionBack) {
  Committer committer(store, loop.get_executor());
  std::string value;
  committer.submit(
      Transaction().put("a", "big"), Durability::synced,
      [&](const Status&, Transaction& done) { value = std::move(done.puts[0].value); });
  run_until([&] { return !value.empty(); });
  EXPECT_EQ(value, "big");
}

}  // namespace
}  // namespace mayfly::store
