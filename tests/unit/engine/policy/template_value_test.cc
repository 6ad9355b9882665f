#include "engine/policy/template_value.h"

#include <gtest/gtest.h>

namespace mayfly::engine::policy {
namespace {

using std::chrono::hours;

const SteadyTime kValueNow = SteadyTime{} + hours(100);
constexpr std::uint64_t kMb = 1'000'000;

TEST(TemplateValue, IsWhatItSavesForEachByteAboveTheFloor) {
  const auto first = after_use({}, {20 * kMb, milliseconds(100)}, 0, kValueNow);
  EXPECT_DOUBLE_EQ(first.priority, 100'000.0 / (20 * kMb));
  EXPECT_DOUBLE_EQ(first.uses, 1);
  const auto second = after_use(first, {20 * kMb, milliseconds(100)}, 3, kValueNow);
  EXPECT_DOUBLE_EQ(second.priority, 3 + 200'000.0 / (20 * kMb));
}

TEST(TemplateValue, DearerSmallerAndOftenerUsedIsWorthMore) {
  const auto plain = after_use({}, {20 * kMb, milliseconds(100)}, 0, kValueNow);
  EXPECT_GT(after_use({}, {20 * kMb, milliseconds(101)}, 0, kValueNow).priority, plain.priority);
  EXPECT_GT(after_use({}, {19 * kMb, milliseconds(100)}, 0, kValueNow).priority, plain.priority);
  EXPECT_GT(after_use(plain, {20 * kMb, milliseconds(100)}, 0, kValueNow).priority, plain.priority);
}

TEST(TemplateValue, UsesFade) {
  TemplateValue value{.priority = 0, .uses = 8, .used_at = kValueNow};
  EXPECT_DOUBLE_EQ(recent_uses(value, kValueNow), 8);
  EXPECT_DOUBLE_EQ(recent_uses(value, kValueNow + kTemplateUseHalfLife), 4);
  EXPECT_DOUBLE_EQ(recent_uses(value, kValueNow + 3 * kTemplateUseHalfLife), 1);
  EXPECT_DOUBLE_EQ(after_use(value, {1, seconds(1)}, 0, kValueNow + kTemplateUseHalfLife).uses, 5);
  // A clock that seems to go back (another thread read it earlier) neither adds nor takes uses.
  EXPECT_DOUBLE_EQ(recent_uses(value, kValueNow - hours(1)), 8);
  EXPECT_EQ(after_use(value, {1, seconds(1)}, 0, kValueNow - hours(1)).used_at, kValueNow);
}

TEST(TemplateValue, OddCostsAreHarmless) {
  EXPECT_DOUBLE_EQ(after_use({}, {kMb, microseconds(-5)}, 2, kValueNow).priority, 2);
  EXPECT_DOUBLE_EQ(after_use({}, {0, microseconds(7)}, 2, kValueNow).priority, 9);
}

TEST(TemplateEviction, LeastGoesFirstAndLiftsTheFloor) {
  const std::vector<TemplateHeld> held = {{5, 10}, {1, 10}, {3, 10}, {4, 10}};
  const auto one = evict_templates(held, 10, 0);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->victims, (std::vector<std::size_t>{1}));
  EXPECT_DOUBLE_EQ(one->floor, 1);
  const auto two = evict_templates(held, 11, 0.5);
  ASSERT_TRUE(two);
  EXPECT_EQ(two->victims, (std::vector<std::size_t>{1, 2}));
  EXPECT_DOUBLE_EQ(two->floor, 3);
}

TEST(TemplateEviction, FloorNeverSinks) {
  const std::vector<TemplateHeld> held = {{2, 10}};
  EXPECT_DOUBLE_EQ(evict_templates(held, 10, 7)->floor, 7);
  EXPECT_DOUBLE_EQ(evict_templates(held, 0, 7)->floor, 7);
}

TEST(TemplateEviction, NothingToFreeEndsNothing) {
  const std::vector<TemplateHeld> held = {{2, 10}};
  EXPECT_TRUE(evict_templates(held, 0, 0)->victims.empty());
  EXPECT_TRUE(evict_templates({}, 0, 0)->victims.empty());
}

TEST(TemplateEviction, PinnedStays) {
  const std::vector<TemplateHeld> held = {{1, 10, true}, {2, 10, false}};
  EXPECT_EQ(evict_templates(held, 10, 0)->victims, (std::vector<std::size_t>{1}));
  EXPECT_FALSE(evict_templates(held, 11, 0));
  EXPECT_FALSE(evict_templates({}, 1, 0));
}

TEST(TemplateEviction, EqualOnesGoInOrder) {
  const std::vector<TemplateHeld> held(5, TemplateHeld{1, 10, false});
  EXPECT_EQ(evict_templates(held, 30, 0)->victims, (std::vector<std::size_t>{0, 1, 2}));
}

TEST(TemplateAdmission, NewcomerMustBeWorthMore) {
  const std::vector<TemplateHeld> held = {{5, 10}, {1, 10}, {3, 10}};
  const auto better = admit_template(held, 10, 2, 0);
  EXPECT_TRUE(better.admitted);
  EXPECT_EQ(better.victims, (std::vector<std::size_t>{1}));
  EXPECT_DOUBLE_EQ(better.floor, 1);
  // For more room one that is worth more than the newcomer would have to go.
  const auto refused = admit_template(held, 20, 2, 0);
  EXPECT_FALSE(refused.admitted);
  EXPECT_TRUE(refused.victims.empty());
  EXPECT_DOUBLE_EQ(refused.floor, 2);
  const auto roomy = admit_template(held, 0, 0.5, 0.25);
  EXPECT_TRUE(roomy.admitted);
  EXPECT_TRUE(roomy.victims.empty());
  EXPECT_DOUBLE_EQ(roomy.floor, 0.25);
  EXPECT_FALSE(admit_template(held, 31, 100, 0).admitted);
}

// One that is refused again and again gets in: each refusal lifts the floor.
TEST(TemplateAdmission, PersistentNewcomerGetsIn) {
  const TemplateCost cost{10, milliseconds(100)};
  const std::vector<TemplateHeld> held = {{75'000, 10}};
  TemplateValue newcomer;
  double floor = 0;
  int tries = 0;
  for (bool in = false; !in; ++tries) {
    ASSERT_LT(tries, 20);
    newcomer = after_use(newcomer, cost, floor, kValueNow);
    const auto admission = admit_template(held, 10, newcomer.priority, floor);
    floor = admission.floor;
    in = admission.admitted;
  }
  EXPECT_GT(tries, 1);
}

// What is used stays while a stream of templates that are used once passes by.
TEST(TemplateEviction, UsedOneOutlivesOneTimers) {
  std::vector<TemplateValue> values;
  std::vector<std::size_t> standing;
  double floor = 0;
  const TemplateCost cost{10, milliseconds(100)};
  const auto add = [&](SteadyTime now) {
    values.push_back(after_use({}, cost, floor, now));
    standing.push_back(values.size() - 1);
  };
  add(kValueNow);
  for (int i = 1; i < 200; ++i) {
    const SteadyTime now = kValueNow + seconds(i);
    values[0] = after_use(values[0], cost, floor, now);
    add(now);
    if (standing.size() <= 4) continue;
    std::vector<TemplateHeld> held;
    for (const auto id : standing) held.push_back({values[id].priority, 10, false});
    const auto eviction = evict_templates(held, 10, floor);
    ASSERT_TRUE(eviction);
    floor = eviction->floor;
    standing.erase(standing.begin() + std::ptrdiff_t(eviction->victims.at(0)));
    ASSERT_EQ(standing.at(0), 0u) << "gone at " << i;
  }
}

// And what was used often but is no more goes in the end.
TEST(TemplateEviction, FormerFavouriteSinks) {
  const TemplateCost cost{10, milliseconds(100)};
  TemplateValue favourite;
  for (int i = 0; i < 50; ++i) favourite = after_use(favourite, cost, 0, kValueNow);
  double floor = 0;
  int rounds = 0;
  for (; rounds < 1000; ++rounds) {
    const auto other = after_use({}, cost, floor, kValueNow + seconds(rounds));
    const std::vector<TemplateHeld> held = {{favourite.priority, 10}, {other.priority, 10}};
    const auto eviction = evict_templates(held, 10, floor);
    floor = eviction->floor;
    if (eviction->victims.at(0) == 0) break;
  }
  EXPECT_EQ(rounds, 49);
}

}  // namespace
}  // namespace mayfly::engine::policy
