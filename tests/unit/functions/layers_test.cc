#include "functions/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/catalogue.h"
#include "functions/helpers.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;
using test::pack;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct LayersTest : testing::Test {
  void SetUp() override {
    ASSERT_TRUE(packages.open().has_value());
    open();
  }
  void open() {
    catalogue = std::make_unique<Catalogue>(Catalogue::Parts{
        *store, packages, pool, clock, RuntimeTable::discover({}), defaults, nullptr, "/runtimes"});
    const auto loaded = catalogue->load();
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  }
  Layers& layers() { return catalogue->layers(); }
  std::string upload(const std::vector<test::Item>& items) {
    const auto added = loop.run(packages.add(pack(items), nullptr));
    EXPECT_TRUE(added.has_value()) << added.error().message;
    return added.has_value() ? added->sha256 : "";
  }
  LayerVersionPtr publish(const std::string& name, const std::string& package) {
    LayerVersion layer;
    layer.name = name;
    layer.package = package;
    layer.description = "for tests";
    layer.runtimes = {"python3.12", "nodejs20.x"};
    layer.created_us = 77;
    const auto published = loop.run(layers().publish(layer));
    EXPECT_TRUE(published.has_value());
    return published.has_value() ? *published : nullptr;
  }
  Result<Catalogue::Candidate> prepare(std::vector<std::string> used,
                                       const std::string& runtime = "provided") {
    Settings settings;
    settings.runtime = runtime;
    settings.layers = std::move(used);
    return loop.run(catalogue->prepare("hello", settings, upload({{"data.txt", "code"}})));
  }

  mayfly::test::TempDir directory;
  io::BlockingPool pool{2};
  Packages packages{directory.path(), {}, pool};
  std::unique_ptr<store::Store> store = store::make_memory_store();
  SystemClock clock;
  Defaults defaults;
  test::Loop loop;
  std::unique_ptr<Catalogue> catalogue;
};

TEST_F(LayersTest, NumbersGrowAndAreNeverGivenTwice) {
  const std::string package(64, 'a');
  EXPECT_EQ(publish("tools", package)->number, 1u);
  EXPECT_EQ(publish("tools", package)->number, 2u);
  EXPECT_EQ(publish("other", package)->number, 1u);
  EXPECT_TRUE(loop.run(layers().remove("tools", 2)).has_value());
  EXPECT_TRUE(loop.run(layers().remove("tools", 2)).has_value()) << "gone already";
  EXPECT_EQ(layers().find("tools", 2), nullptr);
  open();  // as after a restart
  EXPECT_EQ(publish("tools", package)->number, 3u);
  EXPECT_THAT(layers().names(), ElementsAre("other", "tools"));
  std::vector<std::uint64_t> numbers;
  for (const auto& each : layers().versions("tools")) numbers.push_back(each->number);
  EXPECT_THAT(numbers, ElementsAre(3, 1));
  const auto kept = layers().find("tools", 1);
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->description, "for tests");
  EXPECT_THAT(kept->runtimes, ElementsAre("python3.12", "nodejs20.x"));
  EXPECT_EQ(kept->created_us, 77);
}

TEST_F(LayersTest, ChangesAreDurableOrNothing) {
  publish("tools", std::string(64, 'a'));
  const auto refused = loop.run(layers().change("tools", 1, [](LayerVersion& layer) -> Status {
    layer.policy = "half";
    return Error{Code::conflict, "no"};
  }));
  EXPECT_EQ(refused.error().code, Code::conflict);
  EXPECT_EQ(layers().find("tools", 1)->policy, "");
  const auto changed = loop.run(layers().change("tools", 1, [](LayerVersion& layer) {
    layer.policy = "{}";
    return ok();
  }));
  EXPECT_TRUE(changed.has_value());
  open();
  EXPECT_EQ(layers().find("tools", 1)->policy, "{}");
  EXPECT_EQ(loop.run(layers().change("tools", 9, [](LayerVersion&) { return ok(); })).error().code,
            Code::not_found);
}

TEST_F(LayersTest, StoredFormsOfOthersAreRefused) {
  for (const char* text : {"", "[]", "{}", R"({"name":"a","number":1})",
                           R"({"name":"../a","number":1,"package":"x"})"})
    EXPECT_TRUE(layer_from_json(text).has_error()) << text;
  EXPECT_FALSE(is_layer_name(""));
  EXPECT_FALSE(is_layer_name("a/b"));
  EXPECT_FALSE(is_layer_name(std::string(141, 'a')));
  EXPECT_TRUE(is_layer_name("A-b_9"));
}

TEST_F(LayersTest, LaterLayersHideEarlierOnes) {
  const auto first = upload({{"bin/tool", "#!/bin/sh\necho 1"},
                             {"both.txt", "first"},
                             {"was-folder/deep/file", "x"},
                             {"was-file", "x"},
                             {"link", "", 0777, AE_IFLNK, "both.txt"}});
  const auto second = upload({{"both.txt", "second"},
                              {"was-folder", "a file now"},
                              {"was-file/inner", "a folder now"},
                              {"bin/more", "#!/bin/sh\necho 2"}});
  const auto merged = packages.overlay({first, second});
  ASSERT_TRUE(merged.has_value()) << merged.error().message;
  EXPECT_EQ(*merged, Packages::overlay_id({first, second}));
  const std::string tree = packages.tree(*merged);
  EXPECT_EQ(test::read_file(tree + "/both.txt"), "second");
  EXPECT_EQ(test::read_file(tree + "/link"), "second");
  EXPECT_EQ(test::read_file(tree + "/was-folder"), "a file now");
  EXPECT_EQ(test::read_file(tree + "/was-file/inner"), "a folder now");
  EXPECT_EQ(access((tree + "/bin/tool").c_str(), X_OK), 0);
  EXPECT_EQ(access((tree + "/bin/more").c_str(), X_OK), 0);
  EXPECT_EQ(test::read_file(packages.tree(first) + "/both.txt"), "first") << "itself unchanged";
  // The order matters, and the same list is made once.
  const auto turned = packages.overlay({second, first});
  ASSERT_TRUE(turned.has_value());
  EXPECT_NE(*turned, *merged);
  EXPECT_EQ(test::read_file(packages.tree(*turned) + "/both.txt"), "first");
  const auto time = fs::last_write_time(tree);
  EXPECT_EQ(*packages.overlay({first, second}), *merged);
  EXPECT_EQ(fs::last_write_time(tree), time);
  EXPECT_EQ(*packages.overlay({first}), first) << "one layer needs no merging";
  EXPECT_EQ(*packages.overlay({}), "");
  EXPECT_EQ(packages.overlay({first, std::string(64, 'f')}).error().code, Code::not_found);
  EXPECT_TRUE(fs::is_empty(directory.path() + "/.incoming"));
}

TEST_F(LayersTest, LinksThatLeaveTheMergedTreeAreRefused) {
  // Alone each stays inside; together the link's folder is another link, one level higher.
  const auto first = upload({{"a/b/up", "", 0777, AE_IFLNK, "../../top"}, {"top", "x"}});
  const auto second = upload({{"a/b/up", "", 0777, AE_IFLNK, "../over"}, {"a/over", "y"}});
  EXPECT_TRUE(packages.overlay({first, second}).has_value());
  const auto third = upload({{"d/e/f", "x"}, {"d/l", "", 0777, AE_IFLNK, "e/../../t"}, {"t", "x"}});
  const auto fourth = upload({{"d/e", "", 0777, AE_IFLNK, "../z"}, {"z/file", "x"}});
  const auto merged = packages.overlay({third, fourth});
  ASSERT_TRUE(merged.has_error()) << "d/l is z/../../t now";
  EXPECT_THAT(merged.error().message, HasSubstr("d/l"));
  EXPECT_TRUE(fs::is_empty(directory.path() + "/.incoming"));
}

TEST_F(LayersTest, FunctionsHaveThemAndKeepThem) {
  const auto first = upload({{"bootstrap", "#!/bin/sh\nexit 1"}});
  const auto second = upload({{"bootstrap", "#!/bin/sh\nexit 2"}});
  publish("boot", first);
  const auto candidate = prepare({first, second});
  ASSERT_TRUE(candidate.has_value()) << candidate.error().message;
  EXPECT_EQ(candidate->version->entry, "/opt/bootstrap");
  const auto merged = Packages::overlay_id({first, second});
  EXPECT_EQ(candidate->version->layers_dir, packages.tree(merged));
  ASSERT_TRUE(loop.run(catalogue->commit(*candidate->version)).has_value());
  EXPECT_TRUE(loop.run(layers().remove("boot", 1)).has_value());
  for (const auto& each : {first, second, merged})
    EXPECT_TRUE(catalogue->packages_in_use().contains(each));

  // After a restart that finds the merged tree gone it is made anew.
  fs::remove_all(directory.path() + "/" + merged);
  open();
  const auto again = catalogue->find("hello", "");
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->layers_dir, packages.tree(merged));
  EXPECT_THAT(again->settings.layers, ElementsAre(first, second));
  EXPECT_EQ(test::read_file(again->layers_dir + "/bootstrap"), "#!/bin/sh\nexit 2");

  ASSERT_TRUE(loop.run(catalogue->remove("hello")).has_value());
  EXPECT_TRUE(catalogue->packages_in_use().empty());
}

TEST_F(LayersTest, Refusals) {
  const auto layer = upload({{"bootstrap", "#!/bin/sh\nexit 1"}});
  EXPECT_THAT(prepare(std::vector<std::string>(6, layer)).error().message, HasSubstr("at most 5"));
  EXPECT_THAT(prepare({"../../etc"}).error().message, HasSubstr("SHA-256"));
  EXPECT_EQ(prepare({std::string(64, 'b')}).error().code, Code::not_found);
  const auto broken = upload({{"bootstrap", "no program"}});
  EXPECT_THAT(prepare({broken}).error().message, HasSubstr("is no program"));
  defaults.layers_bytes_max = 10;
  open();
  const auto large = prepare({layer});
  EXPECT_EQ(large.error().code, Code::too_large);
  EXPECT_THAT(large.error().message, HasSubstr("functions.layers_bytes_max"));
}

TEST(LayerRefs, Forms) {
  const auto form = [](std::string_view text) {
    const auto ref = parse_layer_ref(text);
    return ref ? ref->name + "#" + std::to_string(ref->version) : "none";
  };
  EXPECT_EQ(form("tools"), "tools#0");
  EXPECT_EQ(form("tools:3"), "tools#3");
  EXPECT_EQ(form("arn:aws:lambda:r-1:123:layer:tools"), "tools#0");
  EXPECT_EQ(form("arn:aws:lambda:r-1:123:layer:tools:12"), "tools#12");
  for (const char* wrong :
       {"", ":", "a b", "tools:", "tools:0", "tools:x", "a:1:2", "arn:aws:lambda:r",
        "arn:aws:lambda:r:1:function:f", "arn:aws:lambda:r:1:layer:t:1:2"})
    EXPECT_EQ(form(wrong), "none") << wrong;
  EXPECT_EQ(form(std::string(1000, ':')), "none");
}

}  // namespace
}  // namespace mayfly::functions
