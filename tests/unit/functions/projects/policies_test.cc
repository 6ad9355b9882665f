// What projects say of the rights of their functions.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/policy.h"
#include "functions/projects/surroundings.h"

namespace mayfly::functions::projects {
namespace {

using testing::HasSubstr;

Result<Project> sam_with(const std::string& policies, const std::string& more = "") {
  return read_sam_template(R"(Transform: AWS::Serverless-2016-10-31
Resources:
  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: jobs}}
  D: {Type: AWS::DynamoDB::Table}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: app.handler
      CodeUri: src
)" + (policies.empty() ? "" : "      Policies:\n" + policies) +
                               more,
                           surroundings("template.yaml"));
}

Policy policy_of(const Result<Project>& project, const std::string& name = "app-F") {
  EXPECT_FALSE(project.has_error()) << project.error().message;
  const auto* function = project.has_error() ? nullptr : function_named(*project, name);
  EXPECT_NE(function, nullptr);
  if (function == nullptr) return {};
  auto policy = Policy::parse(function->settings.policy);
  EXPECT_TRUE(policy.has_value()) << policy.error().describe() << function->settings.policy;
  return policy.has_value() ? std::move(*policy) : Policy();
}

constexpr const char* kHome = ":eu-test-1:123456789012:";

std::string arn(const std::string& service, const std::string& rest) {
  return "arn:aws:" + service + kHome + rest;
}

TEST(SamPolicies, TemplatesNameWhatTheyAllow) {
  const auto project = sam_with(R"(        - SQSSendMessagePolicy: {QueueName: !GetAtt Q.QueueName}
        - SQSPollerPolicy: {QueueName: polled}
        - S3ReadPolicy: {BucketName: readable}
        - S3CrudPolicy: {BucketName: full}
        - S3WritePolicy: {BucketName: writable}
        - SNSPublishMessagePolicy: {TopicName: news}
        - LambdaInvokePolicy: {FunctionName: other}
        - EventBridgePutEventsPolicy: {EventBusName: default}
        - DynamoDBCrudPolicy: {TableName: !Ref D}
        - AWSLambdaBasicExecutionRole
        - arn:aws:iam::aws:policy/AmazonSNSFullAccess
        - SomethingOfOurs
)");
  const auto policy = policy_of(project);
  EXPECT_TRUE(policy.allows("sqs:SendMessage", arn("sqs", "jobs")));
  EXPECT_FALSE(policy.allows("sqs:SendMessage", arn("sqs", "polled")));
  EXPECT_TRUE(policy.allows("sqs:ReceiveMessage", arn("sqs", "polled")));
  EXPECT_FALSE(policy.allows("sqs:ReceiveMessage", arn("sqs", "jobs")));
  EXPECT_TRUE(policy.allows("s3:GetObject", "arn:aws:s3:::readable/a/b"));
  EXPECT_TRUE(policy.allows("s3:ListBucket", "arn:aws:s3:::readable"));
  EXPECT_FALSE(policy.allows("s3:PutObject", "arn:aws:s3:::readable/a"));
  EXPECT_FALSE(policy.allows("s3:GetObject", "arn:aws:s3:::readable2/a"));
  EXPECT_TRUE(policy.allows("s3:DeleteObject", "arn:aws:s3:::full/a"));
  EXPECT_TRUE(policy.allows("s3:PutObject", "arn:aws:s3:::writable/a"));
  EXPECT_FALSE(policy.allows("s3:GetObject", "arn:aws:s3:::writable/a"));
  EXPECT_TRUE(policy.allows("sns:Publish", arn("sns", "news")));
  EXPECT_TRUE(policy.allows("sns:CreateTopic", arn("sns", "any")));
  EXPECT_TRUE(policy.allows("lambda:InvokeFunction", arn("lambda", "function:other:live")));
  EXPECT_FALSE(policy.allows("lambda:InvokeFunction", arn("lambda", "function:an-other")));
  EXPECT_TRUE(policy.allows("events:PutEvents", arn("events", "event-bus/default")));
  const std::string path = "Resources.F.Properties.Policies";
  EXPECT_THAT(why_not(*project, path + "[11]"), HasSubstr("no policy of this name"));
  EXPECT_THAT(why_not(*project, path + "[8].DynamoDBCrudPolicy"),
              HasSubstr("does not know this policy template"));
}

TEST(SamPolicies, StatementsAsFarAsTheyAreKnown) {
  const auto project = sam_with(R"(        - Version: '2012-10-17'
          Statement:
            - {Effect: Allow, Action: 'sqs:*', Resource: [!GetAtt Q.Arn, !GetAtt D.Arn]}
            - {Effect: Allow, Action: 'dynamodb:*', Resource: !GetAtt D.StreamArn}
            - {Effect: Allow, Action: 's3:*', Resource: '*', Condition: {Bool: {x: true}}}
            - {Effect: Deny, Action: 'sqs:DeleteQueue', Resource: '*', Condition: {Bool: {x: true}}}
            - {Effect: Deny, Action: 'sqs:PurgeQueue', Resource: !GetAtt D.StreamArn}
        - Statement: {Effect: Allow, Action: 'sns:Publish', Resource: '*'}
)");
  const auto policy = policy_of(project);
  EXPECT_TRUE(policy.allows("sqs:SendMessage", arn("sqs", "jobs")));
  EXPECT_FALSE(policy.allows("sqs:SendMessage", arn("sqs", "other")));
  EXPECT_TRUE(policy.allows("sns:Publish", arn("sns", "t")));
  EXPECT_FALSE(policy.allows("s3:GetObject", "arn:aws:s3:::b/k"));
  EXPECT_FALSE(policy.allows("sqs:DeleteQueue", arn("sqs", "jobs")));
  EXPECT_FALSE(policy.allows("sqs:PurgeQueue", arn("sqs", "jobs")));
  EXPECT_THAT(why_not(*project, "Resources.F.Properties.Policies[0].Statement[2]"),
              HasSubstr("conditions"));
}

TEST(SamPolicies, WhoeverSaysNothingHasTheDefault) {
  const auto project = sam_with("");
  ASSERT_FALSE(project.has_error()) << project.error().message;
  EXPECT_EQ(function_named(*project, "app-F")->settings.policy, "");
  // What is stated counts, also when nothing of it is known here.
  EXPECT_FALSE(policy_of(sam_with("        - DynamoDBReadPolicy: {TableName: t}\n"))
                   .allows("sqs:SendMessage", arn("sqs", "jobs")));
}

TEST(SamPolicies, QueuesOfTheEnvironmentAreAtTheWayIn) {
  const auto project = sam_with("", "      Environment: {Variables: {QUEUE_URL: !Ref Q}}\n");
  ASSERT_FALSE(project.has_error()) << project.error().message;
  EXPECT_EQ(function_named(*project, "app-F")->settings.env.at("QUEUE_URL"),
            "http://127.0.0.2/123456789012/jobs");
}

Result<Project> serverless_with(const std::string& provider, const std::string& function = "") {
  return read_serverless_yml("service: shop\nprovider:\n  name: aws\n  runtime: nodejs20.x\n" +
                                 provider + "functions:\n  f:\n    handler: src/a.b\n" + function,
                             surroundings("serverless.yml"));
}

constexpr const char* kStatements =
    "    - {Effect: Allow, Action: ['sqs:SendMessage'], Resource: 'arn:aws:sqs:*:*:a'}\n";

TEST(ServerlessPolicies, ProvidersAndFunctionsOwn) {
  const std::string a = arn("sqs", "a"), b = arn("sqs", "b");
  for (const std::string& provider :
       {std::string("  iamRoleStatements:\n") + kStatements,
        std::string("  iam:\n    role:\n      statements:\n    ") + kStatements}) {
    const auto policy = policy_of(serverless_with(provider), "shop-dev-f");
    EXPECT_TRUE(policy.allows("sqs:SendMessage", a));
    EXPECT_FALSE(policy.allows("sqs:SendMessage", b));
  }
  const std::string provider = std::string("  iamRoleStatements:\n") + kStatements;
  const std::string own =
      "    iamRoleStatements:\n"
      "      - {Effect: Allow, Action: 'sqs:SendMessage', Resource: 'arn:aws:sqs:*:*:b'}\n";
  auto policy = policy_of(serverless_with(provider, own), "shop-dev-f");
  EXPECT_FALSE(policy.allows("sqs:SendMessage", a));
  EXPECT_TRUE(policy.allows("sqs:SendMessage", b));
  policy = policy_of(serverless_with(provider, own + "    iamRoleStatementsInherit: true\n"),
                     "shop-dev-f");
  EXPECT_TRUE(policy.allows("sqs:SendMessage", a));
  EXPECT_TRUE(policy.allows("sqs:SendMessage", b));
}

TEST(ServerlessPolicies, ARoleByItsArnIsANote) {
  const auto project = serverless_with("  iam: {role: 'arn:aws:iam::1:role/x'}\n");
  ASSERT_FALSE(project.has_error()) << project.error().message;
  EXPECT_EQ(function_named(*project, "shop-dev-f")->settings.policy, "");
  EXPECT_THAT(why_not(*project, "provider.iam.role"), HasSubstr("no roles"));
}

}  // namespace
}  // namespace mayfly::functions::projects
