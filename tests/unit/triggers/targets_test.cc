#include "triggers/targets.h"

#include <gtest/gtest.h>

namespace mayfly::triggers {
namespace {

using Kind = Target::Kind;

TEST(Targets, TextAndArnLeadBack) {
  const Target all[] = {{Kind::function, "hello", ""},
                        {Kind::function, "hello", "3"},
                        {Kind::function, "hello", "$LATEST"},
                        {Kind::queue, "orders.fifo", ""},
                        {Kind::topic, "news", ""},
                        {Kind::bus, "a/b.c", ""}};
  for (const auto& target : all) {
    EXPECT_EQ(*parse_target(to_text(target)), target) << to_text(target);
    const auto arn = to_arn(target, "eu-west-1", "123456789012");
    EXPECT_TRUE(arn.starts_with("arn:aws:")) << arn;
    EXPECT_EQ(*parse_target(arn), target) << arn;
  }
}

TEST(Targets, ArnsAreThoseOfAws) {
  EXPECT_EQ(to_arn({Kind::function, "f", "2"}, "us-east-1", "1"),
            "arn:aws:lambda:us-east-1:1:function:f:2");
  EXPECT_EQ(to_arn({Kind::queue, "q", ""}, "us-east-1", "1"), "arn:aws:sqs:us-east-1:1:q");
  EXPECT_EQ(to_arn({Kind::topic, "t", ""}, "us-east-1", "1"), "arn:aws:sns:us-east-1:1:t");
  EXPECT_EQ(to_arn({Kind::bus, "b", ""}, "us-east-1", "1"),
            "arn:aws:events:us-east-1:1:event-bus/b");
}

TEST(Targets, WebAddresses) {
  const auto target = parse_target("https://example.com:8443/a?b=1");
  ASSERT_TRUE(target.has_value());
  EXPECT_EQ(target->kind, Kind::webhook);
  EXPECT_EQ(to_text(*target), "https://example.com:8443/a?b=1");
}

TEST(Targets, RefusesWhatIsNone) {
  for (const char* text :
       {"", "hello", "function:", "function:a b", "function:a:", "queue:a/b", "stream:x",
        "arn:aws:sqs", "arn:aws:s3:::bucket", "arn:aws:lambda:us-east-1:1:layer:x", "http://",
        "http:///path", "https://user:secret@host/", "http://host/a b", "http://host/\n",
        "ftp://host/"})
    EXPECT_TRUE(parse_target(text).has_error()) << text;
  EXPECT_TRUE(parse_target("http://h/" + std::string(3000, 'a')).has_error());
}

TEST(Targets, MessagesOfFifoQueuesAreRecognised) {
  Delivery delivery;
  delivery.id = "event-1";
  delivery.source = "schedule";
  delivery.attributes["a"] = "b";
  const auto fifo = to_message(delivery, true);
  EXPECT_EQ(fifo.deduplication_id, "event-1");
  EXPECT_EQ(fifo.group, "schedule");
  ASSERT_EQ(fifo.attributes.size(), 1u);
  EXPECT_EQ(fifo.attributes[0].type, "String");
  EXPECT_EQ(to_message(delivery, false).deduplication_id, "");
}

}  // namespace
}  // namespace mayfly::triggers
