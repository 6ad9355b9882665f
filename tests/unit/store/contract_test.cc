// The contract of Store, for every back end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "store/store.h"
#include "store/temp_dir.h"

namespace mayfly::store {
namespace {

using testing::ElementsAre;

enum class Backend { memory, rocksdb };

class StoreContract : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (GetParam() == Backend::memory) {
      store_ = make_memory_store();
    } else {
      auto opened = open_rocksdb(directory_.path() + "/store");
      ASSERT_TRUE(opened.has_value()) << opened.error().describe();
      store_ = std::move(*opened);
    }
  }

  std::vector<std::string> keys(Store::Scan range) {
    std::vector<std::string> found;
    const auto status = store_->scan(range, [&](std::string_view key, std::string_view) {
      found.emplace_back(key);
      return true;
    });
    EXPECT_TRUE(status.has_value());
    return found;
  }

  Status put(const std::string& key, const std::string& value) {
    return store_->commit(Transaction().put(key, value), Durability::buffered);
  }

  test::TempDir directory_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreContract, AbsentKeyIsNotFound) {
  const auto got = store_->get("nothing");
  ASSERT_TRUE(got.has_error());
  EXPECT_EQ(got.error().code, Code::not_found);
}

TEST_P(StoreContract, KeepsBytesOfAnyKind) {
  const std::string key("a\0b\xff", 4), value("\0\xfe\n", 3);
  ASSERT_TRUE(put(key, value).has_value());
  EXPECT_EQ(*store_->get(key), value);
  ASSERT_TRUE(put(key, "").has_value());
  EXPECT_EQ(*store_->get(key), "");
}

TEST_P(StoreContract, ScansInOrderBothWaysWithLimitsAndStops) {
  for (const char* key : {"b", "a", "d", "c", "e"}) ASSERT_TRUE(put(key, key).has_value());
  EXPECT_THAT(keys({"b", "e"}), ElementsAre("b", "c", "d"));
  EXPECT_THAT(keys({"b", "e", 2}), ElementsAre("b", "c"));
  EXPECT_THAT(keys({"b", "e", 2, true}), ElementsAre("d", "c"));
  EXPECT_THAT(keys({"e", "b"}), ElementsAre());
  EXPECT_THAT(keys({"a", "z", 0}), ElementsAre());
  int visits = 0;
  ASSERT_TRUE(
      store_->scan({"a", "z"}, [&](std::string_view, std::string_view) { return ++visits < 3; })
          .has_value());
  EXPECT_EQ(visits, 3);
}

TEST_P(StoreContract, OrdersKeysAsUnsignedBytes) {
  for (const std::string key : {"\xff", "\x7f", "\x01"}) ASSERT_TRUE(put(key, "").has_value());
  EXPECT_THAT(keys({std::string("\0", 1), std::string(3, '\xff')}),
              ElementsAre("\x01", "\x7f", "\xff"));
}

TEST_P(StoreContract, VisitorMayUseTheStore) {
  ASSERT_TRUE(put("a", "1").has_value());
  ASSERT_TRUE(put("b", "2").has_value());
  ASSERT_TRUE(store_
                  ->scan({"a", "c"},
                         [&](std::string_view key, std::string_view) {
                           EXPECT_TRUE(put("x" + std::string(key), "").has_value());
                           return store_->get("a").has_value();
                         })
                  .has_value());
  EXPECT_THAT(keys({"x", "y"}), ElementsAre("xa", "xb"));
}

TEST_P(StoreContract, TransactionDeletesBeforeItPuts) {
  for (const char* key : {"p/1", "p/2", "q"}) ASSERT_TRUE(put(key, "old").has_value());
  Transaction transaction;
  transaction.delete_ranges.push_back({"p/", prefix_end("p/")});
  transaction.put("p/3", "new").put("q", "new").remove("q");
  ASSERT_TRUE(store_->commit(transaction, Durability::synced).has_value());
  EXPECT_THAT(keys({"a", "z"}), ElementsAre("p/3", "q"));
  EXPECT_EQ(*store_->get("q"), "new");
}

TEST_P(StoreContract, ConditionsDecideForTheWholeTransaction) {
  ASSERT_TRUE(put("a", "1").has_value());
  auto commit = [&](Transaction t) { return store_->commit(t, Durability::synced); };
  const auto wrong = commit(Transaction().require("a", "2").put("b", "x").remove("a"));
  ASSERT_TRUE(wrong.has_error());
  EXPECT_EQ(wrong.error().code, Code::conflict);
  const auto present = commit(Transaction().require("a", std::nullopt).put("b", "x"));
  ASSERT_TRUE(present.has_error());
  EXPECT_EQ(present.error().code, Code::conflict);
  const auto absent = commit(Transaction().require("c", "").put("b", "x"));
  ASSERT_TRUE(absent.has_error());
  EXPECT_THAT(keys({"a", "z"}), ElementsAre("a"));
  ASSERT_TRUE(
      commit(Transaction().require("a", "1").require("b", std::nullopt).put("b", "x")).has_value());
  EXPECT_THAT(keys({"a", "z"}), ElementsAre("a", "b"));
}

// Each increment is read, then written on the condition that nobody else was faster. Blind writers
// of other keys run beside it, and so do blind writers that touch the counter's stripe.
TEST_P(StoreContract, ConditionalCountersLoseNothing) {
  constexpr int kThreads = 4, kEach = 50;
  ASSERT_TRUE(put("n", "0").has_value());
  std::atomic<int> conflicts = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach;) {
        const std::string now = *store_->get("n");
        Transaction transaction;
        transaction.require("n", now).put("n", std::to_string(std::stoi(now) + 1));
        transaction.put("log/" + std::to_string(t) + "/" + std::to_string(i), "");
        if (store_->commit(transaction, Durability::buffered).has_value())
          ++i;
        else
          ++conflicts;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(*store_->get("n"), std::to_string(kThreads * kEach));
  EXPECT_EQ(keys({"log/", "log0"}).size(), std::size_t{kThreads * kEach});
}

INSTANTIATE_TEST_SUITE_P(Backends, StoreContract,
                         testing::Values(Backend::memory, Backend::rocksdb), [](const auto& info) {
                           return info.param == Backend::memory ? "memory" : "rocksdb";
                         });

TEST(PrefixEnd, IsTheSmallestKeyBehindThePrefix) {
  EXPECT_EQ(prefix_end("a"), "b");
  EXPECT_EQ(prefix_end("a/"), "a0");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_GT(prefix_end("\xff"), "\xff\xff");
}

}  // namespace
}  // namespace mayfly::store
