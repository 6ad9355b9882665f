// How long idle instances stay, on a virtual clock: calls are made and timers fire when test code
// says so.

#include "engine/keep_alive.h"

#include "engine/call.h"
#include "engine/core.h"
#include "engine/dispatcher_fixture.h"
#include "engine/instance.h"
#include "engine/pool.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using Why = KeepAliveStats::Why;
using std::chrono::minutes;

struct VirtualClock final : Clock {
  SteadyTime now{std::chrono::hours(1)};
  SteadyTime steady_now() const override { return now; }
  WallTime wall_now() const override { return WallTime(now.time_since_epoch()); }
};

// One version; its start takes 200 ms, its instances hold 100 MB, and its calls run 200 ms, so that
// a wait counts as it is. Keeping costs what a start costs after 220 s: (200 ms + a tenth of that
// for the processor) / (0.1 GB x 10 ms a second).
struct KeepAliveTest : ::testing::Test {
  KeepAliveTest() : sandboxes(loop) {
    sandboxes.on_launch = [this](FakeSandbox& sandbox) {
      sandbox.usage_now.memory_peak_bytes = 100'000'000;
      clock.now += milliseconds(200);
      sandbox.program->ready();
    };
    core = std::make_shared<Core>(Dispatcher::Parts{
        loop, sandboxes, telemetry, metrics, clock, {&factory}, runtimes, settings});
    version = DispatcherFixture::make_version("hello");
  }
  ~KeepAliveTest() override {
    core->stopping = true;
    pool().kill_all("was ended: the test is over");
    EXPECT_TRUE(settled([&] { return sandboxes.live.empty(); }));
    core->timers.stop();
    core->forget_all();
    loop.restart();
    loop.poll();
  }
  Pool& pool() { return *core->pool_for(version); }
  bool settled(const std::function<bool()>& done) { return run_until(loop, done); }
  // One call, from its arrival to its end; true when it found an instance.
  bool call() {
    const auto invocation = Invocation{.version = version};
    const auto made = std::make_shared<Call>(core, core->pool_for(version), invocation);
    auto instance = pool().take();
    const bool warm = instance != nullptr;
    Pool::Waiter waiter;
    if (!warm) {
      waiter.invocation = &invocation;
      EXPECT_EQ(pool().enqueue(waiter), nullptr);
      EXPECT_TRUE(settled([&] { return waiter.instance != nullptr; }));
      instance = std::move(waiter.instance);
    }
    made->assign(std::move(instance), !warm);
    clock.now += milliseconds(200);
    made->finish({}, Call::Slot::free);
    return warm;
  }
  // Time goes by: what is due fires on the way.
  void pass(microseconds time) {
    const auto until = clock.now + time;
    while (clock.now < until) {
      clock.now += std::min<SteadyTime::duration>(until - clock.now, milliseconds(100));
      core->timers.run_due();
      loop.restart();
      loop.poll();
    }
    // Whoever was told to end is given the time to.
    const auto count = pool().stats().instances + pool().stats().starting;
    EXPECT_TRUE(settled([&] { return sandboxes.live.size() <= count; }));
  }
  std::uint32_t instances() { return pool().stats().instances; }
  KeepAliveStats seen() { return pool().keep_alive().stats(); }

  io_context loop;
  VirtualClock clock;
  FakeSandboxes sandboxes;
  FakeTelemetry telemetry;
  FakeMetrics metrics;
  FakeFactory factory;
  functions::RuntimeTable runtimes;
  EngineSettings settings;
  std::shared_ptr<functions::Version> version;
  std::shared_ptr<Core> core;
};

TEST_F(KeepAliveTest, ASettingWins) {
  version->settings.keep_alive_ms = 30'000;
  for (int i = 0; i < 10; ++i) {
    call();
    pass(seconds(1));
  }
  EXPECT_EQ(sandboxes.launches, 1);
  pass(milliseconds(28'900));
  EXPECT_EQ(instances(), 1u);
  pass(milliseconds(200));
  EXPECT_EQ(instances(), 0u);
}

TEST_F(KeepAliveTest, WithoutKnowledgeItStaysAsLongAsAStartIsWorth) {
  EXPECT_EQ(seen().stay, milliseconds(-1));
  call();
  EXPECT_EQ(seen().why, Why::break_even);
  EXPECT_GT(seen().stay, seconds(180));
  EXPECT_LE(seen().stay, seconds(220));
  pass(seen().stay - milliseconds(100));
  EXPECT_EQ(instances(), 1u);
  pass(milliseconds(200));
  EXPECT_EQ(instances(), 0u);
  EXPECT_EQ(seen().gaps, 0u);
}

TEST_F(KeepAliveTest, LearntFromTheGapsOfItsCalls) {
  for (const int gap : {30, 1, 24, 3, 18, 7, 12, 30, 1, 24}) {
    call();
    pass(seconds(gap));
  }
  EXPECT_EQ(sandboxes.launches, 1);
  call();
  EXPECT_EQ(seen().why, Why::learnt);
  EXPECT_EQ(seen().gaps, 10u);
  EXPECT_EQ(seen().again_from, milliseconds(0));
  EXPECT_GE(seen().stay, seconds(30));
  EXPECT_LT(seen().stay, seconds(40));
  pass(seconds(29));
  EXPECT_EQ(instances(), 1u);
  pass(seconds(11));
  EXPECT_EQ(instances(), 0u);
}

TEST_F(KeepAliveTest, HoweverShortTheGapsItStaysForAMoment) {
  for (int i = 0; i < 12; ++i) {
    call();
    pass(milliseconds(10));
  }
  EXPECT_EQ(seen().why, Why::learnt);
  EXPECT_EQ(seen().stay, milliseconds(2'000));
  pass(milliseconds(1'900));
  EXPECT_EQ(instances(), 1u);
  pass(milliseconds(200));
  EXPECT_EQ(instances(), 0u);
}

TEST_F(KeepAliveTest, AGapIsLearntFromTheCallAfterItsEnd) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(call());
    EXPECT_EQ(seen().gaps, std::uint32_t(i));
    pass(seconds(400));
    EXPECT_EQ(instances(), 0u);
  }
  EXPECT_EQ(sandboxes.launches, 4);
}

TEST_F(KeepAliveTest, StartsAheadOfCallsThatComeInARhythm) {
  for (int i = 0; i < 12 && seen().again_from.count() == 0; ++i) {
    call();
    if (seen().again_from.count() == 0) pass(minutes(10));
  }
  ASSERT_GT(seen().again_from, minutes(9));
  const int launches = sandboxes.launches;
  pass(minutes(5));
  EXPECT_EQ(instances(), 0u);
  EXPECT_EQ(sandboxes.launches, launches);
  pass(minutes(5));
  EXPECT_EQ(instances(), 1u);
  EXPECT_EQ(sandboxes.launches, launches + 1);
  // And the next one, again.
  EXPECT_TRUE(call());
  pass(minutes(10));
  EXPECT_TRUE(call());
  EXPECT_EQ(sandboxes.launches, launches + 2);
  // No call comes: it ends, and no other is started.
  pass(minutes(60));
  EXPECT_EQ(instances(), 0u);
  EXPECT_EQ(sandboxes.launches, launches + 3);
}

TEST_F(KeepAliveTest, NothingIsStartedAheadAfterTheVersionIsRetired) {
  for (int i = 0; i < 12 && seen().again_from.count() == 0; ++i) {
    call();
    if (seen().again_from.count() == 0) pass(minutes(10));
  }
  ASSERT_GT(seen().again_from, minutes(9));
  const int launches = sandboxes.launches;
  const auto kept = core->pool_for(version);
  kept->retire();
  clock.now += minutes(15);
  core->timers.run_due();
  EXPECT_TRUE(settled([&] { return sandboxes.live.empty(); }));
  EXPECT_EQ(sandboxes.launches, launches);
}

TEST_F(KeepAliveTest, AnInstanceThatIsKeptStays) {
  version->settings.instances_min = 1;
  for (int i = 0; i < 12; ++i) {
    call();
    pass(milliseconds(10));
  }
  pass(seconds(30));
  EXPECT_EQ(instances(), 1u);
  EXPECT_TRUE(call());
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(KeepAliveTest, OneThatMakesRoomForAnotherIsMissed) {
  call();
  pass(seconds(20));
  for (const auto& instance : pool().idle_instances()) instance->make_way();
  EXPECT_TRUE(settled([&] { return sandboxes.live.empty(); }));
  pass(seconds(10));
  EXPECT_FALSE(call());
  EXPECT_EQ(seen().gaps, 1u);
}

TEST_F(KeepAliveTest, TheFirstBurstCountsFromItsFirstGapsOn) {
  for (int i = 0; i < 6; ++i) call();  // without any time between
  EXPECT_EQ(seen().why, Why::learnt);
  EXPECT_EQ(seen().stay, milliseconds(2'000));
}

using KeepAliveOfDispatcher = DispatcherFixture;

TEST_F(KeepAliveOfDispatcher, TheNextRevisionKnowsWhatTheLastOneLearnt) {
  for (int i = 0; i < 6; ++i) call_now();
  EXPECT_EQ(dispatcher().keep_alive_of(*version).gaps, 5u);
  auto next = make_version("hello");
  next->revision = "r2";
  ASSERT_EQ(run_task(loop, dispatcher().probe(next)).failure, nullptr);
  EXPECT_EQ(dispatcher().keep_alive_of(*next).gaps, 0u);
  dispatcher().adopt(next);
  dispatcher().retire("hello", "r1");
  EXPECT_EQ(dispatcher().keep_alive_of(*next).gaps, 5u);
  EXPECT_EQ(dispatcher().keep_alive_of(*next).why, Why::break_even);  // none was idle yet
  auto set = std::make_shared<functions::Version>(*next);
  set->settings.keep_alive_ms = 7'000;
  EXPECT_EQ(dispatcher().keep_alive_of(*set).why, Why::setting);
  EXPECT_EQ(dispatcher().keep_alive_of(*set).stay, seconds(7));
}

TEST_F(KeepAliveOfDispatcher, CallsThatWaitInLineAreNoGaps) {
  version->settings.instances_max = 1;
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.after(milliseconds(2), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 8; ++i) calls.push_back(call());
  for (auto& answer : calls) EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_EQ(dispatcher().keep_alive_of(*version).gaps, 0u);
  call_now();
  EXPECT_EQ(dispatcher().keep_alive_of(*version).gaps, 1u);
}

}  // namespace
}  // namespace mayfly::engine
