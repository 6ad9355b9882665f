// What a mapping holds and how it is checked; provisioned pollers; what is counted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "triggers/trigger_fixture.h"

namespace mayfly::triggers::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

Mapping full_mapping() {
  Mapping mapping;
  mapping.id = "m-1";
  mapping.queue = "q";
  mapping.function = "f";
  mapping.minimum_pollers = 3;
  mapping.maximum_pollers = 20;
  mapping.metrics = {"EventCount"};
  mapping.kms_key = "arn:aws:kms:us-east-1:000000000000:key/abc";
  return mapping;
}

std::string problem(std::string_view json, Mapping base = full_mapping()) {
  const auto read = mapping_from_json(json, std::move(base));
  return read.has_error() ? read.error().message : "none";
}

TEST(MappingMembers, AreKeptAndGivenBack) {
  const Mapping mapping = full_mapping();
  const auto kept = decode_mapping(encode_mapping(mapping));
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(*kept, mapping);
  const std::string json = mapping_to_json(mapping);
  EXPECT_THAT(json, HasSubstr("\"minimum_pollers\":3,\"maximum_pollers\":20"));
  EXPECT_THAT(json, HasSubstr("\"metrics\":[\"EventCount\"]"));
  EXPECT_THAT(json, HasSubstr("\"kms_key_arn\":\"arn:aws:kms:us-east-1:000000000000:key/abc\""));
}

// As this server wrote them before these members were there.
TEST(MappingMembers, OlderRowsAreRead) {
  const auto kept = decode_mapping(
      "\x01{\"id\":\"m-1\",\"queue\":\"q\",\"function\":\"f\",\"batch\":5,\"concurrency\":4}");
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->maximum_pollers, 0u);
  EXPECT_EQ(kept->most_at_once(), 4u);
  EXPECT_EQ(kept->least_at_once(), 2u);
}

TEST(MappingMembers, AreChecked) {
  EXPECT_EQ(problem("{}"), "none");
  EXPECT_EQ(problem(R"({"minimum_pollers":0,"maximum_pollers":0,"concurrency":3})"), "none");
  EXPECT_EQ(problem(R"({"minimum_pollers":200,"maximum_pollers":10000})"), "none");
  EXPECT_THAT(problem(R"({"minimum_pollers":1})"), HasSubstr("minimum_pollers"));
  EXPECT_THAT(problem(R"({"minimum_pollers":201,"maximum_pollers":300})"), HasSubstr("2 to 200"));
  EXPECT_THAT(problem(R"({"maximum_pollers":10001})"), HasSubstr("2 to 10000"));
  EXPECT_THAT(problem(R"({"maximum_pollers":0})"), HasSubstr("maximum_pollers"));
  EXPECT_THAT(problem(R"({"maximum_pollers":2})"), HasSubstr("must not be more"));
  EXPECT_THAT(problem(R"({"concurrency":5})"), HasSubstr("leave one of them out"));
  EXPECT_THAT(problem(R"({"metrics":["ErrorCount"]})"), HasSubstr("'ErrorCount'"));
  EXPECT_THAT(problem(R"({"metrics":["EventCount","EventCount"]})"), HasSubstr("more than once"));
  EXPECT_THAT(problem(R"({"metrics":"EventCount"})"), HasSubstr("list of texts"));
  EXPECT_THAT(problem(R"({"metrics":[1]})"), HasSubstr("list of texts"));
  EXPECT_EQ(problem(R"({"kms_key_arn":"","metrics":[]})"), "none");
  EXPECT_THAT(problem(R"({"kms_key_arn":"alias/mine"})"), HasSubstr("no ARN of a key"));
  EXPECT_EQ(problem(R"({"kms_key_arn":"arn:aws-us-gov:kms:us-gov-west-1:1:key/a"})"), "none");
}

TEST(MappingTags, AreKeptAndBounded) {
  Mapping mapping;
  mapping.id = "m-1";
  mapping.queue = "q";
  mapping.function = "f";
  mapping.tags = {{"team", "shop"}, {"empty", ""}};
  const auto kept = decode_mapping(encode_mapping(mapping));
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(*kept, mapping);
  EXPECT_TRUE(decode_mapping(encode_mapping(Mapping(*kept))).has_value());
  EXPECT_TRUE(mapping_from_json(R"({"tags":{"a":"b"}})", mapping).has_value());
  EXPECT_TRUE(mapping_from_json(R"({"tags":{"a":1}})", mapping).has_error());
  EXPECT_TRUE(mapping_from_json(R"({"tags":[]})", mapping).has_error());
  EXPECT_TRUE(mapping_from_json(R"({"tags":{"":"b"}})", mapping).has_error());
}

struct CountedTriggers : TriggerTest {
  CountedTriggers() {
    metrics = registry.get();
    close();
    open();
  }
  ~CountedTriggers() override { triggers_end(); }
  void triggers_end() {  // before the registry ends
    close();
    metrics = nullptr;
    open();
  }
  // The value of the trigger's counter.
  std::string counted(const std::string& what, const std::string& function = "f") {
    const std::string line =
        "mayfly_trigger_" + what + "_messages_total{function=\"" + function + "\",queue=\"q\"} ";
    const std::string page = registry->exposition();
    const auto at = page.find(line);
    if (at == std::string::npos) return "none";
    const auto from = at + line.size();
    return page.substr(from, page.find('\n', from) - from);
  }
  std::unique_ptr<telemetry::Metrics> registry = telemetry::make_metrics();
};

TEST_F(CountedTriggers, CountWhatBecomesOfMessages) {
  runner.deploy("f", "r1");
  make_queue("dead");
  make_queue("q", "dead", 1);
  runner.handler = [](const Event& event) {
    Deed deed;
    for (std::size_t i = 0; i < event.bodies.size(); ++i)
      if (event.bodies[i] == R"({"k":"bad"})")
        deed.result = R"({"batchItemFailures":[{"itemIdentifier":")" + event.ids[i] + "\"}]}";
    return deed;
  };
  Mapping m = mapping("q", 10);
  m.partial = true;
  m.filters = {R"({"body":{"k":["good","bad"]}})"};
  EXPECT_EQ(counted("polled"), "none") << "no series before there is a message";
  add(m);
  send("q", {R"({"k":"good"})", R"({"k":"good"})", R"({"k":"other"})", R"({"k":"bad"})"});
  until_empty("q");
  quiet();
  EXPECT_EQ(counted("polled"), "4");
  EXPECT_EQ(counted("filtered"), "1");
  EXPECT_EQ(counted("invoked"), "3");
  EXPECT_EQ(counted("failed"), "1");
  EXPECT_EQ(counted("deleted"), "2");
  EXPECT_EQ(counted("dead_lettered"), "1");
  EXPECT_EQ(counted("on_failure"), "0");
}

TEST_F(CountedTriggers, CountEachRunAndTheTargetOfFailures) {
  runner.deploy("f", "r1");
  make_queue("failed");
  make_queue("q");
  runner.handler = [](const Event&) { return failing("never"); };
  Mapping m = mapping("q", 1);
  m.attempts = 2;
  m.on_failure = "queue:failed";
  add(m);
  send("q", {"a"});
  until([&] { return runner.events.size() == 1 && in_flight("q") == 1; });
  quiet();
  pass(milliseconds(3'000));
  until([&] { return visible("failed") == 1; });
  quiet();
  EXPECT_EQ(counted("polled"), "2");
  EXPECT_EQ(counted("invoked"), "2");
  EXPECT_EQ(counted("failed"), "2");
  EXPECT_EQ(counted("deleted"), "0");
  EXPECT_EQ(counted("on_failure"), "1");
  EXPECT_EQ(counted("dead_lettered"), "0");
}

TEST_F(CountedTriggers, RefusedCallsAreNoInvocations) {
  runner.deploy("f", "r1");
  make_queue("q");
  runner.handler = [](const Event&) { return refusing(); };
  add(mapping("q", 1));
  send("q", {"a"});
  until([&] { return runner.events.size() >= 1; });
  quiet();
  EXPECT_EQ(counted("invoked"), "0");
  EXPECT_THAT(counted("failed"), Not("0"));
  EXPECT_EQ(counted("deleted"), "0");
}

TEST_F(TriggerTest, MinimumPollersAreNotHeldBack) {
  runner.deploy("f", "r1");
  make_queue("q");
  runner.hold = true;
  send("q", numbered(0, 100));
  Mapping m = mapping("q", 1);
  m.minimum_pollers = 3;
  m.maximum_pollers = 4;
  add(m);
  until([&] { return runner.running == 30; });
  world.settle_down();
  EXPECT_EQ(runner.running, 30u) << "three of ten invocations, though none has ended well yet";
  runner.let_go();
  until_empty("q");
  quiet();
  EXPECT_THAT(runner.handled(), SizeIs(100));
}

TEST_F(TriggerTest, MaximumPollersBoundWhatRunsAtOnce) {
  runner.deploy("f", "r1");
  make_queue("q");
  runner.hold = true;
  Mapping m = mapping("q", 1);
  m.minimum_pollers = 2;
  m.maximum_pollers = 2;
  add(m);
  send("q", numbered(0, 60));
  until([&] { return runner.running == 20; });
  world.settle_down();
  EXPECT_EQ(runner.running, 20u);
  runner.let_go();
  until_empty("q");
  quiet();
  EXPECT_EQ(runner.most, 20u);
  EXPECT_THAT(runner.handled(), SizeIs(60));
}

}  // namespace
}  // namespace mayfly::triggers::testing
