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

using ::testing::ElementsAre;

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

// Some kinds of keys may be kept apart (rocksdb_families.h): nobody sees it.
TEST_P(StoreContract, KeepsOneOrderOverKindsOfKeys) {
  const std::vector<std::string> all{"a",  "calls/r", "calls/r/1", "calls/r/2", "calls/s", "qk",
                                     "qm", "qm\x01",  "qm\xff",    "qn",        "z"};
  Transaction transaction;
  for (auto at = all.rbegin(); at != all.rend(); ++at) transaction.put(*at, "v" + *at);
  ASSERT_TRUE(store_->commit(transaction, Durability::synced).has_value());
  for (const auto& key : all) EXPECT_EQ(*store_->get(key), "v" + key);
  EXPECT_EQ(keys({"a", "{"}), all);
  auto backwards = all;
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(keys({"a", "{", SIZE_MAX, true}), backwards);
  EXPECT_THAT(keys({"calls/r/2", "qm\x01", 4}), ElementsAre("calls/r/2", "calls/s", "qk", "qm"));
  EXPECT_THAT(keys({"calls/r/2", "qm\x02", 3, true}), ElementsAre("qm\x01", "qm", "qk"));
  int visits = 0;
  ASSERT_TRUE(store_
                  ->scan({"calls/r/2", "z"},
                         [&](std::string_view, std::string_view) { return ++visits < 2; })
                  .has_value());
  EXPECT_EQ(visits, 2);

  Transaction change;
  change.require("qm\x01", "vqm\x01").require("calls/r/1", "vcalls/r/1");
  change.remove("qm\x01").remove("calls/r/1").put("calls/s", "new");
  ASSERT_TRUE(store_->commit(change, Durability::synced).has_value());
  EXPECT_TRUE(store_->commit(change, Durability::synced).has_error());
  Transaction range;
  range.delete_ranges.emplace_back("calls/r/2", "qm\x80");
  ASSERT_TRUE(store_->commit(range, Durability::synced).has_value());
  EXPECT_THAT(keys({"a", "{"}), ElementsAre("a", "calls/r", "qm\xff", "qn", "z"));
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

TEST_P(StoreContract, AddsCountAndKeepTheirFloor) {
  const auto commit = [&](Transaction t) { return store_->commit(t, Durability::synced); };
  ASSERT_TRUE(commit(Transaction().add("n", 5)).has_value());
  EXPECT_EQ(*store_->get("n"), "5");
  ASSERT_TRUE(commit(Transaction().add("n", -5, 0).put("a", "1")).has_value());
  EXPECT_EQ(*store_->get("n"), "0");
  const auto below = commit(Transaction().add("n", -1, 0).put("a", "2"));
  ASSERT_TRUE(below.has_error());
  EXPECT_EQ(below.error().code, Code::conflict);
  EXPECT_EQ(*store_->get("a"), "1") << "all or nothing";
  ASSERT_TRUE(commit(Transaction().add("n", -7).add("n", 3, -4)).has_value());
  EXPECT_EQ(*store_->get("n"), "-4");
  EXPECT_TRUE(commit(Transaction().add("n", 3).add("n", -4, -4)).has_error());
}

TEST_P(StoreContract, AddsRefuseWhatIsNoNumberOrTooLarge) {
  const auto commit = [&](Transaction t) { return store_->commit(t, Durability::synced); };
  for (const char* text : {"", "x", "1x", " 1", "1.5", "9223372036854775808"}) {
    ASSERT_TRUE(put("n", text).has_value());
    const auto added = commit(Transaction().add("n", 1));
    ASSERT_TRUE(added.has_error()) << text;
    EXPECT_EQ(added.error().code, Code::conflict);
    EXPECT_EQ(*store_->get("n"), text);
  }
  ASSERT_TRUE(put("n", "9223372036854775807").has_value());
  EXPECT_EQ(commit(Transaction().add("n", 1)).error().code, Code::conflict);
  EXPECT_TRUE(commit(Transaction().add("n", -1)).has_value());
}

TEST_P(StoreContract, AGroupIsDoneInOrder) {
  ASSERT_TRUE(put("a", "1").has_value());
  ASSERT_TRUE(put("p/1", "x").has_value());
  std::vector<Transaction> group(9);
  group[0].require("a", "1").put("a", "2");
  group[1].require("a", "1").put("b", "wrong");  // it is 2 by now
  group[2].require("a", "2").remove("a").add("n", 4);
  group[3].require("a", std::nullopt).add("n", -3, 0).put("a", "3");
  group[4].add("n", -3, 0).put("c", "wrong");  // 1 is left
  group[5].delete_ranges.emplace_back("p/", "p0");
  group[5].put("p/2", "y");
  group[6].require("p/1", std::nullopt).require("p/2", "y").put("d", "right");
  group[7].require("p/1", "x").put("e", "wrong");
  std::vector<Store::Change> changes;
  for (std::size_t i = 0; i < group.size(); ++i)
    changes.push_back({&group[i], i % 2 == 0 ? Durability::synced : Durability::buffered, ok()});
  store_->commit_group(changes);
  std::vector<std::size_t> refused;
  for (std::size_t i = 0; i < changes.size(); ++i)
    if (changes[i].status.has_error()) {
      EXPECT_EQ(changes[i].status.error().code, Code::conflict);
      refused.push_back(i);
    }
  EXPECT_THAT(refused, ElementsAre(1, 4, 7));
  EXPECT_THAT(keys({"a", "z"}), ElementsAre("a", "d", "n", "p/2"));
  EXPECT_EQ(*store_->get("a"), "3");
  EXPECT_EQ(*store_->get("n"), "1");
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
