#include "triggers/sqs_event.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/clock.h"

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

const EventOrigin kOrigin{"arn:aws:sqs:us-east-1:000000000000:q", "us-east-1", "000000000000"};

queues::Message sqs_message() {
  queues::Message m;
  m.id = "059f36b4-87a3-44ab-83d2-661975830a7d";
  m.receipt = "r";
  m.body = "Test message.";
  m.sent = from_epoch_us(1'545'082'649'183'000);
  m.first_received = from_epoch_us(1'545'082'649'185'999);
  m.receive_count = 2;
  m.sender = "AIDAIENQZJOLO23YVJ4VO";
  return m;
}

TEST(SqsEvent, IsThatOfLambda) {
  const json::value wanted = json::parse(R"({"Records":[{
    "messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"r","body":"Test message.",
    "attributes":{"ApproximateReceiveCount":"2","SentTimestamp":"1545082649183",
      "SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082649185"},
    "messageAttributes":{},"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs",
    "eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:q","awsRegion":"us-east-1"}]})");
  EXPECT_EQ(json::parse(sqs_event({sqs_message()}, {0}, kOrigin)), wanted);
}

TEST(SqsEvent, FifoAndAttributes) {
  queues::Message m = sqs_message();
  m.sender.clear();
  m.group = "g";
  m.deduplication_id = "d";
  m.sequence = 42;
  m.trace_header = "Root=1";
  m.dead_letter_source = "other";
  m.attributes = {{"b", "Binary", std::string("\0\xff", 2)}, {"a", "Number.int", "5"}};
  EventOrigin origin = kOrigin;
  origin.queue_arn += ".fifo";
  const json::value event = json::parse(sqs_event({sqs_message(), m}, {1}, origin));
  ASSERT_EQ(event.at("Records").as_array().size(), 1u);
  const auto& record = event.at("Records").at(0);
  const auto& attributes = record.at("attributes");
  EXPECT_EQ(attributes.at("SequenceNumber"), "00000000000000000042");
  EXPECT_EQ(attributes.at("MessageGroupId"), "g");
  EXPECT_EQ(attributes.at("MessageDeduplicationId"), "d");
  EXPECT_EQ(attributes.at("AWSTraceHeader"), "Root=1");
  EXPECT_EQ(attributes.at("SenderId"), "000000000000");
  EXPECT_EQ(attributes.at("DeadLetterQueueSourceArn"), "arn:aws:sqs:us-east-1:000000000000:other");
  EXPECT_EQ(
      record.at("messageAttributes").at("b"),
      json::parse(
          R"({"binaryValue":"AP8=","stringListValues":[],"binaryListValues":[],"dataType":"Binary"})"));
  EXPECT_EQ(
      record.at("messageAttributes").at("a"),
      json::parse(
          R"({"stringValue":"5","stringListValues":[],"binaryListValues":[],"dataType":"Number.int"})"));
  EXPECT_TRUE(record.as_object().contains("md5OfMessageAttributes"));
}

TEST(SqsEvent, FiltersSeeJsonBodies) {
  queues::Message m = sqs_message();
  m.body = " {\"kind\": [1]} ";
  EXPECT_EQ(json::parse(filter_view(m, kOrigin)).at("body").at("kind").at(0), 1);
  m.body = "{broken";
  EXPECT_EQ(json::parse(filter_view(m, kOrigin)).at("body"), "{broken");
}

}  // namespace
}  // namespace mayfly::triggers
