#pragma once
// A dispatcher on a machine of fakes: what a program does at its start and with a call is test
// code.

#include "engine/fakes.h"

namespace mayfly::engine::testing {

struct DispatcherFixture : ::testing::Test {
  DispatcherFixture() : sandboxes(loop) {
    settings.memory_bytes_max = 100ull << 30;
    settings.starts_parallel_max = 4;
    sandboxes.on_launch = [this](FakeSandbox& sandbox) {
      launched.push_back(sandbox.id());
      sandbox.program->on_invoke = [this, &sandbox](Program& p, const Program::Invoke& invoke) {
        ++invoked;
        handle(sandbox, p, invoke);
      };
      start(sandbox);
    };
    start = [](FakeSandbox& sandbox) { sandbox.program->ready(); };
    handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
      p.reply(invoke.stream, invoke.body);
    };
    version = make_version("hello");
  }
  ~DispatcherFixture() override {
    if (made) stop(milliseconds(100));
    made.reset();
    EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
    loop.restart();
    loop.poll();
  }
  Dispatcher& dispatcher() {
    if (!made)
      made = std::make_unique<Dispatcher>(Dispatcher::Parts{loop,
                                                            sandboxes,
                                                            telemetry,
                                                            metrics,
                                                            clock,
                                                            {&factory},
                                                            runtimes,
                                                            settings,
                                                            services,
                                                            {},
                                                            warm,
                                                            door});
    return *made;
  }
  static std::shared_ptr<functions::Version> make_version(std::string name) {
    auto made = std::make_shared<functions::Version>();
    made->function = std::move(name);
    made->revision = "r1";
    made->code_dir = "/nowhere";
    made->model = functions::Model::event;
    made->settings.timeout_ms = 5'000;
    return made;
  }
  Invocation invocation(functions::VersionPtr of, std::string body = "{}") {
    Invocation made;
    if (functions::takes_http(of->model)) made.kind = PayloadKind::http;
    made.version = std::move(of);
    made.body = std::move(body);
    return made;
  }
  Spawned<Answer> call(std::string body = "{}") { return call(version, std::move(body)); }
  Spawned<Answer> call(functions::VersionPtr of, std::string body = "{}") {
    return spawn(loop, dispatcher().invoke(invocation(std::move(of), std::move(body))));
  }
  Answer wait(Spawned<Answer>& answer) {
    EXPECT_TRUE(run_until(loop, [&] { return answer.done(); }));
    auto taken = std::move(*answer);
    taken.receipt.answered(answered);  // the record is written
    return taken;
  }
  Answer call_now(std::string body = "{}") {
    auto answer = call(std::move(body));
    return wait(answer);
  }
  void pass(milliseconds time) {
    run_until(
        loop, [] { return false; }, time);
  }
  void stop(milliseconds grace) {
    bool stopped = false;
    boost::asio::co_spawn(loop, made->stop(grace), [&](std::exception_ptr) { stopped = true; });
    EXPECT_TRUE(run_until(loop, [&] { return stopped; }));
  }
  PoolStats stats() { return dispatcher().pools().at(0); }
  const telemetry::Record& record() { return telemetry.all.back(); }

  io_context loop;
  SystemClock clock;
  FakeSandboxes sandboxes;
  FakeTelemetry telemetry;
  FakeMetrics metrics;
  FakeFactory factory;
  functions::RuntimeTable runtimes;
  EngineSettings settings;
  FunctionServices* services = nullptr;
  Warm warm;
  ServicesDoor* door = nullptr;
  std::shared_ptr<functions::Version> version;
  std::function<void(FakeSandbox&)> start;
  std::function<void(FakeSandbox&, Program&, const Program::Invoke&)> handle;
  std::vector<std::string> launched;
  int invoked = 0;
  int answered = 0;  // the status that callers get
  std::unique_ptr<Dispatcher> made;
};

}  // namespace mayfly::engine::testing
