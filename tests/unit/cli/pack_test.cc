#include "cli/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "mayfly-pack-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& text, mode_t mode = 0644) {
    const fs::path path = root_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
  }

  // "name mode" of each entry, as libarchive reads the archive back.
  std::vector<std::string> entries(const PackedFile& packed) {
    std::vector<std::string> found;
    ::lseek(packed.file.get(), 0, SEEK_SET);
    archive* in = archive_read_new();
    archive_read_support_format_tar(in);
    archive_read_support_filter_gzip(in);
    EXPECT_EQ(archive_read_open_fd(in, packed.file.get(), 65536), ARCHIVE_OK);
    archive_entry* entry = nullptr;
    while (archive_read_next_header(in, &entry) == ARCHIVE_OK) {
      char mode[16];
      std::snprintf(mode, sizeof mode, " %o", archive_entry_perm(entry));
      std::string line = archive_entry_pathname(entry) + std::string(mode);
      if (const char* link = archive_entry_symlink(entry)) line += std::string(" -> ") + link;
      EXPECT_EQ(archive_entry_mtime(entry), 0);
      EXPECT_EQ(archive_entry_uid(entry), 0);
      found.push_back(line);
    }
    archive_read_free(in);
    return found;
  }

  fs::path root_;
};

TEST_F(PackTest, SameContentSameBytes) {
  write("one/b.py", "b = 1\n");
  write("one/a/c.py", "c = 2\n");
  write("two/a/c.py", "c = 2\n");
  write("two/b.py", "b = 1\n", 0600);
  fs::last_write_time(root_ / "two/b.py", fs::file_time_type::clock::now() - std::chrono::hours(9));
  const auto one = pack((root_ / "one").string());
  const auto two = pack((root_ / "two").string());
  ASSERT_TRUE(one.has_value() && two.has_value());
  EXPECT_EQ(one->sha256, two->sha256);
  EXPECT_GT(one->bytes, 0u);
  write("two/b.py", "b = 3\n");
  EXPECT_NE(pack((root_ / "two").string())->sha256, one->sha256);
}

TEST_F(PackTest, FolderKeepsLinksAndExecutableBits) {
  write("f/run", "#!/bin/sh\n", 0700);
  write("f/z.txt", "z", 0600);
  fs::create_symlink("z.txt", root_ / "f/link");
  fs::create_directory(root_ / "f/empty");
  const auto packed = pack((root_ / "f").string());
  ASSERT_TRUE(packed.has_value()) << packed.error().message;
  auto found = entries(*packed);
  for (auto& line : found)
    if (line.starts_with("empty/")) line.erase(5, 1);
  EXPECT_THAT(found, ElementsAre("empty 755", "link 777 -> z.txt", "run 755", "z.txt 644"));
}

TEST_F(PackTest, LeavesOutWhatIsIgnored) {
  write("f/.mayflyignore", "# comment\n\n*.log\nbuild/\n/top.txt\ndocs/*.md\n");
  write("f/.git/config", "x");
  write("f/__pycache__/a.pyc", "x");
  write("f/.DS_Store", "x");
  write("f/app.py", "x");
  write("f/deep/trace.log", "x");
  write("f/deep/top.txt", "x");
  write("f/top.txt", "x");
  write("f/build/out", "x");
  write("f/docs/a.md", "x");
  write("f/docs/a.txt", "x");
  const auto packed = pack((root_ / "f").string());
  ASSERT_TRUE(packed.has_value());
  std::vector<std::string> files;
  for (const auto& line : entries(*packed))
    if (line.ends_with(" 644")) files.push_back(line.substr(0, line.size() - 4));
  EXPECT_THAT(files, ElementsAre("app.py", "deep/top.txt", "docs/a.txt"));
}

TEST_F(PackTest, SingleFileIsPackedUnderItsOwnName) {
  write("hello.py", "def handler(e, c): return 1\n");
  const auto packed = pack((root_ / "hello.py").string());
  ASSERT_TRUE(packed.has_value());
  EXPECT_THAT(entries(*packed), ElementsAre("hello.py 644"));
}

TEST_F(PackTest, ArchivesGoAsTheyAre) {
  write("code.ZIP", "any bytes");
  const auto packed = pack((root_ / "code.ZIP").string());
  ASSERT_TRUE(packed.has_value());
  EXPECT_EQ(packed->bytes, 9u);
  EXPECT_EQ(packed->sha256, "23914a83c3c7080988b4aab957e8c1abf4a281df9cc77c7e1d43d3e81f39e94e");
}

TEST_F(PackTest, RefusesWhatCannotBeCode) {
  const auto missing = pack((root_ / "nothing").string());
  ASSERT_TRUE(missing.has_error());
  EXPECT_EQ(missing.error().code, Code::not_found);
  fs::create_directory(root_ / "empty");
  EXPECT_EQ(pack((root_ / "empty").string()).error().code, Code::invalid_argument);
  write("f/a", "x");
  ASSERT_EQ(::mkfifo((root_ / "f/pipe").c_str(), 0600), 0);
  EXPECT_THAT(pack((root_ / "f").string()).error().message, HasSubstr("pipe"));
}

TEST(DefaultName, ComesFromThePath) {
  EXPECT_EQ(default_name("/a/hello.py"), "hello");
  EXPECT_EQ(default_name("hello world!.tar.gz"), "hello-world");
  EXPECT_EQ(default_name("x.y.zip"), "x-y");
  EXPECT_EQ(default_name("/srv/"), "srv");
  EXPECT_EQ(default_name("..."), "function");
  EXPECT_EQ(default_name(std::string(100, 'a')), std::string(64, 'a'));
}

}  // namespace
}  // namespace mayfly::cli
