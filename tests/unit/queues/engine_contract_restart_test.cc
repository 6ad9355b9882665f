// The contract of QueueEngine: what is still there after the server was killed, for every engine.

#include "queues/contract.h"
#include "queues/environments.h"

namespace mayfly::queues::testing {
namespace {

template <class Env>
class QueuesAfterAKill : public EngineContract<Env> {};
TYPED_TEST_SUITE(QueuesAfterAKill, Environments, EnvironmentNames);

TYPED_TEST(QueuesAfterAKill, MessagesAndSettingsAreThere) {
  auto info = queue("q");
  info.settings.visibility_timeout_s = 7;
  info.settings.other["Policy"] = "{}";
  info.tags["a"] = "b";
  this->create(info);
  std::vector<std::string> wanted;
  for (int i = 0; i < 50; ++i) {
    this->send("q", message(std::to_string(i)));
    wanted.push_back(std::to_string(i));
  }
  this->env.restart();
  ASSERT_NE(this->engine().find("q"), nullptr);
  EXPECT_EQ(this->engine().find("q")->settings.visibility_timeout_s, 7u);
  EXPECT_EQ(this->engine().find("q")->settings.other.at("Policy"), "{}");
  EXPECT_EQ(this->engine().find("q")->tags.at("a"), "b");
  EXPECT_EQ(this->counts("q").visible, 50u);
  EXPECT_EQ(this->drain("q"), wanted);
  this->env.restart();
  EXPECT_THAT(this->receive("q"), IsEmpty());
}

// What is settled sooner leaves no trace of having been received.
constexpr milliseconds kNotedAfter{200};

TYPED_TEST(QueuesAfterAKill, WhatIsHeldStaysHeld) {
  this->create(queue("q"));
  this->send_all("q", {message("a"), message("b")});
  const auto got = this->receive("q", 1);
  this->env.pass(kNotedAfter);
  this->env.restart();
  EXPECT_EQ(this->counts("q").in_flight, 1u);
  EXPECT_THAT(bodies(this->receive("q", 10)), ElementsAre("b"));
  EXPECT_TRUE(this->hide("q", got[0].receipt, 5).has_value()) << "by the same receipt";
  this->env.pass(seconds(5));
  const auto again = this->receive("q");
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].receive_count, 2u);
  EXPECT_EQ(again[0].first_received, got[0].first_received);
  EXPECT_TRUE(this->settle("q", again[0].receipt).has_value());
}

TYPED_TEST(QueuesAfterAKill, WhatThePlatformHeldInItsOwnQueuesItHoldsNoLonger) {
  this->create(queue(".own"));
  NewMessage late = message("late");
  late.delay_s = 100;
  this->send_all(".own", {message("a"), message("b"), late});
  const auto got = this->receive(".own", 1);
  this->env.pass(kNotedAfter);
  this->env.restart();
  EXPECT_EQ(this->counts(".own").in_flight, 0u);
  EXPECT_EQ(this->counts(".own").delayed, 1u);
  const auto again = this->receive(".own", 10);
  EXPECT_THAT(bodies(again), ElementsAre("a", "b"));
  EXPECT_EQ(again[0].receive_count, 2u);
  EXPECT_TRUE(this->settle(".own", again[0].receipt).has_value());
}

TYPED_TEST(QueuesAfterAKill, TimeWentOn) {
  this->create(queue("q"));
  NewMessage late = message("late");
  late.delay_s = 100;
  this->send_all("q", {message("held"), late});
  this->receive("q", 1);
  this->env.pass(kNotedAfter);
  this->env.close();
  this->env.clock.pass(seconds(29) - kNotedAfter);
  this->env.open();
  EXPECT_EQ(this->counts("q").in_flight, 1u);
  this->env.pass(seconds(1));
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("held"));
  EXPECT_EQ(this->counts("q").delayed, 1u);
  this->env.close();
  this->env.clock.pass(seconds(70));
  this->env.open();
  EXPECT_EQ(this->counts("q").delayed, 0u);
  EXPECT_EQ(this->counts("q").visible, 2u);
}

TYPED_TEST(QueuesAfterAKill, AReceiptIsGoodEvenIfTheReceptionWasNotNoted) {
  this->create(queue("q"));
  this->create(queue("q.fifo"));
  this->send("q", message("a"));
  this->send("q.fifo", grouped("g", "a"));
  const auto got = this->receive("q");
  const auto ordered = this->receive("q.fifo");
  this->env.settle_down();
  for (const char* name : {"q", "q.fifo"}) {  // as if the kill had come before it was written
    store::Transaction lost;
    lost.delete_ranges.emplace_back("qr", "qs");
    ASSERT_TRUE(this->env.store.commit(lost, store::Durability::synced).has_value()) << name;
  }
  this->env.restart();
  EXPECT_EQ(this->counts("q").visible, 1u);
  EXPECT_TRUE(this->settle("q", got[0].receipt).has_value());
  EXPECT_TRUE(this->settle("q.fifo", ordered[0].receipt).has_value());
  EXPECT_THAT(this->receive("q"), IsEmpty());
  EXPECT_THAT(this->receive("q.fifo"), IsEmpty());
}

TYPED_TEST(QueuesAfterAKill, DuplicatesAreStillNone) {
  this->create(queue("q.fifo"));
  const Sent first = this->send("q.fifo", grouped("g", "a"));
  EXPECT_THAT(this->drain("q.fifo"), ElementsAre("a"));
  this->env.restart();
  const Sent again = this->send("q.fifo", grouped("g", "a"));
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.message_id, first.message_id);
  this->env.pass(seconds(300));
  EXPECT_FALSE(this->send("q.fifo", grouped("g", "a")).duplicate);
}

TYPED_TEST(QueuesAfterAKill, OrderAndLocksHold) {
  this->create(queue("q.fifo"));
  for (const char* text : {"1", "2", "3"}) this->send("q.fifo", grouped("g", text));
  const auto got = this->receive("q.fifo", 1);
  this->env.settle_down();
  this->env.restart();
  EXPECT_THAT(this->receive("q.fifo"), IsEmpty());
  EXPECT_TRUE(this->settle("q.fifo", got[0].receipt).has_value());
  EXPECT_THAT(bodies(this->receive("q.fifo")), ElementsAre("2", "3"));
}

TYPED_TEST(QueuesAfterAKill, NumbersAndIdsAreNeverUsedAgain) {
  this->create(queue("q"));
  const Sent first = this->send("q", message("a"));
  EXPECT_THAT(this->drain("q"), SizeIs(1));
  this->env.restart();
  const Sent second = this->send("q", message("b"));
  EXPECT_GT(second.sequence, first.sequence);
  EXPECT_NE(second.message_id, first.message_id);
  const auto held = this->receive("q");
  ASSERT_TRUE(this->env.run(this->engine().remove("q")).has_value());
  this->env.restart();
  EXPECT_EQ(this->engine().find("q"), nullptr);
  this->create(queue("q"));
  this->send("q", message("c"));
  EXPECT_EQ(this->settle("q", held[0].receipt).error().code, Code::invalid_argument);
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("c"));
}

TYPED_TEST(QueuesAfterAKill, PurgedStaysPurged) {
  this->create(queue("q"));
  for (int i = 0; i < 20; ++i) this->send("q", message("x"));
  this->receive("q", 5);
  ASSERT_TRUE(this->env.run(this->engine().purge("q")).has_value());
  this->send("q", message("new"));
  this->env.restart();
  EXPECT_EQ(this->counts("q").visible, 1u);
  EXPECT_EQ(this->counts("q").in_flight, 0u);
  EXPECT_THAT(this->drain("q"), ElementsAre("new"));
}

TYPED_TEST(QueuesAfterAKill, DeadLettersAreThere) {
  this->create(queue("q"));
  this->create(queue("dead"));
  const Sent sent = this->send("q", message("a"));
  const auto got = this->receive("q");
  ASSERT_TRUE(this->env.run(this->engine().dead_letter("q", {got[0].receipt}, "dead", "Broken."))
                  .has_value());
  this->env.restart();
  EXPECT_EQ(this->counts("q").visible, 0u);
  const auto dead = this->receive("dead");
  ASSERT_THAT(dead, SizeIs(1));
  EXPECT_EQ(dead[0].id, sent.message_id);
  EXPECT_EQ(dead[0].dead_letter_source, "q");
  EXPECT_EQ(dead[0].dead_letter_reason, "Broken.");
}

TYPED_TEST(QueuesAfterAKill, AClockThatWasSetBackHidesNothingForLong) {
  this->create(queue("q"));
  NewMessage late = message("late");
  late.delay_s = 10;
  this->send("q", late);
  this->env.close();
  this->env.clock.wall -= seconds(1'000'000);
  this->env.open();
  this->env.pass(seconds(10));
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("late"));
}

TYPED_TEST(QueuesAfterAKill, AClockThatWasSetBackHoldsNothingForLong) {
  this->create(queue("q"));
  this->send("q", message("held"));
  const auto early = this->receive("q", 1);
  this->env.clock.wall += std::chrono::hours(5);
  this->env.pass(seconds(30));
  ASSERT_THAT(this->receive("q", 1), SizeIs(1)) << "for the second time, at the wrong hour";
  this->env.pass(kNotedAfter);
  this->env.close();
  this->env.clock.wall -= std::chrono::hours(5);
  this->env.open();
  EXPECT_THAT(this->receive("q"), IsEmpty());
  this->env.pass(seconds(30));
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("held"));
}

}  // namespace
}  // namespace mayfly::queues::testing
