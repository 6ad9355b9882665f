#include "functions/tree_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/ids.h"
#include "functions/helpers.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;

class TreeStoreTest : public testing::Test {
 protected:
  // A finished tree with one file, not kept yet.
  std::string made(const std::string& text) {
    const std::string base = store_.incoming("made-");
    test::write_file(base + "/tree/file", text);
    return base;
  }
  // Nobody has asked for it for two hours.
  void grow_old(const std::string& sha256) {
    fs::last_write_time(store_.place(sha256),
                        fs::file_time_type::clock::now() - std::chrono::hours(2));
  }

  mayfly::test::TempDir directory_;
  const TreeStore store_{directory_.path(), "thing"};
  const std::string one_ = sha256_hex("one"), two_ = sha256_hex("two");
};

TEST_F(TreeStoreTest, OpeningRemovesWhatIsUnfinished) {
  ASSERT_TRUE(store_.open().has_value());
  const std::string half = made("half");
  ASSERT_TRUE(store_.open().has_value());
  EXPECT_FALSE(fs::exists(half));
  test::write_file(directory_.path() + "/in the way", "");
  const auto failed = TreeStore(directory_.path() + "/in the way", "thing").open();
  ASSERT_TRUE(failed.has_error());
  EXPECT_THAT(failed.error().message, testing::HasSubstr("The thing directory"));
}

TEST_F(TreeStoreTest, WhoeverIsSecondFindsTheFirst) {
  ASSERT_TRUE(store_.open().has_value());
  EXPECT_FALSE(store_.contains(one_));
  EXPECT_FALSE(store_.contains("../" + one_));
  EXPECT_FALSE(store_.keep(made("1"), one_).value());
  EXPECT_TRUE(store_.contains(one_));
  const std::string late = made("late");
  EXPECT_TRUE(store_.keep(late, one_).value());
  EXPECT_TRUE(fs::exists(late));
  EXPECT_EQ(test::read_file(store_.tree(one_) + "/file"), "1");
}

TEST_F(TreeStoreTest, CollectsWhatNobodyUsesOrAsksFor) {
  ASSERT_TRUE(store_.open().has_value());
  for (const auto& name : {one_, two_}) {
    EXPECT_FALSE(store_.keep(made(name), name).value());
    grow_old(name);
  }
  EXPECT_EQ(store_.collect({one_, two_}), 0u);
  EXPECT_TRUE(store_.contains(two_));  // asked for
  EXPECT_EQ(store_.collect({}), 1u);
  EXPECT_FALSE(store_.contains(one_));
  EXPECT_TRUE(store_.contains(two_));
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

}  // namespace
}  // namespace mayfly::functions
