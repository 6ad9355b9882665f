#include "identity/access_keys.h"

#include <gtest/gtest.h>

#include "identity/run_task.h"

namespace mayfly::identity {
namespace {

using testing::run;

class CountingClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return SteadyTime(); }
  WallTime wall_now() const override { return from_epoch_us(1'800'000'000'000'000 + ++calls_); }

 private:
  mutable std::int64_t calls_ = 0;
};

struct AccessKeysTest : ::testing::Test {
  std::unique_ptr<store::Store> store = store::make_memory_store();
  io::BlockingPool pool{1};
  CountingClock clock;
  AccessKeys keys{{*store, pool, clock}};
};

TEST_F(AccessKeysTest, HasTheFormThatClientsExpect) {
  const auto key = run(keys.create("backup"));
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ((*key)->id.size(), 20u);
  EXPECT_TRUE((*key)->id.starts_with("AKIA"));
  EXPECT_EQ((*key)->id.substr(4).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
            std::string::npos);
  EXPECT_EQ((*key)->secret.size(), 40u);
  EXPECT_EQ(keys.find((*key)->id), *key);
  EXPECT_EQ(keys.find("AKIA"), nullptr);
}

TEST_F(AccessKeysTest, OutlivesTheServer) {
  const auto first = run(keys.create("first"));
  const auto second = run(keys.create("second"));
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_NE((*first)->secret, (*second)->secret);
  AccessKeys again({*store, pool, clock});
  ASSERT_TRUE(again.load().has_value());
  const auto list = again.list();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]->name, "first");
  EXPECT_EQ(list[1]->id, (*second)->id);
  EXPECT_EQ(list[1]->secret, (*second)->secret);
  EXPECT_EQ(list[1]->created, (*second)->created);
}

TEST_F(AccessKeysTest, RemovedIsGone) {
  const auto key = run(keys.create(""));
  ASSERT_TRUE(key.has_value());
  EXPECT_TRUE(run(keys.remove((*key)->id)).has_value());
  EXPECT_EQ(keys.find((*key)->id), nullptr);
  EXPECT_EQ(run(keys.remove((*key)->id)).error().code, Code::not_found);
  AccessKeys again({*store, pool, clock});
  ASSERT_TRUE(again.load().has_value());
  EXPECT_TRUE(again.list().empty());
}

TEST_F(AccessKeysTest, RefusesNamesThatAreTooLong) {
  EXPECT_EQ(run(keys.create(std::string(257, 'x'))).error().code, Code::invalid_argument);
  EXPECT_TRUE(run(keys.create(std::string(256, 'x'))).has_value());
}

TEST_F(AccessKeysTest, BrokenRowsAreSaid) {
  ASSERT_TRUE(
      store->commit(store::Transaction().put("i/k/AKIABROKEN", "?"), store::Durability::synced)
          .has_value());
  AccessKeys again({*store, pool, clock});
  EXPECT_EQ(again.load().error().code, Code::corrupt);
}

}  // namespace
}  // namespace mayfly::identity
