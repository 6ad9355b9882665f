#include <algorithm>

#include "triggers/trigger_fixture.h"

namespace mayfly::triggers::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST_F(TriggerTest, HandlesWhatIsSentAndSettlesIt) {
  runner.deploy("f", "r1");
  make_queue("q");
  const Mapping m = add(mapping());
  EXPECT_FALSE(m.id.empty());
  send("q", {"a", "b", "c"});
  until_empty("q");
  quiet();
  EXPECT_THAT(runner.handled(), UnorderedElementsAre("a", "b", "c"));
  EXPECT_EQ(triggers->status(m.id).handled, 3u);
  EXPECT_EQ(triggers->status(m.id).last_result, "OK");
  send("q", {"d"});
  until_empty("q");
  EXPECT_EQ(runner.events.back().bodies, std::vector<std::string>{"d"});
}

TEST_F(TriggerTest, ABacklogComesInFullBatches) {
  runner.deploy("f", "r1");
  make_queue("q");
  send("q", numbered(0, 250));
  add(mapping("q", 100));
  until_empty("q");
  quiet();
  EXPECT_THAT(runner.handled(), SizeIs(250));
  EXPECT_EQ(runner.events[0].bodies.size(), 100u);
  EXPECT_EQ(runner.events.size(), 3u);
}

TEST_F(TriggerTest, AWindowWaitsForMore) {
  runner.deploy("f", "r1");
  make_queue("q");
  Mapping m = mapping("q", 10);
  m.window_s = 5;
  add(m);
  send("q", {"a"});
  pass(milliseconds(2'000));
  EXPECT_THAT(runner.events, IsEmpty());
  send("q", {"b"});
  pass(milliseconds(1'000));
  EXPECT_THAT(runner.events, IsEmpty());
  pass(milliseconds(2'100));
  ASSERT_EQ(runner.events.size(), 1u);
  EXPECT_THAT(runner.events[0].bodies, UnorderedElementsAre("a", "b"));
}

TEST_F(TriggerTest, AFullBatchDoesNotWaitForTheWindow) {
  runner.deploy("f", "r1");
  make_queue("q");
  Mapping m = mapping("q", 2);
  m.window_s = 300;
  add(m);
  send("q", {"a", "b"});
  until_empty("q");
  EXPECT_THAT(runner.handled(), SizeIs(2));
}

TEST_F(TriggerTest, TakesNothingThatItCannotRun) {
  runner.deploy("f", "r1");
  runner.room_left = 0;
  make_queue("q");
  send("q", numbered(0, 20));
  add(mapping());
  for (int i = 0; i < 5; ++i) pass(milliseconds(1'000));
  EXPECT_EQ(visible("q"), 20u);
  EXPECT_EQ(in_flight("q"), 0u);
  runner.room_left = 1;
  pass(milliseconds(1'000));
  until_empty("q");
  EXPECT_EQ(runner.most, 1u);
}

TEST_F(TriggerTest, HoldsItsConcurrency) {
  runner.deploy("f", "r1");
  make_queue("q");
  runner.handler = [](const Event&) {
    Deed deed;
    deed.hangs = true;
    return deed;
  };
  Mapping m = mapping("q", 1);
  m.concurrency = 1;
  add(m);
  send("q", numbered(0, 5));
  for (std::size_t i = 1; i <= 5; ++i) {
    until([&] { return runner.events.size() == i && runner.hang.waiting(); });
    world.settle_down();
    EXPECT_EQ(runner.events.size(), i);
    EXPECT_EQ(in_flight("q"), 1u);
    runner.hang.wake();
  }
  until_empty("q");
  EXPECT_EQ(runner.most, 1u);
}

TEST_F(TriggerTest, TakesNoMoreThanThereIsRoomForAlsoWhileBatchesBegin) {
  runner.deploy("f", "r1");
  make_queue("q");
  add(mapping("q", 10));
  send("q", numbered(0, 500));
  until_empty("q");  // by now many may run at once
  quiet();
  runner.room_left = 1;
  runner.handler = [](const Event&) {
    Deed deed;
    deed.hangs = true;
    return deed;
  };
  send("q", numbered(500, 600));
  runner_hanging = 1;
  pass(milliseconds(100));
  EXPECT_EQ(in_flight("q"), 10u);
  runner.room_left = 100;
  runner_hanging = 0;
  runner.handler = [](const Event&) { return Deed{}; };
  runner.hang.wake();
  until_empty("q");
  quiet();
}

TEST_F(TriggerTest, MoreBatchesAtOnceOnlyWhileThereAreCoresLeft) {
  runner.deploy("f", "r1");
  make_queue("q");
  const Mapping m = add(mapping("q", 10));
  // Batches that it takes while none ends, after it has seen a hundred of them end well.
  const auto at_once = [&](std::size_t expected) {
    send("q", numbered(0, 1'000));
    until_empty("q");
    quiet();
    runner.hold = true;
    send("q", numbered(0, 300));
    until([&] { return runner.held.size() >= expected; });
    world.settle_down();
    const std::size_t taken = runner.held.size();
    runner.let_go();
    until_empty("q");
    quiet();
    return taken;
  };
  EXPECT_EQ(at_once(30), 30u);
  runner.no_core_left = true;
  EXPECT_EQ(at_once(2), 2u);
  runner.no_core_left = false;
  EXPECT_EQ(at_once(30), 30u);
  EXPECT_EQ(triggers->status(m.id).handled, 3'900u);
}

TEST_F(TriggerTest, BesideCallersBatchesAreSmallAndFew) {
  runner.deploy("f", "r1");
  make_queue("q");
  runner.fair_share = {.batches = 1, .messages = 3};
  send("q", numbered(0, 10));
  std::size_t most = 0;
  runner.handler = [&](const Event& event) {
    most = std::max(most, event.bodies.size());
    EXPECT_EQ(in_flight("q"), event.bodies.size()) << "one batch at a time";
    return Deed{};
  };
  add(mapping("q", 10));
  until_empty("q");
  quiet();
  EXPECT_EQ(most, 3u);
  EXPECT_EQ(runner.events.size(), 4u);
  runner.fair_share = {};
  runner.handler = [&](const Event& event) {
    most = std::max(most, event.bodies.size());
    return Deed{};
  };
  send("q", numbered(10, 30));  // the receive that waits has been told of three still
  until_empty("q");
  EXPECT_EQ(most, 10u) << "once nobody waits";
}

TEST_F(TriggerTest, ABatchWithAWindowStaysLargeBesideCallers) {
  runner.deploy("f", "r1");
  make_queue("q");
  runner.fair_share.messages = 3;
  Mapping m = mapping("q", 10);
  m.window_s = 5;
  send("q", numbered(0, 10));
  add(m);
  until_empty("q");
  ASSERT_EQ(runner.events.size(), 1u);
  EXPECT_EQ(runner.events[0].bodies.size(), 10u);
}

TEST_F(TriggerTest, TheNextBatchUsesWhatWasDeployedAnew) {
  runner.deploy("f", "r1");
  make_queue("q");
  add(mapping("q", 1));
  send("q", {"a"});
  until_empty("q");
  runner.deploy("f", "r2");
  send("q", {"b"});
  until_empty("q");
  ASSERT_EQ(runner.events.size(), 2u);
  EXPECT_EQ(runner.events[0].revision, "r1");
  EXPECT_EQ(runner.events[1].revision, "r2");
}

TEST_F(TriggerTest, AMissingFunctionOrQueueIsSaidAndComesBack) {
  runner.deploy("f", "r1");
  make_queue("q");
  const Mapping m = add(mapping());
  quiet();
  runner.functions.clear();
  EXPECT_EQ(triggers->status(m.id).state, TriggerStatus::State::no_function);
  send("q", {"a"});
  quiet();
  EXPECT_THAT(runner.events, IsEmpty());
  EXPECT_EQ(visible("q"), 1u);
  EXPECT_EQ(peek("q")[0].receive_count, 0u);
  runner.deploy("f", "r2");
  triggers->review();
  for (int i = 0; i < 12; ++i) pass(milliseconds(200));
  until_empty("q");
  EXPECT_EQ(runner.handled(), std::vector<std::string>{"a"});

  ASSERT_TRUE(world.run(world.engine->remove("q")).has_value());
  quiet();
  EXPECT_EQ(triggers->status(m.id).state, TriggerStatus::State::no_queue);
  make_queue("q");
  send("q", {"b"});
  pass(milliseconds(5'001));
  until_empty("q");
  EXPECT_EQ(triggers->status(m.id).state, TriggerStatus::State::enabled);
}

TEST_F(TriggerTest, WhatNoFilterWantsIsDone) {
  runner.deploy("f", "r1");
  make_queue("q");
  Mapping m = mapping();
  m.filters = {R"({"body":{"kind":["click"]}})"};
  add(m);
  send("q", {R"({"kind":"click"})", R"({"kind":"view"})", "no JSON"});
  until_empty("q");
  EXPECT_EQ(runner.handled(), std::vector<std::string>{R"({"kind":"click"})"});
  EXPECT_EQ(triggers->status("q:f").filtered, 2u);
}

TEST_F(TriggerTest, TheTableIsDurableAndStrict) {
  runner.deploy("f", "r1");
  make_queue("q");
  Mapping m = add(mapping());
  EXPECT_EQ(world.run(triggers->create(mapping())).error().code, Code::already_exists);
  EXPECT_EQ(world.run(triggers->create(mapping("other"))).error().code, Code::not_found);
  Mapping bad = mapping("q", 10'001);
  EXPECT_EQ(world.run(triggers->create(bad)).error().code, Code::invalid_argument);
  m.enabled = false;
  m.batch = 77;
  m.filters = {R"({"body":{"a":[1]}})"};
  auto updated = world.run(triggers->update(m));
  ASSERT_TRUE(updated.has_value()) << updated.error().describe();
  send("q", {"a"});
  quiet();
  EXPECT_EQ(visible("q"), 1u);
  EXPECT_EQ(triggers->status(m.id).state, TriggerStatus::State::disabled);

  close();
  open();
  ASSERT_EQ(triggers->list().size(), 1u);
  EXPECT_EQ(triggers->list()[0], *updated);
  m.enabled = true;
  m.filters.clear();
  ASSERT_TRUE(world.run(triggers->update(m)).has_value());
  until_empty("q");
  ASSERT_TRUE(world.run(triggers->remove("q:f")).has_value());
  EXPECT_THAT(triggers->list(), IsEmpty());
  send("q", {"b"});
  quiet();
  EXPECT_EQ(visible("q"), 1u);
  EXPECT_EQ(world.run(triggers->remove("q:f")).error().code, Code::not_found);
  add(mapping());
  until_empty("q");
}

TEST_F(TriggerTest, AStopGivesBackWhatDidNotEnd) {
  runner.deploy("f", "r1");
  make_queue("q");
  runner.handler = [](const Event&) {
    Deed deed = refusing();
    deed.hangs = true;
    return deed;
  };
  add(mapping());
  send("q", {"a"});
  until([&] { return runner.hang.waiting(); });
  auto stopping = world.start(stop(triggers.get()));
  world.settle_down();
  EXPECT_FALSE(stopping.done());
  runner.hang.wake();
  until([&] { return stopping.done(); });
  EXPECT_EQ(visible("q"), 1u);
  EXPECT_EQ(peek("q")[0].receive_count, 0u);
}

}  // namespace
}  // namespace mayfly::triggers::testing
