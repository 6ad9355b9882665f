#include "engine/dispatcher.h"

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using DispatcherTest = testing::DispatcherFixture;
using functions::Model;
using telemetry::Outcome;
using telemetry::Party;
using telemetry::Phase;

TEST_F(DispatcherTest, ColdThenWarm) {
  sandboxes.launch_takes = milliseconds(10);
  start = [](FakeSandbox& sandbox) {
    sandbox.program->after(milliseconds(10), [](Program& p) { p.ready(); });
  };
  auto answer = call_now("41");
  ASSERT_EQ(answer.failure, nullptr);
  EXPECT_EQ(answer.reply.body, "41");
  EXPECT_TRUE(answer.cold);
  EXPECT_EQ(answer.request_id.size(), 36u);
  const auto cold = record();
  EXPECT_EQ(cold.outcome, Outcome::ok);
  EXPECT_GE(cold.start_us, 10'000u);
  EXPECT_GE(cold.start_us + cold.init_us, 20'000u);  // its timer began before the launch was over
  EXPECT_EQ(cold.instance, launched.at(0));
  EXPECT_EQ(cold.bytes_in, 2u);
  EXPECT_EQ(cold.bytes_out, 2u);
  EXPECT_EQ(cold.memory_mb, 128u);
  answer = call_now("42");
  EXPECT_FALSE(answer.cold);
  EXPECT_EQ(record().start_us + record().init_us, 0u);
  EXPECT_EQ(sandboxes.launches, 1);
  EXPECT_EQ(
      metrics.at("mayfly_invocations_total", {{"function", "hello"}, {"outcome", "ok"}}).value, 2);
  EXPECT_EQ(metrics.at("mayfly_cold_starts_total", {{"function", "hello"}}).value, 1);
  metrics.exposition();
  EXPECT_EQ(metrics.at("mayfly_instances", {{"state", "idle"}}).value, 1);
}

TEST_F(DispatcherTest, PhasesAddUpToTheTotal) {
  sandboxes.launch_takes = milliseconds(5);
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.after(milliseconds(15), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  auto one = invocation(version);
  one.arrived = clock.steady_now() - milliseconds(7);
  const auto from = one.arrived;
  auto answer = spawn(loop, dispatcher().invoke(std::move(one)));
  wait(answer);
  const auto total = to_us(clock.steady_now() - from);
  const auto& r = record();
  const auto sum = static_cast<std::int64_t>(r.queue_us + r.start_us + r.init_us + r.run_us);
  EXPECT_GE(r.queue_us, 7'000u);
  EXPECT_GE(r.run_us, 15'000u);
  EXPECT_LE(sum, total);
  EXPECT_GE(sum, 27'000);
}

TEST_F(DispatcherTest, BackToZeroAfterKeepAlive) {
  version->settings.keep_alive_ms = 30;
  bool asked = false;
  const auto usual = sandboxes.on_launch;
  sandboxes.on_launch = [&, usual](FakeSandbox& sandbox) {
    usual(sandbox);
    sandbox.program->on_shutdown = [&](Program&) { asked = true; };
  };
  call_now();
  EXPECT_EQ(stats().instances, 1u);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
  EXPECT_EQ(stats().instances, 0u);
  EXPECT_EQ(stats().memory_bytes, 0u);
  EXPECT_EQ(call_now().failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 2);
}

TEST_F(DispatcherTest, ProgramThatIgnoresTheEndIsKilled) {
  version->settings.keep_alive_ms = 5;
  const auto usual = sandboxes.on_launch;
  sandboxes.on_launch = [usual](FakeSandbox& sandbox) {
    usual(sandbox);
    sandbox.on_terminate = [] {};
  };
  call_now();
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
}

TEST_F(DispatcherTest, MinimumIsKeptAndReplaced) {
  version->settings.instances_min = 2;
  version->settings.keep_alive_ms = 5;
  dispatcher().keep(version);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.size() == 2; }));
  pass(milliseconds(40));
  EXPECT_EQ(sandboxes.live.size(), 2u);
  sandboxes.live[0]->exit(true, 11, "killed by SIGSEGV");
  EXPECT_TRUE(
      run_until(loop, [&] { return sandboxes.launches == 3 && sandboxes.live.size() == 2; }));
}

TEST_F(DispatcherTest, WorkThatNobodyWaitsForYieldsTheCpu) {
  const auto call_background = [&] {
    Invocation one = invocation(version);
    one.background = true;
    auto answer = spawn(loop, dispatcher().invoke(std::move(one)));
    wait(answer);
    return sandboxes.live.front()->cpu_share;
  };
  EXPECT_EQ(call_background(), 62u);  // of 1,000
  EXPECT_EQ(call_background(), 62u);
  call_now();
  EXPECT_EQ(sandboxes.live.front()->cpu_share, 1000u);
  EXPECT_EQ(call_background(), 1000u) << "others may come again at once";
}

TEST_F(DispatcherTest, CallersWaitUntilAMomentAfterTheLastOfThem) {
  EXPECT_FALSE(dispatcher().callers_wait()) << "nobody has called yet";
  Invocation one = invocation(version);
  one.background = true;
  auto answer = spawn(loop, dispatcher().invoke(std::move(one)));
  wait(answer);
  EXPECT_FALSE(dispatcher().callers_wait()) << "nobody waits for that one";
  bool seen = false;
  for (int i = 0; i < 20 && !seen; ++i) {  // a slow machine may let the moment pass
    call_now();
    seen = dispatcher().callers_wait();
  }
  EXPECT_TRUE(seen);
  pass(milliseconds(101));
  EXPECT_FALSE(dispatcher().callers_wait());
}

TEST_F(DispatcherTest, FullMachineRefusesAtOnceWithAReason) {
  settings.instances_max = 1;
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.after(milliseconds(100), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  auto busy = call();
  pass(milliseconds(20));
  auto other = call(make_version("other"));
  const auto refused = wait(other);
  ASSERT_NE(refused.failure, nullptr);
  EXPECT_EQ(refused.failure->outcome, Outcome::refused);
  EXPECT_EQ(refused.failure->code, Code::resource_exhausted);
  EXPECT_GE(refused.failure->retry_after_s, 1u);
  EXPECT_NE(refused.failure->message.find("engine.instances_max"), std::string::npos);
  EXPECT_EQ(wait(busy).failure, nullptr);
}

TEST_F(DispatcherTest, IdleInstancesOfOthersMakeRoom) {
  settings.memory_bytes_max = 300ull << 20;  // two of 128 MB
  ASSERT_EQ(call_now().failure, nullptr);
  auto second = call(make_version("second"));
  ASSERT_EQ(wait(second).failure, nullptr);
  auto third = call(make_version("third"));
  EXPECT_EQ(wait(third).failure, nullptr);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.size() == 2; }));
  EXPECT_EQ(sandboxes.launches, 3);
}

TEST_F(DispatcherTest, LineIsBounded) {
  settings.line_max = 3;
  version->settings.instances_max = 1;
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.after(milliseconds(20), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  call_now();
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(call());
  int refused = 0;
  for (auto& answer : calls) {
    const auto got = wait(answer);
    if (got.failure == nullptr) continue;
    ++refused;
    EXPECT_NE(got.failure->message.find("engine.line_max"), std::string::npos);
  }
  EXPECT_EQ(refused, 2);
}

TEST_F(DispatcherTest, StreamedAnswerKeepsTheSlotUntilItsEnd) {
  version->settings.instances_max = 1;
  version->model = Model::http;
  std::uint32_t stream = 0;
  handle = [&](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    stream = invoke.stream;
    p.reply(stream, "a", wire::kHttp, R"({"status":201,"headers":[]})");
  };
  answered = 201;
  auto answer = call_now();
  ASSERT_EQ(answer.failure, nullptr);
  ASSERT_NE(answer.reply.more, nullptr);
  EXPECT_TRUE(telemetry.all.empty());
  EXPECT_EQ(stats().busy, 1u);
  sandboxes.live[0]->program->send(stream, FrameType::data, wire::kEnd, "bc");
  EXPECT_EQ(run_task(loop, answer.reply.more->read()).value(), "bc");
  EXPECT_EQ(run_task(loop, answer.reply.more->read()).value(), "");
  ASSERT_EQ(telemetry.all.size(), 1u);
  EXPECT_EQ(record().bytes_out, 3u);
  EXPECT_EQ(record().http_status, 201);
  EXPECT_EQ(record().outcome, Outcome::ok);
  EXPECT_EQ(stats().busy, 0u);
}

TEST_F(DispatcherTest, PipesBelongToTheCallThatRuns) {
  handle = [](FakeSandbox& sandbox, Program& p, const Program::Invoke& invoke) {
    ASSERT_GT(::write(sandbox.stdout_write.get(), "hello\nwor", 9), 0);
    ASSERT_GT(::write(sandbox.stdout_write.get(), "ld\n", 3), 0);
    p.reply(invoke.stream, "1");
  };
  auto one = invocation(version);
  one.request_id = "the-id";
  one.want_log_tail = true;
  auto answer = spawn(loop, dispatcher().invoke(std::move(one)));
  const Answer& got = wait(answer);
  EXPECT_EQ(got.reply.log_tail, "hello\nworld\n");
  EXPECT_EQ(telemetry::start_line(got.report), "START RequestId: the-id Version: $LATEST");
  EXPECT_EQ(got.report.memory_mb, 128u);
  EXPECT_EQ(got.report.outcome, Outcome::ok);
  ASSERT_EQ(telemetry.lines.size(), 2u);
  EXPECT_EQ(telemetry.lines[0].text, "hello");
  EXPECT_EQ(telemetry.lines[1].text, "world");
  EXPECT_EQ(telemetry.lines[1].request_id, "the-id");
  EXPECT_EQ(telemetry.lines[1].function, "hello");
}

TEST_F(DispatcherTest, CpuIsChargedExactly) {
  handle = [](FakeSandbox& sandbox, Program& p, const Program::Invoke& invoke) {
    sandbox.usage_now.cpu_us += 700;
    sandbox.usage_now.memory_peak_bytes = 9'000'000;
    p.after(milliseconds(2), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  for (int i = 0; i < 5; ++i) call_now();
  std::uint64_t sum = 0;
  for (const auto& r : telemetry.all) sum += r.cpu_us;
  EXPECT_EQ(sum, 3'500u);
  EXPECT_EQ(record().memory_peak_bytes, 9'000'000u);
}

TEST_F(DispatcherTest, ProbeKeepsItsInstanceForTheAdoptedVersion) {
  version->model = Model::unknown;
  const auto probe = run_task(loop, dispatcher().probe(version));
  ASSERT_EQ(probe.failure, nullptr);
  EXPECT_EQ(probe.model, Model::event);
  EXPECT_EQ(probe.handler, "h");
  EXPECT_EQ(probe.runtime, "Fake 1");
  auto committed = std::make_shared<functions::Version>(*version);
  committed->model = Model::event;
  dispatcher().adopt(committed);
  version = committed;
  EXPECT_FALSE(call_now().cold);
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(DispatcherTest, ProbeOfABrokenVersionLeavesNoPool) {
  start = [](FakeSandbox& sandbox) {
    sandbox.program->send(0, FrameType::init_error, 0, R"({"errorType":"E","errorMessage":"m"})");
  };
  const auto probe = run_task(loop, dispatcher().probe(version));
  ASSERT_NE(probe.failure, nullptr);
  EXPECT_EQ(probe.failure->outcome, Outcome::init_failed);
  EXPECT_NE(probe.failure->error_json.find("\"E\""), std::string::npos);
  EXPECT_TRUE(run_until(loop, [&] { return dispatcher().pools().empty(); }));
}

TEST_F(DispatcherTest, ModelIsLearntFromTheFirstInstance) {
  version->model = Model::unknown;
  start = [](FakeSandbox& sandbox) {
    sandbox.program->ready(R"({"model":"http","concurrency":0})");
  };
  EXPECT_EQ(run_task(loop, dispatcher().model_of(version)).value(), Model::http);
  EXPECT_EQ(run_task(loop, dispatcher().model_of(version)).value(), Model::http);
  auto request = invocation(version);
  request.kind = PayloadKind::http;
  auto answer = spawn(loop, dispatcher().invoke(std::move(request)));
  EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(DispatcherTest, RetiredPoolGoesWhenItIsIdle) {
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.after(milliseconds(30), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  auto running = call();
  pass(milliseconds(10));
  dispatcher().retire("hello", "r1");
  EXPECT_EQ(wait(running).failure, nullptr);
  EXPECT_TRUE(run_until(loop, [&] { return dispatcher().pools().empty(); }));
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
}

TEST_F(DispatcherTest, StopDrainsThenKills) {
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    if (invoke.body == "hang") return;
    p.after(milliseconds(40), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  auto quick = call("quick");
  auto hanging = call("hang");
  pass(milliseconds(10));
  bool stopped = false;
  boost::asio::co_spawn(loop, dispatcher().stop(milliseconds(120)),
                        [&](std::exception_ptr) { stopped = true; });
  pass(milliseconds(5));
  auto late = call();
  const auto refused = wait(late);
  ASSERT_NE(refused.failure, nullptr);
  EXPECT_EQ(refused.failure->code, Code::unavailable);
  EXPECT_EQ(refused.failure->phase, Phase::accept);
  EXPECT_EQ(wait(quick).failure, nullptr);
  const auto killed = wait(hanging);
  ASSERT_NE(killed.failure, nullptr);
  EXPECT_EQ(killed.failure->party, Party::platform);
  EXPECT_TRUE(run_until(loop, [&] { return stopped; }));
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
}

}  // namespace
}  // namespace mayfly::engine
