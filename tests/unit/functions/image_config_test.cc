#include "functions/image_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly::functions {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kHex(64, 'a');

TEST(ImageName, PartsOfIt) {
  struct Case {
    std::string text, name, tag, digest;
  };
  const std::string digest = "sha256:" + kHex;
  for (const Case& c : {
           Case{"app", "app", "latest", ""},
           Case{"team/app:1.2", "team/app", "1.2", ""},
           Case{"docker.io/library/app:1", "app", "1", ""},
           Case{"localhost/app", "app", "latest", ""},
           Case{"localhost:5000/team/app:1", "team/app", "1", ""},
           Case{"000000000000.dkr.ecr.eu-west-1.amazonaws.com/team/app:v1", "team/app", "v1", ""},
           Case{"app@" + digest, "app", "", digest},
           Case{"host.example/app:1@" + digest, "app", "1", digest},
       }) {
    const auto read = parse_image_name(c.text);
    ASSERT_TRUE(read.has_value()) << c.text << ": " << read.error().message;
    EXPECT_EQ(read->name, c.name) << c.text;
    EXPECT_EQ(read->tag, c.tag) << c.text;
    EXPECT_EQ(read->digest, c.digest) << c.text;
  }
}

TEST(ImageName, WhatIsNone) {
  for (const std::string& text :
       {std::string(), std::string("App"), std::string("a//b"), std::string("../a"),
        std::string("a:"), std::string("a:.x"), std::string("a@sha256:12"), std::string("a@"),
        std::string("a b"), std::string("/a"), std::string("a/"), std::string("a:b\0c", 5),
        std::string(300, 'a'), "a:" + std::string(129, 'a')})
    EXPECT_TRUE(parse_image_name(text).has_error()) << text;
}

TEST(ImageConfig, WhatItSays) {
  const auto config = read_image_config(
      R"({"os":"linux","architecture":"amd64","created":"x","config":{"Env":["PATH=/bin","A=b=c","E="],
          "Entrypoint":["/app"],"Cmd":null,"WorkingDir":"/work","User":"nobody"},
          "rootfs":{"type":"layers","diff_ids":["sha256:)" +
      kHex + R"("]}})");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_THAT(config->program.entrypoint, ElementsAre("/app"));
  EXPECT_TRUE(config->program.command.empty());
  EXPECT_EQ(config->program.workdir, "/work");
  EXPECT_EQ(config->env.at("A"), "b=c");
  EXPECT_EQ(config->env.at("E"), "");
  EXPECT_EQ(config->diff_ids.size(), 1u);
}

TEST(ImageConfig, WhatIsRefused) {
  for (const char* text :
       {"", "[]", "{", R"({"config":{"Env":["x"]}})", R"({"config":{"Env":["=x"]}})",
        R"({"config":{"Cmd":"sh"}})", R"({"rootfs":{"diff_ids":["md5:1"]}})",
        R"({"rootfs":{"diff_ids":[1]}})"})
    EXPECT_TRUE(read_image_config(text).has_error()) << text;
  EXPECT_THAT(read_image_config(std::string(5u << 20, ' ')).error().message, HasSubstr("bytes"));
}

TEST(OciManifest, IndexAndManifest) {
  const std::string digest = "sha256:" + kHex;
  const auto index = read_oci_manifest(
      R"({"manifests":[{"digest":")" + digest +
      R"(","size":3,"platform":{"os":"linux","architecture":"arm64"},
          "annotations":{"org.opencontainers.image.ref.name":"1.0"}},
          {"digest":")" +
      digest + R"(","annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]})");
  ASSERT_TRUE(index.has_value()) << index.error().message;
  ASSERT_TRUE(index->index);
  ASSERT_EQ(index->manifests.size(), 2u);
  EXPECT_EQ(index->manifests[0].architecture, "arm64");
  EXPECT_EQ(index->manifests[0].name, "1.0");
  EXPECT_EQ(index->manifests[1].os, "unknown");
  const auto manifest = read_oci_manifest(R"({"config":{"digest":")" + digest +
                                          R"("},"layers":[{"digest":")" + digest + R"("}]})");
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message;
  EXPECT_FALSE(manifest->index);
  EXPECT_EQ(manifest->layers.at(0).digest, digest);
}

TEST(OciManifest, WhatIsRefused) {
  for (const char* text :
       {"", "[]", "{}", R"({"manifests":3})", R"({"manifests":[{}]})",
        R"({"manifests":[{"digest":"sha256:../../etc/passwd"}]})", R"({"config":{},"layers":[]})"})
    EXPECT_TRUE(read_oci_manifest(text).has_error()) << text;
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  EXPECT_TRUE(read_oci_manifest(deep).has_error());
}

TEST(DockerManifest, ListsImages) {
  const auto images = read_docker_manifest(
      R"([{"Config":"c.json","RepoTags":null,"Layers":["a/layer.tar","b/layer.tar"]}])");
  ASSERT_TRUE(images.has_value()) << images.error().message;
  ASSERT_EQ(images->size(), 1u);
  EXPECT_THAT(images->front().layers, ElementsAre("a/layer.tar", "b/layer.tar"));
  EXPECT_TRUE(images->front().tags.empty());
  for (const char* text :
       {"", "{}", "[1]", R"([{"Config":""}])", R"([{"Config":"c","Layers":"x"}])"})
    EXPECT_TRUE(read_docker_manifest(text).has_error()) << text;
}

}  // namespace
}  // namespace mayfly::functions
