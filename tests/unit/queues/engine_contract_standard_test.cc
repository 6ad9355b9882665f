// The contract of QueueEngine: standard queues, for every engine.

#include "queues/contract.h"
#include "queues/environments.h"

namespace mayfly::queues::testing {
namespace {

template <class Env>
class StandardQueues : public EngineContract<Env> {};
TYPED_TEST_SUITE(StandardQueues, Environments, EnvironmentNames);

TYPED_TEST(StandardQueues, SendsReceivesAndSettles) {
  this->create(queue("q"));
  NewMessage made = message("hello");
  made.attributes.push_back({"colour", "String", "red"});
  made.attributes.push_back({"raw", "Binary.x", std::string("\0\xff", 2)});
  made.trace_header = "Root=1";
  made.sender = "me";
  made.group = "label";
  const Sent sent = this->send("q", made);
  EXPECT_EQ(sent.message_id.size(), 36u);
  EXPECT_FALSE(sent.duplicate);

  auto got = this->receive("q");
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(got[0].id, sent.message_id);
  EXPECT_EQ(got[0].body, "hello");
  ASSERT_THAT(got[0].attributes, SizeIs(2));
  EXPECT_EQ(got[0].attributes[1].value, std::string("\0\xff", 2));
  EXPECT_EQ(got[0].trace_header, "Root=1");
  EXPECT_EQ(got[0].sender, "me");
  EXPECT_EQ(got[0].group, "label");
  EXPECT_EQ(got[0].receive_count, 1u);
  EXPECT_EQ(got[0].sent, this->env.clock.wall_now());
  EXPECT_EQ(got[0].first_received, this->env.clock.wall_now());
  EXPECT_EQ(this->counts("q").in_flight, 1u);
  EXPECT_THAT(this->receive("q"), IsEmpty());

  EXPECT_TRUE(this->settle("q", got[0].receipt).has_value());
  EXPECT_EQ(this->counts("q").in_flight, 0u);
  EXPECT_FALSE(this->counts("q").oldest);
  EXPECT_TRUE(this->settle("q", got[0].receipt).has_value()) << "of a message that is gone: ok";
  this->env.pass(seconds(100));
  EXPECT_THAT(this->receive("q"), IsEmpty());
}

TYPED_TEST(StandardQueues, NamesAndSettingsAreChecked) {
  for (const char* name : {"", "a b", "x.fifo.fifo.", "ä", "a/b"}) {
    const auto made = this->env.run(this->engine().create(queue(name)));
    ASSERT_TRUE(made.has_error()) << name;
    EXPECT_EQ(made.error().code, Code::invalid_argument) << name;
  }
  EXPECT_TRUE(this->env.run(this->engine().create(queue(std::string(81, 'a')))).has_error());
  auto wrong = queue("q");
  wrong.settings.retention_s = 59;
  EXPECT_TRUE(this->env.run(this->engine().create(wrong)).has_error());
  this->create(queue("q"));
  this->create(queue("q"));  // the same once more
  auto other = queue("q");
  other.settings.delay_s = 5;
  const auto again = this->env.run(this->engine().create(other));
  ASSERT_TRUE(again.has_error());
  EXPECT_EQ(again.error().code, Code::already_exists);
  EXPECT_EQ(this->engine().list().size(), 1u);
  EXPECT_EQ(this->engine().find("nothing"), nullptr);
}

TYPED_TEST(StandardQueues, UnknownQueuesAreNotFound) {
  EXPECT_EQ(this->send_error("no", message("x")).code, Code::not_found);
  EXPECT_EQ(this->env.run(this->engine().receive("no", {})).error().code, Code::not_found);
  EXPECT_EQ(this->settle("no", "r").error().code, Code::not_found);
  EXPECT_EQ(this->hide("no", "r", 1).error().code, Code::not_found);
  EXPECT_EQ(this->env.run(this->engine().purge("no")).error().code, Code::not_found);
  EXPECT_EQ(this->env.run(this->engine().remove("no")).error().code, Code::not_found);
  EXPECT_EQ(this->env.run(this->engine().peek("no", 1)).error().code, Code::not_found);
  EXPECT_EQ(this->env.run(this->engine().move("no", "", 1)).error().code, Code::not_found);
  EXPECT_EQ(this->engine().counts("no").error().code, Code::not_found);
}

TYPED_TEST(StandardQueues, BadMessagesDoNotHoldUpGoodOnes) {
  auto info = queue("q");
  info.settings.message_bytes_max = 1024;
  this->create(info);
  NewMessage late = message("late");
  late.delay_s = 901;
  std::vector<NewMessage> messages{message("a"), message(std::string(1025, 'x')), late,
                                   message("b")};
  const auto sent = this->send_all("q", messages);
  EXPECT_TRUE(sent[0].has_value());
  EXPECT_EQ(sent[1].error().code, Code::too_large);
  EXPECT_EQ(sent[2].error().code, Code::invalid_argument);
  EXPECT_TRUE(sent[3].has_value());
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("a", "b"));
}

TYPED_TEST(StandardQueues, AttributesCountForTheSize) {
  auto info = queue("q");
  info.settings.message_bytes_max = 1024;
  this->create(info);
  NewMessage big = message(std::string(1000, 'x'));
  big.attributes.push_back({"name", "String", std::string(15, 'y')});
  EXPECT_EQ(this->send_error("q", big).code, Code::too_large);
  big.attributes[0].value.pop_back();
  this->send("q", big);
}

TYPED_TEST(StandardQueues, HiddenMessagesComeBackWhenTheirTimeIsUp) {
  auto info = queue("q");
  info.settings.visibility_timeout_s = 20;
  this->create(info);
  this->send("q", message("a"));
  auto first = this->receive("q");
  this->env.pass(milliseconds(19'999));
  EXPECT_THAT(this->receive("q"), IsEmpty());
  this->env.pass(milliseconds(1));
  EXPECT_EQ(this->counts("q").visible, 1u);
  auto second = this->receive("q");
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0].receive_count, 2u);
  EXPECT_EQ(second[0].first_received, first[0].first_received);
  EXPECT_NE(second[0].receipt, first[0].receipt);
  // The first receiver's receipt cannot hide what another holds.
  EXPECT_EQ(this->hide("q", first[0].receipt, 100).error().code, Code::not_found);
  EXPECT_TRUE(this->hide("q", second[0].receipt, 100).has_value());
  this->env.pass(seconds(99));
  EXPECT_THAT(this->receive("q"), IsEmpty());
  this->env.pass(seconds(1));
  EXPECT_THAT(this->receive("q"), SizeIs(1));
}

TYPED_TEST(StandardQueues, ReceiversMayChooseHowLongToHide) {
  this->create(queue("q"));
  this->send("q", message("a"));
  ReceiveOptions options;
  options.visibility_s = 0;
  EXPECT_THAT(this->receive("q", options), SizeIs(1));
  this->env.pass(milliseconds(0));
  options.visibility_s = 5;
  EXPECT_THAT(this->receive("q", options), SizeIs(1));
  this->env.pass(seconds(5));
  EXPECT_THAT(this->receive("q"), SizeIs(1));
  options.visibility_s = 43'201;
  EXPECT_TRUE(this->env.run(this->engine().receive("q", options)).has_error());
}

TYPED_TEST(StandardQueues, GivingBackMakesVisibleAtOnce) {
  this->create(queue("q"));
  this->send("q", message("a"));
  const auto got = this->receive("q");
  EXPECT_TRUE(this->hide("q", got[0].receipt, 0).has_value());
  EXPECT_EQ(this->hide("q", got[0].receipt, 0).error().code, Code::not_found);
  EXPECT_THAT(this->receive("q"), SizeIs(1));
}

TYPED_TEST(StandardQueues, LateWorkMayStillBeSettled) {
  this->create(queue("q"));
  this->send("q", message("a"));
  const auto got = this->receive("q");
  this->env.pass(seconds(31));
  EXPECT_EQ(this->counts("q").visible, 1u);
  EXPECT_TRUE(this->settle("q", got[0].receipt).has_value());
  EXPECT_THAT(this->receive("q"), IsEmpty());
}

TYPED_TEST(StandardQueues, ReceiptsCannotBeMadeUpOrCarriedOver) {
  this->create(queue("q"));
  this->create(queue("p"));
  this->send("q", message("a"));
  const auto got = this->receive("q");
  std::string forged = got[0].receipt;
  forged[10] = forged[10] == '0' ? '1' : '0';
  for (const std::string& receipt :
       {forged, std::string(), std::string("x"), got[0].receipt + "0", std::string(80, '0')}) {
    EXPECT_EQ(this->settle("q", receipt).error().code, Code::invalid_argument);
    EXPECT_EQ(this->hide("q", receipt, 1).error().code, Code::invalid_argument);
  }
  EXPECT_EQ(this->settle("p", got[0].receipt).error().code, Code::invalid_argument);
  EXPECT_EQ(this->counts("q").in_flight, 1u);
}

TYPED_TEST(StandardQueues, DelaysHold) {
  auto info = queue("q");
  info.settings.delay_s = 10;
  this->create(info);
  NewMessage now = message("now"), later = message("later");
  now.delay_s = 0;
  later.delay_s = 20;
  this->send_all("q", {later, message("default"), now});
  EXPECT_EQ(this->counts("q").delayed, 2u);
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("now"));
  this->env.pass(milliseconds(9'999));
  EXPECT_THAT(this->receive("q"), IsEmpty());
  this->env.pass(milliseconds(1));
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("default"));
  this->env.pass(seconds(10));
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("later"));
}

TYPED_TEST(StandardQueues, OldMessagesGo) {
  auto info = queue("q");
  info.settings.retention_s = 60;
  this->create(info);
  this->send_all("q", {message("a"), message("b")});
  this->env.pass(seconds(30));
  this->send("q", message("c"));
  const auto held = this->receive("q", 1);
  this->env.pass(milliseconds(29'999));
  EXPECT_EQ(this->counts("q").visible + this->counts("q").in_flight, 3u);
  this->env.pass(milliseconds(1));
  EXPECT_EQ(this->counts("q").visible + this->counts("q").in_flight, 1u);
  EXPECT_TRUE(this->settle("q", held[0].receipt).has_value());
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("c"));
}

TYPED_TEST(StandardQueues, LongPollsAreServedInOrder) {
  this->create(queue("q"));
  ReceiveOptions options;
  options.wait = seconds(20);
  auto first = this->env.start(this->engine().receive("q", options));
  auto second = this->env.start(this->engine().receive("q", options));
  this->env.settle_down();
  EXPECT_FALSE(first.done() || second.done());
  EXPECT_THAT(this->receive("q"), IsEmpty()) << "who does not wait gets nothing at once";
  this->send("q", message("a"));
  EXPECT_TRUE(this->env.run_until([&] { return first.done(); }));
  EXPECT_FALSE(second.done());
  EXPECT_THAT(bodies(**first), ElementsAre("a"));
  this->send("q", message("b"));
  EXPECT_TRUE(this->env.run_until([&] { return second.done(); }));
  EXPECT_THAT(bodies(**second), ElementsAre("b"));
}

TYPED_TEST(StandardQueues, LongPollsEndEmptyInTime) {
  this->create(queue("q"));
  ReceiveOptions options;
  options.wait = seconds(20);
  auto waiting = this->env.start(this->engine().receive("q", options));
  this->env.settle_down();
  this->env.pass(milliseconds(19'999));
  EXPECT_FALSE(waiting.done());
  this->env.pass(milliseconds(1));
  EXPECT_TRUE(this->env.run_until([&] { return waiting.done(); }));
  EXPECT_THAT(**waiting, IsEmpty());
}

TYPED_TEST(StandardQueues, LongPollsSeeWhatBecomesVisible) {
  this->create(queue("q"));
  NewMessage late = message("late");
  late.delay_s = 5;
  this->send("q", late);
  ReceiveOptions options;
  options.wait = seconds(20);
  auto waiting = this->env.start(this->engine().receive("q", options));
  this->env.settle_down();
  this->env.pass(seconds(5));
  EXPECT_TRUE(this->env.run_until([&] { return waiting.done(); }));
  auto got = this->env.wait(waiting);
  ASSERT_THAT(*got, SizeIs(1));
  auto again = this->env.start(this->engine().receive("q", options));
  this->env.settle_down();
  EXPECT_TRUE(this->hide("q", (*got)[0].receipt, 0).has_value());
  EXPECT_TRUE(this->env.run_until([&] { return again.done(); }));
}

TYPED_TEST(StandardQueues, CancelledReceiversTakeNothing) {
  this->create(queue("q"));
  ReceiveOptions options;
  options.wait = seconds(20);
  auto leaving = this->env.start(this->engine().receive("q", options));
  auto staying = this->env.start(this->engine().receive("q", options));
  this->env.settle_down();
  leaving.signal->emit(boost::asio::cancellation_type::terminal);
  EXPECT_TRUE(this->env.run_until([&] { return *leaving.ended; }));
  this->send("q", message("a"));
  EXPECT_TRUE(this->env.run_until([&] { return staying.done(); }));
  EXPECT_THAT(bodies(**staying), ElementsAre("a"));
}

TYPED_TEST(StandardQueues, DeadLettersAfterTooManyReceptions) {
  this->create(queue("dead"));
  auto info = queue("q");
  info.settings.dead_letter_queue = "dead";
  info.settings.receive_count_max = 2;
  this->create(info);
  const Sent sent = this->send("q", message("poison"));
  const auto sent_at = this->env.clock.wall_now();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(this->receive("q"), SizeIs(1));
    this->env.pass(seconds(30));
  }
  this->send("q", message("good"));
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("good"));
  // Without waiting: it is there before the other one is answered.
  auto dead = this->receive("dead");
  ASSERT_THAT(dead, SizeIs(1));
  EXPECT_EQ(dead[0].id, sent.message_id);
  EXPECT_EQ(dead[0].body, "poison");
  EXPECT_EQ(dead[0].sent, sent_at);
  EXPECT_EQ(dead[0].receive_count, 1u);
  EXPECT_EQ(dead[0].dead_letter_source, "q");
  EXPECT_NE(dead[0].dead_letter_reason, "");
  EXPECT_EQ(this->counts("q").visible, 0u);
}

io::Task<std::uint64_t> receive_and_count(QueueEngine& engine, std::string from, std::string of) {
  const auto got = co_await engine.receive(std::move(from), ReceiveOptions());
  ignore(got, "what counts is what it leaves");
  co_return engine.counts(of)->visible;
}

TYPED_TEST(StandardQueues, WhatAReceiverMissesIsAmongTheDeadLettersAlready) {
  this->create(queue("dead"));
  auto info = queue("q");
  info.settings.dead_letter_queue = "dead";
  info.settings.receive_count_max = 1;
  this->create(info);
  this->send("q", message("poison"));
  EXPECT_THAT(this->receive("q"), SizeIs(1));
  this->env.pass(seconds(30));
  EXPECT_EQ(this->env.run(receive_and_count(this->engine(), "q", "dead")), 1u);
}

TYPED_TEST(StandardQueues, NothingIsLostWithoutItsDeadLetterQueue) {
  auto info = queue("q");
  info.settings.dead_letter_queue = "dead";
  info.settings.receive_count_max = 1;
  this->create(info);
  this->send("q", message("poison"));
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(this->receive("q"), SizeIs(1));
    this->env.pass(seconds(30));
  }
  this->create(queue("dead"));
  EXPECT_THAT(this->receive("q"), IsEmpty());
  EXPECT_THAT(this->receive("dead"), SizeIs(1));
}

TYPED_TEST(StandardQueues, NoMaximumMeansNoDeadLetters) {
  this->create(queue("dead"));
  auto info = queue("q");
  info.settings.dead_letter_queue = "dead";
  this->create(info);
  this->send("q", message("a"));
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(this->receive("q"), SizeIs(1));
    this->env.pass(seconds(30));
  }
}

TYPED_TEST(StandardQueues, HeldMessagesCanBeDeadLetters) {
  this->create(queue("q"));
  this->create(queue("dead"));
  this->send_all("q", {message("a"), message("b")});
  auto got = this->receive("q");
  const auto moved = this->env.run(
      this->engine().dead_letter("q", {got[0].receipt, got[1].receipt}, "dead", "It broke."));
  ASSERT_TRUE(moved.has_value()) << moved.error().describe();
  auto dead = this->receive("dead");
  EXPECT_THAT(bodies(dead), ElementsAre("a", "b"));
  EXPECT_EQ(dead[0].dead_letter_reason, "It broke.");
  EXPECT_EQ(this->counts("q").in_flight, 0u);
  const auto again =
      this->env.run(this->engine().dead_letter("q", {got[0].receipt}, "dead", "It broke."));
  EXPECT_EQ(again.error().code, Code::conflict);
  this->send("q", message("c"));
  got = this->receive("q");
  EXPECT_EQ(
      this->env.run(this->engine().dead_letter("q", {got[0].receipt}, "gone", "")).error().code,
      Code::not_found);
  EXPECT_TRUE(this->settle("q", got[0].receipt).has_value()) << "it is held as before";
}

TYPED_TEST(StandardQueues, DeadLettersCanGoHome) {
  this->create(queue("q"));
  this->create(queue("p"));
  this->create(queue("dead"));
  for (const char* name : {"q", "p"}) {
    this->send(name, message(std::string("of ") + name));
    auto got = this->receive(name);
    ASSERT_TRUE(
        this->env.run(this->engine().dead_letter(name, {got[0].receipt}, "dead", "x")).has_value());
  }
  EXPECT_EQ(*this->env.run(this->engine().move("dead", "", 10)), 2u);
  EXPECT_EQ(*this->env.run(this->engine().move("dead", "", 10)), 0u);
  const auto home = this->receive("q");
  EXPECT_THAT(bodies(home), ElementsAre("of q"));
  EXPECT_EQ(home[0].receive_count, 1u);
  EXPECT_EQ(home[0].dead_letter_source, "");
  EXPECT_THAT(bodies(this->receive("p")), ElementsAre("of p"));
}

TYPED_TEST(StandardQueues, MovesOnlyWhatIsVisible) {
  this->create(queue("q"));
  this->create(queue("p"));
  this->send_all("q", {message("a"), message("b"), message("c")});
  const auto held = this->receive("q", 1);
  EXPECT_EQ(*this->env.run(this->engine().move("q", "p", 1)), 1u);
  EXPECT_EQ(*this->env.run(this->engine().move("q", "p", 10)), 1u);
  EXPECT_THAT(bodies(this->receive("p")), ElementsAre("b", "c"));
  EXPECT_TRUE(this->settle("q", held[0].receipt).has_value());
  this->send("q", message("nowhere to go"));
  EXPECT_TRUE(this->env.run(this->engine().move("q", "", 10)).has_error());
  EXPECT_THAT(this->receive("q"), SizeIs(1));
}

TYPED_TEST(StandardQueues, PeekingTakesNothing) {
  this->create(queue("q"));
  this->send_all("q", {message("a"), message("b"), message("c")});
  this->receive("q", 1);
  for (int i = 0; i < 2; ++i) {
    const auto seen = this->env.run(this->engine().peek("q", 2));
    EXPECT_THAT(bodies(*seen), ElementsAre("a", "b"));
    EXPECT_EQ((*seen)[0].receive_count, 1u);
    EXPECT_EQ((*seen)[1].receive_count, 0u);
    EXPECT_EQ((*seen)[0].receipt, "");
  }
  EXPECT_THAT(bodies(this->receive("q")), ElementsAre("b", "c"));
}

TYPED_TEST(StandardQueues, PurgingTakesAll) {
  this->create(queue("q"));
  NewMessage late = message("late");
  late.delay_s = 5;
  this->send_all("q", {message("held"), message("ready"), late});
  const auto held = this->receive("q", 1);
  ASSERT_TRUE(this->env.run(this->engine().purge("q")).has_value());
  this->send("q", message("new"));
  EXPECT_TRUE(this->settle("q", held[0].receipt).has_value());
  this->env.pass(seconds(60));
  EXPECT_EQ(this->counts("q").delayed, 0u);
  EXPECT_THAT(this->drain("q"), ElementsAre("new"));
}

TYPED_TEST(StandardQueues, ADeletedQueueComesBackEmptyAndAnother) {
  this->create(queue("q"));
  this->send("q", message("a"));
  const auto held = this->receive("q");
  ReceiveOptions options;
  options.wait = seconds(20);
  auto waiting = this->env.start(this->engine().receive("q", options));
  this->env.settle_down();
  ASSERT_TRUE(this->env.run(this->engine().remove("q")).has_value());
  EXPECT_TRUE(this->env.run_until([&] { return waiting.done(); }));
  EXPECT_EQ(waiting->error().code, Code::not_found);
  this->create(queue("q"));
  EXPECT_THAT(this->receive("q"), IsEmpty());
  EXPECT_EQ(this->settle("q", held[0].receipt).error().code, Code::invalid_argument);
  this->env.pass(seconds(60));
  EXPECT_THAT(this->receive("q"), IsEmpty());
}

TYPED_TEST(StandardQueues, SettingsChange) {
  this->create(queue("q"));
  auto info = queue("q");
  info.settings.visibility_timeout_s = 5;
  info.settings.other["Policy"] = "{}";
  info.tags["team"] = "a";
  ASSERT_TRUE(this->env.run(this->engine().update(info)).has_value());
  EXPECT_EQ(this->engine().find("q")->settings.other.at("Policy"), "{}");
  EXPECT_EQ(this->engine().find("q")->tags.at("team"), "a");
  this->send("q", message("a"));
  this->receive("q");
  this->env.pass(seconds(5));
  EXPECT_THAT(this->receive("q"), SizeIs(1));
  EXPECT_EQ(this->env.run(this->engine().update(queue("no"))).error().code, Code::not_found);
}

TYPED_TEST(StandardQueues, AWallClockThatJumpsChangesNothing) {
  this->create(queue("q"));
  NewMessage late = message("late");
  late.delay_s = 10;
  this->send_all("q", {message("a"), late});
  this->receive("q");
  this->env.clock.wall += seconds(1'000'000'000);
  this->env.pass(seconds(9));
  EXPECT_EQ(this->counts("q").in_flight, 1u);
  EXPECT_EQ(this->counts("q").delayed, 1u);
  this->env.clock.wall -= seconds(1'500'000'000);
  this->env.pass(seconds(1));
  EXPECT_EQ(this->counts("q").delayed, 0u);
  this->env.pass(seconds(20));
  EXPECT_EQ(this->counts("q").visible, 2u);
}

TYPED_TEST(StandardQueues, BatchesHappenTogetherOrNotAtAll) {
  this->create(queue("in"));
  this->create(queue("out"));
  this->send("in", message("a"));
  auto got = this->receive("in");
  Batch batch;
  batch.done.push_back({"in", got[0].receipt});
  batch.sends.emplace_back("out", message("b"));
  batch.also.require("state/x", std::string("1")).put("state/x", "2");
  auto committed = this->env.run(this->engine().commit(batch));
  EXPECT_EQ(committed.error().code, Code::conflict);
  EXPECT_THAT(this->receive("out"), IsEmpty());
  EXPECT_EQ(this->counts("in").in_flight, 1u);

  ASSERT_TRUE(this->env
                  .run(this->env.committer->commit(store::Transaction().put("state/x", "1"),
                                                   store::Durability::synced))
                  .has_value());
  committed = this->env.run(this->engine().commit(batch));
  ASSERT_TRUE(committed.has_value()) << committed.error().describe();
  ASSERT_THAT(*committed, SizeIs(1));
  const auto out = this->receive("out");
  EXPECT_THAT(bodies(out), ElementsAre("b"));
  EXPECT_EQ(out[0].id, (*committed)[0].message_id);
  EXPECT_EQ(*this->env.store.get("state/x"), "2");
  EXPECT_EQ(this->counts("in").in_flight, 0u);

  EXPECT_EQ(this->env.run(this->engine().commit(batch)).error().code, Code::conflict)
      << "the message is done already";
  EXPECT_THAT(this->receive("out"), IsEmpty());
}

TYPED_TEST(StandardQueues, ABatchNeedsItsMessagesHeld) {
  this->create(queue("q"));
  this->send("q", message("a"));
  const auto got = this->receive("q");
  this->env.pass(seconds(30));
  Batch batch;
  batch.done.push_back({"q", got[0].receipt});
  EXPECT_EQ(this->env.run(this->engine().commit(batch)).error().code, Code::conflict);
  this->receive("q");
  EXPECT_EQ(this->env.run(this->engine().commit(batch)).error().code, Code::conflict);
}

TYPED_TEST(StandardQueues, NobodyDisturbsABatch) {
  this->create(queue("q"));
  this->send("q", message("a"));
  const auto got = this->receive("q");
  Batch batch;
  batch.done.push_back({"q", got[0].receipt});
  Batch same = batch;
  auto first = this->env.start(this->engine().commit(batch));
  auto second = this->env.start(this->engine().commit(same));
  auto settled = this->env.start(this->engine().settle("q", {got[0].receipt}));
  EXPECT_TRUE(this->env.run_until([&] { return first.done() && second.done() && settled.done(); }));
  EXPECT_TRUE(first->has_value());
  EXPECT_EQ(second->error().code, Code::conflict);
  EXPECT_TRUE(settled->at(0).has_value()) << "it is done, by whomever";
}

TYPED_TEST(StandardQueues, StoppingEndsWaitsAndRefusesWork) {
  this->create(queue("q"));
  ReceiveOptions options;
  options.wait = seconds(20);
  auto waiting = this->env.start(this->engine().receive("q", options));
  this->env.settle_down();
  auto sending = this->env.start(this->engine().send("q", {message("a")}));
  bool stopped = false;
  boost::asio::co_spawn(this->env.loop, this->engine().stop(),
                        [&](std::exception_ptr) { stopped = true; });
  EXPECT_TRUE(this->env.run_until([&] { return stopped; }));
  EXPECT_TRUE(waiting.done() && sending.done());
  EXPECT_EQ(this->send_error("q", message("x")).code, Code::unavailable);
}

}  // namespace
}  // namespace mayfly::queues::testing
