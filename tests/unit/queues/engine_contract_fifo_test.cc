// The contract of QueueEngine: fifo queues, for every engine.

#include "queues/contract.h"
#include "queues/environments.h"

namespace mayfly::queues::testing {
namespace {

template <class Env>
class FifoQueues : public EngineContract<Env> {
 protected:
  void make(bool by_content = false, bool by_group = false) {
    auto info = queue("q.fifo");
    info.settings.content_deduplication = by_content;
    info.settings.deduplicate_by_group = by_group;
    this->create(info);
  }
  void send_in(const std::string& group, std::initializer_list<const char*> texts) {
    for (const char* text : texts) this->send("q.fifo", grouped(group, text));
  }
};
TYPED_TEST_SUITE(FifoQueues, Environments, EnvironmentNames);

TYPED_TEST(FifoQueues, MessagesNeedAGroupAndAnId) {
  this->make();
  EXPECT_EQ(this->send_error("q.fifo", message("x")).code, Code::invalid_argument);
  NewMessage anonymous = message("x");
  anonymous.group = "g";
  EXPECT_EQ(this->send_error("q.fifo", anonymous).code, Code::invalid_argument);
  NewMessage late = grouped("g", "x");
  late.delay_s = 5;
  EXPECT_EQ(this->send_error("q.fifo", late).code, Code::invalid_argument);
  this->create(queue("standard"));
  EXPECT_EQ(this->send_error("standard", grouped("g", "x")).code, Code::invalid_argument);
  auto mixed = queue("q.fifo");
  mixed.settings.fifo = false;
  EXPECT_TRUE(this->env.run(this->engine().update(mixed)).has_error());
}

TYPED_TEST(FifoQueues, KeepsOrderWithinAGroup) {
  this->make();
  this->send_in("a", {"1", "2", "3"});
  auto got = this->receive("q.fifo", 2);
  EXPECT_THAT(bodies(got), ElementsAre("1", "2"));
  EXPECT_LT(got[0].sequence, got[1].sequence);
  EXPECT_EQ(got[0].group, "a");
  EXPECT_EQ(got[0].deduplication_id, "a/1");
  EXPECT_THAT(this->receive("q.fifo"), IsEmpty()) << "the group is locked";
  EXPECT_TRUE(this->settle("q.fifo", got[0].receipt).has_value());
  EXPECT_THAT(this->receive("q.fifo"), IsEmpty()) << "one of it is still in flight";
  EXPECT_TRUE(this->settle("q.fifo", got[1].receipt).has_value());
  EXPECT_THAT(bodies(this->receive("q.fifo")), ElementsAre("3"));
}

TYPED_TEST(FifoQueues, GroupsDoNotWaitForOneAnother) {
  this->make();
  this->send_in("a", {"a1", "a2"});
  this->send_in("b", {"b1"});
  EXPECT_THAT(bodies(this->receive("q.fifo", 1)), ElementsAre("a1"));
  EXPECT_THAT(bodies(this->receive("q.fifo", 1)), ElementsAre("b1"));
  EXPECT_THAT(this->receive("q.fifo", 1), IsEmpty());
}

TYPED_TEST(FifoQueues, AReceiptThatExpiredIsOfNoUse) {
  this->make();
  this->send_in("a", {"1", "2"});
  const auto got = this->receive("q.fifo", 1);
  this->env.pass(seconds(30));
  EXPECT_EQ(this->settle("q.fifo", got[0].receipt).error().code, Code::conflict);
  EXPECT_THAT(bodies(this->receive("q.fifo", 1)), ElementsAre("1")) << "order holds";
  EXPECT_EQ(this->settle("q.fifo", got[0].receipt).error().code, Code::conflict);
}

TYPED_TEST(FifoQueues, WhatComesBackComesFirst) {
  this->make();
  this->send_in("a", {"1", "2", "3", "4"});
  const auto got = this->receive("q.fifo", 3);
  EXPECT_TRUE(this->hide("q.fifo", got[1].receipt, 0).has_value());
  EXPECT_THAT(this->receive("q.fifo"), IsEmpty());
  EXPECT_TRUE(this->hide("q.fifo", got[0].receipt, 0).has_value());
  EXPECT_TRUE(this->settle("q.fifo", got[2].receipt).has_value());
  EXPECT_THAT(bodies(this->receive("q.fifo")), ElementsAre("1", "2", "4"));
}

TYPED_TEST(FifoQueues, DuplicatesWithinFiveMinutesAreNone) {
  this->make();
  const Sent first = this->send("q.fifo", grouped("a", "one", "id"));
  const Sent again = this->send("q.fifo", grouped("b", "two", "id"));
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.message_id, first.message_id);
  EXPECT_EQ(again.sequence, first.sequence);
  EXPECT_THAT(this->drain("q.fifo"), ElementsAre("one"));
  this->env.pass(milliseconds(5 * 60'000 - 1));
  EXPECT_TRUE(this->send("q.fifo", grouped("a", "three", "id")).duplicate)
      << "even when the first is done";
  this->env.pass(milliseconds(1));
  EXPECT_FALSE(this->send("q.fifo", grouped("a", "four", "id")).duplicate);
  EXPECT_THAT(this->drain("q.fifo"), ElementsAre("four"));
}

TYPED_TEST(FifoQueues, DuplicatesInOneCallAndAtOnce) {
  this->make();
  const auto sent = this->send_all(
      "q.fifo", {grouped("a", "one", "id"), grouped("a", "two", "id"), grouped("a", "x", "y")});
  EXPECT_FALSE(sent[0]->duplicate);
  EXPECT_TRUE(sent[1]->duplicate);
  EXPECT_EQ(sent[1]->message_id, sent[0]->message_id);
  auto first = this->env.start(this->engine().send("q.fifo", {grouped("a", "3", "z")}));
  auto second = this->env.start(this->engine().send("q.fifo", {grouped("a", "4", "z")}));
  EXPECT_TRUE(this->env.run_until([&] { return first.done() && second.done(); }));
  EXPECT_NE((*first)[0]->duplicate, (*second)[0]->duplicate);
  EXPECT_THAT(this->drain("q.fifo"), ElementsAre("one", "x", "3"));
}

TYPED_TEST(FifoQueues, ContentCanBeTheId) {
  this->make(true);
  NewMessage made = message("same");
  made.group = "a";
  EXPECT_FALSE(this->send("q.fifo", made).duplicate);
  made.attributes.push_back({"n", "String", "v"});
  EXPECT_TRUE(this->send("q.fifo", made).duplicate) << "attributes do not count";
  made.deduplication_id = "other";
  EXPECT_FALSE(this->send("q.fifo", made).duplicate) << "an id of its own wins";
}

TYPED_TEST(FifoQueues, DeduplicationCanBeOfTheGroup) {
  this->make(false, true);
  EXPECT_FALSE(this->send("q.fifo", grouped("a", "1", "id")).duplicate);
  EXPECT_FALSE(this->send("q.fifo", grouped("b", "2", "id")).duplicate);
  EXPECT_TRUE(this->send("q.fifo", grouped("a", "3", "id")).duplicate);
}

TYPED_TEST(FifoQueues, AttemptsAreAnsweredAlike) {
  this->make();
  this->send_in("a", {"1", "2"});
  ReceiveOptions options;
  options.max = 1;
  options.attempt_id = "try";
  const auto first = this->receive("q.fifo", options);
  this->env.pass(seconds(20));
  const auto again = this->receive("q.fifo", options);
  EXPECT_EQ(bodies(again), bodies(first));
  EXPECT_EQ(again[0].receipt, first[0].receipt);
  EXPECT_EQ(again[0].receive_count, 1u);
  this->env.pass(seconds(20));
  EXPECT_EQ(this->counts("q.fifo").in_flight, 1u) << "the second answer hides it anew";
  EXPECT_TRUE(this->settle("q.fifo", again[0].receipt).has_value());
  EXPECT_THAT(bodies(this->receive("q.fifo", options)), ElementsAre("2"));
}

TYPED_TEST(FifoQueues, ADelayHoldsUpWhatIsBehindIt) {
  auto info = queue("q.fifo");
  info.settings.delay_s = 10;
  this->create(info);
  this->send_in("a", {"1"});
  info.settings.delay_s = 0;
  ASSERT_TRUE(this->env.run(this->engine().update(info)).has_value());
  this->send_in("a", {"2"});
  this->send_in("b", {"3"});
  EXPECT_THAT(bodies(this->receive("q.fifo")), ElementsAre("3"));
  this->env.pass(seconds(10));
  EXPECT_THAT(bodies(this->receive("q.fifo")), ElementsAre("1", "2"));
}

TYPED_TEST(FifoQueues, DeadLettersLeaveInOrder) {
  this->create(queue("dead.fifo"));
  auto info = queue("q.fifo");
  info.settings.dead_letter_queue = "dead.fifo";
  info.settings.receive_count_max = 1;
  this->create(info);
  this->send_in("a", {"1", "2"});
  EXPECT_THAT(bodies(this->receive("q.fifo", 1)), ElementsAre("1"));
  this->env.pass(seconds(30));
  ReceiveOptions options;
  options.wait = seconds(1);
  const auto next = this->receive("q.fifo", options);
  EXPECT_THAT(bodies(next), ElementsAre("2")) << "once the first has left";
  const auto dead = this->receive("dead.fifo");
  EXPECT_THAT(bodies(dead), ElementsAre("1"));
  EXPECT_EQ(dead[0].group, "a");
}

TYPED_TEST(FifoQueues, PurgingUnlocksGroupsAndKeepsTheWindow) {
  this->make();
  this->send_in("a", {"1", "2"});
  this->receive("q.fifo", 1);
  ASSERT_TRUE(this->env.run(this->engine().purge("q.fifo")).has_value());
  EXPECT_TRUE(this->send("q.fifo", grouped("a", "1")).duplicate);
  this->send_in("a", {"3"});
  this->env.pass(milliseconds(0));
  EXPECT_THAT(bodies(this->receive("q.fifo")), ElementsAre("3"));
}

TYPED_TEST(FifoQueues, BatchesKnowDuplicates) {
  this->make();
  Batch batch;
  batch.sends.emplace_back("q.fifo", grouped("a", "1"));
  batch.sends.emplace_back("q.fifo", grouped("a", "1"));
  const auto sent = this->env.run(this->engine().commit(batch));
  ASSERT_TRUE(sent.has_value());
  EXPECT_FALSE((*sent)[0].duplicate);
  EXPECT_TRUE((*sent)[1].duplicate);
  EXPECT_THAT(this->drain("q.fifo"), ElementsAre("1"));
}

}  // namespace
}  // namespace mayfly::queues::testing
