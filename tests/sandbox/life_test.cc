// The life of sandboxes: what a program sees, how it ends, what is left.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "census.h"
#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Life : public WithWorld {
 protected:
  Output shell(const std::string& script, std::function<void(LaunchSpec&)> change = {}) {
    LaunchSpec spec = world->spec({"/bin/sh", "-c", script});
    if (change) change(spec);
    auto output = world->run(std::move(spec), milliseconds(20'000));
    EXPECT_TRUE(output.has_value()) << output.error().describe();
    return output.has_value() ? std::move(output).value() : Output();
  }
};

TEST_F(Life, ProgramRunsAndTellsItsStatus) {
  Output output = shell("echo out; echo err >&2; exit 7");
  EXPECT_EQ(output.out, "out\n");
  EXPECT_EQ(output.err, "err\n");
  EXPECT_FALSE(output.exit.signalled);
  EXPECT_EQ(output.exit.status, 7);
  EXPECT_EQ(output.exit.reason, "exited with status 7");
}

TEST_F(Life, SignalIsTold) {
  Output output = shell("kill -SEGV $$");
  EXPECT_TRUE(output.exit.signalled);
  EXPECT_EQ(output.exit.status, SIGSEGV);
  EXPECT_EQ(output.exit.reason, "killed by SIGSEGV");
}

TEST_F(Life, MissingProgramNamesTheStep) {
  auto output = world->run(world->spec({"/var/task/x"}));
  ASSERT_TRUE(output.has_error());
  EXPECT_THAT(output.error().describe(), HasSubstr("exec /var/task/x: No such file or directory"));
  EXPECT_EQ(output.error().sys_errno, ENOENT);
  EXPECT_EQ(output.error().code, Code::function_error);
}

TEST_F(Life, BadRequestsAreRefusedWithTheReason) {
  LaunchSpec spec = world->spec({"/bin/true"});
  spec.mounts.push_back({"/nowhere/at/all", "/var/task"});
  auto missing = world->run(spec);
  ASSERT_TRUE(missing.has_error());
  EXPECT_THAT(missing.error().describe(), HasSubstr("/nowhere/at/all"));
  for (const char* path : {"/usr/lib", "/proc/x", "/etc", "/var/../etc", "relative", "/tmp/x"}) {
    spec.mounts = {{"/usr", path}};
    auto refused = world->run(spec);
    ASSERT_TRUE(refused.has_error()) << path;
    EXPECT_EQ(refused.error().code, Code::invalid_argument) << path;
  }
  spec.mounts.clear();
  spec.env.push_back("BIG=" + std::string(300'000, 'x'));
  auto large = world->run(spec);
  ASSERT_TRUE(large.has_error());
  EXPECT_EQ(large.error().code, Code::too_large);
  spec = world->spec({"relative"});
  EXPECT_EQ(world->run(spec).error().code, Code::invalid_argument);
}

TEST_F(Life, OnlyTheGivenEnvironmentAndDescriptors) {
  ::setenv("MAYFLY_SECRET_OF_HOST", "x", 1);
  Output output = shell("env | sort; ls /proc/self/fd | wc -l; cat /proc/self/status | grep Cap");
  EXPECT_THAT(output.out, HasSubstr("HOME=/tmp"));
  EXPECT_EQ(output.out.find("SECRET"), std::string::npos);
  EXPECT_THAT(output.out, HasSubstr("\n4\n"));  // 0, 1, 2 and ls's own of the folder
  EXPECT_THAT(output.out, HasSubstr("CapBnd:\t0000000000000000"));
}

TEST_F(Life, UsersDifferAndNobodyIsRoot) {
  auto first = world->launch(world->spec({"/bin/sleep", "60"}));
  auto second = world->launch(world->spec({"/bin/sleep", "60"}));
  ASSERT_TRUE(first.has_value() && second.has_value());
  Output output = shell("id -u; cat /proc/self/uid_map; hostname; ls /proc | grep -c '^[0-9]'");
  EXPECT_THAT(output.out, StartsWith("1000\n"));
  std::set<std::string> users;
  for (auto [pid, state] : family(world->spawner->pid())) {  // others may have such, too
    const std::string path = "/proc/" + std::to_string(pid);
    std::ifstream file(path + "/comm");
    std::string name;
    std::getline(file, name);
    struct stat info {};
    if (name == "sleep" && ::stat(path.c_str(), &info) == 0 && info.st_uid > 0x70000000) {
      users.insert(std::to_string(info.st_uid));
    }
  }
  EXPECT_GE(users.size(), 2u);
}

TEST_F(Life, ChannelAndStdinAndPackage) {
  std::string package = world->folder.path() + "/package";
  fs::create_directories(package);
  fs::permissions(world->folder.path(), fs::perms::owner_all);  // as the data directory is
  write_text(package + "/run.sh", "#!/bin/sh\nread line\necho \"$line in $(pwd)\" >&3\ncat <&3\n",
             fs::perms(0755));
  LaunchSpec spec = world->spec({"/var/task/run.sh"});
  spec.cwd = "/var/task";
  spec.mounts.push_back({package, "/var/task"});
  spec.channel = true;
  spec.stdin_pipe = true;
  auto launched = world->launch(spec);
  ASSERT_TRUE(launched.has_value()) << launched.error().describe();
  Sandbox& sandbox = *launched.value();
  ASSERT_EQ(::write(sandbox.stdin_fd.get(), "hello\n", 6), 6);
  int flags = ::fcntl(sandbox.channel.get(), F_GETFL);
  ::fcntl(sandbox.channel.get(), F_SETFL, flags & ~O_NONBLOCK);
  char text[100] = {};
  ASSERT_GT(::read(sandbox.channel.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "hello in /var/task\n");
  ASSERT_EQ(::write(sandbox.channel.get(), "bye", 3), 3);
  sandbox.channel.reset();
  auto output = world->finish(sandbox, milliseconds(10'000));
  ASSERT_TRUE(output.has_value());
  EXPECT_EQ(output.value().out, "bye");
  EXPECT_EQ(output.value().exit.status, 0) << output.value().err;
}

TEST_F(Life, WritableMountIsGivenBack) {
  std::string folder = world->folder.path() + "/staging";
  fs::create_directories(folder + "/deep");
  write_text(folder + "/deep/file", "old", fs::perms(0644));
  Output output = shell(
      "echo new > /var/task/deep/file && mkdir /var/task/made && cp /bin/true /var/task/made/x && "
      "chmod u+s /var/task/made/x && ln -s /etc/shadow /var/task/link && echo ok",
      [&](LaunchSpec& spec) {
        spec.mounts.push_back({folder, "/var/task", true});
      });
  EXPECT_EQ(output.out, "ok\n") << output.err;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat info {};
    ASSERT_EQ(::lstat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 0u) << entry.path();
    EXPECT_EQ(info.st_mode & (S_ISUID | S_ISGID), 0u) << entry.path();
  }
  struct stat shadow {};
  ASSERT_EQ(::stat("/etc/shadow", &shadow), 0);
  EXPECT_EQ(shadow.st_uid, 0u);
}

TEST_F(Life, TerminateReachesTheProgramOnly) {
  LaunchSpec spec = world->spec(
      {"/bin/sh", "-c", "trap 'echo term; exit 3' TERM; echo up; while :; do sleep 0.01; done"});
  auto launched = world->launch(spec);
  ASSERT_TRUE(launched.has_value());
  ASSERT_EQ(World::read_line(*launched.value()), "up");
  launched.value()->terminate();
  auto output = world->finish(*launched.value(), milliseconds(10'000));
  EXPECT_THAT(output.value().out, HasSubstr("term"));
  EXPECT_EQ(output.value().exit.status, 3);
}

TEST_F(Life, KillTakesEverythingInside) {
  Output output = shell(
      "trap '' TERM; (setsid sleep 300 &) ; (setsid sleep 300 &); kill -9 -1; "
      "sleep 300 & exit 0");
  EXPECT_EQ(world->sandboxes->running(), 0u);
  auto launched = world->launch(world->spec({"/bin/sh", "-c", "trap '' TERM; sleep 300"}));
  ASSERT_TRUE(launched.has_value());
  launched.value()->kill();
  launched.value()->kill();
  auto ended = world->finish(*launched.value());
  EXPECT_TRUE(ended.value().exit.signalled);
  EXPECT_EQ(ended.value().exit.reason, "killed by SIGKILL");
}

TEST_F(Life, OutOfMemoryIsTold) {
  if (world->sandboxes->abilities().cgroup == "none") GTEST_SKIP() << "no cgroups here";
  LaunchSpec spec =
      world->spec({"/usr/bin/python3", "-c", "x=[bytearray(1<<20) for i in range(1000)]"});
  spec.limits.memory_bytes = 64u << 20;
  auto output = world->run(spec, milliseconds(20'000));
  ASSERT_TRUE(output.has_value()) << output.error().describe();
  EXPECT_EQ(output.value().exit.reason, "out of memory (limit 64 MB)");
  EXPECT_GT(output.value().exit.usage.oom_kills, 0u);
  EXPECT_GT(output.value().exit.usage.memory_peak_bytes, 60u << 20);
}

TEST_F(Life, UsageCountsCpuAndMemory) {
  LaunchSpec spec =
      world->spec({"/usr/bin/python3", "-c",
                   "import time\nx=bytearray(40<<20)\nwhile time.process_time()<0.2: pass\n"
                   "print('up',flush=True)\ntime.sleep(60)"});
  auto launched = world->launch(spec);
  ASSERT_TRUE(launched.has_value());
  ASSERT_EQ(World::read_line(*launched.value()), "up");
  auto usage = launched.value()->usage();
  EXPECT_GE(usage.cpu_us, 190'000u);
  EXPECT_LT(usage.cpu_us, 5'000'000u);
  EXPECT_GE(usage.memory_peak_bytes, 40u << 20);
}

TEST_F(Life, ListenersAndConnectors) {
  LaunchSpec spec = world->spec(
      {"/usr/bin/python3", "-c",
       "import socket\n"
       "c=socket.create_connection(('127.0.0.1',9001)); c.sendall(b'ping\\n'); c.close()\n"
       "s=socket.create_server(('127.0.0.1',8080)); print('up',flush=True)\n"
       "for i in range(6):\n"
       "  c,_=s.accept(); c.sendall(c.recv(100)); c.close()\n"});
  spec.listen_ports = {9001};
  auto launched = world->launch(spec);
  ASSERT_TRUE(launched.has_value()) << launched.error().describe();
  Sandbox& sandbox = *launched.value();
  ASSERT_EQ(sandbox.listeners.size(), 1u);
  ASSERT_EQ(World::read_line(sandbox), "up");
  int accepted = ::accept4(sandbox.listeners[0].get(), nullptr, nullptr, SOCK_CLOEXEC);
  ASSERT_GE(accepted, 0);
  char text[10] = {};
  EXPECT_EQ(::read(accepted, text, sizeof text), 5);
  EXPECT_STREQ(text, "ping\n");
  ::close(accepted);
  auto connector = sandbox.connector(8080);
  for (int i = 0; i < 6; ++i) {
    auto connected = world->await<Result<io::StreamSocket>>(connector());
    ASSERT_TRUE(connected.has_value()) << connected.error().describe();
    boost::asio::write(connected.value(), boost::asio::buffer("echo", 4));
    char reply[4];
    boost::asio::read(connected.value(), boost::asio::buffer(reply));
    EXPECT_EQ(std::string(reply, 4), "echo");
  }
  auto output = world->finish(sandbox, milliseconds(10'000));
  EXPECT_EQ(output.value().exit.status, 0) << output.value().err;
  auto after = world->await<Result<io::StreamSocket>>(connector());
  EXPECT_TRUE(after.has_error());
  launched.value().reset();
  EXPECT_TRUE(world->await<Result<io::StreamSocket>>(connector()).has_error());
}

TEST_F(Life, SpawnerDeathIsSurvived) {
  auto launched = world->launch(world->spec({"/bin/sleep", "300"}));
  ASSERT_TRUE(launched.has_value());
  int old = world->spawner->pid();
  ASSERT_EQ(::kill(old, SIGKILL), 0);
  auto output = world->finish(*launched.value());
  EXPECT_THAT(output.value().exit.reason, HasSubstr("spawner died"));
  Output again = shell("echo again");
  EXPECT_EQ(again.out, "again\n");
  EXPECT_NE(world->spawner->pid(), old);
}

TEST_F(Life, FilesAndNetworkNoneAndNames) {
  Output output = shell(
      "cat /etc/resolv.conf; ls /dev; touch /tmp/x && echo tmp; touch /x; touch /usr/x; "
      "python3 -c \"import socket; s=socket.socket(); s.settimeout(2)\n"
      "try: s.connect(('198.18.0.3',53)); print('out')\n"
      "except OSError as e: print('none', e.errno)\"");
  EXPECT_THAT(output.out, HasSubstr("tmp\n"));
  EXPECT_THAT(output.out, HasSubstr("none 101"));  // ENETUNREACH
  EXPECT_THAT(output.err, HasSubstr("Read-only file system"));
}

TEST_F(Life, ManyAtOnce) {
  std::vector<std::unique_ptr<Sandbox>> running;
  for (int i = 0; i < 40; ++i) {
    LaunchSpec spec = world->spec({"/bin/sh", "-c", "echo up; read wait"});
    spec.stdin_pipe = true;
    spec.network = i % 2 == 0 ? Network::nat : Network::none;
    auto launched = world->launch(spec);
    ASSERT_TRUE(launched.has_value()) << launched.error().describe();
    running.push_back(std::move(launched).value());
  }
  EXPECT_EQ(world->sandboxes->running(), 40u);
  for (auto& sandbox : running) {
    sandbox->stdin_fd.reset();
    auto output = world->finish(*sandbox, milliseconds(10'000));
    EXPECT_EQ(output.value().out, "up\n");
  }
}

TEST_F(Life, AbandonedSandboxIsKilled) {
  auto launched = world->launch(world->spec({"/bin/sleep", "300"}));
  ASSERT_TRUE(launched.has_value());
  launched.value().reset();
  EXPECT_TRUE(world->eventually([&] { return world->sandboxes->running() == 0; }));
}

TEST_F(Life, NamesAreAskedOfTheEgress) {
  if (!world->sandboxes->abilities().network_nat) GTEST_SKIP() << "no egress on this machine";
  // Nothing of the world is needed: that a route is there and the resolver's port is not refused.
  Output output = shell(
      "python3 -c \"import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
      "s.connect(('198.18.0.3',53)); s.send(b'x'*12); print(s.getsockname()[0][:7])\"",
      [](LaunchSpec& spec) { spec.network = Network::nat; });
  EXPECT_EQ(output.out, "198.19.\n") << output.err;
}

TEST(Unprivileged, RunsWithLessAndSaysSo) {
  expect_works_unprivileged({"mayfly-spawner"}, [](World& world, const std::string&) {
    std::string missing;
    for (const auto& line : world.sandboxes->abilities().missing) missing += line + "\n";
    std::fprintf(stderr, "%s", missing.c_str());
    if (missing.find("Not root") == std::string::npos) return 20;
    auto output = world.run(world.spec({"/bin/sh", "-c", "id -u; ls /proc | grep -c '^[0-9]'"}),
                            milliseconds(10'000));
    if (output.has_error()) {
      std::fprintf(stderr, "%s\n", output.error().describe().c_str());
      return 21;
    }
    if (!output.value().out.starts_with("1000\n")) return 22;
    auto spec = world.spec({"/bin/sleep", "60"});
    spec.services = true;
    auto launched = world.launch(std::move(spec));
    if (launched.has_error()) {
      std::fprintf(stderr, "%s\n", launched.error().describe().c_str());
      return 23;
    }
    return launched.value()->services ? 0 : 24;
  });
}

TEST_F(Life, ServicesHaveAListenerNobodyElseCanTake) {
  LaunchSpec spec = world->spec({"/usr/bin/python3", "-c",
                                 "import socket\n"
                                 "c=socket.create_connection(('127.0.0.2',80))\n"
                                 "c.sendall(b'ping'); print(c.recv(9)); c.close()\n"
                                 "socket.create_server(('',8080)).close()\n"
                                 "try: socket.create_server(('127.0.0.2',80))\n"
                                 "except PermissionError: print('not to bind')\n"});
  spec.services = true;
  spec.listen_ports = {9001};
  auto launched = world->launch(spec);
  ASSERT_TRUE(launched.has_value()) << launched.error().describe();
  Sandbox& sandbox = *launched.value();
  EXPECT_EQ(sandbox.listeners.size(), 1u);
  ASSERT_TRUE(sandbox.services.valid());
  ASSERT_TRUE(world->eventually([&] {
    pollfd wait{sandbox.services.get(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  }));
  os::Fd came(::accept4(sandbox.services.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_EQ(::write(came.get(), "pong", 4), 4);
  auto output = world->finish(sandbox, milliseconds(10'000));
  ASSERT_TRUE(output.has_value());
  EXPECT_EQ(output.value().out, "b'pong'\nnot to bind\n") << output.value().err;
}

}  // namespace
}  // namespace mayfly::sandbox_tests
