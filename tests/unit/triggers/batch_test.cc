// What becomes of the messages of a batch: handled, tried alone, given back, given up.

#include <algorithm>

#include "triggers/trigger_fixture.h"

namespace mayfly::triggers::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

using BatchTest = TriggerTest;

bool has(const Event& event, const std::string& body) {
  return std::find(event.bodies.begin(), event.bodies.end(), body) != event.bodies.end();
}

TEST_F(BatchTest, APoisonMessageIsIsolatedAndEndsInTheDeadLettersWithTheReason) {
  runner.deploy("f", "r1");
  make_queue("dead");
  make_queue("q", "dead", 3);
  runner.handler = [](const Event& event) {
    return has(event, "13") ? failing("ValueError: thirteen") : Deed{};
  };
  send("q", numbered(0, 64));
  add(mapping("q", 64));
  until([&] { return in_flight("q") == 1 && visible("q") == 0; });
  quiet();
  // 63 are done by bisecting in one reception: none of them was tried more often than it takes.
  std::map<std::string, int> times;
  for (const auto& event : runner.events)
    if (!has(event, "13"))
      for (const auto& body : event.bodies) ++times[body];
  EXPECT_EQ(times.size(), 63u);
  for (const auto& [body, count] : times) EXPECT_EQ(count, 1) << body;
  EXPECT_LE(runner.events.size(), 13u);  // 2 log2(64) + 1
  const auto runs = runner.events.size();
  pass(milliseconds(500));
  EXPECT_EQ(runner.events.size(), runs) << "backoff";
  pass(milliseconds(2'000));
  EXPECT_EQ(runner.events.size(), runs + 1);
  EXPECT_EQ(runner.events.back().bodies, std::vector<std::string>{"13"});
  pass(milliseconds(5'000));
  until([&] { return visible("dead") == 1; });
  const auto dead = peek("dead");
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].body, "13");
  EXPECT_THAT(dead[0].dead_letter_reason, HasSubstr("thirteen"));
  EXPECT_EQ(dead[0].dead_letter_source, "q");
  quiet();
  EXPECT_EQ(triggers->status("q:f").given_up, 1u);
  EXPECT_THAT(triggers->status("q:f").last_result, HasSubstr("thirteen"));
}

TEST_F(BatchTest, ABrokenFunctionIsNotTriedWithEveryHalf) {
  runner.deploy("f", "r1");
  make_queue("dead");
  make_queue("q", "dead", 2);
  runner.handler = [](const Event&) {
    Deed deed = failing("SyntaxError");
    deed.failure->outcome = telemetry::Outcome::init_failed;
    deed.failure->phase = telemetry::Phase::init;
    return deed;
  };
  send("q", numbered(0, 100));
  add(mapping("q", 100));
  until([&] { return in_flight("q") == 100; });
  quiet();
  EXPECT_EQ(runner.events.size(), 1u);
  for (int i = 0; i < 10; ++i) pass(milliseconds(1'000));
  until([&] { return visible("dead") == 100; });
}

TEST_F(BatchTest, ARefusedCallGivesItsMessagesBackUnharmed) {
  runner.deploy("f", "r1");
  make_queue("dead");
  make_queue("q", "dead", 1);
  int refusals = 3;
  runner.handler = [&](const Event&) { return refusals-- > 0 ? refusing() : Deed{}; };
  send("q", {"a", "b"});
  add(mapping());
  until([&] { return runner.events.size() == 1; });
  quiet();
  EXPECT_EQ(visible("q"), 2u) << "others can have them, and no refusal comes at once again";
  EXPECT_EQ(runner.events.size(), 1u);
  for (int i = 0; i < 4; ++i) pass(milliseconds(200));
  until_empty("q");
  EXPECT_EQ(peek("dead").size(), 0u);
  EXPECT_EQ(runner.events.size(), 4u);
  EXPECT_EQ(
      runner.events.back().json.at("Records").at(0).at("attributes").at("ApproximateReceiveCount"),
      "1");
}

TEST_F(BatchTest, WhatCannotBeCommittedIsNotTheMessagesFault) {
  runner.deploy("f", "r1");
  make_queue("dead");
  make_queue("q", "dead", 1);
  int full = 5;
  runner.handler = [&full](const Event&) {
    if (full-- <= 0) return Deed{};
    Deed deed = failing("The disk is full.");
    deed.failure->outcome = telemetry::Outcome::platform_error;
    deed.failure->phase = telemetry::Phase::reply;
    deed.failure->code = Code::io_error;
    return deed;
  };
  send("q", {"a", "b"});
  const Mapping m = add(mapping());
  until([&] { return runner.events.size() == 1; });
  quiet();
  EXPECT_THAT(triggers->status(m.id).last_result, HasSubstr("The disk is full."));
  for (int i = 0; i < 6; ++i) pass(milliseconds(1'000));
  until_empty("q");
  EXPECT_EQ(peek("dead").size(), 0u);
  EXPECT_EQ(runner.events.size(), 6u) << "no halves were tried";
  EXPECT_EQ(triggers->status(m.id).failed, 0u);
}

TEST_F(BatchTest, AnAnswerNamesTheMessagesThatFailed) {
  runner.deploy("f", "r1");
  make_queue("dead");
  make_queue("q", "dead", 2);
  runner.handler = [](const Event& event) {
    Deed deed;
    deed.result = "{\"batchItemFailures\":[";
    for (std::size_t i = 0; i < event.bodies.size(); ++i)
      if (event.bodies[i] == "b") deed.result += "{\"itemIdentifier\":\"" + event.ids[i] + "\"}";
    deed.result += "]}";
    return deed;
  };
  send("q", {"a", "b", "c"});
  add(mapping());
  until([&] { return in_flight("q") == 1; });
  quiet();
  EXPECT_EQ(runner.events.size(), 1u);
  pass(milliseconds(2'000));
  until([&] { return visible("dead") == 1; });
  EXPECT_EQ(peek("dead")[0].body, "b");
  EXPECT_EQ(triggers->status("q:f").handled, 2u);
}

TEST_F(BatchTest, AnUnknownIdFailsTheWholeBatch) {
  runner.deploy("f", "r1");
  make_queue("q");
  runner.handler = [](const Event& event) {
    Deed deed;
    if (event.bodies.size() > 1) deed.result = R"({"batchItemFailures":[{"itemIdentifier":"no"}]})";
    return deed;
  };
  send("q", {"a", "b"});
  add(mapping());
  until_empty("q");  // each alone ended well
  EXPECT_THAT(runner.events, SizeIs(3));
  Mapping ignoring = mapping("q2");
  make_queue("q2");
  ignoring.partial = false;
  add(ignoring);
  send("q2", {"a", "b"});
  until_empty("q2");
  EXPECT_THAT(runner.events, SizeIs(4));
}

TEST_F(BatchTest, FifoKeepsItsOrderWhenAMessageFails) {
  runner.deploy("f", "r1");
  make_queue("q.fifo");
  int failures = 2;
  std::vector<std::string> done;
  runner.handler = [&](const Event& event) {
    if (has(event, "a2") && failures-- > 0) return failing("not now");
    done.insert(done.end(), event.bodies.begin(), event.bodies.end());
    return Deed{};
  };
  send("q.fifo", {"a1", "a2", "a3"}, "a");
  send("q.fifo", {"b1", "b2"}, "b");
  add(mapping("q.fifo"));
  for (int i = 0; i < 20; ++i) pass(milliseconds(1'000));
  until_empty("q.fifo");
  std::vector<std::string> a, b;
  for (const auto& body : done) (body[0] == 'a' ? a : b).push_back(body);
  EXPECT_THAT(a, ElementsAre("a1", "a2", "a3"));
  EXPECT_THAT(b, ElementsAre("b1", "b2"));
}

TEST_F(BatchTest, StagedWritesAndTheMessagesAreOneTransaction) {
  runner.deploy("f", "r1");
  make_queue("q");
  make_queue("out");
  runner.handler = [](const Event& event) {
    if (has(event, "bad")) return failing("bad");
    Deed deed;
    deed.effects = R"({"add":[{"key":"count","delta":)" + std::to_string(event.bodies.size()) +
                   R"(}],"send":[{"queue":"out","body":"x"}],"put":[{"key":"last","value":1.50}]})";
    return deed;
  };
  std::vector<std::string> bodies = numbered(0, 20);
  bodies.insert(bodies.begin() + 7, "bad");
  send("q", bodies);
  add(mapping("q", 100));
  until([&] { return in_flight("q") == 1 && visible("q") == 0; });
  quiet();
  EXPECT_EQ(value("count"), "20");
  EXPECT_EQ(value("last"), "1.50");
  std::size_t runs_that_ended_well = 0;
  for (const auto& event : runner.events) runs_that_ended_well += has(event, "bad") ? 0 : 1;
  EXPECT_EQ(visible("out"), runs_that_ended_well);
}

TEST_F(BatchTest, WhatCannotBeDoneUndoesTheRest) {
  runner.deploy("f", "r1");
  make_queue("dead");
  make_queue("q", "dead", 1);
  ASSERT_TRUE(world.run(state->put("budget", "25")).has_value());
  runner.handler = [](const Event& event) {
    Deed deed;
    deed.effects = R"({"add":[{"key":"budget","delta":-)" +
                   std::to_string(10 * event.bodies.size()) +
                   R"(,"at_least":0},{"key":"spent","delta":)" +
                   std::to_string(10 * event.bodies.size()) + "}]}";
    return deed;
  };
  send("q", numbered(0, 4));
  add(mapping("q", 4));
  until([&] { return visible("dead") == 2; });
  quiet();
  EXPECT_EQ(value("budget"), "5");
  EXPECT_EQ(value("spent"), "20");
}

TEST_F(BatchTest, AConflictIsTriedAgainAtOnce) {
  runner.deploy("f", "r1");
  make_queue("q");
  ASSERT_TRUE(world.run(state->put("k", "1")).has_value());
  int tries = 0;
  runner.handler = [&](const Event&) {
    Deed deed;
    const std::string seen = ++tries == 1 ? "0" : "1";
    deed.effects = R"({"require":[{"key":"k","etag":")" + tables::etag_of(seen) +
                   R"("}],"put":[{"key":"k","value":"new"}]})";
    return deed;
  };
  send("q", {"a"});
  add(mapping());
  until_empty("q");
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(value("k"), "\"new\"");
}

TEST_F(BatchTest, GivesUpToItsOwnDestination) {
  runner.deploy("f", "r1");
  make_queue("q");
  make_queue("lost");
  runner.handler = [](const Event&) { return failing("never"); };
  Mapping m = mapping();
  m.attempts = 1;
  m.on_failure = "queue:lost";
  add(m);
  send("q", {"a"});
  until([&] { return visible("lost") == 1; });
  EXPECT_THAT(peek("lost")[0].dead_letter_reason, HasSubstr("never"));
  std::vector<std::string> delivered;
  targets->register_kind(Target::Kind::webhook,
                         [&](Target target, Delivery delivery) -> io::Task<Status> {
                           delivered.push_back(target.name + " " + delivery.body);
                           return [](Status status) -> io::Task<Status> { co_return status; }(ok());
                         });
  auto updated = *triggers->find("q:f");
  updated.on_failure = "https://example.com/hook";
  ASSERT_TRUE(world.run(triggers->update(updated)).has_value());
  send("q", {"b"});
  until_empty("q");
  ASSERT_EQ(delivered.size(), 1u);
  EXPECT_THAT(delivered[0], HasSubstr("\"functionError\":\"never\""));
}

TEST_F(BatchTest, ALargeBatchBecomesSeveralEvents) {
  settings.event_bytes_max = 10'000;
  close();
  open();
  runner.deploy("f", "r1");
  make_queue("q");
  send("q", std::vector<std::string>(20, std::string(2'000, 'x')));
  add(mapping("q", 1000));
  until_empty("q");
  EXPECT_THAT(runner.handled(), SizeIs(20));
  for (const auto& event : runner.events) EXPECT_LE(event.bodies.size(), 4u);
}

}  // namespace
}  // namespace mayfly::triggers::testing
