#include "functions/images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/app.h"
#include "functions/catalogue.h"
#include "functions/image_helpers.h"

namespace mayfly::functions {
namespace {

using test::TestImage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct ImagesTest : testing::Test {
  void SetUp() override {
    ASSERT_TRUE(packages.open().has_value());
    ASSERT_TRUE(trees.open().has_value());
    open();
  }
  void open() {
    catalogue = std::make_unique<Catalogue>(Catalogue::Parts{*store, packages, pool, clock,
                                                             RuntimeTable::discover({}), Defaults(),
                                                             nullptr, "/runtimes", &trees});
    const auto loaded = catalogue->load();
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  }
  Image import(const TestImage& from, const std::string& name, const std::string& tag) {
    const auto added = loop.run(trees.add(from.docker(), nullptr));
    EXPECT_TRUE(added.has_value()) << added.error().message;
    Image image{name,
                tag,
                added->digest,
                added->tree,
                added->bytes,
                added->config.program,
                added->config.env,
                7};
    const auto put = loop.run(catalogue->images().put(image));
    EXPECT_TRUE(put.has_value());
    return image;
  }
  Result<Catalogue::Candidate> prepare(Settings settings) {
    auto tree = catalogue->images().resolve(settings.image);
    if (tree.has_error()) return tree.error();
    return loop.run(catalogue->prepare("hello", std::move(settings), *tree));
  }
  static TestImage hello() {
    auto image =
        TestImage::of({{{"usr/bin/app", "#!/usr/bin/app", 0755}, {"work/run", "#!", 0755}}});
    image.run = {{"Entrypoint", {"app"}},
                 {"Cmd", {"one", "two"}},
                 {"WorkingDir", "/work"},
                 {"Env", {"WORD=image"}}};
    return image;
  }
  static Settings of(const std::string& uri) {
    Settings settings;
    settings.image.uri = uri;
    return settings;
  }

  mayfly::test::TempDir directory, image_directory;
  io::BlockingPool pool{2};
  Packages packages{directory.path(), {}, pool};
  ImageTrees trees{image_directory.path(), {}, pool};
  std::unique_ptr<store::Store> store = store::make_memory_store();
  SystemClock clock;
  test::Loop loop;
  std::unique_ptr<Catalogue> catalogue;
};

TEST_F(ImagesTest, FoundByNameTagAndDigestWithAnyRegistryInFront) {
  const Image image = import(hello(), "team/app", "1");
  for (const std::string& uri :
       {std::string("team/app:1"), "team/app@" + image.digest,
        std::string("000000000000.dkr.ecr.us-east-1.amazonaws.com/team/app:1"),
        std::string("ghcr.io/team/app:1")}) {
    const auto found = catalogue->images().find(uri);
    ASSERT_TRUE(found.has_value()) << uri;
    EXPECT_EQ(**found, image);
  }
  for (const std::string& uri :
       {std::string("team/app"), std::string("app:1"), "team/app@sha256:" + std::string(64, 'b')})
    EXPECT_THAT(catalogue->images().find(uri).error().message, HasSubstr("mayfly image import"));
}

TEST_F(ImagesTest, StayOverARestartAndGoWhenRemoved) {
  const Image image = import(hello(), "app", "1");
  import(hello(), "app", "2");
  open();
  EXPECT_EQ(catalogue->images().list().size(), 2u);
  EXPECT_EQ(**catalogue->images().find("app:1"), image);
  ASSERT_TRUE(loop.run(catalogue->images().remove("app:1")).has_value());
  EXPECT_TRUE(loop.run(catalogue->images().remove("app:1")).has_error());
  open();
  EXPECT_EQ(catalogue->images().list().size(), 1u);
  EXPECT_TRUE(catalogue->packages_in_use().contains(image.tree));
  ASSERT_TRUE(loop.run(catalogue->images().remove("app:2")).has_value());
  EXPECT_FALSE(catalogue->packages_in_use().contains(image.tree));
}

TEST_F(ImagesTest, AFunctionIsMadeAndKeepsItsFiles) {
  const Image image = import(hello(), "app", "1");
  const auto prepared = prepare(of("app:1"));
  ASSERT_TRUE(prepared.has_value()) << prepared.error().message;
  const Version& version = *prepared->version;
  EXPECT_TRUE(version.is_image());
  EXPECT_EQ(version.entry, "/usr/bin/app");
  EXPECT_THAT(image_argv(version), ElementsAre("/usr/bin/app", "one", "two"));
  EXPECT_EQ(version.code_dir, trees.tree(image.tree));
  EXPECT_EQ(version.settings.image.digest, image.digest);
  ASSERT_TRUE(loop.run(catalogue->commit(version)).has_value());
  ASSERT_TRUE(loop.run(catalogue->images().remove("app:1")).has_value());
  open();
  const auto found = catalogue->find("hello", "");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->settings, version.settings);
  EXPECT_EQ(found->code_dir, trees.tree(image.tree));
  EXPECT_TRUE(catalogue->packages_in_use().contains(image.tree));
}

TEST_F(ImagesTest, TheFunctionsWordGoesOverTheImages) {
  import(hello(), "app", "1");
  Settings settings = of("app:1");
  settings.image.over = {{"./run"}, {}, ""};
  const auto prepared = prepare(settings);
  ASSERT_TRUE(prepared.has_value()) << prepared.error().message;
  EXPECT_THAT(image_argv(*prepared->version), ElementsAre("/work/./run", "one", "two"));
  settings.image.over = {{}, {"three"}, "/usr"};
  const auto other = prepare(settings);
  ASSERT_TRUE(other.has_value());
  EXPECT_THAT(image_argv(*other->version), ElementsAre("/usr/bin/app", "three"));
  EXPECT_EQ(image_workdir(other->version->settings.image), "/usr");
}

TEST_F(ImagesTest, WhatCannotStartIsRefusedAtOnce) {
  auto image = hello();
  import(image, "app", "1");
  Settings settings = of("app:1");
  settings.image.over.entrypoint = {"nothing"};
  EXPECT_THAT(prepare(settings).error().message, HasSubstr("no program 'nothing' in the folders"));
  settings.image.over.entrypoint = {"/work"};
  EXPECT_THAT(prepare(settings).error().message, HasSubstr("no program '/work'"));
  settings = of("app:1");
  settings.runtime = "python";
  EXPECT_TRUE(prepare(settings).has_error());
  settings = of("app:1");
  settings.layers = {std::string(64, 'a')};
  EXPECT_THAT(prepare(settings).error().message, HasSubstr("no layers"));
  image.run = {};
  import(image, "app", "2");
  EXPECT_THAT(prepare(of("app:2")).error().message, HasSubstr("does not say what to run"));
}

TEST_F(ImagesTest, AnImagesTreeIsNoPackageAndAPackageNoImage) {
  const Image image = import(hello(), "app", "1");
  EXPECT_EQ(loop.run(catalogue->prepare("hello", Settings(), image.tree)).error().code,
            Code::not_found);
  const auto package = loop.run(packages.add(test::pack({{"app.py", "x"}}), nullptr));
  ASSERT_TRUE(package.has_value());
  EXPECT_EQ(loop.run(catalogue->prepare("hello", of("app:1"), package->sha256)).error().code,
            Code::not_found);
}

TEST_F(ImagesTest, ExtensionsAreThoseOfTheImage) {
  auto image =
      TestImage::of({{{"app", "#!", 0755},
                      {"opt/extensions/b", "#!", 0755},
                      {"opt/extensions/a", "#!", 0755},
                      {"opt/extensions/folder/x", "#!", 0755},
                      {"opt/extensions/out", "", 0777, AE_IFLNK, "/../../../etc/passwd"}}});
  EXPECT_THAT(files_of_image(trees.tree(import(image, "app", "1").tree), "/opt/extensions"),
              ElementsAre("a", "b"));
  EXPECT_TRUE(
      files_of_image(trees.tree(import(hello(), "app", "2").tree), "/opt/extensions").empty());
}

TEST(ImageForms, ThereAndBack) {
  Settings settings;
  settings.image = {"app:1",
                    "sha256:" + std::string(64, 'c'),
                    {{"/a"}, {"b"}, "/w"},
                    {{}, {"d"}, ""},
                    {{"K", "v"}}};
  const auto read = settings_from_json(settings_to_json(settings));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(*read, settings);
  const Image image{
      "app",        "1", settings.image.digest, std::string(64, 'd'), 12, {{"/a"}, {}, ""},
      {{"K", "v"}}, 99};
  const auto stored = image_from_json(image_to_json(image));
  ASSERT_TRUE(stored.has_value()) << stored.error().message;
  EXPECT_EQ(*stored, image);
  EXPECT_TRUE(image_from_json("{}").has_error());
}

}  // namespace
}  // namespace mayfly::functions
