// serverless.yml: variables, and what becomes of a service.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/projects/surroundings.h"

namespace mayfly::functions::projects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kHead = "service: shop\nprovider: {name: aws, runtime: nodejs20.x}\n";
constexpr const char* kOneFunction = "functions:\n  f:\n    handler: a.b\n";

Result<Project> serverless(const std::string& text, std::map<std::string, std::string> files = {},
                           std::string stage = "") {
  auto around = surroundings("serverless.yml", std::move(files));
  around.stage = std::move(stage);
  around.parameters = {{"colour", "red"}};
  return read_serverless_yml(text, around);
}

// What a variable gives, as the environment of a function has it.
std::string variable(const std::string& expression, const std::string& custom = "",
                     std::map<std::string, std::string> files = {}, std::string stage = "") {
  const auto project = serverless(std::string(kHead) + custom + kOneFunction +
                                      "    environment:\n      V: " + expression + "\n",
                                  std::move(files), std::move(stage));
  if (project.has_error()) return "error: " + project.error().message;
  const auto& env = project->manifest.functions.at(0).settings.env;
  const auto found = env.find("V");
  return found == env.end() ? "unset: " + why_not(*project, "functions.f.environment.V")
                            : found->second;
}

TEST(ServerlessVariables, Sources) {
  EXPECT_EQ(variable("${self:service}-x"), "shop-x");
  EXPECT_EQ(variable("${env:HOME_TOWN}"), "Oslo");
  EXPECT_EQ(variable("${env:NOWHERE, 'home'}"), "home");
  EXPECT_EQ(variable("${sls:stage}"), "dev");
  EXPECT_EQ(variable("${opt:stage, 'none'}"), "none");
  EXPECT_EQ(variable("${opt:stage, 'none'}/${sls:stage}", "", {}, "prod"), "prod/prod");
  EXPECT_EQ(variable("${self:provider.stage}", "", {}, "prod"), "prod");
  EXPECT_EQ(variable("${param:colour}"), "red");
  EXPECT_EQ(variable("${param:size, 'no'}", "params: {default: {size: 4}}\n"), "4");
  EXPECT_EQ(variable("${aws:region} ${aws:accountId}"), "eu-test-1 123456789012");
  EXPECT_EQ(variable("${strToBool('1')}"), "true");
  EXPECT_EQ(variable("${ssm:/x, 'own'}"), "own");
  EXPECT_THAT(variable("${ssm:/x}"), HasSubstr("unset: Mayfly has no Parameter Store"));
  EXPECT_THAT(variable("a-${cf:s.o}"), HasSubstr("unset: Mayfly has no stacks"));
}

TEST(ServerlessVariables, NestingAndDefaults) {
  const std::string custom =
      "custom:\n  by: {dev: d, prod: p}\n  list: [x, {y: z}]\n  again: ${self:custom.by.dev}\n"
      "  ref: ${self:custom.by}\n";
  EXPECT_EQ(variable("${self:custom.by.${sls:stage}}", custom), "d");
  EXPECT_EQ(variable("${self:custom.no, ${env:NO, ${self:custom.again}}}", custom), "d");
  EXPECT_EQ(variable("${self:custom.no, env:NO, self:custom.again}", custom), "d");
  EXPECT_EQ(variable("${self:custom.list.1.y}", custom), "z");
  EXPECT_EQ(variable("${self:custom.ref.prod}", custom), "p");
  EXPECT_EQ(variable("${self:custom.no, 'a, ${self:custom.again}'}", custom), "a, d");
  EXPECT_EQ(variable("${self:custom.no, 5}"), "5");
  // Not ours: for Fn::Sub, as it is.
  EXPECT_EQ(variable("${AWS::Region}-${Other}"), "${AWS::Region}-${Other}");
  // What a variable gives is text, not another variable.
  EXPECT_EQ(variable("${env:TRICKY}"), "${self:service}");
}

TEST(ServerlessVariables, Files) {
  const std::map<std::string, std::string> files = {
      {"./c.yml", "dev: {a: '${self:service}'}\nlist: [1]\n"},
      {"t.txt", " text \n"},
      {"j.json", "{\"a\":{\"b\":7}}"}};
  EXPECT_EQ(variable("${file(./c.yml):dev.a}", "", files), "shop");
  EXPECT_EQ(variable("${file(./c.yml):${sls:stage}.a}", "", files), "shop");
  EXPECT_EQ(variable("${file(t.txt)}", "", files), "text");
  EXPECT_EQ(variable("${file(j.json):a.b}", "", files), "7");
  EXPECT_EQ(variable("${file(no.yml):a, 'none'}", "", files), "none");
  EXPECT_THAT(variable("${file(x.js):a}", "", files), HasSubstr("unset: no JavaScript is run"));
}

TEST(ServerlessVariables, Errors) {
  EXPECT_THAT(variable("${env:NOWHERE}"),
              HasSubstr("serverless.yml, line 7: functions.f.environment.V: there is no value for "
                        "${env:NOWHERE}: the environment variable NOWHERE is not set."));
  EXPECT_THAT(
      variable("${self:custom.a}", "custom: {a: '${self:custom.b}', b: '${self:custom.a}'}\n"),
      HasSubstr("lead back to itself"));
  EXPECT_THAT(variable("${self:custom.a}", "custom: {a: '${self:custom}'}\n"),
              HasSubstr("lead back to itself"));
  EXPECT_THAT(variable("${self:custom.x, dev}"), HasSubstr("a text stands in quotes"));
  EXPECT_THAT(variable("'${self:service'"), HasSubstr("has no }"));
  EXPECT_THAT(variable("a${self:custom}", "custom: {a: 1}\n"), HasSubstr("is no text"));
  const auto circle = serverless("service: s\nprovider: {name: aws, stage: '${sls:stage}'}\n");
  ASSERT_TRUE(circle.has_error());
  EXPECT_THAT(circle.error().message, HasSubstr("lead back to itself"));
}

// Documents that would become large, or deep.
TEST(ServerlessVariables, Limits) {
  std::string doubling = "custom:\n  a0: xxxxxxxxxxxxxxxx\n";
  for (int i = 1; i < 40; ++i)
    doubling += fmt::format("  a{0}: ${{self:custom.a{1}}}${{self:custom.a{1}}}\n", i, i - 1);
  EXPECT_THAT(variable("x", doubling), HasSubstr("more"));
  std::string lists = "custom:\n  a0: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n";
  for (int i = 1; i < 12; ++i)
    lists += fmt::format("  a{0}: [{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}]\n", i,
                         fmt::format("'${{self:custom.a{}}}'", i - 1));
  EXPECT_THAT(variable("x", lists), HasSubstr("variables make more of this document"));
  std::string deep;
  for (int i = 0; i < 400; ++i) deep += "${self:custom.no, ";
  deep += "'x'" + std::string(400, '}');
  EXPECT_THAT(variable("\"" + deep + "\""), HasSubstr("nested too deeply"));
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'h'; ++c)
    bomb += fmt::format("{0}: &{0} [*{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}]\n", c,
                        char(c - 1));
  EXPECT_THAT(serverless(kHead + bomb).error().message, HasSubstr("alias"));
  EXPECT_THAT(serverless(std::string(2u << 20, 'a')).error().message, HasSubstr("bytes"));
  EXPECT_THAT(serverless(kHead + ("custom: " + std::string(100, '[') + std::string(100, ']')))
                  .error()
                  .message,
              HasSubstr("levels deep"));
}

TEST(Serverless, FunctionsAndSettings) {
  const auto project = serverless(R"(
service: shop
provider:
  name: aws
  runtime: python3.11
  memorySize: 512
  environment: {A: 1, B: 2}
  tags: {team: x}
package:
  patterns: ['!**', 'src/**']
  individually: true
functions:
  - hello:
      handler: src/a.handler
      timeout: 10
      environment: {B: 3}
      reservedConcurrency: 2
      provisionedConcurrency: 1
      package: {patterns: ['!src/x/**']}
      destinations: {onSuccess: other, onFailure: 'arn:aws:sqs:r:1:dead'}
      maximumRetryAttempts: 0
      memroySize: 5
  - other:
      handler: src/b.handler
      name: my-other
)");
  ASSERT_FALSE(project.has_error()) << project.error().message;
  EXPECT_EQ(project->manifest.name, "shop-dev");
  const auto* hello = function_named(*project, "shop-dev-hello");
  ASSERT_NE(hello, nullptr);
  EXPECT_EQ(hello->settings.runtime, "python3.11");
  EXPECT_EQ(hello->settings.memory_mb, 512u);
  EXPECT_EQ(hello->settings.timeout_ms, 10'000u);
  EXPECT_EQ(hello->settings.env, (std::map<std::string, std::string>{{"A", "1"}, {"B", "3"}}));
  EXPECT_EQ(hello->settings.instances_min, 1u);
  EXPECT_EQ(hello->reserved_concurrency, 2u);
  EXPECT_EQ(hello->settings.async.on_success, "function:my-other");
  EXPECT_EQ(hello->settings.async.on_failure, "arn:aws:sqs:r:1:dead");
  EXPECT_EQ(hello->settings.async.retries, 0);
  EXPECT_EQ(hello->tags.at("team"), "x");
  EXPECT_EQ(hello->path, ".");
  EXPECT_EQ(hello->patterns.back(), "!src/x/**");
  const auto* other = function_named(*project, "my-other");
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->settings.timeout_ms, 6'000u);  // the framework's own default
  EXPECT_EQ(other->patterns.back(), "src/**");
  EXPECT_THAT(why_not(*project, "functions[0].hello.memroySize"),
              HasSubstr("Did you mean 'memorySize'?"));
}

TEST(Serverless, ProvisionedPollersOfQueues) {
  const auto project = serverless(std::string(kHead) + R"(
functions:
  f:
    handler: a.b
    events:
      - sqs: {arn: 'arn:aws:sqs:x:1:jobs', provisionedPollers: {min: 3, max: 40, group: g}}
      - sqs: {arn: 'arn:aws:sqs:x:1:other', provisionedPollers: false}
)");
  ASSERT_FALSE(project.has_error()) << project.error().message;
  const auto& queues = project->manifest.functions[0].queues;
  ASSERT_EQ(queues.size(), 2u);
  EXPECT_EQ(queues[0].minimum_pollers, 3u);
  EXPECT_EQ(queues[0].maximum_pollers, 40u);
  EXPECT_EQ(queues[1].maximum_pollers, 0u);
  const auto both = serverless(std::string(kHead) + R"(
functions:
  f:
    handler: a.b
    events:
      - sqs: {arn: 'arn:aws:sqs:x:1:jobs', maximumConcurrency: 4, provisionedPollers: {min: 3}}
)");
  ASSERT_TRUE(both.has_error());
  EXPECT_THAT(both.error().message, HasSubstr("exclude each other"));
}

TEST(Serverless, Events) {
  const auto project = serverless(std::string(kHead) + R"(
functions:
  f:
    handler: a.b
    events:
      - httpApi: '*'
      - http: {path: 'items/{id}', method: put, cors: true}
      - http: {path: secret, method: get, private: true}
      - sqs: {arn: 'arn:aws:sqs:x:1:jobs', batchSize: 3, maximumConcurrency: 4, filterPatterns: [{body: {a: [1]}}]}
      - schedule: {rate: [rate(1 hour), 'cron(0 8 * * ? *)'], enabled: false, input: {a: 1}}
      - sns: {topicName: news, filterPolicy: {kind: [a]}}
      - eventBridge: {pattern: {source: [s]}, inputTransformer: {inputPathsMap: {a: $.a}, inputTemplate: '<a>'}}
      - websocket: $connect
)");
  ASSERT_FALSE(project.has_error()) << project.error().message;
  const auto& m = project->manifest;
  ASSERT_EQ(m.routes.size(), 4u);
  EXPECT_EQ(m.routes[3].path, "/secret");  // lets nobody in, as /{proxy+} would
  EXPECT_EQ(m.routes[3].rules.authorizer, "nobody");
  EXPECT_EQ(m.routes[1].path, "/{proxy+}");
  EXPECT_FALSE(m.routes[0].rules.event.has_value());
  EXPECT_EQ(m.routes[2].rules.event, EventForm::v1);
  EXPECT_EQ(m.routes[2].method, "PUT");
  EXPECT_EQ(m.routes[2].path, "/items/{id}");
  EXPECT_THAT(m.cors.allow_origins, ElementsAre("*"));
  EXPECT_THAT(why_not(*project, "functions.f.events[2].http"), HasSubstr("open to all"));
  const auto& f = m.functions[0];
  ASSERT_EQ(f.queues.size(), 1u);
  EXPECT_EQ(f.queues[0].queue, "jobs");
  EXPECT_EQ(f.queues[0].batch, 3u);
  EXPECT_EQ(f.queues[0].concurrency, 4u);
  EXPECT_FALSE(f.queues[0].partial);
  EXPECT_THAT(f.queues[0].filters, ElementsAre("{\"body\":{\"a\":[1]}}"));
  ASSERT_EQ(m.schedules.size(), 2u);
  EXPECT_EQ(m.schedules[1].expression, "cron(0 8 * * ? *)");
  EXPECT_EQ(m.schedules[0].input, "{\"a\":1}");
  EXPECT_FALSE(m.schedules[0].enabled);
  ASSERT_EQ(f.topics.size(), 1u);
  EXPECT_EQ(f.topics[0].filter_scope, "attributes");
  EXPECT_EQ(m.topics.at(0).name, "news");
  ASSERT_EQ(m.rules.size(), 1u);
  EXPECT_EQ(m.rules[0].transform, R"({"paths":{"a":"$.a"},"template":"<a>"})");
  EXPECT_TRUE(project->manifest.api.websocket.routes.contains("$connect"));
}

TEST(Serverless, Logs) {
  const auto project =
      serverless(std::string(kHead) + kOneFunction +
                 "    logs: {logFormat: JSON, systemLogLevel: DEBUG, logGroup: own}\n");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  EXPECT_EQ(project->manifest.functions.at(0).settings.logs, (LogSettings{"JSON", "", "DEBUG"}));
}

TEST(Serverless, Refusals) {
  const auto message = [](const std::string& text) {
    const auto project = serverless(text);
    return project.has_error() ? project.error().message : "(taken)";
  };
  EXPECT_THAT(message("provider: {name: aws}\n"), HasSubstr("no service"));
  EXPECT_THAT(message("service: s\n"), HasSubstr("no provider"));
  EXPECT_THAT(message("service: s\nprovider: {name: google}\n"),
              HasSubstr("line 2: provider.name"));
  EXPECT_THAT(message(std::string(kHead) + "functions:\n  f: {}\n"), HasSubstr("no handler"));
  EXPECT_THAT(message(std::string(kHead) + "functions:\n  f: {handler: a.b, timeout: 901}\n"),
              HasSubstr("line 4: functions.f.timeout: must be a whole number from 1 to 900"));
  EXPECT_THAT(message(std::string(kHead) + kOneFunction + "    events: [{schedule: {}}]\n"),
              HasSubstr("no rate"));
  EXPECT_THAT(message("a: [\n"), HasSubstr("not valid YAML"));
}

}  // namespace
}  // namespace mayfly::functions::projects
