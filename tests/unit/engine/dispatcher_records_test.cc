// What the record of a call says: who pays for a start, and what the caller was answered.

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using functions::Model;
using telemetry::Outcome;
using telemetry::StartKind;

struct Records : DispatcherFixture {
  Records() {
    start = [](FakeSandbox& sandbox) {
      sandbox.usage_now.cpu_us = 40'000;  // the initialisation
      sandbox.program->ready();
    };
    handle = [](FakeSandbox& sandbox, Program& p, const Program::Invoke& invoke) {
      sandbox.usage_now.cpu_us += 700;
      p.after(milliseconds(2), [stream = invoke.stream](Program& q) { q.reply(stream, "1"); });
    };
  }
};

TEST_F(Records, StartThatACallWaitedForIsChargedToIt) {
  call_now();
  EXPECT_EQ(record().cpu_us, 40'700u);
  call_now();
  EXPECT_EQ(record().cpu_us, 700u);
}

TEST_F(Records, StartOfADeployCheckIsChargedToNoCall) {
  version->model = Model::unknown;
  ASSERT_EQ(run_task(loop, dispatcher().probe(version)).failure, nullptr);
  pass(milliseconds(2));  // a usage is read once a millisecond
  EXPECT_FALSE(call_now().cold);
  EXPECT_EQ(record().cpu_us, 700u);
  EXPECT_EQ(record().init_us + record().start_us, 0u);
}

TEST_F(Records, StartOfAKeptInstanceIsChargedToNoCall) {
  version->settings.instances_min = 1;
  dispatcher().keep(version);
  ASSERT_TRUE(run_until(loop, [&] { return stats().instances == 1; }));
  pass(milliseconds(2));
  call_now();
  EXPECT_EQ(record().cpu_us, 700u);
}

TEST_F(Records, CallThatWaitedForTheModelWaitedForTheStart) {
  version->model = Model::unknown;
  start = [](FakeSandbox& sandbox) {
    sandbox.usage_now.cpu_us = 40'000;
    sandbox.program->after(milliseconds(5), [](Program& p) { p.ready(); });
  };
  auto made = invocation(version);
  made.arrived = clock.steady_now();
  ASSERT_EQ(run_task(loop, dispatcher().model_of(version)).value(), Model::event);
  auto answer = spawn(loop, dispatcher().invoke(std::move(made)));
  EXPECT_TRUE(wait(answer).cold);
  EXPECT_EQ(record().start, StartKind::boot);
  EXPECT_GE(record().start_us + record().init_us, 5'000u);
  EXPECT_EQ(record().cpu_us, 40'700u);
  // Only the call that it was started for.
  EXPECT_FALSE(call_now().cold);
  EXPECT_EQ(record().cpu_us, 700u);
}

TEST_F(Records, TheRecordWaitsForWhatTheCallerIsTold) {
  auto call_one = call();
  ASSERT_TRUE(run_until(loop, [&] { return call_one.done(); }));
  Answer answer = std::move(*call_one);
  EXPECT_TRUE(telemetry.all.empty());
  EXPECT_EQ(stats().busy, 0u);  // the instance does not wait
  answer.receipt.answered(418);
  ASSERT_EQ(telemetry.all.size(), 1u);
  EXPECT_EQ(record().http_status, 418);
  answer.receipt.answered(200);
  EXPECT_EQ(telemetry.all.size(), 1u);

  {
    auto call_two = call();
    ASSERT_TRUE(run_until(loop, [&] { return call_two.done(); }));
    const Answer untold = std::move(*call_two);
  }
  ASSERT_EQ(telemetry.all.size(), 2u);
  EXPECT_EQ(record().http_status, 0);
}

TEST_F(Records, AnAnswerThatIsRejectedIsAFunctionError) {
  auto running = call();
  ASSERT_TRUE(run_until(loop, [&] { return running.done(); }));
  Answer answer = std::move(*running);
  Failure failure = *function_failure(telemetry::Phase::reply, "");
  failure.message = "it is no answer";
  answer.receipt.rejected(failure);
  answer.receipt.answered(502);
  ASSERT_EQ(telemetry.all.size(), 1u);
  EXPECT_EQ(record().outcome, Outcome::function_error);
  EXPECT_EQ(record().phase, telemetry::Phase::reply);
  EXPECT_EQ(record().error, "it is no answer");
  EXPECT_EQ(record().http_status, 502);
}

TEST_F(Records, StreamedAnswerIsRejectedAlthoughNobodyReadsIt) {
  version->model = Model::http;
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "a", wire::kHttp, "no head");
  };
  auto running = call();
  ASSERT_TRUE(run_until(loop, [&] { return running.done(); }));
  {
    Answer answer = std::move(*running);
    answer.receipt.rejected(*function_failure(telemetry::Phase::reply, ""));
    answer.receipt.answered(502);
    EXPECT_TRUE(telemetry.all.empty());
  }
  ASSERT_EQ(telemetry.all.size(), 1u);
  EXPECT_EQ(record().outcome, Outcome::function_error);
  EXPECT_EQ(record().http_status, 502);
}

TEST_F(Records, WhoLeftWasToldNothing) {
  handle = [](FakeSandbox&, Program&, const Program::Invoke&) {};
  boost::asio::cancellation_signal signal;
  bool over = false;
  boost::asio::co_spawn(
      loop, dispatcher().invoke(invocation(version)),
      boost::asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr, Answer answer) {
        answer.receipt.answered(503);
        over = true;
      }));
  ASSERT_TRUE(run_until(loop, [&] { return invoked == 1; }));
  signal.emit(boost::asio::cancellation_type::terminal);
  EXPECT_TRUE(run_until(loop, [&] { return over; }));
  EXPECT_EQ(record().outcome, Outcome::cancelled);
  EXPECT_EQ(record().http_status, 0);
}

TEST_F(Records, EventThatMeetsAnHttpModelIsNotSentToIt) {
  version->model = Model::unknown;
  start = [](FakeSandbox& sandbox) { sandbox.program->ready(R"({"model":"http"})"); };
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->code, Code::unavailable);
  EXPECT_EQ(invoked, 0);
  EXPECT_EQ(stats().busy, 0u);
}

}  // namespace
}  // namespace mayfly::engine
