#include "functions/image_trees.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "functions/image_helpers.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;
using test::compressed;
using test::Item;
using test::Layer;
using test::pack;
using test::TestImage;
using ::testing::HasSubstr;

class ImageTreesTest : public testing::Test {
 protected:
  ImageTreesTest() : trees_(directory_.path(), limits(), pool_) {}
  void SetUp() override { ASSERT_TRUE(trees_.open().has_value()); }

  static ImageLimits limits() {
    ImageLimits limits;
    limits.archive_bytes_max = 4u << 20;
    limits.unpacked_bytes_max = 2u << 20;
    limits.files_max = 200;
    limits.layers_max = 8;
    return limits;
  }
  Result<ImportedImage> add(const std::string& bytes) {
    return loop_.run(trees_.add(bytes, nullptr));
  }
  // The tree of an image that is taken.
  std::string tree_of(const TestImage& image) {
    const auto added = add(image.docker());
    EXPECT_TRUE(added.has_value()) << added.error().message;
    return added.has_value() ? trees_.tree(added->tree) : "";
  }
  std::string tree_of(const std::vector<Layer>& layers) { return tree_of(TestImage::of(layers)); }
  // Why one is refused; nothing of it may be left, here or outside.
  std::string refusal(const std::string& bytes, Code code = Code::invalid_argument) {
    const auto before = std::distance(fs::directory_iterator(directory_.path()), {});
    const auto added = add(bytes);
    EXPECT_TRUE(added.has_error());
    if (added.has_value()) return "it was taken";
    EXPECT_EQ(added.error().code, code) << added.error().message;
    EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
    EXPECT_EQ(std::distance(fs::directory_iterator(directory_.path()), {}), before);
    return added.error().message;
  }
  std::string refusal(const std::vector<Layer>& layers, Code code = Code::invalid_argument) {
    return refusal(TestImage::of(layers).docker(), code);
  }
  static mode_t mode(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }

  mayfly::test::TempDir directory_;
  io::BlockingPool pool_{2};
  ImageTrees trees_;
  test::Loop loop_;
};

const Item kApp{"app", "#!", 0755};

TEST_F(ImageTreesTest, LayersAreLaidOverEachOther) {
  const std::string tree = tree_of({{kApp, {"etc/a", "1"}, {"etc/b", "1"}, {"keep/me", "1"}},
                                    {{"etc/a", "2"}, {"new/deep/file", "2"}}});
  EXPECT_EQ(test::read_file(tree + "/etc/a"), "2");
  EXPECT_EQ(test::read_file(tree + "/etc/b"), "1");
  EXPECT_EQ(test::read_file(tree + "/new/deep/file"), "2");
  EXPECT_TRUE(fs::exists(tree + "/keep/me"));
}

TEST_F(ImageTreesTest, WhiteoutsRemove) {
  const std::string tree =
      tree_of({{kApp, {"etc/a", "1"}, {"etc/b", "1"}, {"folder/x/y", "1"}, {"folder/z", "1"}},
               {{"etc/.wh.a", ""}, {".wh.folder", ""}, {"etc/.wh.never", ""}, {"x/.wh.y", ""}}});
  EXPECT_FALSE(fs::exists(tree + "/etc/a"));
  EXPECT_TRUE(fs::exists(tree + "/etc/b"));
  EXPECT_FALSE(fs::exists(tree + "/folder"));
  EXPECT_FALSE(fs::exists(tree + "/etc/.wh.a"));
}

TEST_F(ImageTreesTest, AWhiteoutSparesWhatItsLayerBrings) {
  const std::string tree = tree_of({{kApp, {"etc/a", "1"}}, {{"etc/a", "2"}, {"etc/.wh.a", ""}}});
  EXPECT_EQ(test::read_file(tree + "/etc/a"), "2");
}

TEST_F(ImageTreesTest, AnOpaqueFolderHasOnlyWhatItsLayerBrings) {
  const Layer lower{kApp, {"f/old", "1"}, {"f/sub/old", "1"}, {"f/gone/x", "1"}, {"g/x", "1"}};
  for (const Layer& upper : {Layer{{"f/.wh..wh..opq", ""}, {"f/new", "2"}, {"f/sub/new", "2"}},
                             Layer{{"f/new", "2"}, {"f/sub/new", "2"}, {"f/.wh..wh..opq", ""}}}) {
    const std::string tree = tree_of({lower, upper});
    EXPECT_FALSE(fs::exists(tree + "/f/old"));
    EXPECT_FALSE(fs::exists(tree + "/f/sub/old"));
    EXPECT_FALSE(fs::exists(tree + "/f/gone"));
    EXPECT_TRUE(fs::exists(tree + "/f/new"));
    EXPECT_TRUE(fs::exists(tree + "/f/sub/new"));
    EXPECT_TRUE(fs::exists(tree + "/g/x"));
  }
}

TEST_F(ImageTreesTest, KindsReplaceEachOther) {
  const std::string tree =
      tree_of({{kApp, {"a/x", "1"}, {"b", "1"}, {"c", "", 0777, AE_IFLNK, "a"}},
               {{"a", "file"}, {"b", "", 0755, AE_IFDIR}, {"b/x", "2"}, {"c", "now a file"}},
               {}});
  EXPECT_EQ(test::read_file(tree + "/a"), "file");
  EXPECT_EQ(test::read_file(tree + "/b/x"), "2");
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(tree + "/c")));
}

TEST_F(ImageTreesTest, AFileWhereAFolderIsNeededIsAnError) {
  EXPECT_THAT(refusal({{kApp, {"b", "1"}}, {{"b/x", "2"}}}), HasSubstr("which is no directory"));
}

TEST_F(ImageTreesTest, PathsGoThroughLinksOfTheTreeAndNotOutOfIt) {
  const std::string outside = directory_.path() + "/outside";
  const std::string tree = tree_of({{kApp,
                                     {"usr/bin/sh", "1"},
                                     {"bin", "", 0777, AE_IFLNK, "usr/bin"},
                                     {"abs", "", 0777, AE_IFLNK, "/usr"},
                                     {"up", "", 0777, AE_IFLNK, "../../../../../usr"},
                                     {"host", "", 0777, AE_IFLNK, outside}},
                                    {{"bin/env", "2"}, {"abs/x", "2"}, {"up/y", "2"}}});
  for (const char* name : {"/usr/bin/env", "/usr/x", "/usr/y"})
    EXPECT_TRUE(fs::exists(tree + name)) << name;
  EXPECT_TRUE(fs::is_symlink(tree + "/bin"));
  fs::create_directories(outside);
  EXPECT_THAT(refusal({{kApp, {"host2", "", 0777, AE_IFLNK, outside}}, {{"host2/file", "2"}}}),
              HasSubstr("no directory"));
  EXPECT_TRUE(fs::is_empty(outside));
  fs::remove(outside);
}

TEST_F(ImageTreesTest, AWhiteoutThroughALinkStaysInside) {
  const std::string outside = directory_.path() + "/victim";
  fs::create_directories(outside);
  test::write_file(outside + "/file", "x");
  (void)tree_of({{kApp, {"l", "", 0777, AE_IFLNK, outside}}, {{"l/.wh.file", ""}}});
  (void)tree_of({{kApp, {"l", "", 0777, AE_IFLNK, outside}, {"m", "1"}}, {{"l/.wh..wh..opq", ""}}});
  (void)tree_of({{kApp, {"l", "", 0777, AE_IFLNK, outside}, {"n", "1"}}, {{".wh.l", ""}}});
  EXPECT_TRUE(fs::exists(outside + "/file"));
}

TEST_F(ImageTreesTest, AFileReplacesALinkInsteadOfGoingThroughIt) {
  const std::string victim = directory_.path() + "/victim";
  test::write_file(victim, "mine");
  const std::string tree = tree_of({{kApp, {"l", "", 0777, AE_IFLNK, victim}}, {{"l", "theirs"}}});
  EXPECT_EQ(test::read_file(victim), "mine");
  EXPECT_EQ(test::read_file(tree + "/l"), "theirs");
  EXPECT_THAT(refusal({{kApp, {"x", "", 0644, AE_IFREG, "", "../../victim"}}}), HasSubstr(".."));
}

TEST_F(ImageTreesTest, HardLinksOfFilesOfTheTree) {
  const std::string tree =
      tree_of({{kApp, {"a", "1"}},
               {{"b", "", 0644, AE_IFREG, "", "a"}, {"d/c", "", 0644, AE_IFREG, "", "/a"}}});
  EXPECT_EQ(test::read_file(tree + "/b"), "1");
  EXPECT_EQ(fs::hard_link_count(tree + "/d/c"), 3u);
  const std::string victim = directory_.path() + "/victim";
  test::write_file(victim, "mine");
  EXPECT_THAT(refusal({{kApp, {"l", "", 0777, AE_IFLNK, directory_.path()}},
                       {{"b", "", 0644, AE_IFREG, "", "l/victim"}}}),
              HasSubstr("no file of the image"));
}

TEST_F(ImageTreesTest, SetuidIsDroppedAndModesAreSettled) {
  const std::string tree =
      tree_of({{{"app", "#!", 04755}, {"secret", "x", 0600}, {"group", "x", 02711}}});
  EXPECT_EQ(mode(tree + "/app"), 0755u);
  EXPECT_EQ(mode(tree + "/secret"), 0644u);
  EXPECT_EQ(mode(tree + "/group"), 0755u);
}

TEST_F(ImageTreesTest, WhatIsNotTaken) {
  EXPECT_THAT(refusal({{kApp, {"../outside", "x"}}}), HasSubstr("'../outside' has .."));
  EXPECT_THAT(refusal({{kApp, {"a/../../outside", "x"}}}), HasSubstr(".."));
  EXPECT_THAT(refusal({{kApp, {"disk", "", 0644, AE_IFBLK}}}), HasSubstr("'disk' is a device"));
  EXPECT_THAT(refusal({{kApp, {"etc/dev/null", "", 0644, AE_IFCHR}}}), HasSubstr("is a device"));
  EXPECT_THAT(refusal({{kApp, {"pipe", "", 0644, AE_IFIFO}}}), HasSubstr("neither file"));
  EXPECT_THAT(refusal({{kApp, {"etc/.wh...", ""}}}), HasSubstr("whiteout of nothing"));
  EXPECT_THAT(refusal({{kApp, {std::string(300, 'x'), ""}}}), HasSubstr("more than 255 bytes"));
  EXPECT_THAT(refusal(std::vector<Layer>{{{"folder", "", 0755, AE_IFDIR}}}), HasSubstr("no file"));
}

TEST_F(ImageTreesTest, DevicesInDevAreLeftOut) {
  const std::string tree = tree_of({{kApp, {"dev/null", "", 0666, AE_IFCHR}}});
  EXPECT_TRUE(fs::is_empty(tree + "/dev"));
}

TEST_F(ImageTreesTest, MountPointsAreMadeWhateverIsThere) {
  const std::string tree = tree_of({{kApp,
                                     {"proc", "", 0777, AE_IFLNK, "/"},
                                     {"tmp", "", 0777, AE_IFLNK, "../../"},
                                     {"dev", "a file"},
                                     {"etc/resolv.conf", "", 0777, AE_IFLNK, "../run/resolv"},
                                     {"etc/hosts/x", "a folder"}}});
  for (const char* name : {"/proc", "/tmp", "/dev", "/etc", "/var/runtime-lib"})
    EXPECT_TRUE(fs::is_directory(fs::symlink_status(tree + name))) << name;
  for (const char* name : {"/etc/resolv.conf", "/etc/hosts"})
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(tree + name))) << name;
  const std::string linked = tree_of({{kApp, {"etc", "", 0777, AE_IFLNK, directory_.path()}}});
  EXPECT_TRUE(fs::is_directory(fs::symlink_status(linked + "/etc")));
  EXPECT_FALSE(fs::exists(directory_.path() + "/resolv.conf"));
}

TEST_F(ImageTreesTest, Limits) {
  std::string big(3u << 20, 'x');
  EXPECT_THAT(refusal(std::vector<Layer>{{kApp, {"big", big}}}, Code::too_large),
              HasSubstr("images.unpacked_bytes_max"));
  Layer many{kApp};
  for (int i = 0; i < 250; ++i) many.push_back({"f" + std::to_string(i), ""});
  EXPECT_THAT(refusal(std::vector<Layer>{many}, Code::too_large), HasSubstr("images.files_max"));
  std::vector<Layer> layers(9, Layer{kApp});
  EXPECT_THAT(refusal(layers, Code::too_large), HasSubstr("images.layers_max allows 8"));
  EXPECT_THAT(refusal(std::string(5u << 20, 'x'), Code::too_large),
              HasSubstr("images.archive_bytes_max"));
}

TEST_F(ImageTreesTest, ABombStopsEarly) {
  auto image = TestImage::of({{kApp, {"zeros", std::string(64u << 20, '\0')}}});
  const auto files = image.oci_files(
      [](const std::string& layer) { return compressed(layer, archive_write_add_filter_gzip); });
  const std::string archive = pack(files, test::Format::tar);
  ASSERT_LT(archive.size(), 1u << 20);
  EXPECT_THAT(refusal(archive, Code::too_large), HasSubstr("images.unpacked_bytes_max"));
}

TEST_F(ImageTreesTest, AnOciLayoutWithCompressedLayersIsTheSameTree) {
  const auto image = TestImage::of({{kApp, {"a", "1"}}, {{"a", "2"}}});
  const auto first = add(image.docker());
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->names, std::vector<std::string>{"team/app:1"});
  EXPECT_EQ(first->digest, "sha256:" + sha256_hex(image.config()));
  for (auto* filter : {archive_write_add_filter_gzip, archive_write_add_filter_zstd}) {
    const auto files =
        image.oci_files([&](const std::string& layer) { return compressed(layer, filter); });
    const auto added = add(pack(files, test::Format::tar_gz));
    ASSERT_TRUE(added.has_value()) << added.error().message;
    EXPECT_EQ(added->tree, first->tree);
    EXPECT_TRUE(added->existed);
    EXPECT_EQ(added->names, std::vector<std::string>{"docker.io/library/team/app:1"});
    EXPECT_NE(added->digest, first->digest);
    EXPECT_EQ(added->config.program.entrypoint, std::vector<std::string>{"/app"});
  }
}

TEST_F(ImageTreesTest, EveryDigestIsChecked) {
  const auto image = TestImage::of({{kApp, {"a", "1"}}});
  const auto files = image.oci_files();
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!files[i].name.starts_with("blobs/")) continue;
    auto changed = files;
    auto& text = changed[i].text;
    text[text.size() / 3] = static_cast<char>(text[text.size() / 3] ^ 1);
    EXPECT_THAT(refusal(pack(changed, test::Format::tar)), HasSubstr("not what they were"))
        << files[i].name;
  }
  auto docker = image.docker_files();
  docker[0].text[600] = 'x';  // in the layer, whose own name says nothing
  EXPECT_THAT(refusal(pack(docker, test::Format::tar)), HasSubstr("a layer has the SHA-256"));
  docker = image.docker_files();
  docker[1].text += " ";
  EXPECT_THAT(refusal(pack(docker, test::Format::tar)), HasSubstr("not what they were"));
}

TEST_F(ImageTreesTest, DigestsAreCheckedWhenTheTreeIsThereAsWell) {
  const auto image = TestImage::of({{kApp, {"a", "1"}}});
  ASSERT_TRUE(add(image.docker()).has_value());
  auto docker = image.docker_files();
  docker[0].text[600] = 'x';
  const auto again = add(pack(docker, test::Format::tar));
  ASSERT_TRUE(again.has_error());
  EXPECT_THAT(again.error().message, HasSubstr("a layer has the SHA-256"));
}

TEST_F(ImageTreesTest, ForeignOrUnclearImages) {
  auto image = TestImage::of({{kApp}});
  image.architecture = "s390x";
  EXPECT_THAT(refusal(image.docker(), Code::unsupported), HasSubstr("linux/s390x"));
  EXPECT_THAT(refusal(pack(image.oci_files(), test::Format::tar), Code::unsupported),
              HasSubstr("it is for linux/s390x"));
  EXPECT_THAT(refusal(pack({{"file", "x"}}, test::Format::tar)),
              HasSubstr("neither an index.json"));
  EXPECT_THAT(refusal("no archive at all"), HasSubstr("not a .zip, .tar or .tar.gz"));
  auto files = TestImage::of({{kApp}}).docker_files();
  files.erase(files.begin());
  EXPECT_THAT(refusal(pack(files, test::Format::tar)), HasSubstr("no file 0/layer.tar"));
}

TEST_F(ImageTreesTest, LinksAmongThePartsDoNotLeaveTheArchive) {
  auto files = TestImage::of({{kApp}}).docker_files();
  files[0] = {"0/layer.tar", "", 0777, AE_IFLNK, "../../../../../../etc/passwd"};
  EXPECT_THAT(refusal(pack(files, test::Format::tar)), HasSubstr("leaves the package"));
}

TEST_F(ImageTreesTest, WhatNothingUsesIsCollectedAfterAnHour) {
  const auto added = add(TestImage::of({{kApp}}).docker());
  ASSERT_TRUE(added.has_value());
  EXPECT_EQ(trees_.collect({}), 0u);
  const std::string place = directory_.path() + "/" + added->tree;
  const timespec old[2] = {{1, 0}, {1, 0}};
  utimensat(AT_FDCWD, place.c_str(), old, 0);
  EXPECT_EQ(trees_.collect({added->tree}), 0u);
  EXPECT_EQ(trees_.collect({}), 1u);
  EXPECT_FALSE(trees_.contains(added->tree));
}

TEST_F(ImageTreesTest, WhatAKilledServerLeftIsRemoved) {
  test::write_file(directory_.path() + "/.incoming/half/tree/file", "x");
  ASSERT_TRUE(trees_.open().has_value());
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(ImageTreesTest, OpenInImageStaysInside) {
  const std::string outside = directory_.path() + "/outside";
  const std::string tree = tree_of({{kApp,
                                     {"etc/x", "1"},
                                     {"l", "", 0777, AE_IFLNK, "/etc/x"},
                                     {"host", "", 0777, AE_IFLNK, outside}}});
  test::write_file(outside, "x");
  EXPECT_TRUE(open_in_image(tree, "/etc/x", O_RDONLY).valid());
  EXPECT_TRUE(open_in_image(tree, "/l", O_RDONLY).valid());
  EXPECT_FALSE(open_in_image(tree, "/host", O_RDONLY).valid());
  EXPECT_FALSE(open_in_image(tree, "/../../outside", O_RDONLY).valid());
  fs::remove(outside);
}

}  // namespace
}  // namespace mayfly::functions
