// Code and layers in buckets, buckets as resources, images.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/projects/surroundings.h"

namespace mayfly::functions::projects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<Project> template_of(const std::string& resources) {
  return read_sam_template("Transform: AWS::Serverless-2016-10-31\nResources:\n" + resources,
                           surroundings("template.yaml"));
}

Result<Project> service_of(const std::string& rest) {
  return read_serverless_yml("service: app\nprovider:\n  name: aws\n  runtime: python3.11\n" + rest,
                             surroundings("serverless.yml"));
}

TEST(ProjectBuckets, CodeOfFunctionsAndLayers) {
  const auto project = template_of(
      "  A: {Type: AWS::Serverless::Function, Properties: {CodeUri: 's3://code/a/b.zip', Runtime: "
      "python3.11, Handler: a.b}}\n"
      "  B: {Type: AWS::Serverless::Function, Properties: {CodeUri: {Bucket: code, Key: c.zip}, "
      "Runtime: python3.11, Handler: a.b}}\n"
      "  C: {Type: AWS::Lambda::Function, Properties: {Code: {S3Bucket: !Ref Store, S3Key: d.zip}, "
      "Runtime: python3.11, Handler: a.b}}\n"
      "  L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: {Bucket: code, Key: "
      "l.zip}}}\n"
      "  M: {Type: AWS::Lambda::LayerVersion, Properties: {Content: {S3Bucket: code, S3Key: "
      "m.zip}}}\n"
      "  Store: {Type: AWS::S3::Bucket, Properties: {BucketEncryption: {}}}\n");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  const auto& manifest = project->manifest;
  EXPECT_EQ(manifest.functions.at(0).path, "s3://code/a/b.zip");
  EXPECT_EQ(manifest.functions.at(1).path, "s3://code/c.zip");
  EXPECT_EQ(manifest.functions.at(2).path, "s3://app-store/d.zip");
  EXPECT_EQ(manifest.layers.at(0).path, "s3://code/l.zip");
  EXPECT_EQ(manifest.layers.at(1).path, "s3://code/m.zip");
  EXPECT_THAT(manifest.buckets, ElementsAre("app-store"));
  EXPECT_THAT(why_not(*project, "Resources.Store.Properties.BucketEncryption"),
              HasSubstr("not encrypted"));
}

TEST(ProjectBuckets, OfAServerlessYml) {
  const auto project = service_of(
      "package: {artifact: 's3://code/all.zip'}\n"
      "functions:\n  f: {handler: a.b}\n"
      "resources:\n  Resources:\n    Store: {Type: AWS::S3::Bucket, Properties: {BucketName: "
      "my-store}}\n");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  EXPECT_EQ(project->manifest.functions.at(0).path, "s3://code/all.zip");
  EXPECT_THAT(project->manifest.buckets, ElementsAre("my-store"));
  const auto wrong = service_of(
      "resources:\n  Resources:\n    S: {Type: AWS::S3::Bucket, Properties: {BucketName: A_B}}\n");
  EXPECT_THAT(wrong.error().message, HasSubstr("'A_B' is no name of a bucket"));
}

TEST(ProjectImages, OfATemplate) {
  const auto project = template_of(
      "  A: {Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: "
      "'team/a:1', "
      "ImageConfig: {Command: [app.handler], EntryPoint: [/run], WorkingDirectory: /app}}}\n"
      "  B: {Type: AWS::Lambda::Function, Properties: {PackageType: Image, Code: {ImageUri: "
      "'1.dkr.ecr.eu-test-1.amazonaws.com/b:2'}}}\n"
      "  C: {Type: AWS::Serverless::Function, Properties: {PackageType: Image}, Metadata: "
      "{Dockerfile: "
      "Dockerfile}}\n");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  ASSERT_EQ(project->manifest.functions.size(), 2u);
  const auto& a = project->manifest.functions[0].settings;
  EXPECT_EQ(a.image.uri, "team/a:1");
  EXPECT_THAT(a.image.over.command, ElementsAre("app.handler"));
  EXPECT_THAT(a.image.over.entrypoint, ElementsAre("/run"));
  EXPECT_EQ(a.image.over.workdir, "/app");
  EXPECT_EQ(a.runtime, "");
  EXPECT_EQ(project->manifest.functions[1].settings.image.uri,
            "1.dkr.ecr.eu-test-1.amazonaws.com/b:2");
  EXPECT_THAT(why_not(*project, "Resources.C"), HasSubstr("mayfly image import"));
  const auto wrong = template_of(
      "  A: {Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: 'a "
      "b'}}\n");
  EXPECT_TRUE(wrong.has_error());
}

TEST(ProjectImages, OfAServerlessYml) {
  const auto project = service_of(
      "  ecr: {images: {base: {uri: 'team/base:3'}, made: {path: ./made}}}\n"
      "functions:\n"
      "  a: {image: 'team/a:1'}\n"
      "  b: {image: {name: base, command: [x.y], entryPoint: [/go]}}\n"
      "  c: {image: base}\n"
      "  d: {image: {name: made}}\n");
  ASSERT_TRUE(project.has_value()) << project.error().message;
  std::map<std::string, std::string> uris;
  for (const auto& function : project->manifest.functions)
    uris[function.name] = function.settings.image.uri;
  EXPECT_EQ(uris, (std::map<std::string, std::string>{{"app-dev-a", "team/a:1"},
                                                      {"app-dev-b", "team/base:3"},
                                                      {"app-dev-c", "team/base:3"}}));
  EXPECT_THAT(project->manifest.functions[1].settings.image.over.command, ElementsAre("x.y"));
  EXPECT_THAT(why_not(*project, "functions.d"), HasSubstr("mayfly image import"));
}

}  // namespace
}  // namespace mayfly::functions::projects
