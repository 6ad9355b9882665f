#include "engine/policy/placement.h"

#include <gtest/gtest.h>

#include <vector>

namespace mayfly::engine::policy {
namespace {

TEST(Placement, HomesAreSpreadAndStable) {
  std::vector<int> load(10);
  for (std::uint64_t version = 0; version < 10'000; ++version) {
    const auto home = home_node(version, 0, 10);
    ASSERT_LT(home, 10u);
    EXPECT_EQ(home, home_node(version, 0, 10));
    ++load[home];
  }
  for (const int count : load) EXPECT_NEAR(count, 1000, 150);
  int moved = 0;
  for (std::uint64_t version = 0; version < 1000; ++version)
    moved += home_node(version, 0, 10) != home_node(version, 1, 10);
  EXPECT_NEAR(moved, 900, 60);
  EXPECT_EQ(home_node(5, 3, 1), 0u);
}

TEST(Placement, IdleThenTemplateThenRoomThenLine) {
  const NodeOffer idle{.idle = true, .has_pool = true};
  const NodeOffer cloneable{.has_template = true, .fits = true};
  const NodeOffer room{.fits = true};
  const NodeOffer busy{.has_pool = true, .waiting = 3};
  const NodeOffer full{};
  const std::vector<NodeOffer> all = {full, busy, room, cloneable, idle};
  for (std::size_t count = all.size(); count > 1; --count)
    EXPECT_EQ(place(std::span(all).first(count)), count - 1);
  EXPECT_FALSE(place(std::span(all).first(1)));
  EXPECT_FALSE(place({}));
  // A template where nothing fits is of no use.
  const std::vector<NodeOffer> crowded = {{.has_template = true, .has_pool = true}, room};
  EXPECT_EQ(place(crowded), 1u);
}

TEST(Placement, ShorterLineThenLessMemoryThenFirst) {
  std::vector<NodeOffer> lines = {{.has_pool = true, .waiting = 3, .memory_used = 1},
                                  {.has_pool = true, .waiting = 2, .memory_used = 9}};
  EXPECT_EQ(place(lines), 1u);
  lines[0].waiting = 2;
  EXPECT_EQ(place(lines), 0u);
  lines[1].memory_used = 1;
  EXPECT_EQ(place(lines), 0u);
}

}  // namespace
}  // namespace mayfly::engine::policy
