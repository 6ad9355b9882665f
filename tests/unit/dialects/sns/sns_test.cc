#include "dialects/sns/sns.h"

#include <gtest/gtest.h>

#include "dialects/service_bench.h"
#include "triggers/recording_queues.h"
#include "triggers/topic_forms.h"

namespace mayfly::dialects::sns {
namespace {

namespace json = boost::json;
using dialects::testing::size;
using dialects::testing::text;
using json::object;

struct SnsBench {
  SnsBench() {
    triggers::Topics::Parts parts{*store, queues,      clock,          {}, {},
                                  {},     "us-east-1", "000000000000", {}};
    parts.add_call = [](queues::Batch*, triggers::Outgoing) -> io::Task<Status> {
      co_return mayfly::ok();
    };
    parts.takes_http = [](const triggers::Target&) { return false; };
    parts.api_url = [] { return std::string("http://127.0.0.1:8081"); };
    topics = std::make_unique<triggers::Topics>(std::move(parts));
    EXPECT_TRUE(topics->open().has_value());
    service = std::make_unique<Sns>(Sns::Parts{*topics, "us-east-1", "000000000000"});
    queues.add("q");
  }

  std::string topic(const std::string& name) {
    return text(sns.ok("CreateTopic", {{"Name", name}}), "TopicArn");
  }

  boost::asio::io_context loop;
  triggers::testing::TestClock clock;
  std::unique_ptr<store::Store> store = store::make_memory_store();
  triggers::testing::RecordingQueues queues{*store};
  std::unique_ptr<triggers::Topics> topics;
  std::unique_ptr<Sns> service;
  testing::ServiceBench sns{
      [this]() -> aws::Service& { return *service; },
      [this](auto task) { return triggers::testing::run(loop, std::move(task)); }};
};

constexpr const char* kQueueArn = "arn:aws:sqs:us-east-1:000000000000:q";

TEST(Sns, TopicsComeAndGo) {
  SnsBench b;
  const std::string arn = b.topic("news");
  EXPECT_EQ(arn, "arn:aws:sns:us-east-1:000000000000:news");
  EXPECT_EQ(b.topic("news"), arn) << "the same again is the same";
  EXPECT_EQ(size(b.sns.ok("ListTopics"), "Topics"), 1u);
  EXPECT_EQ(b.sns.fault("CreateTopic", {{"Name", "a b"}}), "400 InvalidParameter");
  EXPECT_EQ(b.sns.fault("CreateTopic", {}), "400 MissingParameter");
  EXPECT_EQ(b.sns.fault("CreateTopic", {{"Name", "x"}, {"Attributes", {{"NoSuchAttribute", "1"}}}}),
            "400 InvalidParameter");
  b.sns.ok("DeleteTopic", {{"TopicArn", arn}});
  b.sns.ok("DeleteTopic", {{"TopicArn", arn}});  // as SNS does
  EXPECT_EQ(b.sns.fault("GetTopicAttributes", {{"TopicArn", arn}}), "404 NotFound");
  EXPECT_EQ(size(b.sns.ok("ListTopics"), "Topics"), 0u);
}

TEST(Sns, ListsArePaged) {
  SnsBench b;
  for (int i = 0; i < 101; ++i) b.topic("t" + std::to_string(1000 + i));
  const object first = b.sns.ok("ListTopics");
  EXPECT_EQ(size(first, "Topics"), 100u);
  const object second = b.sns.ok("ListTopics", {{"NextToken", first.at("NextToken")}});
  EXPECT_EQ(size(second, "Topics"), 1u);
  EXPECT_FALSE(second.contains("NextToken"));
}

TEST(Sns, AttributesOfTopics) {
  SnsBench b;
  const std::string arn = b.topic("news");
  b.sns.ok("SetTopicAttributes",
           {{"TopicArn", arn}, {"AttributeName", "DisplayName"}, {"AttributeValue", "News"}});
  object attributes =
      b.sns.ok("GetTopicAttributes", {{"TopicArn", arn}}).at("Attributes").as_object();
  EXPECT_EQ(attributes.at("DisplayName"), "News");
  EXPECT_EQ(attributes.at("Owner"), "000000000000");
  EXPECT_EQ(attributes.at("SubscriptionsConfirmed"), "0");
  EXPECT_FALSE(attributes.contains("FifoTopic"));
  const std::string fifo = text(
      b.sns.ok("CreateTopic",
               {{"Name", "o.fifo"},
                {"Attributes", {{"FifoTopic", "true"}, {"ContentBasedDeduplication", "true"}}}}),
      "TopicArn");
  attributes = b.sns.ok("GetTopicAttributes", {{"TopicArn", fifo}}).at("Attributes").as_object();
  EXPECT_EQ(attributes.at("FifoTopic"), "true");
  EXPECT_EQ(attributes.at("ContentBasedDeduplication"), "true");
  EXPECT_EQ(b.sns.fault("CreateTopic", {{"Name", "p.fifo"}, {"Attributes", {{"FifoTopic", "1"}}}}),
            "400 InvalidParameter");
}

TEST(Sns, TagsOfTopics) {
  SnsBench b;
  const std::string arn = b.topic("news");
  b.sns.ok("TagResource",
           {{"ResourceArn", arn},
            {"Tags", {{{"Key", "a"}, {"Value", "1"}}, {{"Key", "b"}, {"Value", "2"}}}}});
  b.sns.ok("UntagResource", {{"ResourceArn", arn}, {"TagKeys", {"a"}}});
  const object tags = b.sns.ok("ListTagsForResource", {{"ResourceArn", arn}});
  ASSERT_EQ(size(tags, "Tags"), 1u);
  EXPECT_EQ(tags.at("Tags").at(0), (object{{"Key", "b"}, {"Value", "2"}}));
  EXPECT_EQ(b.sns.fault("ListTagsForResource", {{"ResourceArn", arn + "x"}}),
            "404 ResourceNotFound");
}

TEST(Sns, SubscriptionsAndTheirFilters) {
  SnsBench b;
  const std::string topic = b.topic("news");
  const object wanted{{"TopicArn", topic},
                      {"Protocol", "sqs"},
                      {"Endpoint", kQueueArn},
                      {"Attributes", {{"FilterPolicy", R"({"kind":["a"]})"}}}};
  const std::string arn = text(b.sns.ok("Subscribe", wanted), "SubscriptionArn");
  EXPECT_TRUE(arn.starts_with(topic + ":"));
  EXPECT_EQ(text(b.sns.ok("Subscribe", wanted), "SubscriptionArn"), arn);
  object attributes = b.sns.ok("GetSubscriptionAttributes", {{"SubscriptionArn", arn}})
                          .at("Attributes")
                          .as_object();
  EXPECT_EQ(attributes.at("FilterPolicyScope"), "MessageAttributes");
  EXPECT_EQ(attributes.at("Endpoint"), kQueueArn);
  EXPECT_EQ(attributes.at("PendingConfirmation"), "false");
  EXPECT_EQ(attributes.at("RawMessageDelivery"), "false");
  b.sns.ok("SetSubscriptionAttributes", {{"SubscriptionArn", arn},
                                         {"AttributeName", "RawMessageDelivery"},
                                         {"AttributeValue", "true"}});
  attributes = b.sns.ok("GetSubscriptionAttributes", {{"SubscriptionArn", arn}})
                   .at("Attributes")
                   .as_object();
  EXPECT_EQ(attributes.at("RawMessageDelivery"), "true");

  const object sent =
      b.sns.ok("Publish",
               {{"TopicArn", topic},
                {"Message", "wanted"},
                {"MessageAttributes", {{"kind", {{"DataType", "String"}, {"StringValue", "a"}}}}}});
  EXPECT_EQ(text(sent, "MessageId").size(), 36u);
  b.sns.ok("Publish", {{"TopicArn", topic}, {"Message", "unwanted"}});
  ASSERT_EQ(b.queues.sent["q"].size(), 1u);
  EXPECT_EQ(b.queues.sent["q"][0].body, "wanted");

  EXPECT_EQ(size(b.sns.ok("ListSubscriptionsByTopic", {{"TopicArn", topic}}), "Subscriptions"), 1u);
  b.sns.ok("Unsubscribe", {{"SubscriptionArn", arn}});
  b.sns.ok("Unsubscribe", {{"SubscriptionArn", arn}});
  EXPECT_EQ(size(b.sns.ok("ListSubscriptions"), "Subscriptions"), 0u);
}

TEST(Sns, WhatCannotBeSubscribed) {
  SnsBench b;
  const std::string topic = b.topic("news");
  const auto subscribe = [&](const char* protocol, const char* endpoint, object attributes = {}) {
    return b.sns.fault("Subscribe", {{"TopicArn", topic},
                                     {"Protocol", protocol},
                                     {"Endpoint", endpoint},
                                     {"Attributes", std::move(attributes)}});
  };
  EXPECT_EQ(subscribe("sms", "+49"), "400 InvalidParameter");
  EXPECT_EQ(subscribe("sqs", "http://example.com"), "400 InvalidParameter");
  EXPECT_EQ(subscribe("sqs", kQueueArn, {{"FilterPolicy", "no JSON"}}), "400 InvalidParameter");
  EXPECT_EQ(subscribe("sqs", kQueueArn, {{"RedrivePolicy", "{}"}}), "400 InvalidParameter");
  EXPECT_EQ(b.sns.fault("Subscribe",
                        {{"TopicArn", topic + "x"}, {"Protocol", "sqs"}, {"Endpoint", kQueueArn}}),
            "404 NotFound");
  EXPECT_EQ(b.sns.fault("ConfirmSubscription", {{"TopicArn", topic}, {"Token", "none"}}),
            "400 InvalidParameter");
}

TEST(Sns, OneMessageForEachProtocol) {
  SnsBench b;
  const std::string topic = b.topic("news");
  b.sns.ok("Subscribe", {{"TopicArn", topic},
                         {"Protocol", "sqs"},
                         {"Endpoint", kQueueArn},
                         {"Attributes", {{"RawMessageDelivery", "true"}}}});
  const auto publish = [&](const char* message) {
    return b.sns.fault("Publish",
                       {{"TopicArn", topic}, {"Message", message}, {"MessageStructure", "json"}});
  };
  EXPECT_EQ(publish(R"({"default":"d","sqs":"for queues"})"), "ok");
  EXPECT_EQ(publish(R"({"default":"for all"})"), "ok");
  EXPECT_EQ(publish(R"({"sqs":"no default"})"), "400 InvalidParameter");
  EXPECT_EQ(publish("no JSON"), "400 InvalidParameter");
  ASSERT_EQ(b.queues.sent["q"].size(), 2u);
  EXPECT_EQ(b.queues.sent["q"][0].body, "for queues");
  EXPECT_EQ(b.queues.sent["q"][1].body, "for all");
}

TEST(Sns, BatchesSucceedAndFailByTheEntry) {
  SnsBench b;
  const std::string topic = b.topic("news");
  b.sns.ok("Subscribe", {{"TopicArn", topic}, {"Protocol", "sqs"}, {"Endpoint", kQueueArn}});
  const auto batch = [&](json::array entries) {
    return object{{"TopicArn", topic}, {"PublishBatchRequestEntries", std::move(entries)}};
  };
  const object answer = b.sns.ok(
      "PublishBatch",
      batch(
          {object{{"Id", "1"}, {"Message", "one"}}, object{{"Id", "2"}, {"Message", ""}},
           object{{"Id", "3"},
                  {"Message", "three"},
                  {"MessageAttributes", {{"n", {{"DataType", "Thing"}, {"StringValue", "1"}}}}}}}));
  ASSERT_EQ(size(answer, "Successful"), 1u);
  EXPECT_EQ(answer.at("Successful").at(0).at("Id"), "1");
  EXPECT_EQ(size(answer, "Failed"), 2u);
  EXPECT_EQ(b.queues.sent["q"].size(), 1u);
  EXPECT_EQ(b.sns.fault("PublishBatch", batch({})), "400 EmptyBatchRequest");
  EXPECT_EQ(b.sns.fault("PublishBatch", batch({object{{"Id", "a b"}, {"Message", "x"}}})),
            "400 InvalidBatchEntryId");
  EXPECT_EQ(b.sns.fault("PublishBatch", batch({object{{"Id", "1"}, {"Message", "x"}},
                                               object{{"Id", "1"}, {"Message", "y"}}})),
            "400 BatchEntryIdsNotDistinct");
  json::array eleven;
  for (int i = 0; i < 11; ++i)
    eleven.push_back(object{{"Id", std::to_string(i)}, {"Message", "x"}});
  EXPECT_EQ(b.sns.fault("PublishBatch", batch(std::move(eleven))),
            "400 TooManyEntriesInBatchRequest");
}

TEST(Sns, WhatCannotBePublished) {
  SnsBench b;
  const std::string topic = b.topic("news");
  EXPECT_EQ(b.sns.fault("Publish", {{"TopicArn", topic}, {"Message", ""}}), "400 InvalidParameter");
  EXPECT_EQ(b.sns.fault("Publish", {{"PhoneNumber", "+49"}, {"Message", "x"}}),
            "400 InvalidParameter");
  EXPECT_EQ(b.sns.fault("Publish", {{"TopicArn", topic + "x"}, {"Message", "x"}}), "404 NotFound");
  EXPECT_EQ(b.sns.fault("Publish", {{"TargetArn", topic}, {"Message", "x"}}), "ok");
  EXPECT_EQ(b.sns.fault("Publish", {{"TopicArn", topic},
                                    {"Message", "x"},
                                    {"MessageAttributes",
                                     {{"b", {{"DataType", "Binary"}, {"BinaryValue", "AA=="}}}}}}),
            "ok");
}

}  // namespace
}  // namespace mayfly::dialects::sns
