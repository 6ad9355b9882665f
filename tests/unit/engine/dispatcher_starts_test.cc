// How many instances the dispatcher starts, keeps, and how fast it fills their slots.

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using DispatcherStarts = testing::DispatcherFixture;
using telemetry::Outcome;

TEST_F(DispatcherStarts, HundredSleepersFromZero) {
  sandboxes.launch_takes = milliseconds(2);
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.after(milliseconds(1'000), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  const auto from = clock.steady_now();
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(call());
  for (auto& answer : calls) EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_LT(to_us(clock.steady_now() - from), 2'000'000);
  EXPECT_EQ(sandboxes.launches, 100);
  EXPECT_LE(sandboxes.launching_most, 4);
  EXPECT_GT(sandboxes.launching_most, 1);
}

TEST_F(DispatcherStarts, SingleFlightWhereTheRunTimeIsKnownToBeShort) {
  sandboxes.launch_takes = milliseconds(400);  // long beside a call also on a busy machine
  version->settings.keep_alive_ms = 10;
  for (int i = 0; i < 3; ++i) call_now();
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
  const int before = sandboxes.launches;
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(call());
  for (auto& answer : calls) EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_EQ(sandboxes.launches - before, 1);
}

TEST_F(DispatcherStarts, CallsThatBecomeSlowAreNoticed) {
  sandboxes.launch_takes = milliseconds(10);
  for (int i = 0; i < 3; ++i) call_now();
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.after(milliseconds(500), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  const auto from = clock.steady_now();
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 30; ++i) calls.push_back(call());
  for (auto& answer : calls) EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_LT(to_us(clock.steady_now() - from), 2'500'000);
}

TEST_F(DispatcherStarts, ProbeOnAFullMachineIsRefused) {
  settings.instances_max = 1;
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.after(milliseconds(100), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
  };
  auto busy = call();
  pass(milliseconds(20));
  const auto same = run_task(loop, dispatcher().probe(version));
  ASSERT_NE(same.failure, nullptr);
  EXPECT_EQ(same.failure->outcome, Outcome::refused);
  EXPECT_EQ(wait(busy).failure, nullptr);
}

TEST_F(DispatcherStarts, KeptInstanceWithoutKeepAliveCostsNoTime) {
  version->settings.instances_min = 1;
  version->settings.keep_alive_ms = 0;
  dispatcher().keep(version);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.size() == 1; }));
  pass(milliseconds(30));
  std::size_t turns = 0;
  const auto until = clock.steady_now() + milliseconds(50);
  loop.restart();
  while (clock.steady_now() < until) turns += loop.run_one_until(until);
  EXPECT_LT(turns, 20u);
  EXPECT_EQ(sandboxes.live.size(), 1u);
}

TEST_F(DispatcherStarts, ProvisionedInstancesAreThereBeforeTheFirstCallAndStay) {
  std::uint32_t calls = 3;
  warm = [&](const functions::Version&) { return calls; };
  version->settings.keep_alive_ms = 0;
  dispatcher().keep(version);
  EXPECT_TRUE(run_until(loop, [&] { return stats().instances == 3; }));
  EXPECT_EQ(invoked, 0);
  EXPECT_EQ(call_now().failure, nullptr);
  pass(milliseconds(30));
  EXPECT_EQ(sandboxes.live.size(), 3u) << "one that has had a call stays, too";
  calls = 1;
  dispatcher().keep(version);
  EXPECT_EQ(call_now().failure, nullptr);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.size() == 1; }));
  calls = 0;
  dispatcher().keep(version);
  EXPECT_EQ(call_now().failure, nullptr);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
}

TEST_F(DispatcherStarts, ProvisionedCallsShareInstancesThatTakeSeveral) {
  warm = [](const functions::Version&) { return 9u; };
  version->concurrency = version->settings.concurrency = 4;
  dispatcher().keep(version);
  EXPECT_TRUE(run_until(loop, [&] { return stats().instances == 3; }));
  pass(milliseconds(20));
  EXPECT_EQ(launched.size(), 3u);
  EXPECT_EQ(dispatcher().pool_of(*version)->instances, 3u);
  EXPECT_FALSE(dispatcher().pool_of(*make_version("other")));
}

TEST_F(DispatcherStarts, WhatKeepsItFromStandingReadyIsSaid) {
  warm = [](const functions::Version&) { return 1u; };
  start = [](FakeSandbox& sandbox) {
    sandbox.program->send(0, wire::FrameType::init_error, 0,
                          R"({"errorType":"SyntaxError","errorMessage":"line 3"})");
  };
  dispatcher().keep(version);
  EXPECT_TRUE(run_until(loop, [&] { return !stats().start_failure.empty(); }));
  EXPECT_EQ(stats().instances, 0u);
}

// The program has its next call before the caller of the last one has its answer.
TEST_F(DispatcherStarts, NextCallGoesOutInTheSameTurn) {
  version->settings.instances_max = 1;
  std::vector<std::size_t> unread;
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 4; ++i) {
    calls.push_back({});
    boost::asio::co_spawn(loop, dispatcher().invoke(invocation(version)),
                          [&, slot = calls.back().slot](std::exception_ptr, Answer answer) {
                            unread.push_back(sandboxes.live.at(0)->program->unread());
                            slot->emplace(std::move(answer));
                          });
  }
  for (auto& answer : calls) EXPECT_EQ(wait(answer).failure, nullptr);
  ASSERT_EQ(unread.size(), 4u);
  EXPECT_GT(unread[0], 0u);
  EXPECT_GT(unread[1], 0u);
  EXPECT_GT(unread[2], 0u);
  EXPECT_EQ(unread[3], 0u);
  EXPECT_EQ(invoked, 4);
}

TEST_F(DispatcherStarts, ConcurrencyIsAHardLimit) {
  version->concurrency = 3;
  version->settings.instances_max = 1;
  int running = 0, most = 0;
  handle = [&](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    most = std::max(most, ++running);
    p.after(milliseconds(5), [&, stream = invoke.stream](Program& q) {
      --running;
      q.reply(stream, "1");
    });
  };
  std::vector<Spawned<Answer>> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(call());
  for (auto& answer : calls) EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_EQ(most, 3);
  EXPECT_EQ(sandboxes.launches, 1);
}

}  // namespace
}  // namespace mayfly::engine
