// The way of instances to the platform's services: opened for each, closed with each.

#include <algorithm>

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;

struct CountingDoor final : ServicesDoor {
  void add_environment(const functions::Version& version, std::vector<std::string>& env) override {
    env.push_back("WAY_IN=" + version.function);
  }
  std::shared_ptr<void> open(functions::VersionPtr version, const std::string& instance,
                             os::Fd listener) override {
    EXPECT_TRUE(listener.valid());
    EXPECT_EQ(version->function, "hello");
    opened.push_back(instance);
    ++now_open;
    return std::shared_ptr<void>(nullptr, [this](void*) { --now_open; });
  }
  std::vector<std::string> opened;
  int now_open = 0;
};

struct Doors : DispatcherFixture {
  Doors() { door = &counting; }
  static bool has(const FakeSandbox& sandbox, const std::string& entry) {
    const auto& env = sandbox.spec().env;
    return std::find(env.begin(), env.end(), entry) != env.end();
  }
  void make_cloneable() {
    settings.runtime_lib = "/fake/runtime-lib";
    settings.templates_bytes_max = 100u << 20;
    factory.cloneable = true;
    start = [](FakeSandbox& sandbox) {
      sandbox.program->ready(sandbox.spec().cloneable
                                 ? R"({"model":"event","handler":"h","cloneable":true})"
                                 : R"({"model":"event","handler":"h"})");
    };
    sandboxes.on_clone = [this](FakeSandbox& sandbox) {
      sandbox.program->on_invoke = [this, &sandbox](Program& p, const Program::Invoke& invoke) {
        handle(sandbox, p, invoke);
      };
    };
  }
  CountingDoor counting;
};

TEST_F(Doors, OpensWithAnInstanceAndClosesWithIt) {
  const auto answer = call_now();
  ASSERT_EQ(answer.failure, nullptr);
  EXPECT_EQ(counting.opened, std::vector<std::string>{answer.instance});
  EXPECT_EQ(counting.now_open, 1);
  ASSERT_EQ(sandboxes.live.size(), 1u);
  EXPECT_TRUE(has(*sandboxes.live[0], "WAY_IN=hello"));
  sandboxes.live[0]->kill();
  EXPECT_TRUE(run_until(loop, [&] { return counting.now_open == 0; }));
}

TEST_F(Doors, StaysShutWhereTheFunctionSaysSo) {
  version->settings.services = false;
  ASSERT_EQ(call_now().failure, nullptr);
  EXPECT_TRUE(counting.opened.empty());
  EXPECT_FALSE(sandboxes.live.at(0)->spec().services);
  EXPECT_FALSE(has(*sandboxes.live[0], "WAY_IN=hello"));
}

TEST_F(Doors, OfATemplateIsShutOnceItStandsAndEachCloneHasItsOwn) {
  make_cloneable();
  const auto probe = run_task(loop, dispatcher().probe(version));
  dispatcher().adopt(version);
  ASSERT_EQ(probe.failure, nullptr);
  ASSERT_NE(sandboxes.template_sandbox(), nullptr);
  EXPECT_TRUE(has(*sandboxes.template_sandbox(), "WAY_IN=hello"));
  ASSERT_EQ(counting.opened.size(), 1u);
  EXPECT_TRUE(counting.opened[0].starts_with("t-"));
  EXPECT_EQ(counting.now_open, 0);
  const auto answer = call_now();
  ASSERT_EQ(answer.failure, nullptr);
  ASSERT_EQ(counting.opened.size(), 2u);
  EXPECT_EQ(counting.opened[1], answer.instance);
  EXPECT_EQ(counting.now_open, 1);
}

}  // namespace
}  // namespace mayfly::engine
