// Layers, function URLs and WebSocket APIs of projects.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/projects/surroundings.h"

namespace mayfly::functions::projects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<Project> parts_of_sam(const std::string& resources) {
  auto around = surroundings("template.yaml");
  around.function_url = [](const std::string& name, const std::string& alias) {
    return "http://gate/url/of-" + name + (alias.empty() ? "" : "-" + alias) + "/";
  };
  return read_sam_template("Transform: AWS::Serverless-2016-10-31\nResources:\n" + resources,
                           around);
}

std::string trouble_of(const std::string& resources) {
  const auto project = parts_of_sam(resources);
  return project.has_error() ? project.error().message : "(taken)";
}

constexpr const char* kFunction = R"(
  F:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ., Runtime: python3.11, Handler: a.b)";

TEST(ProjectLayers, AreMadeAndNamed) {
  const auto project = parts_of_sam(std::string(kFunction) + R"(, Layers: [!Ref L, !Ref M, "x:2"]}
  L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layers/l, RetentionPolicy: Retain}}
  M: {Type: AWS::Lambda::LayerVersion, Properties: {Content: m.zip}}
)");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  ASSERT_EQ(project->manifest.layers.size(), 2u);
  EXPECT_EQ(project->manifest.layers[0].name, "L");  // as SAM names it
  EXPECT_EQ(project->manifest.layers[0].path, "layers/l");
  EXPECT_EQ(project->manifest.layers[1].name, "app-M");
  EXPECT_THAT(project->manifest.functions.at(0).layers,
              ElementsAre("arn:aws:lambda:eu-test-1:123456789012:layer:L",
                          "arn:aws:lambda:eu-test-1:123456789012:layer:app-M", "x:2"));
  EXPECT_THAT(why_not(*project, "Resources.L.Properties.RetentionPolicy"), HasSubstr("stay"));
}

TEST(ProjectLayers, Refusals) {
  EXPECT_THAT(trouble_of("  L: {Type: AWS::Serverless::LayerVersion, Properties: {}}\n"),
              HasSubstr("Resources.L: it has no ContentUri"));
  EXPECT_THAT(trouble_of("  L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: "
                         "'s3:///k'}}\n"),
              HasSubstr("must be s3://BUCKET/KEY"));
  EXPECT_THAT(trouble_of("  L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: l, "
                         "LayerName: a b}}\n"),
              HasSubstr("The name of a layer"));
  EXPECT_THAT(trouble_of(std::string(kFunction) + ", Layers: [a b]}\n"),
              HasSubstr("Layers[0]: A layer is named as"));
  EXPECT_THAT(trouble_of(std::string(kFunction) + ", Layers: [a, b, c, d, e, f]}\n"),
              HasSubstr("at most 5"));
}

TEST(ProjectUrls, AuthCorsAndMode) {
  const auto project = parts_of_sam(std::string(kFunction) + R"(, AutoPublishAlias: live,
      FunctionUrlConfig: {AuthType: AWS_IAM, InvokeMode: RESPONSE_STREAM, Cors: {AllowOrigins: ["*"]}},
      Environment: {Variables: {ME: !GetAtt FUrl.FunctionUrl}}}
)");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  const auto& function = project->manifest.functions.at(0);
  ASSERT_TRUE(function.url.has_value());
  EXPECT_TRUE(function.url->iam && function.url->stream);
  EXPECT_THAT(function.url->cors.allow_origins, ElementsAre("*"));
  EXPECT_EQ(function.url->cors.max_age_s, 0u) << "Lambda's default";
  EXPECT_EQ(function.settings.env.at("ME"), "http://gate/url/of-app-F-live/");
  EXPECT_FALSE(function.settings.direct);
  EXPECT_THAT(trouble_of(std::string(kFunction) + ", FunctionUrlConfig: {Cors: {}}}\n"),
              HasSubstr("no AuthType"));
  EXPECT_THAT(trouble_of(std::string(kFunction) + ", FunctionUrlConfig: {AuthType: OPEN}}\n"),
              HasSubstr("NONE or AWS_IAM"));
}

TEST(ProjectUrls, AsAResource) {
  const auto project = parts_of_sam(std::string(kFunction) + R"(}
  U: {Type: AWS::Lambda::Url, Properties: {TargetFunctionArn: !GetAtt F.Arn, AuthType: NONE}}
  V: {Type: AWS::Lambda::Url, Properties: {TargetFunctionArn: !Ref F, AuthType: NONE, Qualifier: x}}
)");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  EXPECT_TRUE(project->manifest.functions.at(0).url.has_value());
  EXPECT_THAT(why_not(*project, "Resources.V"), HasSubstr("the function itself"));
}

constexpr const char* kSocket = R"(
  A: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: WEBSOCKET}}
  I:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref A
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub "arn:aws:apigateway:r:lambda:path/2015-03-31/functions/${F.Arn}/invocations"
)";

TEST(ProjectSockets, WhatCannotBeAskedIsNotOpen) {
  const auto with = [](const std::string& rest) {
    auto project = parts_of_sam(std::string(kFunction) + "}\n" + kSocket +
                                "  C:\n    Type: AWS::ApiGatewayV2::Route\n    Properties: {ApiId: "
                                "!Ref A, RouteKey: $connect, Target: !Sub 'integrations/${I}'" +
                                rest);
    EXPECT_TRUE(project.has_value()) << project.error().message;
    return project;
  };
  const auto open = with("}\n");
  EXPECT_EQ(open->manifest.api.websocket.path, "/production");
  EXPECT_EQ(open->manifest.api.websocket.routes.at("$connect"), "app-F");
  for (const char* closed :
       {", AuthorizationType: AWS_IAM}\n", ", AuthorizationType: CUSTOM}\n",
        ", AuthorizationType: CUSTOM, AuthorizerId: gone}\n", ", ApiKeyRequired: true}\n",
        ", AuthorizationType: CUSTOM, AuthorizerId: !Ref Z}\n  Z: {Type: "
        "AWS::ApiGatewayV2::Authorizer, Properties: {ApiId: !Ref A, AuthorizerUri: x}}\n"}) {
    const auto project = with(closed);
    EXPECT_TRUE(project->manifest.api.websocket.path.empty()) << closed;
    EXPECT_THAT(why_not(*project, "Resources.A"), HasSubstr("open to all")) << closed;
  }
}

TEST(ProjectSockets, OneOfAProject) {
  const auto project = parts_of_sam(std::string(kFunction) + "}\n" + kSocket + R"(
  R: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref A, RouteKey: go, Target: !Ref I}}
  S: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref A, StageName: v1}}
  B: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: WEBSOCKET}}
  H: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP}}
  T: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref H, RouteKey: GET /}}
)");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  EXPECT_EQ(project->manifest.api.websocket.path, "/v1");
  EXPECT_THAT(why_not(*project, "Resources.B"), HasSubstr("one WebSocket API"));
  EXPECT_THAT(why_not(*project, "Resources.T"), HasSubstr("routes come from"));
}

}  // namespace
}  // namespace mayfly::functions::projects
