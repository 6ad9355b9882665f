#include "engine/reserved.h"

#include <gtest/gtest.h>

#include "engine/fakes.h"
#include "functions/helpers.h"

namespace mayfly::engine {
namespace {

struct ReservedCalls : ::testing::Test {
  ReservedCalls()
      : memory(store::make_memory_store()),
        packages(folder.path(), {}, pool),
        catalogue({*memory, packages, pool, clock, functions::RuntimeTable::discover({}), {}}),
        reserved(catalogue) {
    EXPECT_TRUE(packages.open().has_value());
    const auto added = testing::run_task(
        loop, packages.add(functions::test::pack({{"app.py", "x = 1"}}), nullptr));
    EXPECT_TRUE(added.has_value());
    version.function = "hello";
    version.package = added->sha256;
    EXPECT_TRUE(testing::run_task(loop, catalogue.commit(version)).has_value());
  }
  void limit(std::optional<std::uint32_t> calls) {
    const Status done = testing::run_task(
        loop, catalogue.change_belongings("hello", [calls](functions::Belongings& belongings) {
          belongings.reserved_concurrency = calls;
          return ok();
        }));
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }

  boost::asio::io_context loop;
  test::TempDir folder;
  io::BlockingPool pool{1};
  SystemClock clock;
  std::unique_ptr<store::Store> memory;
  functions::Packages packages;
  functions::Catalogue catalogue;
  Reserved reserved;
  functions::Version version;
};

TEST_F(ReservedCalls, WithoutALimitNothingIsCounted) {
  const auto entered = reserved.enter(version);
  ASSERT_TRUE(entered.has_value());
  EXPECT_EQ(*entered, nullptr);
  EXPECT_EQ(reserved.room("hello", 7), 7u);
  EXPECT_EQ(reserved.room("none", 7), 7u);
}

TEST_F(ReservedCalls, CallsOfAllVersionsAreCountedTogetherUntilTheyEnd) {
  limit(2);
  functions::Version published = version;
  published.number = 3;
  auto first = reserved.enter(version);
  const auto second = reserved.enter(published);
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(reserved.room("hello", 7), 0u);
  const auto refused = reserved.enter(version);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, Code::resource_exhausted);
  EXPECT_NE(refused.error().message.find("hello"), std::string::npos);
  first->reset();
  EXPECT_EQ(reserved.room("hello", 7), 1u);
  EXPECT_TRUE(reserved.enter(published).has_value());
}

TEST_F(ReservedCalls, ZeroStopsIt) {
  limit(0);
  EXPECT_TRUE(reserved.enter(version).has_error());
  EXPECT_TRUE(reserved.enter(version).has_error());
  EXPECT_EQ(reserved.room("hello", 7), 0u);
  limit(std::nullopt);
  EXPECT_TRUE(reserved.enter(version).has_value());
}

TEST_F(ReservedCalls, ALimitThatShrinksLetsWhatRunsEnd) {
  limit(3);
  std::vector<std::shared_ptr<void>> running;
  for (int i = 0; i < 3; ++i) running.push_back(*reserved.enter(version));
  limit(1);
  EXPECT_EQ(reserved.room("hello", 7), 0u);
  running.pop_back();
  running.pop_back();
  EXPECT_TRUE(reserved.enter(version).has_error());
  running.pop_back();
  EXPECT_TRUE(reserved.enter(version).has_value());
}

TEST_F(ReservedCalls, CallsMayEndAfterTheCount) {
  limit(1);
  std::shared_ptr<void> late;
  {
    Reserved other(catalogue);
    late = *other.enter(version);
  }
  late.reset();
}

}  // namespace
}  // namespace mayfly::engine
