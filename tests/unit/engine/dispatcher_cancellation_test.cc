// Calls that end before their answer: deadlines, and callers that give up.

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using DispatcherCancellation = testing::DispatcherFixture;
using functions::Model;
using telemetry::Outcome;
using telemetry::Phase;

TEST_F(DispatcherCancellation, DeadlineKillsAnInstanceOfOneCall) {
  version->settings.timeout_ms = 40;
  handle = [](FakeSandbox&, Program&, const Program::Invoke&) {};
  const auto from = clock.steady_now();
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::timeout);
  EXPECT_EQ(answer.failure->code, Code::deadline_exceeded);
  EXPECT_EQ(answer.failure->message, "Task timed out after 0.04 seconds");
  EXPECT_LT(to_us(clock.steady_now() - from), 500'000);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
  EXPECT_EQ(record().outcome, Outcome::timeout);
}

TEST_F(DispatcherCancellation, DeadlineCancelsFirstWhereSeveralRun) {
  version->settings.timeout_ms = 60;
  version->concurrency = 8;
  version->settings.instances_max = 1;
  int cancels = 0;
  const auto usual = sandboxes.on_launch;
  sandboxes.on_launch = [&, usual](FakeSandbox& sandbox) {
    usual(sandbox);
    sandbox.program->on_cancel = [&](Program& p, std::uint32_t stream) {
      ++cancels;
      p.send(stream, FrameType::error, 0, R"({"errorType":"Cancelled"})");
    };
  };
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    if (invoke.body != "hang") p.reply(invoke.stream, "1");
  };
  auto hanging = call("hang");
  EXPECT_EQ(call_now("1").failure, nullptr);
  EXPECT_EQ(wait(hanging).failure->outcome, Outcome::timeout);
  pass(milliseconds(600));
  EXPECT_EQ(cancels, 1);
  EXPECT_EQ(sandboxes.live.size(), 1u);  // it obeyed, and lives on
  EXPECT_EQ(call_now("1").failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(DispatcherCancellation, InstanceThatDoesNotLetGoIsReplaced) {
  version->settings.timeout_ms = 60;
  version->concurrency = 8;
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    if (invoke.body != "hang") p.reply(invoke.stream, "1");
  };
  auto hanging = call("hang");
  EXPECT_EQ(wait(hanging).failure->outcome, Outcome::timeout);
  EXPECT_TRUE(run_until(loop, [&] { return sandboxes.live.empty(); }));
  EXPECT_EQ(call_now("1").failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 2);
}

TEST_F(DispatcherCancellation, CancelledInLineLeavesNothing) {
  sandboxes.launch_takes = milliseconds(50);
  boost::asio::cancellation_signal signal;
  std::optional<Answer> answer;
  boost::asio::co_spawn(
      loop, dispatcher().invoke(invocation(version)),
      boost::asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr, Answer a) {
        answer = std::move(a);
        answer->receipt.answered(503);
      }));
  pass(milliseconds(10));
  signal.emit(boost::asio::cancellation_type::terminal);
  EXPECT_TRUE(run_until(loop, [&] { return answer.has_value(); }));
  EXPECT_EQ(record().outcome, Outcome::cancelled);
  EXPECT_EQ(record().phase, Phase::queue);
  EXPECT_EQ(stats().waiting, 0u);
}

TEST_F(DispatcherCancellation, CancelledWhileRunningHoldsTheSlotUntilReleased) {
  version->settings.instances_max = 1;
  std::uint32_t stream = 0;
  bool told = false;
  const auto usual = sandboxes.on_launch;
  sandboxes.on_launch = [&, usual](FakeSandbox& sandbox) {
    usual(sandbox);
    sandbox.program->on_cancel = [&](Program&, std::uint32_t) { told = true; };
  };
  handle = [&](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    if (invoke.body == "hang")
      stream = invoke.stream;
    else
      p.reply(invoke.stream, "1");
  };
  boost::asio::cancellation_signal signal;
  bool over = false;
  boost::asio::co_spawn(loop, dispatcher().invoke(invocation(version, "hang")),
                        boost::asio::bind_cancellation_slot(
                            signal.slot(), [&](std::exception_ptr, Answer) { over = true; }));
  EXPECT_TRUE(run_until(loop, [&] { return stream != 0; }));
  signal.emit(boost::asio::cancellation_type::terminal);
  EXPECT_TRUE(run_until(loop, [&] { return over && told; }));
  EXPECT_EQ(record().outcome, Outcome::cancelled);
  auto next = call("1");
  pass(milliseconds(20));
  EXPECT_FALSE(next.done());
  sandboxes.live[0]->program->reply(stream, "late");
  EXPECT_EQ(wait(next).failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(DispatcherCancellation, StreamedAnswerThatIsDroppedIsCancelled) {
  version->model = Model::http;
  bool cancelled = false;
  const auto usual = sandboxes.on_launch;
  sandboxes.on_launch = [&, usual](FakeSandbox& sandbox) {
    usual(sandbox);
    sandbox.program->on_cancel = [&](Program& p, std::uint32_t stream) {
      cancelled = true;
      p.send(stream, FrameType::data, wire::kEnd, "");
    };
  };
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "a", wire::kHttp, R"({"status":200})");
  };
  auto answer = call_now();
  answer.reply.more.reset();
  EXPECT_EQ(record().outcome, Outcome::cancelled);
  EXPECT_TRUE(run_until(loop, [&] { return cancelled && stats().busy == 0; }));
  EXPECT_EQ(call_now().failure, nullptr);
  EXPECT_EQ(sandboxes.launches, 1);
}

TEST_F(DispatcherCancellation, DeadlineCutsAStreamedAnswer) {
  version->model = Model::http;
  version->settings.timeout_ms = 30;
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "a", wire::kHttp, R"({"status":200})");
  };
  auto answer = call_now();
  const auto part = run_task(loop, answer.reply.more->read());
  ASSERT_TRUE(part.has_error());
  EXPECT_EQ(part.error().code, Code::deadline_exceeded);
  EXPECT_EQ(record().outcome, Outcome::timeout);
}

}  // namespace
}  // namespace mayfly::engine
