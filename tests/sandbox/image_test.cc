// Sandboxes whose root is a folder that somebody else wrote, as an image is: what it holds where
// the sandbox mounts its own must not lead out, nor keep others from starting.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

class ImageRoot : public WithWorld {
 protected:
  void SetUp() override {
    WithWorld::SetUp();
    if (IsSkipped() || !world->error.empty()) return;
    root = world->folder.path() + "/image";
    for (const char* name : {"/opt", "/proc", "/dev", "/tmp", "/etc", "/var/runtime-lib"})
      fs::create_directories(root + name);
    for (const char* name : {"/etc/resolv.conf", "/etc/hosts"})
      write_text(root + name, "", fs::perms(0644));
    fs::copy_file(MAYFLY_BUILD_DIR "/sandbox_escape_attempts", root + "/opt/attempts");
    write_text(world->folder.path() + "/secret", "x", fs::perms(0644));
  }
  LaunchSpec attempt(std::vector<std::string> words) {
    words.insert(words.begin(), "/opt/attempts");
    LaunchSpec spec = world->spec(std::move(words));
    spec.rootfs = root;
    return spec;
  }
  std::string first_word(LaunchSpec spec) {
    const auto output = world->run(std::move(spec), milliseconds(20'000));
    if (output.has_error()) return output.error().describe();
    return output->out.substr(0, output->out.find('\n')) + output->err;
  }
  std::string read_in_image(const std::string& path) {
    return first_word(attempt({"read_path", path}));
  }
  void replace_by_link(const std::string& name, const std::string& target) {
    fs::remove_all(root + name);
    fs::create_symlink(target, root + name);
  }
  // The launch is refused with the place in its words, and the next one works.
  void expect_refused(const std::string& word) {
    const auto refused = world->launch(attempt({"read_path", "/"}));
    ASSERT_TRUE(refused.has_error());
    EXPECT_THAT(refused.error().describe(), HasSubstr(word));
    LaunchSpec usual = world->spec({"/bin/true"});
    const auto output = world->run(std::move(usual), milliseconds(20'000));
    ASSERT_TRUE(output.has_value()) << output.error().describe();
    EXPECT_EQ(output->exit.status, 0);
  }
  std::string root;
};

TEST_F(ImageRoot, HasItsOwnFilesAndTheSandboxesParts) {
  write_text(root + "/etc/marker", "x", fs::perms(0644));
  EXPECT_EQ(read_in_image("/etc/marker"), "ESCAPED");  // the word for "opened"
  for (const char* there : {"/proc/self/status", "/dev/null", "/dev/urandom", "/etc/hosts"})
    EXPECT_EQ(read_in_image(there), "ESCAPED") << there;
  EXPECT_EQ(first_word(attempt({"write_path", "/tmp/x"})), "ESCAPED");
  EXPECT_EQ(first_word(attempt({"mounts_shown"})), "own-mounts");
  EXPECT_EQ(first_word(attempt({"dot_dot"})), "own-root");
}

TEST_F(ImageRoot, NothingOfTheHostIsThere) {
  for (const std::string& path :
       {std::string("/bin/sh"), std::string("/usr/bin/env"), std::string("/etc/passwd"),
        world->folder.path() + "/secret", std::string("/mnt/usr"), std::string("/new")})
    EXPECT_EQ(read_in_image(path), "ENOENT") << path;
}

TEST_F(ImageRoot, IsReadOnly) {
  fs::permissions(root + "/etc/hosts", fs::perms(0666));
  fs::permissions(root + "/opt", fs::perms(0777));
  for (const char* path : {"/x", "/opt/x", "/etc/x", "/opt/attempts", "/etc/hosts", "/dev/x"})
    EXPECT_THAT(first_word(attempt({"write_path", path})), ::testing::AnyOf("EROFS", "EACCES"))
        << path;
  EXPECT_EQ(first_word(attempt({"unlink_path", "/opt/attempts"})), "EROFS");
}

TEST_F(ImageRoot, ProcIsALinkToTheRoot) {
  replace_by_link("/proc", "/");
  expect_refused("proc");
}

TEST_F(ImageRoot, ProcIsNotThere) {
  fs::remove_all(root + "/proc");
  expect_refused("proc");
}

TEST_F(ImageRoot, TmpIsALinkUpwards) {
  replace_by_link("/tmp", "../../../../../../tmp");
  expect_refused("tmp");
}

TEST_F(ImageRoot, TmpIsALinkInside) {
  replace_by_link("/tmp", "etc");
  expect_refused("tmp");
}

TEST_F(ImageRoot, DevIsAFile) {
  fs::remove_all(root + "/dev");
  write_text(root + "/dev", "", fs::perms(0644));
  expect_refused("dev");
}

TEST_F(ImageRoot, DevIsALinkToTheHosts) {
  replace_by_link("/dev", "/dev");
  expect_refused("dev");
}

TEST_F(ImageRoot, EtcIsALinkToTheHosts) {
  replace_by_link("/etc", "/etc");
  expect_refused("etc");
}

TEST_F(ImageRoot, ResolvConfIsALink) {
  replace_by_link("/etc/resolv.conf", "/etc/shadow");
  expect_refused("resolv.conf");
}

TEST_F(ImageRoot, HostsIsAFolder) {
  fs::remove_all(root + "/etc/hosts");
  fs::create_directories(root + "/etc/hosts");
  expect_refused("hosts");
}

TEST_F(ImageRoot, AMountsPlaceIsALink) {
  fs::remove_all(root + "/var");
  fs::create_symlink("/tmp", root + "/var");
  LaunchSpec spec = attempt({"read_path", "/"});
  spec.mounts.push_back({world->folder.path(), "/var/runtime-lib"});
  const auto refused = world->launch(std::move(spec));
  ASSERT_TRUE(refused.has_error());
  EXPECT_THAT(refused.error().describe(), HasSubstr("var/runtime-lib"));
}

TEST_F(ImageRoot, LinksLeadNowhereButInside) {
  const std::string secret = world->folder.path() + "/secret";
  fs::create_symlink(secret, root + "/absolute");
  fs::create_symlink("../../../../../../../../.." + secret, root + "/upwards");
  fs::create_symlink("/proc/1/root/etc/passwd", root + "/by-init");
  fs::create_symlink("..", root + "/opt/up");
  EXPECT_EQ(read_in_image("/absolute"), "ENOENT");
  EXPECT_EQ(read_in_image("/upwards"), "ENOENT");
  EXPECT_EQ(read_in_image("/by-init"), "EACCES");
  EXPECT_EQ(read_in_image("/opt/up/../../opt/up/.." + secret), "ENOENT");
}

TEST_F(ImageRoot, TheWorkingDirectoryIsALinkUpwards) {
  fs::create_symlink("../../../../../..", root + "/up");
  LaunchSpec spec = attempt({"read_path", "." + world->folder.path() + "/secret"});
  spec.cwd = "/up";
  EXPECT_EQ(first_word(std::move(spec)), "ENOENT");
}

TEST_F(ImageRoot, TheProgramIsALinkToTheHosts) {
  fs::create_symlink("/bin/true", root + "/opt/true");
  LaunchSpec spec = world->spec({"/opt/true"});
  spec.rootfs = root;
  const auto refused = world->launch(std::move(spec));
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, Code::function_error);
}

TEST_F(ImageRoot, DevicesInItDoNothing) {
  ASSERT_EQ(::mknod((root + "/opt/memory").c_str(), S_IFCHR | 0666, makedev(1, 5)), 0);
  ::chmod((root + "/opt/memory").c_str(), 0666);
  EXPECT_EQ(read_in_image("/opt/memory"), "EACCES");
}

TEST_F(ImageRoot, TheRootIsNoFolder) {
  LaunchSpec spec = attempt({"read_path", "/"});
  spec.rootfs = world->folder.path() + "/secret";
  const auto refused = world->launch(std::move(spec));
  ASSERT_TRUE(refused.has_error());
  EXPECT_THAT(refused.error().describe(), HasSubstr("rootfs"));
}

TEST_F(ImageRoot, ItsInstancesAreNotCloned) {
  LaunchSpec spec = attempt({"clones"});
  spec.cloneable = spec.channel = true;
  const auto refused = world->launch(std::move(spec));
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace mayfly::sandbox_tests
