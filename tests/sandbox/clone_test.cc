// Sandboxes cloned from a template that keeps to the rules.

#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <set>
#include <sstream>

#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

class Clone : public WithWorld {
 protected:
  std::unique_ptr<Sandbox> honest(std::vector<std::string> words = {"honest"},
                                  std::function<void(LaunchSpec&)> change = {}) {
    auto launched = world->launch_template(std::move(words), std::move(change));
    EXPECT_TRUE(launched.has_value()) << launched.error().describe();
    return launched.has_value() ? std::move(launched).value() : nullptr;
  }
  std::unique_ptr<Sandbox> clone(Sandbox& from, const std::vector<std::string>& words,
                                 sandbox::Limits limits = {}) {
    auto made = world->clone(from, words, limits);
    EXPECT_TRUE(made.has_value()) << made.error().describe();
    return made.has_value() ? std::move(made).value() : nullptr;
  }
  Output run(Sandbox& from, const std::vector<std::string>& words, sandbox::Limits limits = {}) {
    auto output = world->run_clone(from, words, limits);
    EXPECT_TRUE(output.has_value()) << output.error().describe();
    return output.has_value() ? std::move(output).value() : Output();
  }
  // Waits until the sandbox has written something.
  static void await_output(const Sandbox& sandbox) {
    pollfd wait{sandbox.stdout_fd.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
  }
};

// "net:[4026532]" and so on, by kind.
std::map<std::string, std::string> namespaces(const std::string& text) {
  std::map<std::string, std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    auto colon = line.find(":[");
    if (colon != std::string::npos) found[line.substr(0, colon)] = line;
  }
  return found;
}

TEST_F(Clone, RunsInNamespacesOfItsOwn) {
  auto source = honest();
  ASSERT_TRUE(source);
  auto one = clone(*source, {"place"}), two = clone(*source, {"place"});
  ASSERT_TRUE(one && two);
  await_output(*one);
  await_output(*two);
  one->channel.reset();
  two->channel.reset();
  Output first = std::move(world->finish(*one, milliseconds(5000))).value();
  Output second = std::move(world->finish(*two, milliseconds(5000))).value();
  EXPECT_EQ(first.exit.reason, "exited with status 0") << first.err;
  EXPECT_THAT(first.out, HasSubstr("pid 2\nsid 2\n"));
  EXPECT_THAT(first.out, HasSubstr("host c"));
  EXPECT_THAT(first.out, HasSubstr("cwd /\n"));
  EXPECT_THAT(first.out, HasSubstr("fds 4\n"));
  EXPECT_THAT(first.out, HasSubstr("init EACCES\n"));
  EXPECT_THAT(first.out, Not(HasSubstr("tmp ")));    // the template's /tmp is not here
  EXPECT_THAT(first.out, Not(HasSubstr("mayfly")));  // of the cgroups
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_THAT(first.out, HasSubstr(std::string(set) + ":\t0000000000000000"));
  }
  EXPECT_THAT(first.out, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(first.out, HasSubstr("Threads:\t1\n"));
  EXPECT_THAT(first.out, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(first.out, HasSubstr("SigIgn:\t0000000000000000"));
  auto ours = namespaces(first.out), others = namespaces(second.out);
  ASSERT_EQ(ours.size(), 7u) << first.out;
  for (const char* kind : {"pid", "mnt", "net", "ipc", "uts", "cgroup"}) {
    EXPECT_NE(ours[kind], others[kind]) << kind;
  }
  EXPECT_EQ(ours["user"], others["user"]);  // the template's
}

TEST_F(Clone, ChannelAndFirstBytesWrittenEarly) {
  auto source = honest();
  ASSERT_TRUE(source);
  auto made = clone(*source, {"echo"});
  ASSERT_TRUE(made);
  ASSERT_EQ(::write(made->channel.get(), "early", 5), 5);
  pollfd wait{made->channel.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&wait, 1, 5000), 1);
  char text[16] = {};
  ASSERT_EQ(::read(made->channel.get(), text, sizeof text), 5);
  EXPECT_STREQ(text, "early");
  made->channel.reset();
  EXPECT_EQ(world->finish(*made, milliseconds(5000)).value().exit.status, 0);
}

TEST_F(Clone, EndIsTold) {
  auto source = honest();
  ASSERT_TRUE(source);
  source->keep_shells(2);
  EXPECT_EQ(run(*source, {"exit", "7"}).exit.reason, "exited with status 7");
  EXPECT_EQ(run(*source, {"exit", "0"}).exit.reason, "exited with status 0");
  EXPECT_EQ(run(*source, {"raise", "11"}).exit.reason, "killed by SIGSEGV");
  auto made = clone(*source, {"stay"});
  ASSERT_TRUE(made);
  EXPECT_EQ(world->sandboxes->running(), 2u);
  made->terminate();
  EXPECT_EQ(world->finish(*made, milliseconds(5000)).value().exit.reason, "killed by SIGTERM");
  made = clone(*source, {"stay"});
  ASSERT_TRUE(made);
  made->kill();
  made->kill();
  EXPECT_EQ(world->finish(*made).value().exit.reason, "killed by SIGKILL");
  EXPECT_EQ(run(*source, {"orphans", "200"}).out, "collected\n");
}

// Some end before the sandbox's init has heard of the clone: many at once make it late.
TEST_F(Clone, EarlyOrphansAreCollected) {
  auto source = honest();
  ASSERT_TRUE(source);
  for (int round = 0; round < 4; ++round) {
    std::vector<std::unique_ptr<Sandbox>> made;
    for (int i = 0; i < 12; ++i) made.push_back(clone(*source, {"orphans"}));
    for (const auto& one : made) {
      ASSERT_TRUE(one);
      EXPECT_EQ(std::move(world->finish(*one, milliseconds(20'000))).value().out, "collected\n");
    }
  }
}

TEST_F(Clone, LimitsAreTheClonesOwn) {
  if (world->sandboxes->abilities().cgroup == "none") GTEST_SKIP() << "no cgroups here";
  auto source = honest();
  ASSERT_TRUE(source);
  auto other = clone(*source, {"stay"});
  sandbox::Limits limits;
  limits.memory_bytes = 32u << 20;
  Output output = run(*source, {"memory", "64"}, limits);
  EXPECT_EQ(output.exit.reason, "out of memory (limit 32 MB)");
  EXPECT_GT(output.exit.usage.oom_kills, 0u);
  EXPECT_GT(output.exit.usage.memory_peak_bytes, 28u << 20);
  EXPECT_EQ(run(*source, {"memory", "64"}).out, "used\n");  // with the template's own limit
  limits = {};
  limits.pids_max = 20;
  EXPECT_EQ(run(*source, {"forks"}, limits).out, "19 EAGAIN\n");
  EXPECT_EQ(run(*source, {"file"}).out, "made\n");
  EXPECT_EQ(run(*source, {"file"}).out, "made\n");
  EXPECT_EQ(run(*source, {"file", "/x"}).out, "EROFS\n");
  EXPECT_EQ(source->usage().oom_kills, 0u);
  EXPECT_EQ(other->usage().oom_kills, 0u);
  EXPECT_LT(other->usage().memory_peak_bytes, 16u << 20);
  EXPECT_EQ(world->sandboxes->running(), 2u);
}

TEST_F(Clone, PagesThatItWritesAreCountedAsItsOwn) {
  if (world->sandboxes->abilities().cgroup == "none") GTEST_SKIP() << "no cgroups here";
  auto source = honest({"honest", "40"});
  ASSERT_TRUE(source);
  Output idle = run(*source, {"exit"}), busy = run(*source, {"touch"});
  EXPECT_LT(idle.exit.usage.memory_peak_bytes, 8u << 20);
  EXPECT_GE(busy.exit.usage.memory_peak_bytes, 40u << 20);
}

TEST_F(Clone, NetworkIsTheClonesOwn) {
  auto source = honest({"honest"}, [](LaunchSpec& spec) { spec.network = Network::nat; });
  ASSERT_TRUE(source);
  auto made = clone(*source, {"stay"});
  ASSERT_TRUE(made);
  auto connector = made->connector(9);
  auto refused = world->await<Result<io::StreamSocket>>(connector());
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().sys_errno, ECONNREFUSED);  // its loopback is up, with nobody there
}

TEST_F(Clone, ManyAtOnceFromNoShells) {
  auto source = honest();
  ASSERT_TRUE(source);
  std::vector<std::unique_ptr<Sandbox>> running;
  std::set<std::string> groups;
  for (int i = 0; i < 30; ++i) running.push_back(clone(*source, {"echo"}));
  EXPECT_EQ(world->sandboxes->running(), 31u);
  for (auto& one : running) {
    ASSERT_TRUE(one);
    one->channel.reset();
    EXPECT_EQ(world->finish(*one, milliseconds(10'000)).value().exit.status, 0);
  }
  EXPECT_EQ(world->sandboxes->running(), 1u);
}

TEST_F(Clone, ClonesOutliveTheTemplate) {
  for (bool by_signal : {false, true}) {
    auto source = honest();
    ASSERT_TRUE(source);
    source->keep_shells(3);
    auto made = clone(*source, {"echo"}), second = clone(*source, {"stay"});
    ASSERT_TRUE(made && second);
    if (by_signal) {
      source->terminate();
      EXPECT_EQ(world->finish(*source, milliseconds(5000)).value().exit.reason,
                "killed by SIGTERM");
      EXPECT_EQ(world->clone(*source, {"exit"}).error().code, Code::unavailable);
    }
    source.reset();
    ASSERT_EQ(::write(made->channel.get(), "x", 1), 1);
    pollfd wait{made->channel.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&wait, 1, 5000), 1);
    char byte;
    EXPECT_EQ(::read(made->channel.get(), &byte, 1), 1);
    made->channel.reset();
    EXPECT_EQ(world->finish(*made, milliseconds(5000)).value().exit.reason, "exited with status 0");
    second->kill();
    EXPECT_EQ(world->finish(*second).value().exit.reason, "killed by SIGKILL");
    // The template's own end may be told last.
    EXPECT_TRUE(world->eventually([&] { return world->sandboxes->running() == 0; }));
  }
}

TEST_F(Clone, BadRequestsAreRefused) {
  auto launched = world->launch(world->spec({"/bin/sleep", "60"}));
  ASSERT_TRUE(launched.has_value());
  EXPECT_EQ(world->clone(*launched.value(), {"exit"}).error().code, Code::unavailable);
  launched.value()->keep_shells(5);
  LaunchSpec spec = world->spec({"/bin/true"});
  spec.cloneable = true;  // without a channel
  EXPECT_EQ(world->run(spec).error().code, Code::invalid_argument);
  spec.channel = true;
  spec.mounts.push_back({world->folder.path(), "/var/task", true});
  EXPECT_EQ(world->run(spec).error().code, Code::invalid_argument);
  auto source = honest();
  ASSERT_TRUE(source);
  EXPECT_EQ(world->clone(*source, {std::string("a\0b", 3)}).error().code, Code::invalid_argument);
  EXPECT_EQ(world->clone(*source, {std::string(300'000, 'x')}).error().code, Code::too_large);
  EXPECT_EQ(run(*source, {"exit", "1"}).exit.status, 1);
}

int clone_unprivileged(World& world, const std::string& folder) {
  auto source = world.launch_template({"honest"}, [&](LaunchSpec& spec) {
    spec.mounts[0].host_path = folder + "/sandbox_template";
  });
  if (source.has_error()) {
    std::fprintf(stderr, "%s\n", source.error().describe().c_str());
    return 20;
  }
  auto busy = world.clone(*source.value(), {"memory", "32"});
  auto made = world.clone(*source.value(), {"exit", "6"});
  if (made.has_error() || busy.has_error()) {
    std::fprintf(stderr, "%s\n", made.error().describe().c_str());
    return 21;
  }
  auto ended = world.finish(*made.value(), milliseconds(5000));
  auto used = world.finish(*busy.value(), milliseconds(5000));
  if (ended.value().exit.status != 6 || used.value().out != "used\n") return 22;
  made = world.clone(*source.value(), {"stay"});
  if (made.has_error()) return 23;
  if (made.value()->usage().memory_peak_bytes < (64u << 10)) return 24;
  made.value()->kill();
  return world.finish(*made.value()).value().exit.status == SIGKILL ? 0 : 25;
}

TEST(Unprivileged, Clones) {
  expect_works_unprivileged({"mayfly-spawner", "sandbox_template"}, clone_unprivileged);
}

// What the kernel keeps for a clone is charged to who forked it.
TEST_F(Clone, ManyThatLiveDoNotFillTheirTemplate) {
  if (world->sandboxes->abilities().cgroup == "none") GTEST_SKIP() << "no cgroups here";
  constexpr std::uint64_t kLimit = 8 << 20;
  auto source = honest({"honest"}, [](LaunchSpec& spec) { spec.limits.memory_bytes = kLimit; });
  ASSERT_TRUE(source);
  std::vector<std::unique_ptr<Sandbox>> clones;
  for (int i = 0; i < 120; ++i) {
    clones.push_back(clone(*source, {"place"}));
    ASSERT_TRUE(clones.back()) << "clone " << i;
    await_output(*clones.back());
  }
  EXPECT_EQ(run(*source, {"file"}).out, "made\n");
  EXPECT_EQ(source->usage().oom_kills, 0u);
}

// Each has a way in of its own, and none where the template was launched without.
TEST_F(Clone, HasAListenerForServicesOfItsOwn) {
  auto source = honest({"honest"}, [](LaunchSpec& spec) { spec.services = true; });
  ASSERT_TRUE(source);
  EXPECT_TRUE(source->services.valid());
  auto one = clone(*source, {"dial"}), two = clone(*source, {"dial"});
  ASSERT_TRUE(one && two);
  for (auto* made : {one.get(), two.get()}) {
    pollfd wait{made->services.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&wait, 1, 10'000), 1);
    os::Fd came(::accept4(made->services.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(came.valid());
    char text[8] = {};
    EXPECT_EQ(::read(came.get(), text, sizeof text), 5);
    std::string answer = "to " + made->id();
    EXPECT_GT(::write(came.get(), answer.data(), answer.size()), 0);
    came.reset();
    Output output = std::move(world->finish(*made, milliseconds(5000))).value();
    EXPECT_EQ(output.out, answer + "\n") << output.err;
  }
  EXPECT_EQ(run(*source, {"squat"}).out, "EACCES\n");
  auto closed = honest();
  ASSERT_TRUE(closed);
  EXPECT_FALSE(closed->services.valid());
  auto three = clone(*closed, {"dial"});
  ASSERT_TRUE(three);
  EXPECT_FALSE(three->services.valid());
  EXPECT_EQ(std::move(world->finish(*three, milliseconds(5000))).value().out, "ECONNREFUSED\n");
  EXPECT_EQ(run(*closed, {"squat"}).out, "EACCES\n");
}

}  // namespace
}  // namespace mayfly::sandbox_tests
