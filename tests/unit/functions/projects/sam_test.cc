// SAM templates: intrinsic functions, and what becomes of a template.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/projects/surroundings.h"

namespace mayfly::functions::projects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kTop = "Transform: AWS::Serverless-2016-10-31\n";

Result<Project> sam(const std::string& text, std::map<std::string, std::string> parameters = {}) {
  auto around = surroundings("template.yaml");
  around.parameters = std::move(parameters);
  return read_sam_template(text, around);
}

// What an expression gives, as the value of an output.
std::string output(const std::string& expression, const std::string& before = "") {
  const auto project = sam(std::string(kTop) + before + R"(
Mappings:
  M: {a: {x: one, l: [1, 2]}}
Conditions:
  Yes: !Equals [a, a]
  No: !Not [{Condition: Yes}]
  Both: !And [!Condition Yes, !Or [!Condition No, !Condition Yes]]
  Loop: !Not [!Condition Loop]
Resources:
  Q: {Type: AWS::SQS::Queue}
  T: {Type: AWS::SNS::Topic, Properties: {TopicName: news}}
  D: {Type: AWS::DynamoDB::Table}
  R: {Type: AWS::IAM::Role}
Outputs:
  O:
    Value: )" + expression +
                           "\n");
  if (project.has_error()) return "error: " + project.error().message;
  if (project->outputs.empty()) return "none: " + why_not(*project, "Outputs.O.Value");
  return project->outputs[0].value;
}

TEST(SamIntrinsics, References) {
  EXPECT_EQ(output("!Ref Q"), "http://api/123456789012/app-Q");
  EXPECT_EQ(output("!GetAtt Q.Arn"), "arn:aws:sqs:eu-test-1:123456789012:app-Q");
  EXPECT_EQ(output("{\"Fn::GetAtt\": [Q, QueueName]}"), "app-Q");
  EXPECT_EQ(output("{Ref: T}"), "arn:aws:sns:eu-test-1:123456789012:news");
  EXPECT_EQ(output("!Ref AWS::StackName"), "app");
  EXPECT_EQ(output("!Ref D"), "app-D");
  EXPECT_EQ(output("!GetAtt D.StreamArn"),
            "none: it refers to D.StreamArn (AWS::DynamoDB::Table), which Mayfly does not have");
  EXPECT_THAT(output("!Ref R"), HasSubstr("none: it refers to R (AWS::IAM::Role)"));
  EXPECT_THAT(output("!Ref Qq"),
              HasSubstr("Outputs.O.Value: 'Qq' is neither a parameter nor a resource"));
}

TEST(SamIntrinsics, Texts) {
  EXPECT_EQ(output("!Sub \"${AWS::Region}/${Q.QueueName}/${!Literal}\""),
            "eu-test-1/app-Q/${Literal}");
  EXPECT_EQ(output("!Sub [\"${x}-${AWS::Region}\", {x: !Ref AWS::AccountId}]"),
            "123456789012-eu-test-1");
  EXPECT_EQ(output("!Join [\",\", [a, !Ref AWS::Region, !FindInMap [M, a, x]]]"),
            "a,eu-test-1,one");
  EXPECT_EQ(output("!Select [1, !Split [\"/\", a/b/c]]"), "b");
  EXPECT_EQ(output("!Select [0, !FindInMap [M, a, l]]"), "1");
  EXPECT_EQ(output("{\"Fn::Base64\": hi}"), "aGk=");
  EXPECT_EQ(output("!If [Both, yes!, no!]"), "yes!");
  EXPECT_EQ(output("!If [No, yes!, !If [Yes, inner, x]]"), "inner");
  EXPECT_EQ(output("[a, !If [No, b, !Ref AWS::NoValue]]"), "[\"a\"]");
  EXPECT_EQ(output("!FindInMap [M, a, q, {DefaultValue: d}]"), "d");
  EXPECT_THAT(output("!ImportValue other"), HasSubstr("none: Fn::ImportValue"));
  EXPECT_THAT(output("!GetAZs ''"), HasSubstr("none: Fn::GetAZs is not worked out"));
  EXPECT_EQ(
      output("!Sub https://${ServerlessRestApi}.execute-api.${AWS::Region}.amazonaws.com/Prod/x/"),
      "http://gate/x/");
}

TEST(SamIntrinsics, Errors) {
  EXPECT_THAT(output("!If [Loop, a, b]"), HasSubstr("depends on itself"));
  EXPECT_THAT(output("!If [Nope, a, b]"), HasSubstr("no condition 'Nope'. Did you mean 'No'?"));
  EXPECT_THAT(output("!FindInMap [M, b, x]"), HasSubstr("no 'b' in Mappings.M"));
  EXPECT_THAT(output("!Select [5, [a]]"), HasSubstr("no item 5"));
  EXPECT_THAT(output("!Sub \"${\""), HasSubstr("has no }"));
  EXPECT_THAT(output("!Magic x"), HasSubstr("'!Magic' is no function"));
  EXPECT_THAT(output("!Join a"), HasSubstr("takes a list of 2"));
  std::string split = "a";
  for (int i = 0; i < 15; ++i) split = "!Join [\"\", [" + split + ", " + "a]]";
  EXPECT_EQ(output(split).size(), 16u);
}

TEST(Sam, Parameters) {
  const std::string text = std::string(kTop) + R"(
Parameters:
  P: {Type: String, Default: x, AllowedValues: [x, y]}
  N: {Type: Number, Default: 3}
  L: {Type: CommaDelimitedList, Default: "a, b"}
  S: {Type: "AWS::SSM::Parameter::Value<String>", Default: /key}
Resources: {}
Outputs:
  P: {Value: !Ref P}
  L: {Value: !Select [1, !Ref L]}
)";
  EXPECT_THAT(sam(text).error().message,
              HasSubstr("line 7: Parameters.S: its value is in the Parameter Store"));
  const auto project = sam(text, {{"P", "y"}, {"S", "s"}});
  ASSERT_FALSE(project.has_error()) << project.error().message;
  EXPECT_EQ(project->outputs[0].value, "y");
  EXPECT_EQ(project->outputs[1].value, "b");
  EXPECT_THAT(sam(text, {{"P", "z"}, {"S", "s"}}).error().message,
              HasSubstr("none of its AllowedValues: x, y"));
  EXPECT_THAT(sam(text, {{"S", "s"}, {"Q", "1"}}).error().message, HasSubstr("--parameter Q"));
}

TEST(Sam, GlobalsFunctionsAndEvents) {
  const auto project = sam(std::string(kTop) + R"(
Globals:
  Function:
    Runtime: nodejs20.x
    Environment: {Variables: {A: 1, B: 2}}
    Layers: [one]
  Api: {Auth: {DefaultAuthorizer: Tokens}}
Resources:
  F:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: esbuild}
    Properties:
      CodeUri: src
      Handler: a.b
      MemorySize: 256
      Environment: {Variables: {B: 3}}
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Dead.Arn}
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Dead.Arn}}
      Events:
        Open: {Type: Api, Properties: {Path: /open, Method: get, Auth: {Authorizer: NONE}}}
        Closed: {Type: Api, Properties: {Path: /closed, Method: get}}
        All: {Type: HttpApi}
        Later:
          Type: ScheduleV2
          Properties:
            ScheduleExpression: cron(0 8 * * ? *)
            ScheduleExpressionTimezone: Europe/Oslo
            FlexibleTimeWindow: {Mode: FLEXIBLE, MaximumWindowInMinutes: 5}
            RetryPolicy: {MaximumRetryAttempts: 4}
  Plain:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.11
      Handler: index.go
      Role: arn:aws:iam::1:role/x
      Code: {ZipFile: "def go(e, c): return 1"}
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !GetAtt Plain.Arn
      EventSourceArn: !GetAtt Dead.Arn
      ScalingConfig: {MaximumConcurrency: 2}
      Tags: [{Key: team, Value: shop}]
  Dead: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true, Tags: [{Key: a, Value: b}]}}
)");
  ASSERT_FALSE(project.has_error()) << project.error().message;
  const auto* f = function_named(*project, "app-F");
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(f->settings.runtime, "nodejs20.x");
  EXPECT_EQ(f->settings.timeout_ms, 3'000u);  // Lambda's own default
  EXPECT_EQ(f->settings.env, (std::map<std::string, std::string>{{"A", "1"}, {"B", "3"}}));
  EXPECT_THAT(f->layers, ElementsAre("one"));
  EXPECT_EQ(f->settings.async.retries, 1);
  EXPECT_EQ(f->settings.async.dead_letter, "arn:aws:sqs:eu-test-1:123456789012:app-Dead.fifo");
  EXPECT_EQ(f->settings.async.on_failure, f->settings.async.dead_letter);
  const auto& routes = project->manifest.routes;
  ASSERT_EQ(routes.size(), 4u);
  EXPECT_EQ(routes[3].path, "/closed");  // lets nobody in, as /{proxy+} would
  EXPECT_EQ(routes[3].rules.authorizer, "nobody");
  EXPECT_EQ(routes[0].path, "/open");
  EXPECT_EQ(routes[0].rules.event, EventForm::v1);
  EXPECT_FALSE(routes[1].rules.event.has_value());
  EXPECT_EQ(routes[2].path, "/{proxy+}");
  EXPECT_THAT(why_not(*project, "Resources.F.Properties.Events.Closed"), HasSubstr("open to all"));
  EXPECT_THAT(why_not(*project, "Resources.F.Metadata.BuildMethod"), HasSubstr("sam build"));
  ASSERT_EQ(project->manifest.schedules.size(), 1u);
  EXPECT_EQ(project->manifest.schedules[0].timezone, "Europe/Oslo");
  EXPECT_EQ(project->manifest.schedules[0].flexible_s, 300u);
  EXPECT_EQ(project->manifest.schedules[0].retries, 4u);
  const auto* plain = function_named(*project, "app-Plain");
  ASSERT_NE(plain, nullptr);
  EXPECT_EQ(plain->inline_file, "index.py");
  ASSERT_EQ(plain->queues.size(), 1u);
  EXPECT_EQ(plain->queues[0].concurrency, 2u);
  EXPECT_EQ(plain->queues[0].tags, (std::map<std::string, std::string>{{"team", "shop"}}));
  EXPECT_TRUE(project->manifest.queues.at(0).fifo);
}

TEST(Sam, MembersOfQueueEvents) {
  const auto with = [](const std::string& more) {
    return sam(std::string(kTop) +
               "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n"
               "      CodeUri: src\n      Runtime: python3.11\n      Handler: a.b\n      Events:\n"
               "        Q: {Type: SQS, Properties: {Queue: 'arn:aws:sqs:x:1:jobs', " +
               more + "}}\n");
  };
  const auto project = with(
      "ProvisionedPollerConfig: {MinimumPollers: 5, PollerGroupName: g}, MetricsConfig: {Metrics: "
      "[EventCount]}, KmsKeyArn: 'arn:aws:kms:x:1:key/a'");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  const auto& queue = project->manifest.functions.at(0).queues.at(0);
  EXPECT_EQ(queue.minimum_pollers, 5u);
  EXPECT_EQ(queue.maximum_pollers, 200u);
  const std::string at = "Resources.F.Properties.Events.Q.Properties.";
  EXPECT_THAT(why_not(*project, at + "ProvisionedPollerConfig.PollerGroupName"),
              HasSubstr("brokers"));
  EXPECT_THAT(why_not(*project, at + "MetricsConfig"), HasSubstr("/metrics"));
  EXPECT_THAT(why_not(*project, at + "KmsKeyArn"), HasSubstr("KMS"));
  EXPECT_THAT(
      with("ProvisionedPollerConfig: {MaximumPollers: 2, MinimumPollers: 3}").error().message,
      HasSubstr("must not be more"));
  EXPECT_THAT(with("ProvisionedPollerConfig: {MinimumPollers: 1}").error().message, HasSubstr("2"));
  EXPECT_THAT(
      with("ProvisionedPollerConfig: {MinimumPollers: 3}, ScalingConfig: {MaximumConcurrency: 2}")
          .error()
          .message,
      HasSubstr("exclude each other"));
}

TEST(Sam, Logs) {
  const auto with = [](const std::string& config) {
    return sam(std::string(kTop) +
               "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n"
               "      {CodeUri: src, Runtime: python3.11, Handler: a.b, LoggingConfig: " +
               config + "}\n");
  };
  const auto project = with("{LogFormat: JSON, ApplicationLogLevel: WARN, LogGroup: own}");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  EXPECT_EQ(project->manifest.functions.at(0).settings.logs, (LogSettings{"JSON", "WARN", ""}));
  EXPECT_THAT(why_not(*project, "Resources.F.Properties.LoggingConfig.LogGroup"),
              HasSubstr("has the function's name"));
  EXPECT_THAT(with("{LogFormat: XML}").error().message, HasSubstr("must be one of JSON, Text"));
  EXPECT_THAT(with("{SystemLogLevel: WARN}").error().message, HasSubstr("only with LogFormat"));
}

TEST(Sam, Refusals) {
  const auto message = [](const std::string& text) {
    const auto project = sam(text);
    return project.has_error() ? project.error().message : "(taken)";
  };
  const std::string function =
      std::string(kTop) + "Resources:\n  F:\n    Type: AWS::Serverless::Function\n";
  EXPECT_THAT(message("Resources:\n  F: {Type: AWS::Serverless::Function}\n"),
              HasSubstr("line 2: Resources.F: AWS::Serverless::Function needs 'Transform"));
  EXPECT_THAT(message(kTop), HasSubstr("no Resources"));
  EXPECT_THAT(message(function + "    Properties: {Runtime: python3.11, Handler: a.b}\n"),
              HasSubstr("no CodeUri"));
  EXPECT_THAT(message(function +
                      "    Properties: {CodeUri: 's3://b', Runtime: python3.11, Handler: a.b}\n"),
              HasSubstr("must be s3://BUCKET/KEY"));
  EXPECT_THAT(
      message(function +
              "    Properties: {CodeUri: {Bucket: b}, Runtime: python3.11, Handler: a.b}\n"),
      HasSubstr("both its bucket and its key"));
  EXPECT_THAT(
      message(function + "    Properties: {CodeUri: {Bucket: b, Key: k, Version: x}, Runtime: "
                         "python3.11, Handler: a.b}\n"),
      HasSubstr("keep no versions"));
  EXPECT_THAT(
      message(function +
              "    Properties:\n      CodeUri: .\n      Runtime: python3.11\n      Timeout: x\n"),
      HasSubstr("template.yaml, line 8: Resources.F.Properties.Timeout: must be a whole number"));
  EXPECT_THAT(message(std::string(kTop) +
                      "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Z}}}\n"),
              HasSubstr("'Z' is neither"));
}

TEST(Projects, Kinds) {
  EXPECT_EQ(kind_of("template.yaml", "Resources:\n"), ProjectKind::sam);
  EXPECT_EQ(kind_of("template.yaml", "title: x\n"), ProjectKind::none);
  EXPECT_EQ(kind_of("x.yml", "service: a\nprovider:\n"), ProjectKind::serverless);
  EXPECT_EQ(kind_of("mayfly.yaml", "Resources:\n"), ProjectKind::none);
}

}  // namespace
}  // namespace mayfly::functions::projects
