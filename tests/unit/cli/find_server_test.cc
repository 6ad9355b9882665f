#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/client.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FindServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "mayfly-find-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    ::setenv("XDG_DATA_HOME", (root_ / "share").c_str(), 1);
    for (const char* name : {"MAYFLY_API", "MAYFLY_KEY", "MAYFLY_DATA"}) ::unsetenv(name);
  }
  void TearDown() override {
    fs::remove_all(root_);
    for (const char* name : {"XDG_DATA_HOME", "MAYFLY_API", "MAYFLY_KEY", "MAYFLY_DATA"})
      ::unsetenv(name);
  }

  std::string server(const std::string& name, const std::string& api, const std::string& key) {
    const fs::path data = root_ / name;
    fs::create_directories(data);
    std::ofstream(data / "server.json") << "{\"api\":\"" << api << "\",\"pid\":1}\n";
    std::ofstream(data / "api.key") << key << "\n";
    return data.string();
  }

  fs::path root_;
};

TEST_F(FindServerTest, NoneSaysWhereItLookedAndHowToStart) {
  const auto found = find_server({});
  ASSERT_TRUE(found.has_error());
  EXPECT_EQ(found.error().code, Code::unavailable);
  EXPECT_THAT(found.error().message, HasSubstr((root_ / "share/mayfly/server.json").string()));
  EXPECT_THAT(found.error().message, HasSubstr("mayfly serve"));
}

TEST_F(FindServerTest, DefaultDirectoryThenPointerThenEnvironmentThenFlags) {
  server("share/mayfly", "http://default", "k1");
  EXPECT_EQ(find_server({})->api, "http://default");
  EXPECT_EQ(find_server({})->key, "k1");

  const std::string other = server("other", "http://other", "k2");
  std::ofstream(root_ / "share/mayfly/current.json") << "{\"data\":\"" << other << "\"}";
  EXPECT_EQ(find_server({})->api, "http://other");
  fs::remove(root_ / "other/server.json");  // stopped
  EXPECT_EQ(find_server({})->api, "http://default");

  ::setenv("MAYFLY_DATA", server("third", "http://third", "k3").c_str(), 1);
  EXPECT_EQ(find_server({})->key, "k3");
  FindOptions flags;
  flags.data = server("fourth", "http://fourth", "k4");
  EXPECT_EQ(find_server(flags)->api, "http://fourth");
}

TEST_F(FindServerTest, AddressAndKeyByHand) {
  ::setenv("MAYFLY_API", "http://far", 1);
  ::setenv("MAYFLY_KEY", "k5", 1);
  EXPECT_EQ(find_server({})->api, "http://far");
  EXPECT_EQ(find_server({})->key, "k5");
  FindOptions flags;
  flags.api = "http://farther";
  EXPECT_EQ(find_server(flags)->api, "http://farther");
  ::unsetenv("MAYFLY_KEY");
  server("share/mayfly", "http://default", "k1");
  EXPECT_EQ(find_server(flags)->key, "") << "the key of one server is not shown to another";
  flags.api = "http://default";
  EXPECT_EQ(find_server(flags)->key, "k1");
  flags.api = "http://farther";
  flags.data = (root_ / "share/mayfly").string();
  EXPECT_EQ(find_server(flags)->key, "k1") << "named together, they belong together";
}

}  // namespace
}  // namespace mayfly::cli
