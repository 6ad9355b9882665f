// Nothing grows with the number of launches, and nothing is left after a stop or a kill -9.
// MAYFLY_LAUNCHES=10000 for the long run.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>

#include "census.h"
#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(Leak, LaunchesLeaveNothing) {
  MAYFLY_NEEDS_ROOT();
  World world;
  ASSERT_EQ(world.error, "");
  Census before = settle(world);
  const char* wanted = std::getenv("MAYFLY_LAUNCHES");
  int launches = wanted != nullptr ? std::atoi(wanted) : 200;
  std::vector<double> first_instruction, answered;
  std::string hello = MAYFLY_BUILD_DIR "/sandbox_hello";
  for (int i = 0; i < launches; ++i) {
    if (i % 4 == 0) {  // the pools are full again, as between real cold starts
      ASSERT_EQ(settle(world), before) << i;
    }
    LaunchSpec spec = world.spec({"/opt/hello"});
    spec.mounts.push_back({hello, "/opt/hello"});
    spec.network = i % 2 == 0 ? Network::nat : Network::none;
    auto start = steady_clock::now();
    auto launched = world.launch(spec);
    auto end = steady_clock::now();
    ASSERT_TRUE(launched.has_value()) << launched.error().describe();
    auto output = world.finish(*launched.value(), milliseconds(10'000));
    ASSERT_TRUE(output.has_value());
    ASSERT_EQ(output.value().exit.status, 0) << output.value().exit.reason;
    double us = static_cast<double>(std::atoll(output.value().out.c_str())) -
                static_cast<double>(
                    std::chrono::duration_cast<std::chrono::microseconds>(start.time_since_epoch())
                        .count());
    first_instruction.push_back(us / 1000);
    answered.push_back(std::chrono::duration<double, std::milli>(end - start).count());
  }
  std::sort(first_instruction.begin(), first_instruction.end());
  std::sort(answered.begin(), answered.end());
  auto at = [](const std::vector<double>& v, double q) {
    return v[static_cast<std::size_t>(q * static_cast<double>(v.size() - 1))];
  };
  std::printf(
      "launch to first instruction: p10 %.2f p50 %.2f p90 %.2f p99 %.2f ms; answer: p50 %.2f ms\n",
      at(first_instruction, 0.1), at(first_instruction, 0.5), at(first_instruction, 0.9),
      at(first_instruction, 0.99), at(answered, 0.5));
  EXPECT_EQ(settle(world), before);
  EXPECT_EQ(world.sandboxes->running(), 0u);
  expect_no_zombies(world);
}

TEST(Leak, PoolIsFullAgainWithoutALaunch) {
  MAYFLY_NEEDS_ROOT();
  World world;
  ASSERT_EQ(world.error, "");
  Census before = settle(world);
  auto inits = ready_inits(world);
  ASSERT_EQ(inits.size(), 6u);
  for (int i = 0; i < 3; ++i) ::kill(inits[static_cast<std::size_t>(i)], SIGKILL);
  ASSERT_TRUE(world.eventually([&] { return ready_inits(world) != inits; }));
  EXPECT_EQ(rest(world), before);
}

TEST(Leak, PoolIsFullAgainOnceWhatStoppedItHasPassed) {
  MAYFLY_NEEDS_ROOT();
  World world;
  ASSERT_EQ(world.error, "");
  Census before = settle(world);
  auto inits = ready_inits(world);
  ASSERT_FALSE(inits.empty());
  rlimit files{}, few{4, 4};
  ASSERT_EQ(::prlimit(world.spawner->pid(), RLIMIT_NOFILE, nullptr, &files), 0);
  few.rlim_max = files.rlim_max;
  ASSERT_EQ(::prlimit(world.spawner->pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  ::kill(inits[0], SIGKILL);
  ASSERT_TRUE(world.eventually([&] { return ready_inits(world).size() < inits.size(); }));
  ASSERT_EQ(::prlimit(world.spawner->pid(), RLIMIT_NOFILE, &files, nullptr), 0);
  EXPECT_EQ(rest(world), before);
}

TEST(Leak, FailedLaunchesLeaveNothing) {
  MAYFLY_NEEDS_ROOT();
  World world;
  ASSERT_EQ(world.error, "");
  Census before = settle(world);
  for (int i = 0; i < 50; ++i) {
    LaunchSpec spec = world.spec({"/nowhere"});
    if (i % 3 == 1) spec.mounts.push_back({"/nowhere", "/var/task"});
    if (i % 3 == 2) spec.cwd = "/nowhere";
    EXPECT_TRUE(world.run(spec).has_error());
  }
  EXPECT_EQ(settle(world), before);
}

TEST(Leak, CleanStopLeavesNothing) {
  MAYFLY_NEEDS_ROOT();
  auto own_namespaces = network_namespaces({{::getpid(), 'R'}});
  auto mounts_before = count_lines("/proc/self/mountinfo");
  auto fds_before = count_entries("/proc/self/fd");
  std::map<int, char> members;
  std::set<std::string> namespaces;
  std::vector<os::Fd> held;
  std::vector<std::string> folders;
  {
    World world;
    ASSERT_EQ(world.error, "");
    folders = group_folders(world.state);
    std::vector<std::unique_ptr<Sandbox>> running;
    for (int i = 0; i < 5; ++i) {
      auto launched = world.launch(world.spec({"/bin/sleep", "300"}));
      ASSERT_TRUE(launched.has_value());
      running.push_back(std::move(launched).value());
    }
    members = family(world.spawner->pid());
    ASSERT_GE(members.size(), 10u);
    namespaces = network_namespaces(members);
    for (auto [pid, state] : members) {  // so that no other gets their numbers meanwhile
      std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
      held.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }
    ASSERT_GE(namespaces.size(), 6u);
    ASSERT_GT(count_groups(folders), 5u);
    world.spawner.reset();                      // while all five run
    EXPECT_EQ(count_entries(world.state), 1u);  // the lock file
  }
  expect_gone(members, folders);
  auto left = all_network_namespaces();
  for (const auto& ns : namespaces) {
    EXPECT_TRUE(own_namespaces.contains(ns) || !left.contains(ns)) << ns;
  }
  held.clear();
  EXPECT_EQ(count_lines("/proc/self/mountinfo"), mounts_before);
  EXPECT_EQ(count_entries("/proc/self/fd"), fds_before);
}

TEST(Leak, KilledServerIsCleanedByTheNextStart) {
  MAYFLY_NEEDS_ROOT();
  World world;
  ASSERT_EQ(world.error, "");
  // A second server, in a process of its own, that dies with its spawner by SIGKILL.
  std::string state = world.folder.path() + "/second";
  pid_t server = ::fork();
  if (server == 0) {
    sandbox::SpawnerOptions options;
    options.program = MAYFLY_BUILD_DIR "/mayfly-spawner";
    options.state_dir = state;
    auto started = Spawner::start(options);
    if (started.has_error()) ::_exit(1);
    boost::asio::io_context loop;
    auto client = started.value()->client(loop.get_executor());
    std::optional<Result<std::unique_ptr<Sandbox>>> kept;
    LaunchSpec spec = world.spec({"/bin/sleep", "300"});
    boost::asio::co_spawn(loop, World::store(client->launch(spec), kept),
                          [&](std::exception_ptr) { loop.stop(); });
    loop.run();
    if (!kept || kept->has_error()) ::_exit(1);
    ::kill(started.value()->pid(), SIGKILL);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(server, &status, 0), server);
  ASSERT_TRUE(WIFSIGNALED(status));
  auto folders = group_folders(state);
  EXPECT_GT(count_groups(folders), 0u);  // left behind
  sandbox::SpawnerOptions options;
  options.program = MAYFLY_BUILD_DIR "/mayfly-spawner";
  options.state_dir = state;
  auto again = Spawner::start(options);
  ASSERT_TRUE(again.has_value()) << again.error().describe();
  again.value().reset();
  EXPECT_EQ(count_groups(folders), 0u);
}

TEST(Leak, SecondSpawnerOnTheSameStateIsRefused) {
  MAYFLY_NEEDS_ROOT();
  World world(false);
  ASSERT_EQ(world.error, "");
  sandbox::SpawnerOptions options;
  options.program = MAYFLY_BUILD_DIR "/mayfly-spawner";
  options.state_dir = world.state;
  auto second = Spawner::start(options);
  ASSERT_TRUE(second.has_error());
  EXPECT_THAT(second.error().message, ::testing::HasSubstr("another mayfly-spawner uses"));
}

}  // namespace
}  // namespace mayfly::sandbox_tests
