#include "functions/policy.h"

#include <gtest/gtest.h>

namespace mayfly::functions {
namespace {

Policy parsed(std::string_view text) {
  auto policy = Policy::parse(text);
  EXPECT_TRUE(policy.has_value()) << policy.error().describe();
  return policy.has_value() ? std::move(*policy) : Policy();
}

std::string fault_of(std::string_view text) {
  auto policy = Policy::parse(text);
  return policy.has_value() ? "" : policy.error().message;
}

TEST(Wildcards, MatchAsInIam) {
  EXPECT_TRUE(matches_wildcard("*", ""));
  EXPECT_TRUE(matches_wildcard("", ""));
  EXPECT_FALSE(matches_wildcard("", "a"));
  EXPECT_TRUE(matches_wildcard("a*c", "abbc"));
  EXPECT_TRUE(matches_wildcard("a*c", "ac"));
  EXPECT_FALSE(matches_wildcard("a*c", "acb"));
  EXPECT_TRUE(matches_wildcard("a?c", "abc"));
  EXPECT_FALSE(matches_wildcard("a?c", "ac"));
  EXPECT_TRUE(matches_wildcard("*/x/*", "a/b/x/c/d"));
  EXPECT_TRUE(matches_wildcard("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(matches_wildcard("*a*b*", "xxbxxaxx"));
  EXPECT_TRUE(matches_wildcard("sqs:Send*", "SQS:sendMessage", true));
  EXPECT_FALSE(matches_wildcard("sqs:Send*", "SQS:sendMessage"));
  EXPECT_TRUE(matches_wildcard("a\\*", "a\\b"));  // a backslash is a byte as any other
}

TEST(Wildcards, HostilePatternsTakeTheProductOfTheSizes) {
  std::string pattern, text(4'000, 'a');
  for (int i = 0; i < 2'000; ++i) pattern += "*a";
  EXPECT_FALSE(matches_wildcard(pattern + "b", text));
  EXPECT_TRUE(matches_wildcard(pattern, text));
}

TEST(Policies, AllowWhatTheySayAndNothingElse) {
  const auto policy = parsed(R"({"Version": "2012-10-17", "Statement": [
      {"Sid": "one", "Effect": "Allow", "Action": ["sqs:Send*", "SQS:getqueueurl"],
       "Resource": "arn:aws:sqs:*:*:jobs-?"},
      {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::a", "arn:aws:s3:::a/*"]}]})");
  EXPECT_TRUE(policy.allows("sqs:SendMessage", "arn:aws:sqs:us-east-1:0:jobs-1"));
  EXPECT_TRUE(policy.allows("sqs:GetQueueUrl", "arn:aws:sqs:us-east-1:0:jobs-1"));
  EXPECT_FALSE(policy.allows("sqs:SendMessage", "arn:aws:sqs:us-east-1:0:jobs-12"));
  EXPECT_FALSE(policy.allows("sqs:SendMessage", "arn:aws:sqs:us-east-1:0:Jobs-1"));
  EXPECT_FALSE(policy.allows("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:0:jobs-1"));
  EXPECT_TRUE(policy.allows("s3:PutObject", "arn:aws:s3:::a/b/c"));
  EXPECT_FALSE(policy.allows("s3:PutObject", "arn:aws:s3:::ab/c"));
  EXPECT_FALSE(policy.allows("s3:PutObject", "*"));  // names no resource: only * is meant
  EXPECT_FALSE(Policy().allows("sqs:SendMessage", "*"));
  EXPECT_FALSE(parsed(R"({"Statement": []})").allows("sqs:SendMessage", "*"));
}

TEST(Policies, WhatIsDeniedIsDenied) {
  const auto policy = parsed(R"([
      {"Effect": "Allow", "Action": "*", "Resource": "*"},
      {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "arn:aws:s3:::kept/*"},
      {"Effect": "Deny", "NotAction": ["s3:*", "sqs:*"], "Resource": "*"},
      {"Effect": "Deny", "Action": "sqs:*", "NotResource": "arn:aws:sqs:*:*:mine"}])");
  EXPECT_TRUE(policy.allows("s3:GetObject", "arn:aws:s3:::kept/x"));
  EXPECT_FALSE(policy.allows("s3:DeleteObject", "arn:aws:s3:::kept/x"));
  EXPECT_FALSE(policy.allows("sns:Publish", "arn:aws:sns:r:0:t"));
  EXPECT_TRUE(policy.allows("sqs:SendMessage", "arn:aws:sqs:r:0:mine"));
  EXPECT_FALSE(policy.allows("sqs:SendMessage", "arn:aws:sqs:r:0:other"));
}

TEST(Policies, FaultsNameWhatAndWhere) {
  const auto with = [](const std::string& member) {
    return fault_of(R"({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*")" +
                    member + "}]}");
  };
  EXPECT_EQ(with(""), "");
  EXPECT_NE(with(R"(, "Condition": {})").find("Statement[0].Condition is not supported"),
            std::string::npos);
  EXPECT_NE(with(R"(, "Principal": "*")").find("Statement[0].Principal is unknown"),
            std::string::npos);
  EXPECT_NE(with(R"(, "NotAction": "*")").find("both Action and NotAction"), std::string::npos);
  EXPECT_NE(fault_of("{}").find("Effect is missing"), std::string::npos);
  EXPECT_NE(fault_of("[3]").find("Statement[0] must be an object"), std::string::npos);
  EXPECT_NE(fault_of("nonsense").find("no JSON"), std::string::npos);
  EXPECT_NE(fault_of(R"({"Effect":"allow","Action":"*","Resource":"*"})").find("Allow or Deny"),
            std::string::npos);
  EXPECT_NE(fault_of(R"({"Effect":"Allow","Action":"SendMessage","Resource":"*"})")
                .find("'SendMessage' must be SERVICE:ACTION"),
            std::string::npos);
  EXPECT_NE(fault_of(R"({"Effect":"Allow","Action":"*","Resource":"jobs"})").find("ARN or *"),
            std::string::npos);
  EXPECT_NE(fault_of(R"({"Effect":"Allow","Action":[],"Resource":"*"})").find("empty list"),
            std::string::npos);
  EXPECT_NE(fault_of(R"({"Statement": [], "Extra": 1})").find("Extra is unknown"),
            std::string::npos);
  EXPECT_NE(fault_of(std::string(20'000, ' ')).find("10240 are the most"), std::string::npos);
  EXPECT_NE(fault_of(std::string(5'000, '[')).find("no JSON"), std::string::npos);
}

TEST(Policies, TheDefaultUsesAndDoesNotManage) {
  const auto& policy = Policy::standard();
  for (const char* action :
       {"sqs:SendMessage", "sqs:ReceiveMessage", "s3:PutObject", "sns:Publish", "events:PutEvents",
        "lambda:InvokeFunction", "execute-api:ManageConnections", "logs:FilterLogEvents"})
    EXPECT_TRUE(policy.allows(action, "arn:aws:x:::y")) << action;
  for (const char* action :
       {"sqs:CreateQueue", "sqs:DeleteQueue", "sqs:PurgeQueue", "lambda:CreateFunction",
        "lambda:UpdateFunctionCode", "lambda:DeleteFunction", "lambda:GetFunction",
        "s3:CreateBucket", "s3:DeleteBucket", "sns:Subscribe", "events:PutRule",
        "scheduler:CreateSchedule", "iam:CreateRole"})
    EXPECT_FALSE(policy.allows(action, "*")) << action;
}

TEST(Policies, ComeBackFromTheirText) {
  const auto policy = parsed(R"([
      {"Effect": "Allow", "Action": "s3:\"*", "Resource": ["arn:aws:s3:::a", "*"]},
      {"Effect": "Deny", "NotAction": "s3:*", "NotResource": "arn:aws:s3:::b"}])");
  const std::string text = Policy::text_of(policy.statements());
  EXPECT_EQ(Policy::text_of(parsed(text).statements()), text);
  EXPECT_FALSE(parsed(text).allows("sqs:X", "arn:aws:s3:::c"));
}

}  // namespace
}  // namespace mayfly::functions
