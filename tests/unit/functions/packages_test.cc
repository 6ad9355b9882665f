#include "functions/packages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/ids.h"
#include "functions/helpers.h"
#include "functions/tree.h"
#include "functions/unpack.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;
using test::Format;
using test::Item;
using test::pack;
using ::testing::AllOf;
using ::testing::HasSubstr;

class PackagesTest : public testing::Test {
 protected:
  PackagesTest() : packages_(directory_.path(), limits(), pool_) {}
  void SetUp() override { ASSERT_TRUE(packages_.open().has_value()); }

  static PackageLimits limits() {
    PackageLimits limits;
    limits.archive_bytes_max = 1u << 20;
    limits.unpacked_bytes_max = 1u << 20;
    limits.files_max = 100;
    return limits;
  }
  Result<PackageInfo> add(const std::string& bytes) {
    return loop_.run(packages_.add(bytes, nullptr));
  }
  // Why an archive is refused; nothing of it may be left.
  std::string refusal(const std::string& bytes, Code code = Code::invalid_argument) {
    const auto added = add(bytes);
    EXPECT_TRUE(added.has_error());
    if (added.has_value()) return "it was taken";
    EXPECT_EQ(added.error().code, code) << added.error().message;
    EXPECT_FALSE(packages_.contains(sha256_hex(bytes)));
    EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
    EXPECT_FALSE(fs::exists(directory_.path() + "/outside"));
    return added.error().message;
  }
  mode_t mode(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }

  mayfly::test::TempDir directory_;
  io::BlockingPool pool_{2};
  Packages packages_;
  test::Loop loop_;
};

TEST_F(PackagesTest, KeepsEveryFormatWithTheModesOfPackages) {
  for (const auto format : {Format::zip, Format::tar, Format::tar_gz}) {
    const std::string bytes = pack({{"./", "", 0700, AE_IFDIR},
                                    {"a/", "", 0700, AE_IFDIR},
                                    {"a/plain.py", "print(1)", 0600},
                                    {"./a/deep/run", "binary", 04755},
                                    {"script.sh", "#!/bin/sh\necho", 0644},
                                    {"empty", ""},
                                    {"n\xc3\xa4me \xe2\x82\xac.txt", "unicode"}},
                                   format);
    const auto added = add(bytes);
    ASSERT_TRUE(added.has_value()) << added.error().message;
    EXPECT_EQ(added->sha256, sha256_hex(bytes));
    EXPECT_EQ(added->archive_bytes, bytes.size());
    EXPECT_FALSE(added->existed);
    const std::string tree = packages_.tree(added->sha256);
    EXPECT_EQ(test::read_file(tree + "/a/plain.py"), "print(1)");
    EXPECT_EQ(test::read_file(tree + "/n\xc3\xa4me \xe2\x82\xac.txt"), "unicode");
    EXPECT_EQ(test::read_file(packages_.archive(added->sha256)), bytes);
    EXPECT_EQ(mode(tree), 0755u);
    EXPECT_EQ(mode(tree + "/a"), 0755u);
    EXPECT_EQ(mode(tree + "/a/deep"), 0755u);
    EXPECT_EQ(mode(tree + "/a/plain.py"), 0644u);
    EXPECT_EQ(mode(tree + "/a/deep/run"), 0755u);
    EXPECT_EQ(mode(tree + "/script.sh"), 0755u) << "begins with #!";
    EXPECT_TRUE(packages_.contains(added->sha256));
  }
}

TEST_F(PackagesTest, SameBytesAreKeptOnceAndPiecesMakeAWhole) {
  const std::string bytes = pack({{"a.py", std::string(5000, 'x')}}, Format::tar);
  std::vector<std::string> pieces;
  for (std::size_t at = 10; at < bytes.size(); at += 700) pieces.push_back(bytes.substr(at, 700));
  const auto first =
      loop_.run(packages_.add(bytes.substr(0, 10), std::make_unique<test::Pieces>(pieces)));
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->sha256, sha256_hex(bytes));
  const auto second = add(bytes);
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE(second->existed);
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(PackagesTest, ConcurrentUploadsOfTheSameBytesAgree) {
  const std::string bytes = pack({{"a.py", std::string(100'000, 'x')}}, Format::tar);
  int done = 0;
  std::string sha;
  for (int i = 0; i < 8; ++i)
    boost::asio::co_spawn(loop_.context(), packages_.add(bytes, nullptr),
                          [&](std::exception_ptr problem, Result<PackageInfo> info) {
                            EXPECT_EQ(problem, nullptr);
                            ASSERT_TRUE(info.has_value()) << info.error().message;
                            sha = info->sha256;
                            ++done;
                          });
  loop_.context().run();
  EXPECT_EQ(done, 8);
  EXPECT_EQ(test::read_file(packages_.tree(sha) + "/a.py").size(), 100'000u);
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(PackagesTest, CutOffUploadLeavesNothing) {
  const auto cut = loop_.run(packages_.add(
      "PK", std::make_unique<test::Pieces>(std::vector<std::string>{"\x03\x04"},
                                           Error{Code::cancelled, "The client went away."})));
  ASSERT_TRUE(cut.has_error());
  EXPECT_EQ(cut.error().code, Code::cancelled);
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(PackagesTest, PathsThatLeaveAreRefusedByName) {
  for (const auto format : {Format::zip, Format::tar, Format::tar_gz}) {
    EXPECT_THAT(refusal(pack({{"ok", "1"}, {"../outside", "x"}}, format)),
                AllOf(HasSubstr("'../outside'"), HasSubstr("..")));
    EXPECT_THAT(refusal(pack({{"a/../../outside", "x"}}, format)), HasSubstr(".."));
    EXPECT_THAT(refusal(pack({{"/tmp/outside", "x"}}, format)),
                AllOf(HasSubstr("/tmp/outside"), HasSubstr("absolute")));
    EXPECT_THAT(refusal(pack({{"a/..", "", 0755, AE_IFDIR}}, format)), HasSubstr(".."));
  }
}

TEST_F(PackagesTest, LinksMayPointInsideOnly) {
  for (const auto format : {Format::zip, Format::tar}) {
    EXPECT_THAT(refusal(pack({{"evil", "", 0777, AE_IFLNK, "/etc/passwd"}}, format)),
                AllOf(HasSubstr("'evil'"), HasSubstr("absolute path (/etc/passwd)")));
    EXPECT_THAT(refusal(pack({{"d/evil", "", 0777, AE_IFLNK, "../../x"}}, format)),
                HasSubstr("refused: the entry 'd/evil' is a link that leaves the package"));
    EXPECT_THAT(refusal(pack({{"evil", "", 0777, AE_IFLNK, ".."}}, format)),
                HasSubstr("leaves the package"));
    EXPECT_THAT(refusal(pack({{"loop", "", 0777, AE_IFLNK, "loop"}}, format)),
                HasSubstr("leads back to itself"));
    // Each step looks harmless; together they leave.
    EXPECT_THAT(refusal(pack(
                    {{"d/up", "", 0777, AE_IFLNK, ".."}, {"d/evil", "", 0777, AE_IFLNK, "up/../x"}},
                    format)),
                HasSubstr("'d/evil'"));
    const auto good = add(pack({{"lib/real.py", "x"},
                                {"lib/same.py", "", 0777, AE_IFLNK, "real.py"},
                                {"top.py", "", 0777, AE_IFLNK, "./lib/../lib/real.py"},
                                {"nowhere", "", 0777, AE_IFLNK, "not/there"}},
                               format));
    ASSERT_TRUE(good.has_value()) << good.error().message;
    EXPECT_EQ(test::read_file(packages_.tree(good->sha256) + "/top.py"), "x");
  }
}

TEST_F(PackagesTest, NothingIsWrittenThroughALink) {
  EXPECT_THAT(
      refusal(pack({{"in", "", 0755, AE_IFDIR}, {"d", "", 0777, AE_IFLNK, "in"}, {"d/file", "x"}},
                   Format::tar)),
      AllOf(HasSubstr("'d/file'"), HasSubstr("goes through 'd'")));
  EXPECT_THAT(refusal(pack({{"f", "x"}, {"f/file", "x"}}, Format::tar)), HasSubstr("goes through"));
  EXPECT_THAT(refusal(pack({{"f", "", 0777, AE_IFLNK, "g"}, {"f", "x"}}, Format::tar)),
              HasSubstr("twice"));
}

TEST_F(PackagesTest, HardLinksNameFilesOfThePackage) {
  Item hard{"again", ""};
  hard.hardlink = "/etc/passwd";
  EXPECT_THAT(refusal(pack({hard}, Format::tar)), HasSubstr("absolute"));
  hard.hardlink = "../../secret";
  EXPECT_THAT(refusal(pack({hard}, Format::tar)), HasSubstr(".."));
  hard.hardlink = "missing";
  EXPECT_THAT(refusal(pack({hard}, Format::tar)), HasSubstr("no file of the package"));
  hard.hardlink = "link";
  EXPECT_THAT(
      refusal(pack({{"real", "x"}, {"link", "", 0777, AE_IFLNK, "real"}, hard}, Format::tar)),
      HasSubstr("no file of the package"));
  hard.hardlink = "real";
  const auto good = add(pack({{"real", "x"}, hard}, Format::tar));
  ASSERT_TRUE(good.has_value()) << good.error().message;
  EXPECT_EQ(test::read_file(packages_.tree(good->sha256) + "/again"), "x");
}

TEST_F(PackagesTest, DevicesAndPipesAreRefused) {
  EXPECT_THAT(refusal(pack({{"dev", "", 0644, AE_IFCHR}}, Format::tar)),
              AllOf(HasSubstr("'dev'"), HasSubstr("is a device")));
  EXPECT_THAT(refusal(pack({{"dev", "", 0644, AE_IFBLK}}, Format::tar)), HasSubstr("is a device"));
  EXPECT_THAT(refusal(pack({{"pipe", "", 0644, AE_IFIFO}}, Format::tar)),
              HasSubstr("is a named pipe"));
}

TEST_F(PackagesTest, BombsStopEarly) {
  for (const auto format : {Format::zip, Format::tar_gz}) {
    const std::string bomb = pack({{"ok", "1"}, {"bomb", std::string(16u << 20, '\0')}}, format);
    ASSERT_LT(bomb.size(), 64u << 10);
    EXPECT_THAT(refusal(bomb, Code::too_large),
                AllOf(HasSubstr("'bomb'"), HasSubstr("packages.unpacked_bytes_max")));
  }
  // Many small ones together.
  std::vector<Item> items;
  for (int i = 0; i < 20; ++i)
    items.push_back({"f" + std::to_string(i), std::string(100'000, '\0')});
  EXPECT_THAT(refusal(pack(items), Code::too_large), HasSubstr("'f10'"));
}

// A zip whose header says 4 bytes and whose data is long: the count is of what comes out.
TEST_F(PackagesTest, LyingSizesDoNotHelp) {
  std::string bytes = pack({{"bomb", std::string(8u << 20, '\0')}});
  const std::string real = [] {
    const std::uint32_t size = 8u << 20;
    return std::string(reinterpret_cast<const char*>(&size), 4);
  }();
  for (std::size_t at = bytes.find(real); at != std::string::npos; at = bytes.find(real, at + 1))
    bytes.replace(at, 4, std::string("\x04\0\0\0", 4));
  const auto added = add(bytes);
  ASSERT_TRUE(added.has_error());
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(PackagesTest, TooManyFilesAndTooLongNamesAreRefused) {
  std::vector<Item> items;
  for (int i = 0; i < 101; ++i) items.push_back({"f" + std::to_string(i), ""});
  EXPECT_THAT(refusal(pack(items), Code::too_large),
              AllOf(HasSubstr("'f100'"), HasSubstr("packages.files_max")));
  EXPECT_THAT(refusal(pack({{std::string(256, 'n'), ""}}, Format::tar)), HasSubstr("255 bytes"));
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += "d/";
  EXPECT_THAT(refusal(pack({{deep + "f", ""}}, Format::tar)), HasSubstr("directories deep"));
  EXPECT_THAT(refusal(pack({{"same", "1"}, {"same", "2"}}, Format::tar)), HasSubstr("twice"));
}

TEST_F(PackagesTest, WhatIsNoArchiveIsRefused) {
  EXPECT_THAT(refusal("print('hello')\n"), HasSubstr("not a .zip, .tar or .tar.gz"));
  EXPECT_THAT(refusal(""), HasSubstr("not a .zip, .tar or .tar.gz"));
  EXPECT_THAT(refusal(std::string(100'000, '\0')), HasSubstr("archive"));
  EXPECT_THAT(refusal("PK\x03\x04garbage"), HasSubstr("archive"));
  EXPECT_THAT(refusal("\x1f\x8b garbage"), HasSubstr("archive"));
  EXPECT_THAT(refusal(pack({})), HasSubstr("empty"));
  EXPECT_THAT(refusal(pack({{"./", "", 0755, AE_IFDIR}}, Format::tar)), HasSubstr("empty"));
}

TEST_F(PackagesTest, EveryCutOfAnArchiveIsRefusedOrWhole) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += std::to_string(i * 7919);
  for (const auto format : {Format::zip, Format::tar, Format::tar_gz}) {
    const std::string bytes = pack({{"a.txt", text}, {"b.txt", text}}, format);
    for (std::size_t size = 0; size < bytes.size(); size += bytes.size() / 23 + 1) {
      const auto added = add(bytes.substr(0, size));
      if (added.has_error()) continue;
      EXPECT_EQ(test::read_file(packages_.tree(added->sha256) + "/a.txt"), text)
          << "cut at " << size << " of " << bytes.size();
    }
  }
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(PackagesTest, ArchiveOverTheLimitNamesTheSetting) {
  const auto large = loop_.run(packages_.add(
      "", std::make_unique<test::Pieces>(std::vector<std::string>(20, std::string(100'000, 'x')))));
  ASSERT_TRUE(large.has_error());
  EXPECT_EQ(large.error().code, Code::too_large);
  EXPECT_THAT(large.error().message, HasSubstr("packages.archive_bytes_max"));
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(PackagesTest, LeftoversAreGoneAfterOpen) {
  test::write_file(directory_.path() + "/.incoming/abc/tree/half", "x");
  ASSERT_TRUE(packages_.open().has_value());
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(PackagesTest, NamesAreHashesOnly) {
  for (const char* name : {"", ".", "..", "../x", ".incoming", "ABC"})
    EXPECT_FALSE(packages_.contains(name)) << name;
  EXPECT_FALSE(packages_.contains(std::string(64, 'A')));
}

TEST_F(PackagesTest, CollectKeepsWhatIsUsedAndWhatIsYoung) {
  std::vector<std::string> shas;
  for (int i = 0; i < 3; ++i) {
    const auto added = add(pack({{"f", std::to_string(i)}}));
    ASSERT_TRUE(added.has_value());
    shas.push_back(added->sha256);
  }
  const timespec old[2] = {{1'000'000, 0}, {1'000'000, 0}};
  for (int i = 0; i < 2; ++i)
    ASSERT_EQ(
        utimensat(AT_FDCWD, (directory_.path() + "/" + shas[static_cast<std::size_t>(i)]).c_str(),
                  old, 0),
        0);
  EXPECT_EQ(packages_.collect({shas[0]}), 1u);
  EXPECT_TRUE(fs::exists(packages_.tree(shas[0])));
  EXPECT_FALSE(fs::exists(packages_.tree(shas[1])));
  EXPECT_TRUE(fs::exists(packages_.tree(shas[2])));
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST_F(PackagesTest, BuiltTreesAreCheckedAndKept) {
  const auto added = add(pack({{"a.js", "1"}, {"bin/run", "#!/bin/sh"}}));
  ASSERT_TRUE(added.has_value());
  EXPECT_EQ(packages_.built(added->sha256), "");
  auto staging = packages_.staging(added->sha256);
  ASSERT_TRUE(staging.has_value()) << staging.error().message;
  EXPECT_EQ(mode(*staging), 0777u);
  EXPECT_EQ(mode(*staging + "/a.js"), 0666u);
  EXPECT_EQ(mode(*staging + "/bin/run"), 0777u);
  ASSERT_EQ(symlink("/etc", (*staging + "/evil").c_str()), 0);
  const auto evil = packages_.keep_built(added->sha256, *staging);
  ASSERT_TRUE(evil.has_error());
  EXPECT_THAT(evil.error().message, HasSubstr("'evil'"));
  EXPECT_EQ(packages_.built(added->sha256), "");
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));

  staging = packages_.staging(added->sha256);
  test::write_file(*staging + "/node_modules/x/index.js", "x", 06777);
  ASSERT_TRUE(packages_.keep_built(added->sha256, *staging).has_value());
  const std::string built = packages_.built(added->sha256);
  EXPECT_EQ(built, directory_.path() + "/" + added->sha256 + "/built");
  EXPECT_EQ(mode(built + "/node_modules/x/index.js"), 0755u);
  EXPECT_EQ(mode(built + "/a.js"), 0644u);
  EXPECT_EQ(mode(built), 0755u);
  EXPECT_FALSE(fs::exists(packages_.tree(added->sha256) + "/node_modules"));
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/.incoming"));
}

TEST(PackagesOnFullDisk, SayIsFullAndLeaveNothing) {
  mayfly::test::TempDir directory;
  if (mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=2m") != 0)
    GTEST_SKIP() << "needs the privilege to mount a small file system";
  {
    io::BlockingPool pool(1);
    Packages packages(directory.path() + "/packages", {}, pool);
    ASSERT_TRUE(packages.open().has_value());
    test::Loop loop;
    const auto added =
        loop.run(packages.add(pack({{"zeros", std::string(16u << 20, '\0')}}), nullptr));
    ASSERT_TRUE(added.has_error());
    EXPECT_EQ(added.error().code, Code::io_error);
    EXPECT_THAT(added.error().message, HasSubstr("is full"));
    EXPECT_TRUE(fs::is_empty(directory.path() + "/packages/.incoming"));
    EXPECT_TRUE(loop.run(packages.add(pack({{"small", "x"}}), nullptr)).has_value());
  }
  umount2(directory.path().c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace mayfly::functions
