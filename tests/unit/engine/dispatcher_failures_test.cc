// Whose fault a failed call is, what it says, and what becomes of the instance.

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using DispatcherFailures = testing::DispatcherFixture;
using functions::Model;
using telemetry::Outcome;
using telemetry::Party;
using telemetry::Phase;

TEST_F(DispatcherFailures, FunctionErrorIsReportedAndTheInstanceStays) {
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.send(invoke.stream, FrameType::error, 0, R"({"errorType":"KeyError","errorMessage":"'x'"})");
  };
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::function_error);
  EXPECT_EQ(record().error, "KeyError: 'x'");
  EXPECT_EQ(record().party, Party::function);
  EXPECT_EQ(record().phase, Phase::run);
  call_now();
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(DispatcherFailures, CrashFailsOnlyWhatRanInIt) {
  version->concurrency = 1;
  handle = [](FakeSandbox& sandbox, Program& p, const Program::Invoke& invoke) {
    if (invoke.body == "die")
      sandbox.exit(true, 11, "killed by SIGSEGV");
    else
      p.after(milliseconds(20), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  auto good = call("1");
  auto bad = call("die");
  const auto failed = wait(bad);
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_EQ(failed.failure->outcome, Outcome::crash);
  EXPECT_EQ(failed.failure->party, Party::function);
  EXPECT_EQ(failed.failure->phase, Phase::run);
  EXPECT_NE(failed.failure->message.find("killed by SIGSEGV"), std::string::npos);
  EXPECT_EQ(wait(good).failure, nullptr);
  EXPECT_EQ(call_now().failure, nullptr);
}

TEST_F(DispatcherFailures, OutOfMemoryIsNamed) {
  handle = [](FakeSandbox& sandbox, Program&, const Program::Invoke&) {
    sandbox.exit(true, 9, "out of memory (limit 128 MB)");
  };
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::out_of_memory);
  EXPECT_NE(answer.failure->message.find("limit 128 MB"), std::string::npos);
}

TEST_F(DispatcherFailures, HangUpWithoutExitIsACrash) {
  handle = [](FakeSandbox&, Program& p, const Program::Invoke&) { p.close(); };
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::crash);
  EXPECT_NE(answer.failure->message.find("closed its connection"), std::string::npos);
}

TEST_F(DispatcherFailures, BreachOfTheProtocolKillsTheInstance) {
  handle = [](FakeSandbox&, Program& p, const Program::Invoke&) {
    p.send_raw("nonsense nonsense");
  };
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::crash);
  EXPECT_NE(record().error.find("no frame of the protocol"), std::string::npos) << record().error;
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
}

TEST_F(DispatcherFailures, CallThatReachedNothingIsTriedElsewhere) {
  ASSERT_EQ(call_now().failure, nullptr);
  // The program is gone, and the engine has not noticed yet.
  sandboxes.live[0]->program->close();
  const auto answer = call_now("again");
  ASSERT_EQ(answer.failure, nullptr);
  EXPECT_EQ(answer.reply.body, "again");
  EXPECT_EQ(sandboxes.launches, 2);
  EXPECT_EQ(telemetry.all.size(), 2u);
}

TEST_F(DispatcherFailures, InitFailureReachesAllWaitersAndBacksOff) {
  start = [](FakeSandbox& sandbox) {
    sandbox.program->send(
        0, FrameType::init_error, 0,
        R"({"errorType":"SyntaxError","errorMessage":"line 3","stackTrace":["x"]})");
  };
  version->settings.instances_max = 1;
  auto a = call();
  auto b = call();
  for (auto* answer : {&a, &b}) {
    const auto failed = wait(*answer);
    ASSERT_NE(failed.failure, nullptr);
    EXPECT_EQ(failed.failure->outcome, Outcome::init_failed);
    EXPECT_EQ(failed.failure->phase, Phase::init);
    EXPECT_NE(failed.failure->error_json.find("stackTrace"), std::string::npos);
  }
  for (int i = 0; i < 50; ++i) EXPECT_EQ(call_now().failure->outcome, Outcome::init_failed);
  EXPECT_LE(sandboxes.launches, 2);
  // After the pause it is tried again.
  start = [](FakeSandbox& sandbox) { sandbox.program->ready(); };
  pass(milliseconds(450));
  EXPECT_EQ(call_now().failure, nullptr);
}

TEST_F(DispatcherFailures, ExitWhileInitialisingSaysWhatItWrote) {
  start = [](FakeSandbox& sandbox) {
    ASSERT_GT(::write(sandbox.stderr_write.get(), "cannot open config\n", 19), 0);
    sandbox.exit(false, 3, "exited with status 3");
  };
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::init_failed);
  EXPECT_NE(answer.failure->message.find("exited with status 3"), std::string::npos);
  EXPECT_NE(answer.failure->message.find("cannot open config"), std::string::npos);
}

TEST_F(DispatcherFailures, InitThatTakesTooLong) {
  settings.init_timeout_ms = 30;
  start = [](FakeSandbox&) {};
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::init_failed);
  EXPECT_NE(answer.failure->message.find("engine.init_timeout_ms"), std::string::npos);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
}

TEST_F(DispatcherFailures, LaunchErrorIsThePlatformsFault) {
  sandboxes.launch_error = Error{Code::unavailable, "the spawner is gone", "launch", 0};
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::platform_error);
  EXPECT_EQ(answer.failure->party, Party::platform);
  EXPECT_EQ(answer.failure->phase, Phase::start);
  EXPECT_NE(answer.failure->message.find("the spawner is gone"), std::string::npos);
}

TEST_F(DispatcherFailures, StreamedAnswerOfACrashIsCutOffWithTheReason) {
  version->model = Model::http;
  handle = [](FakeSandbox& sandbox, Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "a", wire::kHttp, R"({"status":200})");
    p.after(milliseconds(10), [&sandbox](Program&) { sandbox.exit(true, 6, "killed by SIGABRT"); });
  };
  auto answer = call_now();
  const auto part = run_task(loop, answer.reply.more->read());
  ASSERT_TRUE(part.has_error());
  EXPECT_NE(part.error().message.find("SIGABRT"), std::string::npos);
  EXPECT_EQ(record().outcome, Outcome::crash);
  EXPECT_EQ(record().phase, Phase::reply);
}

}  // namespace
}  // namespace mayfly::engine
