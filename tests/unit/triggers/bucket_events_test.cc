#include "triggers/bucket_events.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace mayfly::triggers {
namespace {

namespace json = boost::json;

TEST(BucketEvents, AreThoseOfS3) {
  buckets::Happening happening{
      "resize",    "function:f",          "photos",
      "eu-west-1", "in/a b+ü.png",        "abc",
      12,          1'700'000'000'123'000, {"ObjectCreated:Put", "r-1", "10.0.0.1", "KEYID"}};
  const json::value event = json::parse(s3_event_json(happening, "123456789012"));
  const json::value& record = event.at("Records").at(0);
  EXPECT_EQ(record.at("eventSource"), "aws:s3");
  EXPECT_EQ(record.at("eventName"), "ObjectCreated:Put");
  EXPECT_EQ(record.at("awsRegion"), "eu-west-1");
  EXPECT_TRUE(record.at("eventTime").as_string().starts_with("2023-11-14T22:13:20.123"));
  EXPECT_EQ(record.at("userIdentity").at("principalId"), "AWS:KEYID");
  EXPECT_EQ(record.at("requestParameters").at("sourceIPAddress"), "10.0.0.1");
  EXPECT_EQ(record.at("responseElements").at("x-amz-request-id"), "r-1");
  const json::value& s3 = record.at("s3");
  EXPECT_EQ(s3.at("configurationId"), "resize");
  EXPECT_EQ(s3.at("bucket").at("arn"), "arn:aws:s3:::photos");
  EXPECT_EQ(s3.at("object").at("key"), "in/a+b%2B%C3%BC.png");
  EXPECT_EQ(s3.at("object").at("size"), 12);
  EXPECT_EQ(s3.at("object").at("eTag"), "abc");
  const std::string before(s3.at("object").at("sequencer").as_string());

  happening.cause.event = "ObjectRemoved:Delete";
  happening.time_us += 1;
  const json::value removed = json::parse(s3_event_json(happening, "123456789012"));
  const json::value& object = removed.at("Records").at(0).at("s3").at("object");
  EXPECT_FALSE(object.as_object().contains("size"));
  EXPECT_LT(before, std::string(object.at("sequencer").as_string()));
}

}  // namespace
}  // namespace mayfly::triggers
