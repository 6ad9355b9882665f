#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "spawner/launch.h"
#include "spawner/state_dir.h"
#include "spawner/writable.h"

namespace mayfly::spawner {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Folder : public ::testing::Test {
 protected:
  Folder() {
    std::string name = (fs::temp_directory_path() / "mayfly-rules-XXXXXX").string();
    path = ::mkdtemp(name.data()) != nullptr ? name : "";
  }
  ~Folder() override { fs::remove_all(path); }
  std::string path;
};

TEST(MountPath, PlainOnesOutsideTheSystemPart) {
  for (const char* good : {"/var/task", "/opt/x", "/srv/a.b", "/home/me/.node/v20", "/var/..a"}) {
    EXPECT_TRUE(check_mount_path(good).has_value()) << good;
  }
  for (const char* bad :
       {"", "/", "var", "/var/", "/var//x", "/var/../etc", "/var/./x", "/var/..", "/usr", "/usr/x",
        "/etc/x", "/proc", "/dev/x", "/tmp", "/tmp/x", "/var/tmp", "/bin", "/lib64/x", "/sys"}) {
    EXPECT_TRUE(check_mount_path(bad).has_error()) << bad;
  }
  EXPECT_TRUE(check_mount_path("/" + std::string(2000, 'x')).has_error());
}

wire::SpawnerLaunch good_launch() {
  wire::SpawnerLaunch launch;
  launch.id = "a-1";
  launch.argv = {"/bin/true"};
  launch.cwd = "/";
  launch.tmp_bytes = 1;
  return launch;
}

TEST(CheckLaunch, NamesWhatIsWrong) {
  EXPECT_TRUE(check_launch(good_launch(), 2).has_value());
  auto refused = [](auto change, std::size_t fds = 2) {
    auto launch = good_launch();
    change(launch);
    auto status = check_launch(launch, fds);
    return status.has_error() ? status.error().message : std::string();
  };
  EXPECT_THAT(refused([](auto& l) { l.id = "A"; }), HasSubstr("sandbox id 'A'"));
  EXPECT_THAT(refused([](auto& l) { l.id = std::string(41, 'a'); }), HasSubstr("sandbox id"));
  EXPECT_THAT(refused([](auto& l) { l.argv.clear(); }), HasSubstr("argv[0]"));
  EXPECT_THAT(refused([](auto& l) { l.argv[0] = "x"; }), HasSubstr("argv[0]"));
  EXPECT_THAT(refused([](auto& l) { l.cwd = "x"; }), HasSubstr("cwd"));
  EXPECT_THAT(refused([](auto& l) { l.env = {std::string("A\0B", 3)}; }), HasSubstr("NUL"));
  EXPECT_THAT(refused([](auto& l) { l.mounts = {{"rel", "/opt/x"}}; }), HasSubstr("mount source"));
  EXPECT_THAT(refused([](auto& l) {
                l.mounts.resize(17, {"/a", "/opt/x"});
              }),
              HasSubstr("more than 16"));
  EXPECT_THAT(refused([](auto& l) { l.listen_ports.resize(17); }), HasSubstr("listen_ports"));
  EXPECT_THAT(refused([](auto& l) {
                l.zygote.resize(2, {l.argv, {}, {}});
              }),
              HasSubstr("more than one zygote"));
  EXPECT_THAT(refused([](auto& l) {
                l.zygote = {{{"/bin/false"}, {}, {}}};
              }),
              HasSubstr("another program"));
  EXPECT_THAT(refused([](auto& l) {
                l.zygote = {{l.argv, {}, {{"/a", "/opt/x", true}}}};
              }),
              HasSubstr("read-only"));
  EXPECT_THAT(refused([](auto& l) {
                l.zygote = {{l.argv, {}, {{"/a", "/usr/x"}}}};
              }),
              HasSubstr("/usr/x"));
  EXPECT_THAT(refused([](auto& l) {
                l.zygote = {{l.argv, {std::string("A\0B", 3)}, {}}};
              }),
              HasSubstr("NUL"));
  EXPECT_THAT(refused([](auto& l) { l.tmp_bytes = 0; }), HasSubstr("tmp_bytes"));
  EXPECT_THAT(refused([](auto& l) { l.channel = true; }), HasSubstr("descriptors"));
  EXPECT_THAT(refused([](auto& l) { l.rootfs = "tree"; }), HasSubstr("rootfs 'tree'"));
  EXPECT_THAT(refused([](auto& l) { l.rootfs = std::string("/a\0b", 4); }), HasSubstr("rootfs"));
  EXPECT_THAT(refused([](auto& l) {
                l.rootfs = "/tree";
                l.cloneable = true;
              }),
              HasSubstr("cannot be cloned"));
}

TEST(FilterRules, NameTheHostAndKeepTheRestShut) {
  std::string rules = filter_rules({"192.0.2.7", "10.1.2.3"});
  EXPECT_THAT(rules, HasSubstr("elements = { 192.0.2.7, 10.1.2.3 }"));
  EXPECT_THAT(rules, HasSubstr("169.254.0.0/16"));
  EXPECT_THAT(rules, HasSubstr("hook forward priority 0; policy drop"));
  // The host is refused before names or anything else is let through.
  EXPECT_LT(rules.find("ip daddr @host reject"), rules.find("dport 53 accept"));
  EXPECT_EQ(filter_rules({}).find("elements = {  }"), std::string::npos);
}

TEST_F(Folder, StateDirectoryIsHeldByOne) {
  auto first = StateDir::lock(path + "/state");
  ASSERT_TRUE(first.has_value());
  auto other = StateDir::lock(path + "/other");
  ASSERT_TRUE(other.has_value());
  EXPECT_NE(first.value().tag(), other.value().tag());
  EXPECT_THAT(first.value().tag(), ::testing::MatchesRegex("mayfly-[0-9a-f]+"));
  EXPECT_GE(first.value().first_user(), 0x70000000u);
  EXPECT_LT(first.value().first_user(), 0x80000000u - kUsersMax);
  struct stat info {};
  ASSERT_EQ(::stat((path + "/state").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_TRUE(first.value().record({"/a/x", "/b/x"}).has_value());
  std::ifstream file(path + "/state/cgroups");
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "/a/x");
  first.value().clear_record();
  EXPECT_FALSE(fs::exists(path + "/state/cgroups"));
}

TEST_F(Folder, OwnerChangesBelowButNotBehindLinks) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to change owners";
  fs::create_directories(path + "/tree/deep");
  std::ofstream(path + "/tree/deep/file") << "x";
  std::ofstream(path + "/outside") << "x";
  fs::create_symlink(path + "/outside", path + "/tree/link");
  ASSERT_TRUE(change_owner(path + "/tree", 12345, 23456).has_value());
  struct stat info {};
  ASSERT_EQ(::stat((path + "/tree/deep/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 12345u);
  EXPECT_EQ(info.st_gid, 23456u);
  ASSERT_EQ(::lstat((path + "/tree/link").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 12345u);
  ASSERT_EQ(::stat((path + "/outside").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
  EXPECT_TRUE(change_owner(path + "/nowhere", 0, 0).has_error());
}

}  // namespace
}  // namespace mayfly::spawner
