#include "tables/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "wire/json_slices.h"

namespace mayfly::tables {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class StateTest : public testing::Test {
 protected:
  template <class T>
  T run(io::Task<T> task) {
    std::optional<T> value;
    boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr failed, T result) {
      EXPECT_FALSE(failed);
      value.emplace(std::move(result));
    });
    while (!value) {
      loop.restart();
      loop.run_one();
    }
    return std::move(*value);
  }
  std::string value(const std::string& key) {
    auto item = run(state.get(key));
    return item.has_value() && item->has_value() ? (**item).value : "absent";
  }
  Status commit(Changes changes) {
    auto transaction = run(state.prepare(std::move(changes)));
    if (transaction.has_error()) return transaction.error();
    return run(committer.commit(std::move(*transaction), store::Durability::synced));
  }
  std::vector<std::string> keys(const std::string& prefix, const std::string& after = "",
                                std::size_t limit = 100) {
    std::vector<std::string> found;
    for (auto& item : *run(state.list(prefix, after, limit))) found.push_back(item.key);
    return found;
  }

  boost::asio::io_context loop;
  std::unique_ptr<store::Store> store = store::make_memory_store();
  io::BlockingPool pool{1};
  store::Committer committer{*store, loop.get_executor()};
  State state{*store, committer, pool};
};

TEST_F(StateTest, KeepsTheTextOfValues) {
  EXPECT_EQ(value("k"), "absent");
  ASSERT_TRUE(run(state.put("k", " 1.50 ")).has_value());
  EXPECT_EQ(value("k"), "1.50");
  EXPECT_EQ(run(state.put("k", "{")).error().code, Code::invalid_argument);
  EXPECT_EQ(run(state.put("", "1")).error().code, Code::invalid_argument);
  EXPECT_EQ(run(state.put(std::string(1025, 'k'), "1")).error().code, Code::too_large);
  EXPECT_EQ(run(state.put("k", '"' + std::string(kValueBytesMax, 'x') + '"')).error().code,
            Code::too_large);
  ASSERT_TRUE(run(state.remove("k")).has_value());
  EXPECT_EQ(run(state.remove("k")).error().code, Code::not_found);
}

TEST_F(StateTest, ListsInOrder) {
  for (const char* key : {"b/2", "a", "b/1", "b/10", "c", "b"})
    ASSERT_TRUE(run(state.put(key, "1")).has_value());
  EXPECT_THAT(keys("b/"), ElementsAre("b/1", "b/10", "b/2"));
  EXPECT_THAT(keys("b/", "b/1"), ElementsAre("b/10", "b/2"));
  EXPECT_THAT(keys("b/", "", 1), ElementsAre("b/1"));
  EXPECT_THAT(keys("", "b/2"), ElementsAre("c"));
  EXPECT_THAT(keys("b/", "zzz"), ElementsAre());
  EXPECT_THAT(keys("").size(), 6u);
}

TEST_F(StateTest, RequirementsAreHeld) {
  ASSERT_TRUE(run(state.put("k", "1")).has_value());
  Changes changes;
  changes.require = {{"k", etag_of("1")}, {"new", std::nullopt}};
  changes.puts = {{"k", "2"}, {"new", "true"}};
  EXPECT_TRUE(commit(changes).has_value());
  EXPECT_EQ(value("k"), "2");
  const Status again = commit(changes);
  EXPECT_EQ(again.error().code, Code::conflict);
  EXPECT_THAT(again.error().message, HasSubstr("\"k\""));
  changes.require = {{"new", std::nullopt}};
  EXPECT_EQ(commit(changes).error().code, Code::conflict);
}

TEST_F(StateTest, ARequirementThatFailsBetweenPrepareAndCommit) {
  ASSERT_TRUE(run(state.put("k", "1")).has_value());
  Changes changes;
  changes.require = {{"k", etag_of("1")}};
  changes.puts = {{"other", "1"}};
  auto transaction = run(state.prepare(changes));
  ASSERT_TRUE(transaction.has_value());
  ASSERT_TRUE(run(state.put("k", "9")).has_value());
  EXPECT_EQ(run(committer.commit(*transaction, store::Durability::synced)).error().code,
            Code::conflict);
  EXPECT_EQ(value("other"), "absent");
}

TEST_F(StateTest, AddsToWholeNumbers) {
  Changes changes;
  changes.adds = {{"n", 5, std::nullopt}, {"m", -1, std::nullopt}};
  EXPECT_TRUE(commit(changes).has_value());
  EXPECT_EQ(value("n"), "5");
  EXPECT_EQ(value("m"), "-1");
  changes.adds = {{"n", -6, 0}, {"m", 1, std::nullopt}};
  EXPECT_EQ(commit(changes).error().code, Code::conflict);
  EXPECT_EQ(value("n"), "5");
  EXPECT_EQ(value("m"), "-1");
  ASSERT_TRUE(run(state.put("n", "1.5")).has_value());
  changes.adds = {{"n", 1, std::nullopt}};
  EXPECT_EQ(commit(changes).error().code, Code::conflict);
}

TEST_F(StateTest, AKeyIsWrittenOnce) {
  Changes changes;
  changes.puts = {{"k", "1"}};
  changes.adds = {{"k", 1, std::nullopt}};
  EXPECT_THAT(check(changes).error().message, HasSubstr("\"k\" is written twice"));
}

}  // namespace
}  // namespace mayfly::tables
