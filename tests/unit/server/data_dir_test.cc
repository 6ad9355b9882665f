#include "server/data_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/layout.h"

namespace mayfly::server {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DataDirTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "mayfly-data-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = fs::canonical(pattern);
  }
  void TearDown() override { fs::remove_all(root_); }

  static unsigned mode_of(const fs::path& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
  static std::string text_of(const fs::path& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  fs::path root_;
};

TEST_F(DataDirTest, IsMadeForThisUserAlone) {
  const auto data = DataDir::open((root_ / "a/b/data").string());
  ASSERT_TRUE(data.has_value()) << data.error().describe();
  EXPECT_EQ(mode_of(root_ / "a/b/data"), 0700u);
  EXPECT_EQ(data->path(), (root_ / "a/b/data").string());
}

TEST_F(DataDirTest, SecondServerIsToldWhoHasIt) {
  const std::string path = (root_ / "data").string();
  {
    const auto first = DataDir::open(path);
    ASSERT_TRUE(first.has_value());
    const auto second = DataDir::open(path + "/../data/");
    ASSERT_TRUE(second.has_error());
    EXPECT_EQ(second.error().code, Code::conflict);
    EXPECT_THAT(second.error().message, HasSubstr("pid " + std::to_string(::getpid())));
    EXPECT_THAT(second.error().message, HasSubstr(path));
  }
  EXPECT_TRUE(DataDir::open(path).has_value()) << "the lock ends with its holder";
}

TEST_F(DataDirTest, KeyIsMadeOnceAndKept) {
  const auto data = DataDir::open((root_ / "data").string());
  ASSERT_TRUE(data.has_value());
  const auto key = data->api_key();
  ASSERT_TRUE(key.has_value());
  EXPECT_GE(key->size(), 64u);
  EXPECT_EQ(*data->api_key(), *key);
  EXPECT_EQ(mode_of(root_ / "data/api.key"), 0600u);
  EXPECT_EQ(text_of(root_ / "data/api.key"), *key + "\n");
  const auto other = DataDir::open((root_ / "other").string());
  EXPECT_NE(*other->api_key(), *key);
}

TEST_F(DataDirTest, ServerFileIsReplacedAndWithdrawn) {
  const auto data = DataDir::open((root_ / "data").string());
  ASSERT_TRUE(data.has_value());
  std::ofstream(root_ / "data/server.json") << "stale";
  std::ofstream(root_ / "data/server.json.new") << "half of a killed server's";
  ASSERT_TRUE(data->publish({"http://h:1", "http://h:2", 7, data->path(), "0.1.0"}).has_value());
  EXPECT_EQ(text_of(root_ / "data/server.json"),
            "{\"api\":\"http://h:1\",\"gateway\":\"http://h:2\",\"pid\":7,\"data\":\"" +
                data->path() + "\",\"version\":\"0.1.0\"}\n");
  EXPECT_FALSE(fs::exists(root_ / "data/server.json.new"));
  data->withdraw();
  EXPECT_FALSE(fs::exists(root_ / "data/server.json"));
}

TEST_F(DataDirTest, FileInItsPlaceIsRefused) {
  std::ofstream(root_ / "file") << "x";
  const auto data = DataDir::open((root_ / "file").string());
  ASSERT_TRUE(data.has_error());
  EXPECT_THAT(data.error().describe(), HasSubstr((root_ / "file").string()));
}

TEST_F(DataDirTest, PointerNamesTheDataUnlessForbidden) {
  const std::string home = (root_ / "share/mayfly").string();
  ::setenv("MAYFLY_NO_POINTER", "1", 1);
  ASSERT_TRUE(write_pointer(home, "/some/data").has_value());
  EXPECT_FALSE(fs::exists(home));
  ::unsetenv("MAYFLY_NO_POINTER");
  ASSERT_TRUE(write_pointer(home, "/some/data").has_value());
  EXPECT_EQ(text_of(home + "/current.json"), "{\"data\":\"/some/data\"}\n");
}

TEST_F(DataDirTest, LayoutIsFoundBesideTheProgram) {
  const auto put = [this](const std::string& name) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << "#!/bin/sh\n";
    ::chmod((root_ / name).c_str(), 0755);
  };
  Settings settings;
  const std::string program = (root_ / "build/mayfly").string();
  put("build/mayfly");
  const auto missing = find_layout(settings, program);
  ASSERT_TRUE(missing.has_error());
  EXPECT_THAT(missing.error().message, HasSubstr("server.runtimes_dir"));

  fs::create_directories(root_ / "runtimes");
  EXPECT_THAT(find_layout(settings, program).error().message, HasSubstr("server.spawner"));
  put("build/mayfly-spawner");
  const auto found = find_layout(settings, program);
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(found->runtimes_dir, (root_ / "runtimes").string());
  EXPECT_EQ(found->spawner, (root_ / "build/mayfly-spawner").string());

  put("usr/bin/mayfly");
  put("usr/libexec/mayfly/mayfly-spawner");
  fs::create_directories(root_ / "usr/share/mayfly/runtimes");
  EXPECT_EQ(find_layout(settings, (root_ / "usr/bin/mayfly").string())->runtimes_dir,
            (root_ / "usr/share/mayfly/runtimes").string());

  settings.spawner = (root_ / "elsewhere").string();
  EXPECT_TRUE(find_layout(settings, program).has_error());
}

}  // namespace
}  // namespace mayfly::server
