// Programs that come from a zygote: as those that are started, and nothing else when the zygote
// fails.

#include <gmock/gmock.h>
#include <signal.h>

#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "census.h"
#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

class FromZygote : public WithWorld {
 protected:
  LaunchSpec program(std::vector<std::string> words, bool cloneable = false) {
    words.insert(words.begin(), "/opt/template");
    LaunchSpec spec = world->spec(std::move(words));
    spec.mounts.push_back({MAYFLY_BUILD_DIR "/sandbox_template", "/opt/template"});
    spec.channel = true;
    spec.cloneable = cloneable;
    return spec;
  }
  std::unique_ptr<Sandbox> from_zygote(LaunchSpec spec) {
    auto made = world->launch_from_zygote(std::move(spec));
    EXPECT_TRUE(made.has_value()) << made.error().describe();
    return made.has_value() ? std::move(made).value() : nullptr;
  }
  std::string output_of(std::unique_ptr<Sandbox> sandbox) {
    if (!sandbox) return {};
    sandbox->channel.reset();
    auto output = world->finish(*sandbox, milliseconds(20'000));
    EXPECT_EQ(output.value().exit.reason, "exited with status 0") << output.value().err;
    return output.value().out;
  }
  // The process that is a zygote of these tests; 0: none.
  int zygote() {
    int found = 0;
    for (const auto& [pid, state] : family(world->spawner->pid())) {
      std::ifstream file("/proc/" + std::to_string(pid) + "/environ");
      std::string env((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      if (env.find("MAYFLY_ZYGOTE_FD=4") != std::string::npos &&
          parent_of(pid) == world->spawner->pid())
        found = pid;
    }
    return found;
  }
};

// What differs from start to start: numbers of processes, memory, times, names of hosts.
std::string comparable(const std::string& text) {
  static const std::regex changing(
      "^(Tgid|Pid|FDSize|Ngid|NStgid|NSpid|NSpgid|NSsid|Vm\\w+|Rss\\w+|Hugetlb\\w+|"
      "(non)?voluntary_ctxt_switches|Cpus_allowed\\w*|SigQ):.*$");
  static const std::regex user("\\b[12]\\d{9}\\b");
  std::istringstream lines(text);
  std::multiset<std::string> kept;  // the order of mounts is that of their making
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_match(line, changing)) kept.insert(std::regex_replace(line, user, "USER"));
  }
  std::string text_kept;
  for (const auto& line : kept) text_kept += line + "\n";
  return text_kept;
}

TEST_F(FromZygote, IsAsOneThatIsStarted) {
  for (bool cloneable : {false, true}) {
    auto change = [](LaunchSpec spec) {
      spec.env = {"PATH=/bin", "SOME=thing", "OTHER=one"};
      spec.limits.files_max = 200;
      spec.cwd = "/tmp";
      return spec;
    };
    auto started = world->launch(change(program({"self"}, cloneable)));
    ASSERT_TRUE(started.has_value()) << started.error().describe();
    EXPECT_FALSE(started.value()->from_zygote);
    std::string one = comparable(output_of(std::move(started).value()));
    std::string other = comparable(output_of(from_zygote(change(program({"self"}, cloneable)))));
    if (!cloneable) {
      // The filter of a zygote lets in what a program of its may not do; one more takes it away.
      auto at = other.find("Seccomp_filters:\t3");
      ASSERT_NE(at, std::string::npos) << other;
      other.replace(at, 18, "Seccomp_filters:\t2");
    }
    EXPECT_EQ(one, other);
    EXPECT_THAT(other, HasSubstr("parent 1, leader 1 1"));
    EXPECT_THAT(other, HasSubstr("dumpable 1"));
    EXPECT_THAT(other, HasSubstr("NoNewPrivs:\t1"));
    EXPECT_THAT(other,
                HasSubstr(cloneable ? "CapEff:\t0000000000240000" : "CapEff:\t0000000000000000"));
    EXPECT_THAT(other, Not(HasSubstr("ZYGOTE")));
  }
}

TEST_F(FromZygote, HasNamespacesAndUsersOfItsOwn) {
  auto one = from_zygote(program({"place"})), two = from_zygote(program({"place"}));
  ASSERT_TRUE(one && two);
  std::string first = output_of(std::move(one)), second = output_of(std::move(two));
  static const std::regex name("(user|pid|mnt|net|ipc|uts|cgroup):\\[\\d+\\]");
  std::set<std::string> seen;
  for (const auto* text : {&first, &second}) {
    for (std::sregex_iterator at(text->begin(), text->end(), name), end; at != end; ++at)
      seen.insert(at->str());
  }
  EXPECT_EQ(seen.size(), 14u) << first << second;  // seven each, and none in common
  EXPECT_THAT(first, HasSubstr("init EACCES\n"));
  EXPECT_THAT(first, HasSubstr("fds 4\n"));
  EXPECT_THAT(first, Not(HasSubstr("mayfly")));
}

TEST_F(FromZygote, IsATemplateLikeAnyOther) {
  auto source = from_zygote(program({"honest"}, true));
  ASSERT_TRUE(source);
  char byte = 0;
  pollfd wait{source->channel.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&wait, 1, 10'000), 1);
  ASSERT_EQ(::read(wait.fd, &byte, 1), 1);
  source->keep_shells(2);
  EXPECT_EQ(world->run_clone(*source, {"exit", "7"}).value().exit.reason, "exited with status 7");
  auto made = world->clone(*source, {"stay"});
  ASSERT_TRUE(made.has_value()) << made.error().describe();
  EXPECT_EQ(World::read_line(*made.value()), "up");
  // The zygote's end is nothing to them, nor is that of the template to its clone.
  int pid = zygote();
  ASSERT_GT(pid, 0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  EXPECT_EQ(world->run_clone(*source, {"exit", "3"}).value().exit.reason, "exited with status 3");
  source->terminate();
  EXPECT_EQ(world->finish(*source, milliseconds(5000)).value().exit.reason, "killed by SIGTERM");
  made.value()->terminate();
  EXPECT_EQ(world->finish(*made.value(), milliseconds(5000)).value().exit.reason,
            "killed by SIGTERM");
  expect_no_zombies(*world);
}

TEST_F(FromZygote, EndIsTold) {
  auto made = from_zygote(program({"honest"}, true));
  ASSERT_TRUE(made);
  made->terminate();
  EXPECT_EQ(world->finish(*made, milliseconds(5000)).value().exit.reason, "killed by SIGTERM");
  made = from_zygote(program({"honest"}, true));
  ASSERT_TRUE(made);
  made->kill();
  EXPECT_EQ(world->finish(*made).value().exit.reason, "killed by SIGKILL");
  EXPECT_GT(from_zygote(program({"honest"}))->usage().memory_peak_bytes, 0u);
}

// A zygote that is stopped or killed at any moment costs a start by exec, and nothing else.
TEST_F(FromZygote, AFailingZygoteIsDoneWithout) {
  for (int signal : {SIGSTOP, SIGKILL}) {
    ASSERT_TRUE(from_zygote(program({"self"})));
    int pid = zygote();
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, signal), 0);
    LaunchSpec spec = program({"self"});
    spec.zygote = sandbox::ZygoteSpec{spec.argv, {"PATH=/usr/bin:/bin"}, spec.mounts};
    auto made = world->launch(std::move(spec));
    ASSERT_TRUE(made.has_value()) << made.error().describe();
    EXPECT_FALSE(made.value()->from_zygote);
    EXPECT_NE(made.value()->no_zygote, "");
    EXPECT_THAT(output_of(std::move(made).value()), HasSubstr("parent 1"));
    EXPECT_TRUE(world->eventually([pid] { return gone_or_zombie(pid); }));
  }
  ASSERT_TRUE(from_zygote(program({"self"})));  // another one has been made
}

// The moment moves over the whole of a launch, which takes some milliseconds.
TEST_F(FromZygote, KilledAtAnyMomentALaunchSucceeds) {
  int came = 0;
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(from_zygote(program({"self"})));
    int pid = zygote();
    ASSERT_GT(pid, 0);
    std::thread killer([pid, i] {
      const auto at = std::chrono::steady_clock::now() + std::chrono::microseconds(i * 100);
      while (std::chrono::steady_clock::now() < at) {
      }
      ::kill(pid, SIGKILL);
    });
    LaunchSpec spec = program({"self"});
    spec.zygote = sandbox::ZygoteSpec{spec.argv, {"PATH=/usr/bin:/bin"}, spec.mounts};
    auto made = world->launch(std::move(spec));
    killer.join();
    ASSERT_TRUE(made.has_value()) << made.error().describe();
    came += made.value()->from_zygote ? 1 : 0;
    EXPECT_THAT(output_of(std::move(made).value()), HasSubstr("parent 1, leader 1 1"));
    ASSERT_TRUE(world->eventually([pid] { return gone_or_zombie(pid); }));
  }
  RecordProperty("from_zygote", came);
  expect_no_zombies(*world);
}

TEST_F(FromZygote, OneThatCannotBeMadeIsDoneWithout) {
  for (int i = 0; i < 3; ++i) {
    LaunchSpec spec = program({"self"});
    spec.zygote = sandbox::ZygoteSpec{spec.argv, {}, {}};  // it does not find the program
    auto made = world->launch(std::move(spec));
    ASSERT_TRUE(made.has_value()) << made.error().describe();
    EXPECT_THAT(output_of(std::move(made).value()), HasSubstr("parent 1"));
  }
}

// Else what one version's program writes, another's would read.
TEST_F(FromZygote, OneWhoseProgramsWouldShareMemoryIsDoneWithout) {
  std::string why;
  EXPECT_TRUE(world->eventually([&] {
    LaunchSpec spec = program({"sharing"});
    spec.zygote = sandbox::ZygoteSpec{spec.argv, {"PATH=/usr/bin:/bin"}, spec.mounts};
    auto made = world->launch(std::move(spec));
    EXPECT_TRUE(made.has_value()) << made.error().describe();
    if (made.has_error()) return true;
    EXPECT_FALSE(made.value()->from_zygote);
    why = made.value()->no_zygote;
    EXPECT_THAT(output_of(std::move(made).value()), HasSubstr("parent 1"));
    return why.find("share memory") != std::string::npos;
  })) << why;
}

TEST_F(FromZygote, AnotherProgramIsRefused) {
  LaunchSpec spec = program({"self"});
  spec.zygote = sandbox::ZygoteSpec{{"relative"}, {}, {}};
  auto made = world->launch(std::move(spec));
  ASSERT_TRUE(made.has_value());  // what is not the same program is not asked for
  EXPECT_EQ(made.value()->no_zygote, "");
}

TEST_F(FromZygote, StartsLeaveNothing) {
  ASSERT_TRUE(from_zygote(program({"honest"})));
  Census before = settle(*world);
  // More than one zygote serves: it is renewed on the way.
  for (int i = 0; i < 150; ++i) {
    LaunchSpec spec = program({"honest"}, i % 2 == 0);
    spec.zygote = sandbox::ZygoteSpec{spec.argv, {"PATH=/usr/bin:/bin"}, spec.mounts};
    auto made = world->launch(std::move(spec));
    ASSERT_TRUE(made.has_value()) << i << ": " << made.error().describe();
    if (i % 3 == 0) continue;  // destroyed without a wait
    made.value()->kill();
    ignore(world->finish(*made.value()), "it was killed");
  }
  ASSERT_TRUE(from_zygote(program({"honest"})));
  EXPECT_EQ(settle(*world), before);
  expect_no_zombies(*world);
}

TEST(ZygoteStop, LeavesNothing) {
  MAYFLY_NEEDS_ROOT();
  for (bool killed : {false, true}) {
    World world;
    ASSERT_EQ(world.error, "");
    auto folders = group_folders(world.state);
    LaunchSpec spec = world.spec({"/opt/template", "honest"});
    spec.mounts.push_back({MAYFLY_BUILD_DIR "/sandbox_template", "/opt/template"});
    spec.channel = true;
    auto made = world.launch_from_zygote(std::move(spec));
    ASSERT_TRUE(made.has_value()) << made.error().describe();
    auto members = family(world.spawner->pid());
    if (killed) {
      ASSERT_EQ(::kill(world.spawner->pid(), SIGKILL), 0);
    }
    made.value().reset();
    world.sandboxes.reset();
    world.spawner.reset();
    for (auto [pid, state] : members) {
      EXPECT_TRUE(world.eventually([pid = pid] { return gone_or_zombie(pid); })) << pid;
    }
    if (killed) {  // the next start clears away what a killed one has left
      sandbox::SpawnerOptions options;
      options.program = MAYFLY_BUILD_DIR "/mayfly-spawner";
      options.state_dir = world.state;
      auto again = sandbox::Spawner::start(options);
      ASSERT_TRUE(again.has_value()) << again.error().describe();
      again.value().reset();
    }
    EXPECT_EQ(count_groups(folders), 0u);
  }
}

}  // namespace
}  // namespace mayfly::sandbox_tests
