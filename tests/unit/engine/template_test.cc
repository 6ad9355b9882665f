// Templates: built at deploy and behind a first call, cloned, built again, evicted.

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using telemetry::Outcome;
using telemetry::StartKind;

constexpr const char* kStands =
    R"({"model":"event","handler":"h","runtime":"Fake 1","cloneable":true})";

struct Templates : DispatcherFixture {
  Templates() {
    settings.runtime_lib = "/fake/runtime-lib";
    settings.templates_bytes_max = 100u << 20;
    factory.cloneable = true;
    start = [this](FakeSandbox& sandbox) {
      sandbox.usage_now.memory_peak_bytes = template_bytes;
      if (sandbox.spec().cloneable)
        sandbox.program->ready(kStands);
      else
        sandbox.program->ready();
    };
    sandboxes.on_clone = [this](FakeSandbox& sandbox) {
      cloned.push_back(sandbox.id());
      sandbox.program->on_invoke = [this, &sandbox](Program& p, const Program::Invoke& invoke) {
        ++invoked;
        handle(sandbox, p, invoke);
      };
    };
  }
  Probe deploy(functions::VersionPtr of) {
    auto probe = run_task(loop, dispatcher().probe(of));
    dispatcher().adopt(of);
    return probe;
  }
  double metric(const std::string& name, const telemetry::Metrics::Labels& labels = {}) {
    metrics.exposition();
    return metrics.at(name, labels).value;
  }
  void busy_for(milliseconds time) {
    handle = [time](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
      p.after(time, [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
    };
  }

  std::uint64_t template_bytes = 20u << 20;
  std::vector<std::string> cloned;
};

TEST_F(Templates, DeployBuildsOneAndTheFirstCallIsAClone) {
  const auto probe = deploy(version);
  ASSERT_EQ(probe.failure, nullptr);
  EXPECT_EQ(probe.handler, "h");
  EXPECT_TRUE(probe.uncloneable.empty());
  EXPECT_TRUE(probe.notes.empty());
  EXPECT_EQ(sandboxes.launches, 1);
  ASSERT_NE(sandboxes.template_sandbox(), nullptr);
  EXPECT_TRUE(sandboxes.template_sandbox()->id().starts_with("t-"));
  EXPECT_EQ(sandboxes.template_sandbox()->shells, 1u);
  EXPECT_EQ(stats().templates, 1u);
  EXPECT_EQ(stats().instances, 0u);
  EXPECT_EQ(stats().memory_bytes, 0u);
  EXPECT_EQ(stats().template_bytes, 20u << 20);

  const auto answer = call_now("41");
  ASSERT_EQ(answer.failure, nullptr);
  EXPECT_EQ(answer.reply.body, "41");
  EXPECT_TRUE(answer.cold);
  EXPECT_EQ(sandboxes.launches, 1);
  EXPECT_EQ(cloned, std::vector<std::string>{answer.instance});
  EXPECT_EQ(record().start, StartKind::clone);
  EXPECT_TRUE(record().cold);
  EXPECT_EQ(record().init_us, 0u);
  EXPECT_EQ(stats().clones, 1u);
  EXPECT_EQ(metric("mayfly_template_clones_total", {{"function", "hello"}}), 1);
  EXPECT_EQ(metric("mayfly_template_builds_total", {{"outcome", "ok"}}), 1);
  EXPECT_EQ(metric("mayfly_template_ready"), 1);
  EXPECT_EQ(metric("mayfly_template_memory_bytes"), 20u << 20);

  call_now("42");
  EXPECT_EQ(sandboxes.clones, 1);
  EXPECT_EQ(record().start, StartKind::none);
}

TEST_F(Templates, AClonesEnvironmentNamesIt) {
  deploy(version);
  FakeSandbox* clone = nullptr;
  const auto usual = sandboxes.on_clone;
  sandboxes.on_clone = [&, usual](FakeSandbox& sandbox) {
    clone = &sandbox;
    usual(sandbox);
  };
  version->settings.keep_alive_ms = 60'000;
  const auto answer = call_now();
  ASSERT_NE(clone, nullptr);
  EXPECT_EQ(clone->cloned_from, sandboxes.template_sandbox()->id());
  ASSERT_EQ(clone->clone_env.size(), 1u);
  EXPECT_TRUE(clone->clone_env[0].starts_with("AWS_LAMBDA_LOG_STREAM_NAME="));
  EXPECT_NE(clone->clone_env[0].find(answer.instance), std::string::npos);
  EXPECT_EQ(clone->spec().limits.memory_bytes, 128u << 20);
}

TEST_F(Templates, ManyCallsAtOnceAreManyClones) {
  deploy(version);
  busy_for(milliseconds(200));
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(call());
  for (auto& answer : calls) EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 1);
  EXPECT_EQ(sandboxes.clones, 20);
  EXPECT_GT(sandboxes.template_sandbox()->shells, 1u);
}

TEST_F(Templates, WhatCannotBeClonedServesAndIsNoted) {
  start = [](FakeSandbox& sandbox) {
    sandbox.program->ready(
        R"({"model":"event","handler":"h","runtime":"F","cloneable":false,"why":"it has 3 threads"})");
  };
  const auto probe = deploy(version);
  ASSERT_EQ(probe.failure, nullptr);
  EXPECT_EQ(probe.uncloneable, "it has 3 threads");
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_NE(probe.notes[0].find("it has 3 threads"), std::string::npos);
  EXPECT_EQ(sandboxes.template_sandbox()->shells_most, 1u) << "while it initialised";
  EXPECT_EQ(sandboxes.template_sandbox()->shells, 0u);
  EXPECT_EQ(stats().instances, 1u);
  EXPECT_EQ(stats().templates, 0u);
  EXPECT_EQ(stats().memory_bytes, 128u << 20);
  EXPECT_EQ(call_now().failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 1);
  // And no later one tries.
  busy_for(milliseconds(100));
  auto one = call(), two = call();
  EXPECT_EQ(wait(one).failure, nullptr);
  EXPECT_EQ(wait(two).failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 2);
  EXPECT_EQ(sandboxes.template_sandbox()->id(), launched[0]);
  EXPECT_EQ(record().start, StartKind::boot);
  EXPECT_EQ(metric("mayfly_template_builds_total", {{"outcome", "declined"}}), 1);
}

TEST_F(Templates, ARuntimeThatKnowsNothingOfThemServes) {
  start = [](FakeSandbox& sandbox) { sandbox.program->ready(); };
  const auto probe = deploy(version);
  EXPECT_EQ(probe.uncloneable, "its runtime cannot be cloned");
  EXPECT_EQ(call_now().failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(Templates, NoneWhenTheFunctionOrTheServerSaysSo) {
  auto off = make_version("off");
  off->settings.snapshot = false;
  EXPECT_EQ(deploy(off).failure, nullptr);
  auto known = make_version("known");
  known->uncloneable = "it has 3 threads";
  EXPECT_EQ(deploy(known).failure, nullptr);
  EXPECT_EQ(sandboxes.template_sandbox(), nullptr);
  EXPECT_EQ(sandboxes.launches, 2);
}

TEST_F(Templates, FailedInitialisationIsToldAsEver) {
  start = [](FakeSandbox& sandbox) {
    sandbox.program->send(0, FrameType::init_error, 0,
                          R"({"errorType":"ValueError","errorMessage":"no"})");
    sandbox.exit(false, 1, "exited with status 1");
  };
  const auto probe = run_task(loop, dispatcher().probe(version));
  ASSERT_NE(probe.failure, nullptr);
  EXPECT_EQ(probe.failure->outcome, Outcome::init_failed);
  EXPECT_NE(probe.failure->error_json.find("ValueError"), std::string::npos);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
  EXPECT_TRUE(dispatcher().pools().empty());
}

TEST_F(Templates, WhatOnlyFailsAsATemplateIsDeployedAllTheSame) {
  sandboxes.template_error = Error{Code::unavailable, "no capabilities here", "launch", 0};
  EXPECT_EQ(deploy(version).failure, nullptr);
  EXPECT_EQ(call_now().failure, nullptr);
  EXPECT_EQ(record().start, StartKind::none);
  sandboxes.template_error.reset();
  start = [](FakeSandbox& sandbox) {
    if (sandbox.spec().cloneable)
      sandbox.exit(true, 11, "killed by SIGSEGV");
    else
      sandbox.program->ready();
  };
  auto other = make_version("other");
  EXPECT_EQ(deploy(other).failure, nullptr);
  EXPECT_EQ(metric("mayfly_template_builds_total", {{"outcome", "failed"}}), 2);
  // And what fails either way says why.
  start = [](FakeSandbox& sandbox) { sandbox.exit(true, 11, "killed by SIGSEGV"); };
  const auto probe = run_task(loop, dispatcher().probe(make_version("third")));
  ASSERT_NE(probe.failure, nullptr);
  EXPECT_NE(probe.failure->message.find("SIGSEGV"), std::string::npos);
}

TEST_F(Templates, AFirstCallBootsAndATemplateIsBuiltBehindIt) {
  const auto answer = call_now();
  ASSERT_EQ(answer.failure, nullptr);
  EXPECT_EQ(record().start, StartKind::boot);
  EXPECT_EQ(sandboxes.launches, 1);
  EXPECT_EQ(sandboxes.template_sandbox(), nullptr);
  EXPECT_TRUE(run_until(loop, [&] { return stats().templates == 1; }));
  EXPECT_EQ(sandboxes.launches, 2);
  EXPECT_EQ(stats().instances, 1u);
  busy_for(milliseconds(50));
  auto one = call(), two = call();
  EXPECT_EQ(wait(one).failure, nullptr);
  EXPECT_EQ(wait(two).failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 2);
  EXPECT_EQ(sandboxes.clones, 1);
}

TEST_F(Templates, AFailedCloneStartsTheOrdinaryWay) {
  deploy(version);
  sandboxes.clone_error = Error{Code::unavailable, "the template did not answer", "clone", 0};
  const auto answer = call_now();
  ASSERT_EQ(answer.failure, nullptr);
  EXPECT_EQ(record().start, StartKind::boot);
  EXPECT_EQ(sandboxes.launches, 2);
  EXPECT_EQ(metric("mayfly_template_clone_failures_total", {{"function", "hello"}}), 1);
  EXPECT_EQ(stats().templates, 1u);
}

TEST_F(Templates, OneThatCannotBeClonedAgainAndAgainIsReplaced) {
  deploy(version);
  const auto first = sandboxes.template_sandbox()->id();
  sandboxes.clone_error = Error{Code::unavailable, "the template did not answer", "clone", 0};
  busy_for(milliseconds(100));
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(call());
  for (auto& answer : calls) EXPECT_EQ(wait(answer).failure, nullptr);
  sandboxes.clone_error.reset();
  EXPECT_TRUE(run_until(loop, [&] {
    return stats().templates == 1 && sandboxes.template_sandbox() != nullptr &&
           sandboxes.template_sandbox()->id() != first;
  }));
}

TEST_F(Templates, ADeadOneIsBuiltAgainAndItsClonesLiveOn) {
  deploy(version);
  const auto answer = call_now();
  auto* dead = sandboxes.template_sandbox();
  const auto id = dead->id();
  dead->exit(true, 9, "killed by SIGKILL");
  EXPECT_EQ(call_now().instance, answer.instance);
  EXPECT_TRUE(run_until(loop, [&] { return stats().templates == 0; }));
  EXPECT_EQ(call_now().instance, answer.instance);
  EXPECT_TRUE(run_until(loop, [&] { return stats().templates == 1; }));
  EXPECT_NE(sandboxes.template_sandbox()->id(), id);
  EXPECT_EQ(call_now().instance, answer.instance);
  EXPECT_EQ(sandboxes.launches, 2);
}

TEST_F(Templates, OneThatDiesWhileItIsClonedFailsNoCall) {
  deploy(version);
  sandboxes.clone_takes = milliseconds(30);
  sandboxes.clone_error = Error{Code::unavailable, "the template has ended", "clone", 0};
  auto answer = call();
  pass(milliseconds(5));
  sandboxes.template_sandbox()->exit(true, 9, "killed by SIGKILL");
  EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_EQ(record().start, StartKind::boot);
}

TEST_F(Templates, TheLeastValuableGoesWhenMemoryIsShort) {
  settings.templates_bytes_max = 50u << 20;
  sandboxes.launch_takes = milliseconds(20);
  auto a = make_version("a"), b = make_version("b"), c = make_version("c");
  deploy(a);
  deploy(b);
  for (int i = 0; i < 3; ++i) {
    auto answer = call(a);
    EXPECT_EQ(wait(answer).failure, nullptr);
  }
  deploy(c);
  std::map<std::string, std::uint32_t> standing;
  for (const auto& pool : dispatcher().pools()) standing[pool.function] = pool.templates;
  EXPECT_EQ(standing["a"] + standing["b"] + standing["c"], 2u);
  EXPECT_EQ(standing["a"], 1u);  // it was used
  EXPECT_EQ(metric("mayfly_template_evictions_total"), 1);
  EXPECT_LE(metric("mayfly_template_memory_bytes"), 50u << 20);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.size() == 3; }));
}

TEST_F(Templates, OneWithLivingClonesStaysUntilTheyAreGone) {
  settings.templates_bytes_max = 30u << 20;
  sandboxes.launch_takes = milliseconds(20);
  auto held = make_version("held");
  held->settings.keep_alive_ms = 60'000;
  deploy(held);
  auto answer = call(held);
  EXPECT_EQ(wait(answer).failure, nullptr);
  const auto stands = [this](const std::string& name) {
    for (const auto& pool : dispatcher().pools())
      if (pool.function == name) return pool.templates == 1;
    return false;
  };
  // Each newcomer that is refused lifts the floor for the next one: in the end they are worth more.
  for (int i = 0; i < 8; ++i) deploy(make_version("early" + std::to_string(i)));
  EXPECT_TRUE(stands("held"));
  EXPECT_EQ(metric("mayfly_template_evictions_total"), 8);
  for (auto* sandbox : sandboxes.live)
    if (!sandbox->cloned_from.empty()) sandbox->exit(false, 0, "exited with status 0");
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.size() == 1; }));
  for (int i = 0; i < 8 && stands("held"); ++i) deploy(make_version("late" + std::to_string(i)));
  EXPECT_FALSE(stands("held"));
  EXPECT_LE(metric("mayfly_template_memory_bytes"), 30u << 20);
}

TEST_F(Templates, ACloneWhoseHooksFailFailsItsCallAndBacksOff) {
  deploy(version);
  sandboxes.on_clone = [](FakeSandbox& sandbox) {
    sandbox.program->on_invoke = [&sandbox](Program& p, const Program::Invoke&) {
      p.send(0, FrameType::init_error, 0,
             R"({"errorType":"HookError","errorMessage":"no database"})");
      sandbox.exit(false, 1, "exited with status 1");
    };
  };
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::init_failed);
  EXPECT_NE(answer.failure->error_json.find("HookError"), std::string::npos);
  // Kept instances are not cloned in a hot loop.
  version->settings.instances_min = 1;
  sandboxes.on_clone = [](FakeSandbox& sandbox) { sandbox.exit(false, 1, "exited with status 1"); };
  dispatcher().keep(version);
  sandboxes.clones = 0;
  pass(milliseconds(300));
  EXPECT_LE(sandboxes.clones, 4);
  version->settings.instances_min = 0;
}

TEST_F(Templates, KeptInstancesAreCloned) {
  version->settings.instances_min = 3;
  deploy(version);
  EXPECT_TRUE(run_until(loop, [&] { return stats().instances == 3; }));
  EXPECT_EQ(sandboxes.launches, 1);
  EXPECT_EQ(sandboxes.clones, 3);
}

TEST_F(Templates, AReplacedVersionsTemplateEnds) {
  deploy(version);
  call_now();
  dispatcher().retire("hello", "r1");
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
  EXPECT_TRUE(dispatcher().pools().empty());
  pass(milliseconds(300));
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(Templates, OneThatIsBeingBuiltEndsWithItsVersion) {
  start = [](FakeSandbox&) {};
  auto probing = spawn(loop, dispatcher().probe(version));
  pass(milliseconds(20));
  dispatcher().retire("hello", "r1");
  EXPECT_TRUE(run_until(loop, [&] { return probing.done(); }));
  EXPECT_NE(probing->failure, nullptr);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
  EXPECT_TRUE(dispatcher().pools().empty());
}

TEST_F(Templates, InitialisationThatHangsIsLimited) {
  settings.init_timeout_ms = 50;
  start = [](FakeSandbox&) {};
  const auto probe = run_task(loop, dispatcher().probe(version));
  ASSERT_NE(probe.failure, nullptr);
  EXPECT_EQ(probe.failure->code, Code::deadline_exceeded);
}

}  // namespace
}  // namespace mayfly::engine
