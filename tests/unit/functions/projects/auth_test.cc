// Who may call the routes of projects: authorizers and API keys of SAM templates and of
// serverless.yml.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/api_forms.h"
#include "functions/app.h"
#include "functions/projects/surroundings.h"

namespace mayfly::functions::projects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Project sam_project(const std::string& resources) {
  auto project = read_sam_template("Transform: AWS::Serverless-2016-10-31\n" + resources,
                                   surroundings("template.yaml"));
  EXPECT_FALSE(project.has_error()) << project.error().message;
  return project.has_error() ? Project{} : *project;
}

Project service_project(const std::string& text) {
  auto project = read_serverless_yml("service: s\n" + text, surroundings("serverless.yml"));
  EXPECT_FALSE(project.has_error()) << project.error().message;
  return project.has_error() ? Project{} : *project;
}

const Route* route_of(const Project& project, std::string_view path) {
  for (const auto& route : project.manifest.routes)
    if (route.path == path) return &route;
  return nullptr;
}

// What every server would check.
void expect_sound(const Project& project) {
  App app;
  app.name = "app";
  app.routes = project.manifest.routes;
  app.api = project.manifest.api;
  const auto checked = check_api(app);
  EXPECT_FALSE(checked.has_error()) << checked.error().message;
}

const std::string kSamFunctions = R"(
  Who:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ., Handler: a.b, Runtime: python3.11}
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: a.b
      Runtime: python3.11
      Events:
)";

TEST(SamAuth, HttpApi) {
  const auto project = sam_project(R"(
Resources:
  Pool: {Type: AWS::Cognito::UserPool}
  Web:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Tokens
        EnableIamAuthorizer: true
        Authorizers:
          Tokens:
            AuthorizationScopes: [read]
            IdentitySource: $request.header.X-Token
            JwtConfiguration: {issuer: https://id.example, audience: [a, !Ref Pool]}
          Asked:
            AuthorizerPayloadFormatVersion: 2.0
            EnableSimpleResponses: true
            FunctionArn: !Sub "${Who.Arn}:live"
            FunctionInvokeRole: arn:aws:iam::1:role/x
            Identity: {Headers: [X-Key], QueryStrings: [k], ReauthorizeEvery: 60}
          Vague:
            JwtConfiguration: {issuer: https://id.example, audience: [!Ref Pool]}
          Gone: {FunctionArn: arn:aws:lambda:eu:1:function:elsewhere, AuthorizerPayloadFormatVersion: 1.0})" +
                                   kSamFunctions + R"(
        A: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /a, Method: get}}
        B: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /b, Method: get, Auth: {Authorizer: Asked}}}
        C: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /c, Method: get, Auth: {Authorizer: NONE}}}
        D: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /d, Method: get, Auth: {AuthorizationScopes: [write]}}}
        E: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /e, Method: get, Auth: {Authorizer: Vague}}}
        G: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /g, Method: get, Auth: {Authorizer: Gone}}}
        H: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /h, Method: get, Auth: {Authorizer: AWS_IAM}}}
        I: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /i, Method: get, Auth: {Authorizer: !ImportValue x}}}
        J: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /j, Method: get, Auth: {Authorizer: Nope}}}
        K: {Type: HttpApi, Properties: {ApiId: !Ref Web, Path: /k, Method: get, Auth: {AuthorizationScopes: [!Ref Pool]}}}
)");
  expect_sound(project);
  const auto& api = project.manifest.api;
  ASSERT_EQ(api.authorizers.size(), 2u);
  const Authorizer* tokens = api.authorizer("Tokens");
  ASSERT_NE(tokens, nullptr);
  EXPECT_EQ(tokens->issuer, "https://id.example");
  EXPECT_THAT(tokens->audience, ElementsAre("a"));
  EXPECT_THAT(tokens->identity, ElementsAre("$request.header.X-Token"));
  const Authorizer* asked = api.authorizer("Asked");
  ASSERT_NE(asked, nullptr);
  EXPECT_EQ(asked->kind, Authorizer::Kind::request);
  EXPECT_EQ(asked->function, "app-Who:live");
  EXPECT_EQ(asked->payload, EventForm::v2);
  EXPECT_TRUE(asked->simple);
  EXPECT_EQ(asked->ttl_s, 60u);
  EXPECT_THAT(asked->identity, ElementsAre("$request.header.X-Key", "$request.querystring.k"));

  const auto& routes = project.manifest.routes;
  ASSERT_EQ(routes.size(), 5u);
  EXPECT_EQ(route_of(project, "/a")->rules.authorizer, "Tokens");
  EXPECT_THAT(route_of(project, "/a")->rules.scopes, ElementsAre("read"));
  EXPECT_EQ(route_of(project, "/b")->rules.authorizer, "Asked");
  EXPECT_EQ(route_of(project, "/c")->rules.authorizer, "");
  EXPECT_THAT(route_of(project, "/d")->rules.scopes, ElementsAre("write"));
  EXPECT_EQ(route_of(project, "/h")->rules.authorizer, kIamAuthorizer);
  const std::string event = "Resources.F.Properties.Events.";
  EXPECT_THAT(why_not(project, event + "E"), HasSubstr("audience"));
  EXPECT_THAT(why_not(project, event + "G"), HasSubstr("elsewhere of its authorizer is not made"));
  EXPECT_THAT(why_not(project, event + "I"), HasSubstr("cannot be known"));
  EXPECT_THAT(why_not(project, event + "J"), HasSubstr("no authorizer Nope"));
  EXPECT_THAT(why_not(project, event + "K"), HasSubstr("scopes"));
  for (const char* name : {"E", "G", "I", "J", "K"})
    EXPECT_THAT(why_not(project, event + name), HasSubstr("open to all: it is not made"));
  const std::string auth = "Resources.Web.Properties.Auth.Authorizers.";
  EXPECT_THAT(why_not(project, auth + "Tokens.JwtConfiguration.audience[1]"), HasSubstr("Pool"));
  EXPECT_THAT(why_not(project, auth + "Gone"), HasSubstr("elsewhere is not made here"));
  EXPECT_THAT(why_not(project, auth + "Asked.FunctionInvokeRole"), HasSubstr("IAM"));
}

TEST(SamAuth, RestApi) {
  const auto project = sam_project(R"(
Globals:
  Api:
    Auth:
      DefaultAuthorizer: Token
      Authorizers:
        Token:
          FunctionArn: !GetAtt Who.Arn
          Identity: {Header: X-Auth, ValidationExpression: '[a-z]+', ReauthorizeEvery: 10}
        Request: {FunctionPayloadType: REQUEST, FunctionArn: !GetAtt Who.Arn, Identity: {Headers: [H], Context: [c]}}
        Plain: {FunctionPayloadType: REQUEST, FunctionArn: !GetAtt Who.Arn}
        Pool: {UserPoolArn: arn:aws:cognito-idp:eu:1:userpool/x}
Resources:
  Own: {Type: AWS::Serverless::Api, Properties: {StageName: x, Auth: {Authorizers: {Token: {Identity: {Header: Other}}}}}})" +
                                   kSamFunctions + R"(
        A: {Type: Api, Properties: {Path: /a, Method: get}}
        B: {Type: Api, Properties: {Path: /b, Method: get, Auth: {Authorizer: Request}}}
        C: {Type: Api, Properties: {Path: /c, Method: get, Auth: {Authorizer: Plain}}}
        D: {Type: Api, Properties: {Path: /d, Method: get, Auth: {Authorizer: Pool}}}
        E: {Type: Api, Properties: {RestApiId: !Ref Own, Path: /e, Method: get}}
)");
  expect_sound(project);
  const auto& api = project.manifest.api;
  const Authorizer* token = api.authorizer("Token");
  ASSERT_NE(token, nullptr);
  EXPECT_EQ(token->kind, Authorizer::Kind::token);
  EXPECT_EQ(token->payload, EventForm::v1);
  EXPECT_EQ(token->pattern, "[a-z]+");
  EXPECT_EQ(token->ttl_s, 10u);
  EXPECT_THAT(token->identity, ElementsAre("$request.header.X-Auth"));
  ASSERT_NE(api.authorizer("Request"), nullptr);
  EXPECT_EQ(api.authorizer("Request")->ttl_s, 300u);
  EXPECT_THAT(api.authorizer("Request")->identity, ElementsAre("$request.header.H", "$context.c"));
  ASSERT_NE(api.authorizer("Plain"), nullptr);
  EXPECT_EQ(api.authorizer("Plain")->ttl_s, 0u);
  EXPECT_EQ(api.authorizers.size(), 4u);  // the same of Globals twice is one
  ASSERT_NE(api.authorizer("Token-2"), nullptr);
  EXPECT_THAT(api.authorizer("Token-2")->identity, ElementsAre("$request.header.Other"));
  EXPECT_EQ(route_of(project, "/a")->rules.authorizer, "Token");
  EXPECT_EQ(route_of(project, "/e")->rules.authorizer, "Token-2");
  EXPECT_EQ(route_of(project, "/d"), nullptr);
  EXPECT_THAT(why_not(project, "Resources.F.Properties.Events.D"), HasSubstr("user pools"));
}

TEST(SamAuth, WiderRoutesDoNotOpenWhatIsNotMade) {
  const auto project = sam_project("Resources:" + kSamFunctions + R"(
        All: {Type: HttpApi}
        Shut: {Type: HttpApi, Properties: {Path: '/a/{id}', Method: get, Auth: {Authorizer: Nope}}}
)");
  expect_sound(project);
  ASSERT_EQ(project.manifest.routes.size(), 3u);
  const auto& rules = project.manifest.routes[2].rules;
  EXPECT_EQ(project.manifest.routes[2].path, "/a/{id}");
  const auto* nobody = project.manifest.api.authorizer(rules.authorizer);
  ASSERT_NE(nobody, nullptr);
  EXPECT_EQ(nobody->jwks, "{\"keys\":[]}");
  EXPECT_THAT(why_not(project, "Resources.F.Properties.Events.Shut"),
              HasSubstr("lets nobody in, since ANY /{proxy+} would take its requests"));
}

TEST(ServerlessAuth, HttpApi) {
  const auto project = service_project(R"(
provider:
  name: aws
  runtime: python3.11
  httpApi:
    authorizers:
      tokens: {issuerUrl: https://id.example, audience: [a, b], identitySource: $request.header.T}
      asked: {type: request, functionName: who, resultTtlInSeconds: 30, identitySource: [$request.header.K], enableSimpleResponses: true}
      old: {type: request, functionArn: !GetAtt WhoLambdaFunction.Arn, payloadVersion: '1.0'}
      vague: {type: jwt, issuerUrl: '${ssm:/issuer}', audience: x}
functions:
  who: {handler: a.b}
  f:
    handler: a.b
    events:
      - httpApi: {path: /a, method: get, authorizer: tokens}
      - httpApi: {path: /b, method: get, authorizer: {name: tokens, scopes: [read]}}
      - httpApi: {path: /c, method: get, authorizer: {name: asked}}
      - httpApi: {path: /d, method: get, authorizer: old}
      - httpApi: {path: /e, method: get, authorizer: vague}
      - httpApi: {path: /f, method: get, authorizer: {id: !Ref Other}}
      - httpApi: {path: /g, method: get, authorizer: {type: aws_iam}}
      - httpApi: {path: /h, method: get, authorizer: '${ssm:/who}'}
resources: {Resources: {Other: {Type: AWS::ApiGatewayV2::Authorizer}}}
)");
  expect_sound(project);
  const auto& api = project.manifest.api;
  ASSERT_EQ(api.authorizers.size(), 3u);
  EXPECT_THAT(api.authorizer("tokens")->audience, ElementsAre("a", "b"));
  EXPECT_THAT(api.authorizer("tokens")->identity, ElementsAre("$request.header.T"));
  EXPECT_EQ(api.authorizer("asked")->function, "s-dev-who");
  EXPECT_EQ(api.authorizer("asked")->ttl_s, 30u);
  EXPECT_TRUE(api.authorizer("asked")->simple);
  EXPECT_EQ(api.authorizer("old")->payload, EventForm::v1);
  EXPECT_EQ(api.authorizer("old")->function, "s-dev-who");
  EXPECT_EQ(api.authorizer("old")->ttl_s, 0u);
  ASSERT_EQ(project.manifest.routes.size(), 5u);
  EXPECT_EQ(route_of(project, "/a")->rules.authorizer, "tokens");
  EXPECT_THAT(route_of(project, "/b")->rules.scopes, ElementsAre("read"));
  EXPECT_EQ(route_of(project, "/c")->rules.authorizer, "asked");
  EXPECT_EQ(route_of(project, "/d")->rules.authorizer, "old");
  EXPECT_EQ(route_of(project, "/g")->rules.authorizer, kIamAuthorizer);
  for (const int i : {4, 5, 7})
    EXPECT_THAT(why_not(project, "functions.f.events[" + std::to_string(i) + "].httpApi"),
                HasSubstr("open to all: it is not made"))
        << i;
}

TEST(ServerlessAuth, Http) {
  const auto project = service_project(R"(
provider: {name: aws, runtime: python3.11}
functions:
  who: {handler: a.b}
  f:
    handler: a.b
    events:
      - http: {path: a, method: get, authorizer: who}
      - http: {path: b, method: get, authorizer: {name: who, resultTtlInSeconds: 0, identitySource: method.request.header.K, identityValidationExpression: 'x.*'}}
      - http: {path: c, method: get, authorizer: {arn: !GetAtt WhoLambdaFunction.Arn, type: request, identitySource: 'method.request.header.K, context.path'}}
      - http: {path: d, method: get, authorizer: arn:aws:cognito-idp:eu:1:userpool/x}
      - http: {path: e, method: get, authorizer: {type: COGNITO_USER_POOLS, authorizerId: !Ref Pool}}
      - http: {path: f, method: get, authorizer: AWS_IAM}
      - http: {path: g, method: get, authorizer: nobody}
      - http: {path: h, method: get, private: '${ssm:/x}'}
      - http: {path: i, method: get, authorizer: who}
      - http: {path: j, method: get, authorizer: {name: who, identityValidationExpression: '(?=x)y'}}
resources: {Resources: {Pool: {Type: AWS::ApiGateway::Authorizer}}}
)");
  expect_sound(project);
  const auto& api = project.manifest.api;
  ASSERT_EQ(api.authorizers.size(), 3u);
  EXPECT_EQ(api.authorizer("who")->kind, Authorizer::Kind::token);
  EXPECT_EQ(api.authorizer("who")->function, "s-dev-who");
  EXPECT_EQ(api.authorizer("who")->ttl_s, 300u);
  EXPECT_THAT(api.authorizer("who")->identity, ElementsAre("$request.header.Authorization"));
  EXPECT_EQ(api.authorizer("who-2")->pattern, "x.*");
  EXPECT_EQ(api.authorizer("who-2")->ttl_s, 0u);
  const auto* request = api.authorizer("s-dev-who");
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(request->kind, Authorizer::Kind::request);
  EXPECT_THAT(request->identity, ElementsAre("$request.header.K", "$context.path"));
  EXPECT_EQ(route_of(project, "/i")->rules.authorizer, "who");
  EXPECT_EQ(route_of(project, "/f")->rules.authorizer, kIamAuthorizer);
  for (const int i : {3, 4, 6, 7, 9})
    EXPECT_THAT(why_not(project, "functions.f.events[" + std::to_string(i) + "].http"),
                HasSubstr("open to all: it is not made"))
        << i;
}

TEST(SamAuth, ResourcePolicies) {
  const auto project = sam_project(R"(
Resources:
  Own: {Type: AWS::Serverless::Api, Properties: {StageName: x, Auth: {ResourcePolicy: {IpRangeWhitelist: [10.0.0.0/8]}}}})" +
                                   kSamFunctions + R"(
        A: {Type: Api, Properties: {RestApiId: !Ref Own, Path: /a, Method: get, Auth: {Authorizer: NONE}}}
        B: {Type: Api, Properties: {Path: /b, Method: get}}
        C: {Type: Api, Properties: {Path: /c, Method: get, Auth: {ResourcePolicy: {IpRangeWhitelist: [10.0.0.0/8]}}}}
)");
  ASSERT_EQ(project.manifest.routes.size(), 1u);
  EXPECT_EQ(project.manifest.routes[0].path, "/b");
  for (const char* name : {"A", "C"})
    EXPECT_THAT(why_not(project, std::string("Resources.F.Properties.Events.") + name),
                HasSubstr("resource policy"));
}

TEST(SamAuth, KeysAndPlans) {
  const std::string text = R"(
Resources:
  Web:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      Auth:
        ApiKeyRequired: true
        UsagePlan: {CreateUsagePlan: PER_API, Throttle: {RateLimit: 2.5, BurstLimit: 4}, Quota: {Limit: 100, Period: WEEK, Offset: 1}}
  Key: {Type: AWS::ApiGateway::ApiKey, Properties: {Name: partner, Enabled: true, Value: aaaaaaaaaaaaaaaaaaaaaaaa}}
  Made: {Type: AWS::ApiGateway::ApiKey, Properties: {Enabled: true}}
  Off: {Type: AWS::ApiGateway::ApiKey, Properties: {Value: bbbbbbbbbbbbbbbbbbbbbbbb}}
  Link: {Type: AWS::ApiGateway::UsagePlanKey, Properties: {KeyId: !Ref Key, KeyType: API_KEY, UsagePlanId: !Ref WebUsagePlan}}
  Second: {Type: AWS::ApiGateway::UsagePlanKey, Properties: {KeyId: !Ref Made, KeyType: API_KEY, UsagePlanId: !Ref WebUsagePlan}}
  Third: {Type: AWS::ApiGateway::UsagePlanKey, Properties: {KeyId: !Ref Off, KeyType: API_KEY, UsagePlanId: !Ref WebUsagePlan}})";
  const std::string events = kSamFunctions + R"(
        A: {Type: Api, Properties: {RestApiId: !Ref Web, Path: /a, Method: get}}
        B: {Type: Api, Properties: {RestApiId: !Ref Web, Path: /b, Method: get, Auth: {ApiKeyRequired: false}}}
        C: {Type: Api, Properties: {Path: /c, Method: get, Auth: {ApiKeyRequired: true}}}
)";
  const auto project = sam_project(text + events);
  expect_sound(project);
  ASSERT_EQ(project.manifest.api.plans.size(), 1u);
  const auto& plan = project.manifest.api.plans[0];
  EXPECT_EQ(plan.name, "WebUsagePlan");
  EXPECT_EQ(plan.throttle.rate, 2.5);
  EXPECT_EQ(plan.throttle.burst, 4u);
  EXPECT_EQ(plan.quota, 100u);
  EXPECT_EQ(plan.period, QuotaPeriod::week);
  EXPECT_EQ(plan.keys,
            (std::map<std::string, std::string>{{"partner", "aaaaaaaaaaaaaaaaaaaaaaaa"}}));
  ASSERT_EQ(project.manifest.routes.size(), 2u);
  EXPECT_TRUE(route_of(project, "/a")->rules.api_key);
  EXPECT_FALSE(route_of(project, "/b")->rules.api_key);
  EXPECT_THAT(why_not(project, "Resources.F.Properties.Events.C"), HasSubstr("of another API"));
  EXPECT_THAT(why_not(project, "Resources.Second"), HasSubstr("no file gives the value"));
  EXPECT_THAT(why_not(project, "Resources.Third"), HasSubstr("not enabled"));
  for (const auto& one : project.findings)
    EXPECT_EQ(one.what.find("aaaaaaaa"), std::string::npos) << "a secret is in the report";

  const auto own = sam_project(text + R"(
  Plan:
    Type: AWS::ApiGateway::UsagePlan
    Properties: {UsagePlanName: big one, ApiStages: [{ApiId: !Ref ServerlessRestApi, Stage: Prod}]})" +
                               events);
  EXPECT_THAT(why_not(own, "Resources.Plan"), HasSubstr("without a key"));
}

TEST(SamAuth, KeysThatNobodyGives) {
  const auto project = sam_project(R"(
Globals: {Api: {Auth: {ApiKeyRequired: true, UsagePlan: {CreateUsagePlan: SHARED}}}}
Resources:)" + kSamFunctions + R"(
        A: {Type: Api, Properties: {Path: /a, Method: get}}
        All: {Type: Api, Properties: {Path: '/{proxy+}', Method: any, Auth: {ApiKeyRequired: false}}}
)");
  expect_sound(project);
  EXPECT_TRUE(project.manifest.api.plans.empty());
  ASSERT_EQ(project.manifest.routes.size(), 2u);
  EXPECT_NE(project.manifest.api.authorizer(route_of(project, "/a")->rules.authorizer), nullptr);
  EXPECT_THAT(why_not(project, "Resources.F.Properties.Events.A"),
              HasSubstr("no usage plan of its API has one whose value a file gives"));
}

TEST(ServerlessAuth, ResourcePolicies) {
  const auto project = service_project(R"(
provider: {name: aws, runtime: python3.11, apiGateway: {resourcePolicy: [{Effect: Allow}]}}
functions: {f: {handler: a.b, events: [{http: GET a}, {httpApi: GET /b}]}}
)");
  ASSERT_EQ(project.manifest.routes.size(), 1u);
  EXPECT_EQ(project.manifest.routes[0].path, "/b");
  EXPECT_THAT(why_not(project, "functions.f.events[0].http"), HasSubstr("resource policy"));
}

TEST(ServerlessAuth, KeysAndPlans) {
  const auto project = service_project(R"(
provider:
  name: aws
  runtime: python3.11
  apiGateway:
    apiKeys:
      - nameless
      - {name: partner, value: aaaaaaaaaaaaaaaaaaaaaaaa}
      - free: [{value: bbbbbbbbbbbbbbbbbbbbbbbb}, {name: stored, value: '${ssm:/key}'}]
    usagePlan:
      - free: {quota: {limit: 10, period: DAY}, throttle: {burstLimit: 2, rateLimit: 1}}
      - paid: {quota: {limit: 10}}
functions:
  f:
    handler: a.b
    events:
      - http: {path: a, method: get, private: true}
      - http: {path: b, method: get}
)");
  expect_sound(project);
  const auto& plans = project.manifest.api.plans;
  ASSERT_EQ(plans.size(), 2u);
  EXPECT_EQ(plans[0].name, "default");
  EXPECT_EQ(plans[0].keys.at("partner"), "aaaaaaaaaaaaaaaaaaaaaaaa");
  EXPECT_EQ(plans[1].name, "free");
  EXPECT_EQ(plans[1].quota, 10u);
  EXPECT_EQ(plans[1].throttle.burst, 2u);
  EXPECT_EQ(plans[1].keys.size(), 1u);
  EXPECT_TRUE(route_of(project, "/a")->rules.api_key);
  EXPECT_FALSE(route_of(project, "/b")->rules.api_key);
  const std::string keys = "provider.apiGateway.apiKeys";
  EXPECT_THAT(why_not(project, keys + "[0]"), HasSubstr("no file gives the value"));
  EXPECT_THAT(why_not(project, keys + "[2].free[1]"), HasSubstr("no file gives the value"));
  EXPECT_THAT(why_not(project, "provider.apiGateway.usagePlan[1].paid"),
              HasSubstr("without a key"));
  const auto closed = service_project(
      "provider: {name: aws, runtime: python3.11, apiGateway: {apiKeys: [one]}}\n"
      "functions: {f: {handler: a.b, events: [{http: {path: a, method: get, private: true}}]}}\n");
  EXPECT_TRUE(closed.manifest.routes.empty());
}

}  // namespace
}  // namespace mayfly::functions::projects
