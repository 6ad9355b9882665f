#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "os/cgroup.h"
#include "os/files.h"
#include "os/ipc.h"
#include "os/seccomp.h"

namespace mayfly::os {
namespace {

namespace fs = std::filesystem;

class Folder : public ::testing::Test {
 protected:
  Folder() {
    std::string name = (fs::temp_directory_path() / "mayfly-os-XXXXXX").string();
    path = ::mkdtemp(name.data()) != nullptr ? name : "";
  }
  ~Folder() override { fs::remove_all(path); }
  void put(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(path + "/" + name).parent_path());
    std::ofstream(path + "/" + name) << text;
  }
  std::string get(const std::string& name) { return read_file(path + "/" + name).value(); }
  std::string path;
};

bool is_cloexec(int fd) {
  return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST(Ipc, EverythingIsCloexec) {
  auto pipe = make_pipe();
  auto pair = make_socket_pair(SOCK_SEQPACKET);
  ASSERT_TRUE(pipe.has_value() && pair.has_value());
  for (int fd : {pipe.value().read_end.get(), pipe.value().write_end.get(),
                 pair.value().first.get(), pair.value().second.get()}) {
    EXPECT_TRUE(is_cloexec(fd));
  }
}

TEST(Ipc, DescriptorsTravelWithTheMessage) {
  auto pair = make_socket_pair(SOCK_SEQPACKET);
  auto pipe = make_pipe();
  auto& [a, b] = pair.value();
  ASSERT_TRUE(
      send_message(a.get(), "hello", {pipe.value().read_end.get(), pipe.value().write_end.get()})
          .has_value());
  auto got = receive_message(b.get(), 100);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got.value().bytes, "hello");
  ASSERT_EQ(got.value().fds.size(), 2u);
  for (const auto& fd : got.value().fds) EXPECT_TRUE(is_cloexec(fd.get()));
  ASSERT_EQ(::write(got.value().fds[1].get(), "x", 1), 1);
  char byte = 0;
  ASSERT_EQ(::read(pipe.value().read_end.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

TEST(Ipc, TooLongIsCorruptAndCloseIsEmpty) {
  auto pair = make_socket_pair(SOCK_SEQPACKET);
  auto& [a, b] = pair.value();
  ASSERT_TRUE(send_message(a.get(), "0123456789").has_value());
  auto got = receive_message(b.get(), 5);
  ASSERT_TRUE(got.has_error());
  EXPECT_EQ(got.error().code, Code::corrupt);
  ASSERT_TRUE(set_nonblocking(b.get()).has_value());
  EXPECT_EQ(receive_message(b.get(), 5).error().sys_errno, EAGAIN);
  a.reset();
  EXPECT_TRUE(receive_message(b.get(), 5).value().bytes.empty());
  EXPECT_TRUE(send_message(b.get(), "x").has_error());  // and no SIGPIPE
}

TEST(Files, NumbersAfterKeys) {
  std::string text = "oom_kill_disable 0\nunder_oom 1\noom_kill 42\nVmHWM:\t  1234 kB\n";
  EXPECT_EQ(find_number(text, "oom_kill"), 42u);
  EXPECT_EQ(find_number(text, "under_oom"), 1u);
  EXPECT_EQ(find_number(text, "VmHWM"), 1234u);
  EXPECT_EQ(find_number(text, "oom"), std::nullopt);
  EXPECT_EQ(find_number("", "x"), std::nullopt);
  EXPECT_EQ(parse_number("12 34"), 12u);
  EXPECT_EQ(parse_number("x"), std::nullopt);
}

TEST_F(Folder, WriteWantsAnExistingFile) {
  put("file", "");
  EXPECT_TRUE(write_file(path + "/file", "text").has_value());
  EXPECT_EQ(get("file"), "text");
  EXPECT_EQ(write_file(path + "/none", "x").error().sys_errno, ENOENT);
  ASSERT_TRUE(make_directories(path + "/a/b/c", 0700).has_value());
  ASSERT_TRUE(make_directories(path + "/a/b/c", 0700).has_value());
  EXPECT_TRUE(fs::is_directory(path + "/a/b/c"));
}

// The kernel's files, as plain ones. A group is a folder in which the kernel makes files; here the
// test does.
class FakeCgroups : public Folder {
 protected:
  CgroupTree open(const std::string& mountinfo, const std::string& self) {
    put("mountinfo", mountinfo);
    put("self", self);
    return CgroupTree::open("mayfly-x", missing, {path + "/mountinfo", path + "/self"});
  }
  std::string line(const std::string& root, const std::string& point, const std::string& rest) {
    fs::create_directories(path + point);
    return "30 20 0:30 " + root + " " + path + point + " rw - " + rest + "\n";
  }
  std::vector<std::string> missing;
};

TEST_F(FakeCgroups, VersionOneLivesBelowTheOwnGroup) {
  std::string mounts = line("/", "/memory", "cgroup cgroup rw,memory") +
                       line("/", "/pids", "cgroup cgroup rw,pids") +
                       line("/", "/cpu", "cgroup cgroup rw,cpu,cpuacct") +
                       line("/", "/unified", "cgroup2 cgroup2 rw");
  fs::create_directories(path + "/memory/own/deep");
  put("memory/own/deep/mayfly-x/memory.memsw.limit_in_bytes", "");
  auto tree = open(mounts, "4:memory:/own/deep\n3:pids:/\n1:cpu,cpuacct:/\n0::/\n");
  EXPECT_STREQ(tree.kind_name(), "v1");
  EXPECT_TRUE(missing.empty());
  EXPECT_EQ(tree.folders().size(), 3u);  // cpu and cpuacct share one
  for (const char* name : {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}) {
    put(std::string("memory/own/deep/mayfly-x/s1/") + name, "");
  }
  put("memory/own/deep/mayfly-x/s1/tasks", "");
  put("memory/own/deep/mayfly-x/s1/memory.max_usage_in_bytes", "777\n");
  put("memory/own/deep/mayfly-x/s1/memory.oom_control", "oom_kill_disable 0\noom_kill 2\n");
  put("pids/mayfly-x/s1/tasks", "");
  put("pids/mayfly-x/s1/pids.max", "");
  put("cpu/mayfly-x/s1/tasks", "");
  put("cpu/mayfly-x/s1/cpu.shares", "");
  put("cpu/mayfly-x/s1/cpu.cfs_quota_us", "");
  put("cpu/mayfly-x/s1/cpuacct.usage", "5000000\n");
  auto group = tree.create("s1");
  ASSERT_TRUE(group.has_value()) << group.error().describe();
  EXPECT_EQ(group.value().procs.size(), 3u);
  ASSERT_TRUE(tree.set_limits(group.value(), {64u << 20, 500, 10}).has_value());
  EXPECT_EQ(get("memory/own/deep/mayfly-x/s1/memory.limit_in_bytes"), "67108864");
  EXPECT_EQ(get("memory/own/deep/mayfly-x/s1/memory.memsw.limit_in_bytes"), "67108864");
  EXPECT_EQ(get("cpu/mayfly-x/s1/cpu.shares"), "512");
  EXPECT_EQ(get("cpu/mayfly-x/s1/cpu.cfs_quota_us"), "50000");
  EXPECT_EQ(get("pids/mayfly-x/s1/pids.max"), "10");
  ASSERT_TRUE(tree.set_cpu_share(group.value(), 250).has_value());
  EXPECT_EQ(get("cpu/mayfly-x/s1/cpu.shares"), "256");
  EXPECT_EQ(get("cpu/mayfly-x/s1/cpu.cfs_quota_us"), "50000");
  for (const char* controller : {"memory/own/deep", "pids", "cpu"})
    put(std::string(controller) + "/mayfly-x/s1/tasks", "12\n345\n");
  EXPECT_THAT(tree.threads_of(group.value()), ::testing::ElementsAre(12, 345));
  auto usage = read_usage(UsageKind::v1, group.value().usage_fds);
  EXPECT_EQ(usage.cpu_us, 5000u);
  EXPECT_EQ(usage.memory_peak_bytes, 777u);
  EXPECT_EQ(usage.oom_kills, 2u);
}

TEST_F(FakeCgroups, VersionOneInAContainerDropsTheMountedPart) {
  std::string mounts = line("/docker/abc", "/memory", "cgroup cgroup rw,memory");
  auto tree = open(mounts, "4:memory:/docker/abc\n");
  EXPECT_STREQ(tree.kind_name(), "v1");
  ASSERT_EQ(tree.folders().size(), 1u);
  EXPECT_EQ(tree.folders()[0], path + "/memory/mayfly-x");
  EXPECT_EQ(missing.size(), 3u);  // pids, cpu, cpuacct: said
}

TEST_F(FakeCgroups, VersionTwo) {
  std::string mounts = line("/", "/v2", "cgroup2 cgroup2 rw");
  put("v2/cgroup.subtree_control", "");
  put("v2/mayfly-x/cgroup.subtree_control", "");
  auto tree = open(mounts, "0::/\n");
  ASSERT_STREQ(tree.kind_name(), "v2");
  EXPECT_TRUE(missing.empty());
  for (const char* name :
       {"cgroup.procs", "memory.max", "memory.swap.max", "cpu.weight", "cpu.max", "pids.max"}) {
    put(std::string("v2/mayfly-x/s1/") + name, "");
  }
  put("v2/mayfly-x/s1/cpu.stat", "usage_usec 1234\nuser_usec 1\n");
  put("v2/mayfly-x/s1/memory.peak", "4096\n");
  put("v2/mayfly-x/s1/memory.events", "low 0\noom 1\noom_kill 1\n");
  auto group = tree.create("s1");
  ASSERT_TRUE(group.has_value());
  ASSERT_TRUE(tree.set_limits(group.value(), {1u << 30, 2000, 5}).has_value());
  EXPECT_EQ(get("v2/mayfly-x/s1/memory.max"), "1073741824");
  EXPECT_EQ(get("v2/mayfly-x/s1/memory.swap.max"), "0");
  EXPECT_EQ(get("v2/mayfly-x/s1/cpu.max"), "200000 100000");
  EXPECT_EQ(get("v2/mayfly-x/s1/cpu.weight"), "200");
  ASSERT_TRUE(tree.set_cpu_share(group.value(), 1250).has_value());
  EXPECT_EQ(get("v2/mayfly-x/s1/cpu.weight"), "125");
  EXPECT_EQ(get("v2/mayfly-x/s1/cpu.max"), "200000 100000");
  auto usage = read_usage(UsageKind::v2, group.value().usage_fds);
  EXPECT_EQ(usage.cpu_us, 1234u);
  EXPECT_EQ(usage.memory_peak_bytes, 4096u);
  EXPECT_EQ(usage.oom_kills, 1u);
}

TEST_F(FakeCgroups, NoneIsSaid) {
  auto tree = open("", "");
  EXPECT_STREQ(tree.kind_name(), "none");
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_THAT(missing[0], ::testing::HasSubstr("rlimits"));
  auto group = tree.create("s1");
  ASSERT_TRUE(group.has_value());
  EXPECT_TRUE(tree.set_limits(group.value(), {1, 1, 1}).has_value());
  EXPECT_TRUE(tree.remove(group.value()));
}

TEST(Usage, OfAProcess) {
  auto fds = open_process_usage(::getpid());
  ASSERT_EQ(fds.size(), 2u);
  auto usage = read_usage(UsageKind::process, fds);
  EXPECT_GT(usage.memory_peak_bytes, 100'000u);
  EXPECT_TRUE(open_process_usage(0x7ffffff0).empty());
}

TEST(Seccomp, BothProgramsFitTheKernel) {
  auto filter = compile_seccomp_filter();
  ASSERT_TRUE(filter.has_value()) << filter.error().describe();
  for (const auto* program : {&filter.value().allow, &filter.value().arguments}) {
    EXPECT_GT(program->size(), 50u);
    EXPECT_LT(program->size(), 4096u);
  }
}

// In a child: what it may still do is its exit status.
int with_waiting_filter(const std::vector<sock_filter>& program) {
  const pid_t child = ::fork();
  if (child == 0) {
    int pair[2];
    if (::pipe(pair) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        install_seccomp_filter(program) != 0) {
      ::_exit(100);
    }
    int refused = 0;
    if (::socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM) refused |= 1;
    if (::unshare(CLONE_NEWUTS) != 0 && errno == EPERM) refused |= 2;
    if (::fork() < 0 && errno == EPERM) refused |= 4;
    if (::execl("/bin/true", "true", nullptr) != 0 && errno == EPERM) refused |= 8;
    // What waiting needs.
    char byte = 'x';
    const bool works = ::write(pair[1], &byte, 1) == 1 && ::read(pair[0], &byte, 1) == 1 &&
                       ::open("/proc/self/stat", O_RDONLY) >= 0 && ::kill(::getpid(), 0) == 0;
    ::_exit(works ? refused : 101);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Seccomp, WhoWaitsCanStartNothing) {
  auto filter = compile_seccomp_filter();
  ASSERT_TRUE(filter.has_value()) << filter.error().describe();
  EXPECT_LT(filter.value().wait.size(), 100u);
  EXPECT_EQ(with_waiting_filter(filter.value().wait), 15);
}

}  // namespace
}  // namespace mayfly::os
