// Templates that attack the clone path: whatever they do, a request for a clone is answered, an
// honest template beside them goes on, and nothing is left.

#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>

#include "census.h"
#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class HostileTemplate : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (::geteuid() != 0) return;
    world = std::make_unique<World>();
    if (!world->error.empty()) return;
    auto launched = world->launch_template({"honest"});
    if (launched.has_value()) bystander = std::move(launched).value();
  }
  static void TearDownTestSuite() {
    bystander.reset();
    world.reset();
  }
  void SetUp() override {
    MAYFLY_NEEDS_ROOT();
    ASSERT_EQ(world->error, "");
    ASSERT_TRUE(bystander);
  }
  // Every case: the honest one is still there and makes a clone.
  void TearDown() override {
    if (!bystander) return;
    bystander_makes_a_clone();
    // And of the hostile one nothing is left but the pools' rest.
    EXPECT_TRUE(world->eventually([] { return world->sandboxes->running() == 1; }));
    EXPECT_TRUE(world->eventually([] { return programs() == 1; }));  // the honest template's
  }
  static void bystander_makes_a_clone() {
    auto output = world->run_clone(*bystander, {"exit", "5"});
    ASSERT_TRUE(output.has_value()) << output.error().describe();
    EXPECT_EQ(output.value().exit.status, 5);
  }
  // How many processes run the test program.
  static std::size_t programs() {
    std::size_t count = 0;
    for (auto [pid, state] : family(world->spawner->pid())) {
      std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
      std::string name;
      std::getline(file, name);
      if (name == "template") ++count;
    }
    return count;
  }
  static std::unique_ptr<Sandbox> hostile(const std::string& kind) {
    auto launched = world->launch_template({kind});
    EXPECT_TRUE(launched.has_value()) << launched.error().describe();
    return launched.has_value() ? std::move(launched).value() : nullptr;
  }
  static Error refused(Sandbox& from) {
    auto made = world->clone(from, {"exit"});
    EXPECT_TRUE(made.has_error());
    if (made.has_value()) return Error{};
    EXPECT_EQ(made.error().code, Code::unavailable) << made.error().describe();
    return made.error();
  }
  static inline std::unique_ptr<World> world;
  static inline std::unique_ptr<Sandbox> bystander;
};

TEST_F(HostileTemplate, ForksByItself) {
  auto source = hostile("forks-itself");
  ASSERT_TRUE(source);
  auto output = world->run_clone(*source, {"exit", "4"});
  ASSERT_TRUE(output.has_value()) << output.error().describe();
  EXPECT_EQ(output.value().exit.status, 4);
}

TEST_F(HostileTemplate, ForgesTheReport) {
  for (const char* kind : {"forges-report", "forges-sender"}) {
    auto source = hostile(kind);
    ASSERT_TRUE(source);
    EXPECT_THAT(refused(*source).describe(), HasSubstr("who reports is not inside")) << kind;
  }
}

TEST_F(HostileTemplate, LiesOnItsControlSocket) {
  for (const char* kind : {"forges-replies", "sends-nonsense"}) {
    auto launched = world->launch_template({kind});
    if (launched.has_error()) {  // killed so soon that its start was not even told
      EXPECT_THAT(launched.error().describe(), HasSubstr("killed before the program started"));
      continue;
    }
    auto output = world->finish(*launched.value());
    EXPECT_EQ(output.value().exit.reason, "killed by SIGKILL") << kind;
    refused(*launched.value());
  }
}

TEST_F(HostileTemplate, KeepsDescriptors) {
  auto before = settle(*world).cgroups;
  auto source = hostile("keeps-descriptors");
  ASSERT_TRUE(source);
  for (int i = 0; i < 5; ++i) {
    // An error: the template has been ended for what it did.
    ignore(world->run_clone(*source, {"exit"}), "any answer will do");
  }
  source.reset();
  EXPECT_LE(settle(*world).cgroups, before);
}

TEST_F(HostileTemplate, NeverAnswers) {
  auto source = hostile("never-answers");
  ASSERT_TRUE(source);
  std::optional<Result<std::unique_ptr<Sandbox>>> made;
  sandbox::CloneSpec clone_spec;
  clone_spec.id = "waits";
  boost::asio::co_spawn(world->loop, World::store(source->clone(std::move(clone_spec)), made),
                        [](std::exception_ptr) {});
  bystander_makes_a_clone();
  EXPECT_FALSE(made) << "the honest template need not wait for the hostile one";
  ASSERT_TRUE(world->eventually([&] { return made.has_value(); }));
  ASSERT_TRUE(made->has_error());
  EXPECT_THAT(made->error().describe(), HasSubstr("2 s"));
  auto output = world->finish(*source);
  EXPECT_EQ(output.value().exit.reason, "killed by SIGKILL");
  refused(*source);
}

TEST_F(HostileTemplate, AnswersLate) {
  auto source = hostile("answers-late");
  ASSERT_TRUE(source);
  EXPECT_THAT(refused(*source).describe(), HasSubstr("2 s"));
  EXPECT_EQ(world->finish(*source).value().exit.reason, "killed by SIGKILL");
}

TEST_F(HostileTemplate, DiesWhenOrdered) {
  auto source = hostile("dies-when-ordered");
  ASSERT_TRUE(source);
  refused(*source);
  EXPECT_EQ(world->finish(*source).value().exit.reason, "exited with status 9");
}

TEST_F(HostileTemplate, DiesAfterTheFork) {
  auto source = hostile("dies-after-fork");
  ASSERT_TRUE(source);
  auto made = world->clone(*source, {"stay"});
  EXPECT_EQ(world->finish(*source).value().exit.reason, "exited with status 9");
  ASSERT_TRUE(made.has_value()) << made.error().describe();
  made.value()->terminate();
  EXPECT_EQ(world->finish(*made.value(), milliseconds(5000)).value().exit.reason,
            "killed by SIGTERM");
}

TEST_F(HostileTemplate, CloneDiesOutside) {
  auto source = hostile("clone-dies-outside");
  ASSERT_TRUE(source);
  refused(*source);
  refused(*source);
}

TEST_F(HostileTemplate, CloneKeepsItsCapabilities) {
  auto source = hostile("clone-keeps-capabilities");
  ASSERT_TRUE(source);
  auto output = world->run_clone(*source, {"exit"});
  ASSERT_TRUE(output.has_value()) << output.error().describe();
  EXPECT_EQ(output.value().out,
            "/proc/1/ns/mnt EACCES\n/proc/1/ns/user EACCES\n/proc/1/root/etc/shadow EACCES\n"
            "/proc/1/mem EACCES\nmount EPERM\n");
}

TEST_F(HostileTemplate, NeverReaps) {
  auto source = hostile("never-reaps");
  ASSERT_TRUE(source);
  auto output = world->run_clone(*source, {"exit"});
  ASSERT_TRUE(output.has_value()) << output.error().describe();
  // It has kept its capabilities, so that its init may not read the status, which was 7.
  EXPECT_EQ(output.value().exit.reason, "exited with status 0");
  EXPECT_EQ(world->finish(*source).value().exit.reason, "killed by SIGKILL");
}

TEST_F(HostileTemplate, SaysItIsReadyAndIsNot) {
  auto source = hostile("closes-control");
  ASSERT_TRUE(source);
  EXPECT_THAT(refused(*source).describe(), HasSubstr("closed its control socket"));
}

TEST_F(HostileTemplate, KillsAllItCanSee) {
  auto source = hostile("kills-everything");
  ASSERT_TRUE(source);
  source->keep_shells(4);
  settle(*world);
  refused(*source);
  // Shells that it has killed are made anew until it has had enough.
  refused(*source);
}

TEST_F(HostileTemplate, ExhaustsThePool) {
  auto source = world->launch_template({"honest"});
  ASSERT_TRUE(source.has_value());
  source.value()->keep_shells(64);
  std::vector<std::unique_ptr<Sandbox>> clones;
  for (int i = 0; i < 60; ++i) {
    auto made = world->clone(*source.value(), {"stay"});
    ASSERT_TRUE(made.has_value()) << made.error().describe();
    clones.push_back(std::move(made).value());
  }
  auto made = world->clone(*bystander, {"exit"});
  EXPECT_TRUE(made.has_value());
}

TEST_F(HostileTemplate, FamilyGoesWithItsInit) {
  auto source = world->launch_template({"honest", "1", "marked-one"});
  ASSERT_TRUE(source.has_value());
  auto made = world->clone(*source.value(), {"stay"}), other = world->clone(*bystander, {"stay"});
  ASSERT_TRUE(made.has_value() && other.has_value());
  int init = parent_of(program_with(world->spawner->pid(), "marked-one"));
  ASSERT_GT(init, 1);
  ASSERT_EQ(::kill(init, SIGKILL), 0);
  EXPECT_EQ(world->finish(*source.value()).value().exit.reason, "killed by SIGKILL");
  EXPECT_EQ(world->finish(*made.value()).value().exit.reason, "killed by SIGKILL");
  refused(*source.value());
  EXPECT_EQ(world->sandboxes->running(), 2u);  // the bystander and its clone
  other.value()->kill();
  EXPECT_TRUE(world->finish(*other.value()).has_value());
}

TEST_F(HostileTemplate, ProgramKilledFromOutside) {
  auto source = world->launch_template({"honest", "1", "marked-two"});
  ASSERT_TRUE(source.has_value());
  auto made = world->clone(*source.value(), {"stay"});
  ASSERT_TRUE(made.has_value());
  int program = program_with(world->spawner->pid(), "marked-two");
  ASSERT_GT(program, 1);
  ASSERT_EQ(::kill(program, SIGKILL), 0);
  EXPECT_EQ(world->finish(*source.value()).value().exit.reason, "killed by SIGKILL");
  refused(*source.value());
  EXPECT_EQ(world->sandboxes->running(), 2u);
  made.value()->terminate();
  EXPECT_EQ(world->finish(*made.value(), milliseconds(5000)).value().exit.reason,
            "killed by SIGTERM");
}

TEST(Clones, GoWithTheSpawner) {
  MAYFLY_NEEDS_ROOT();
  World world;
  ASSERT_EQ(world.error, "");
  auto source = world.launch_template({"honest"});
  ASSERT_TRUE(source.has_value());
  source.value()->keep_shells(4);
  auto made = world.clone(*source.value(), {"stay"});
  ASSERT_TRUE(made.has_value());
  auto members = family(world.spawner->pid());
  ASSERT_EQ(::kill(world.spawner->pid(), SIGKILL), 0);
  EXPECT_THAT(world.finish(*made.value()).value().exit.reason, HasSubstr("spawner died"));
  EXPECT_THAT(world.finish(*source.value()).value().exit.reason, HasSubstr("spawner died"));
  EXPECT_EQ(world.clone(*source.value(), {"exit"}).error().code, Code::unavailable);
  auto again = world.launch_template({"honest"});
  ASSERT_TRUE(again.has_value()) << again.error().describe();
  made = world.clone(*again.value(), {"exit", "3"});
  ASSERT_TRUE(made.has_value()) << made.error().describe();
  EXPECT_EQ(world.finish(*made.value(), milliseconds(5000)).value().exit.status, 3);
  for (auto [pid, state] : members) {
    EXPECT_TRUE(world.eventually([pid = pid] { return gone_or_zombie(pid); })) << pid;
  }
}

}  // namespace
}  // namespace mayfly::sandbox_tests
