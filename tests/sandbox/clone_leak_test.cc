// Clones leave nothing behind, however many there are. MAYFLY_CLONES=10000 for the long run.

#include <gmock/gmock.h>
#include <signal.h>

#include <deque>

#include "census.h"
#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

TEST(CloneLeak, ClonesLeaveNothing) {
  MAYFLY_NEEDS_ROOT();
  World world;
  ASSERT_EQ(world.error, "");
  Census empty = settle(world);
  auto source = world.launch_template({"honest"});
  ASSERT_TRUE(source.has_value()) << source.error().describe();
  source.value()->keep_shells(4);
  Census before = settle(world);
  const char* wanted = std::getenv("MAYFLY_CLONES");
  int clones = wanted != nullptr ? std::atoi(wanted) : 300;
  std::deque<std::unique_ptr<Sandbox>> alive;
  for (int i = 0; i < clones; ++i) {
    auto made = world.clone(*source.value(), {i % 3 == 0 ? "stay" : "exit"});
    ASSERT_TRUE(made.has_value()) << i << ": " << made.error().describe();
    alive.push_back(std::move(made).value());
    if (alive.size() < 10) continue;
    if (i % 2 == 0) alive.front()->kill();
    if (i % 7 == 0) {
      alive.pop_front();  // destroyed without a wait
      continue;
    }
    alive.front()->kill();
    auto output = world.finish(*alive.front());
    ASSERT_TRUE(output.has_value());
    alive.pop_front();
  }
  alive.clear();
  EXPECT_EQ(settle(world), before);
  EXPECT_EQ(world.sandboxes->running(), 1u);
  expect_no_zombies(world);
  source.value().reset();
  EXPECT_EQ(settle(world), empty);
}

TEST(CloneLeak, TemplatesAndFailedClonesLeaveNothing) {
  MAYFLY_NEEDS_ROOT();
  World world;
  ASSERT_EQ(world.error, "");
  Census before = settle(world);
  const char* kinds[] = {"honest", "dies-when-ordered", "clone-dies-outside", "closes-control",
                         "kills-everything"};
  for (int i = 0; i < 20; ++i) {
    auto source = world.launch_template({kinds[i % 5]});
    ASSERT_TRUE(source.has_value()) << source.error().describe();
    source.value()->keep_shells(static_cast<unsigned>(i % 3));
    auto made = world.clone(*source.value(), {"stay"});
    EXPECT_EQ(made.has_value(), i % 5 == 0);
    auto second = world.clone(*source.value(), {"exit"});
  }
  EXPECT_EQ(settle(world), before);
}

TEST(CloneLeak, CleanStopLeavesNothing) {
  MAYFLY_NEEDS_ROOT();
  std::map<int, char> members;
  std::vector<std::string> folders;
  {
    World world;
    ASSERT_EQ(world.error, "");
    folders = group_folders(world.state);
    auto source = world.launch_template({"honest"});
    ASSERT_TRUE(source.has_value());
    source.value()->keep_shells(8);
    std::vector<std::unique_ptr<Sandbox>> alive;
    for (int i = 0; i < 5; ++i) {
      auto made = world.clone(*source.value(), {"stay"});
      ASSERT_TRUE(made.has_value());
      alive.push_back(std::move(made).value());
    }
    members = family(world.spawner->pid());
    world.spawner.reset();  // while all five run
    EXPECT_EQ(count_entries(world.state), 1u);
  }
  expect_gone(members, folders);
}

}  // namespace
}  // namespace mayfly::sandbox_tests
