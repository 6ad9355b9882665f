#include "dialects/eventbridge/eventbridge.h"

#include <gtest/gtest.h>

#include "dialects/service_bench.h"
#include "triggers/recording_queues.h"

namespace mayfly::dialects::eventbridge {
namespace {

namespace json = boost::json;
using dialects::testing::size;
using dialects::testing::text;
using json::object;

struct EventBridgeBench {
  EventBridgeBench() {
    triggers::EventBuses::Parts parts{*store, queues,      clock,          {}, {},
                                      {},     "us-east-1", "000000000000", {}};
    parts.add_call = [](queues::Batch*, triggers::Outgoing) -> io::Task<Status> {
      co_return mayfly::ok();
    };
    parts.takes_http = [](const triggers::Target&) { return false; };
    parts.set_schedule = [](triggers::Rule rule) -> io::Task<Status> {
      if (rule.schedule == "sometimes") co_return Error{Code::invalid_argument, "no expression"};
      co_return mayfly::ok();
    };
    buses = std::make_unique<triggers::EventBuses>(std::move(parts));
    EXPECT_TRUE(buses->open().has_value());
    service =
        std::make_unique<EventBridge>(EventBridge::Parts{*buses, "us-east-1", "000000000000"});
    queues.add("q");
  }

  object rule(const char* name, const char* pattern = R"({"source":["shop"]})") {
    return {{"Name", name}, {"EventPattern", pattern}};
  }
  object targets(const char* rule, json::array list) {
    return {{"Rule", rule}, {"Targets", std::move(list)}};
  }
  static object event(const char* source, const char* detail = "{}") {
    return {{"Source", source}, {"DetailType", "Order"}, {"Detail", detail}};
  }

  boost::asio::io_context loop;
  triggers::testing::TestClock clock;
  std::unique_ptr<store::Store> store = store::make_memory_store();
  triggers::testing::RecordingQueues queues{*store};
  std::unique_ptr<triggers::EventBuses> buses;
  std::unique_ptr<EventBridge> service;
  testing::ServiceBench events{
      [this]() -> aws::Service& { return *service; },
      [this](auto task) { return triggers::testing::run(loop, std::move(task)); }};
};

const object kToQueue{{"Id", "1"}, {"Arn", "arn:aws:sqs:us-east-1:000000000000:q"}};

TEST(EventBridge, BusesComeAndGo) {
  EventBridgeBench b;
  const object made = b.events.ok("CreateEventBus", {{"Name", "orders"}});
  EXPECT_EQ(text(made, "EventBusArn"), "arn:aws:events:us-east-1:000000000000:event-bus/orders");
  EXPECT_EQ(b.events.fault("CreateEventBus", {{"Name", "orders"}}),
            "400 ResourceAlreadyExistsException");
  EXPECT_EQ(b.events.fault("CreateEventBus", {{"Name", "a b"}}), "400 ValidationException");
  EXPECT_EQ(size(b.events.ok("ListEventBuses"), "EventBuses"), 2u) << "and the default";
  EXPECT_EQ(size(b.events.ok("ListEventBuses", {{"NamePrefix", "o"}}), "EventBuses"), 1u);
  EXPECT_EQ(b.events.fault("ListEventBuses", {{"Limit", 101}}), "400 ValidationException");
  EXPECT_EQ(text(b.events.ok("DescribeEventBus"), "Name"), "default");
  b.events.ok("DeleteEventBus", {{"Name", "orders"}});
  b.events.ok("DeleteEventBus", {{"Name", "orders"}});  // as EventBridge does
  EXPECT_EQ(b.events.fault("DescribeEventBus", {{"Name", "orders"}}),
            "400 ResourceNotFoundException");
  EXPECT_EQ(b.events.fault("DeleteEventBus", {{"Name", "default"}}), "400 ValidationException");
}

TEST(EventBridge, RulesAndTheirState) {
  EventBridgeBench b;
  const std::string arn = text(b.events.ok("PutRule", b.rule("r")), "RuleArn");
  EXPECT_EQ(arn, "arn:aws:events:us-east-1:000000000000:rule/r");
  object got = b.events.ok("DescribeRule", {{"Name", "r"}});
  EXPECT_EQ(text(got, "State"), "ENABLED");
  EXPECT_EQ(text(got, "EventPattern"), R"({"source":["shop"]})");
  b.events.ok("DisableRule", {{"Name", "r"}});
  EXPECT_EQ(text(b.events.ok("DescribeRule", {{"Name", "r"}}), "State"), "DISABLED");
  b.events.ok("EnableRule", {{"Name", "r"}});
  EXPECT_EQ(size(b.events.ok("ListRules", {{"NamePrefix", "r"}}), "Rules"), 1u);
  EXPECT_EQ(b.events.fault("PutRule", b.rule("r", "{\"source\":\"shop\"}")),
            "400 InvalidEventPatternException");
  EXPECT_EQ(b.events.fault("PutRule", {{"Name", "t"}, {"ScheduleExpression", "sometimes"}}),
            "400 ValidationException");
  EXPECT_EQ(b.events.fault("PutRule", {{"Name", "n"}}), "400 ValidationException")
      << "neither a pattern nor a schedule";
  EXPECT_EQ(b.events.fault("EnableRule", {{"Name", "none"}}), "400 ResourceNotFoundException");
  b.events.ok("PutTargets", b.targets("r", {kToQueue}));
  EXPECT_EQ(b.events.fault("DeleteRule", {{"Name", "r"}}), "400 ValidationException")
      << "it has targets";
  b.events.ok("RemoveTargets", {{"Rule", "r"}, {"Ids", {"1"}}});
  b.events.ok("DeleteRule", {{"Name", "r"}});
  b.events.ok("DeleteRule", {{"Name", "r"}});
  EXPECT_EQ(b.events.fault("DescribeRule", {{"Name", "r"}}), "400 ResourceNotFoundException");
}

TEST(EventBridge, EventsReachTheTargetsOfMatchingRules) {
  EventBridgeBench b;
  b.events.ok("PutRule", b.rule("r"));
  b.events.ok("PutTargets", b.targets("r", {kToQueue}));
  const object answer = b.events.ok(
      "PutEvents", {{"Entries",
                     {b.event("shop", R"({"n":1})"), b.event("other"), b.event("shop", "no JSON"),
                      object{{"Source", "shop"},
                             {"DetailType", "Order"},
                             {"Detail", "{}"},
                             {"EventBusName", "none"}}}}});
  EXPECT_EQ(answer.at("FailedEntryCount").to_number<int>(), 2);
  const json::array& entries = answer.at("Entries").as_array();
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_TRUE(entries[0].get_object().contains("EventId"));
  EXPECT_TRUE(entries[1].get_object().contains("EventId"));
  EXPECT_EQ(entries[2].at("ErrorCode"), "MalformedDetail");
  EXPECT_TRUE(entries[3].get_object().contains("ErrorCode")) << "there is no such bus";
  ASSERT_EQ(b.queues.sent["q"].size(), 1u);
  const json::value sent = json::parse(b.queues.sent["q"][0].body);
  EXPECT_EQ(sent.at("detail").at("n"), 1);
  EXPECT_EQ(sent.at("id"), entries[0].at("EventId"));
  EXPECT_EQ(b.events.fault("PutEvents", {{"Entries", json::array()}}), "400 ValidationException");
}

TEST(EventBridge, TargetsAreReplacedByTheirIds) {
  EventBridgeBench b;
  b.events.ok("PutRule", b.rule("r"));
  b.events.ok("PutTargets", b.targets("r", {kToQueue}));
  const object odd{{"Id", "2"}, {"Arn", "arn:aws:s3:::bucket"}};
  EXPECT_EQ(b.events.fault("PutTargets", b.targets("r", {odd})), "400 ValidationException");
  EXPECT_EQ(b.events.fault("PutTargets", b.targets("r", {})), "400 ValidationException");
  const object removed = b.events.ok("RemoveTargets", {{"Rule", "r"}, {"Ids", {"none"}}});
  EXPECT_EQ(removed.at("FailedEntryCount").to_number<int>(), 1);
  object transformed = kToQueue;
  transformed["InputTransformer"] = {{"InputPathsMap", {{"n", "$.detail.n"}}},
                                     {"InputTemplate", R"({"number":<n>})"}};
  transformed["RetryPolicy"] = {{"MaximumRetryAttempts", 3}};
  b.events.ok("PutTargets", b.targets("r", {transformed}));
  const object listed = b.events.ok("ListTargetsByRule", {{"Rule", "r"}});
  ASSERT_EQ(size(listed, "Targets"), 1u) << "in place of the one with this id";
  EXPECT_EQ(listed.at("Targets").at(0).at("InputTransformer"), transformed["InputTransformer"]);
  EXPECT_EQ(
      size(b.events.ok("ListRuleNamesByTarget", {{"TargetArn", kToQueue.at("Arn")}}), "RuleNames"),
      1u);
  b.events.ok("PutEvents", {{"Entries", {b.event("shop", R"({"n":7})")}}});
  ASSERT_EQ(b.queues.sent["q"].size(), 1u);
  EXPECT_EQ(b.queues.sent["q"][0].body, R"({"number":7})");
  EXPECT_EQ(b.events.fault("PutTargets", b.targets("none", {kToQueue})),
            "400 ResourceNotFoundException");
}

TEST(EventBridge, PatternsCanBeTried) {
  EventBridgeBench b;
  const std::string event =
      R"({"id":"1","account":"0","source":"shop","time":"2027-01-01T00:00:00Z","region":"r",)"
      R"("resources":[],"detail-type":"Order","detail":{"n":5}})";
  const auto matches = [&](const char* pattern) {
    return b.events.ok("TestEventPattern", {{"EventPattern", pattern}, {"Event", event}})
        .at("Result")
        .as_bool();
  };
  EXPECT_TRUE(matches(R"({"detail":{"n":[{"numeric":[">",4]}]}})"));
  EXPECT_FALSE(matches(R"({"source":["other"]})"));
  EXPECT_EQ(b.events.fault("TestEventPattern", {{"EventPattern", "{"}, {"Event", event}}),
            "400 InvalidEventPatternException");
  EXPECT_EQ(b.events.fault("TestEventPattern",
                           {{"EventPattern", R"({"source":["shop"]})"}, {"Event", "{}"}}),
            "400 ValidationException");
}

TEST(EventBridge, TagsOfRulesAndBuses) {
  EventBridgeBench b;
  const std::string arn = text(b.events.ok("PutRule", b.rule("r")), "RuleArn");
  b.events.ok("TagResource", {{"ResourceARN", arn}, {"Tags", {{{"Key", "a"}, {"Value", "1"}}}}});
  EXPECT_EQ(size(b.events.ok("ListTagsForResource", {{"ResourceARN", arn}}), "Tags"), 1u);
  b.events.ok("UntagResource", {{"ResourceARN", arn}, {"TagKeys", {"a"}}});
  EXPECT_EQ(size(b.events.ok("ListTagsForResource", {{"ResourceARN", arn}}), "Tags"), 0u);
  EXPECT_EQ(b.events.fault("ListTagsForResource", {{"ResourceARN", arn + "x"}}),
            "400 ResourceNotFoundException");
  EXPECT_EQ(b.events.fault("ListTagsForResource", {{"ResourceARN", "nothing"}}),
            "400 ValidationException");
}

}  // namespace
}  // namespace mayfly::dialects::eventbridge
