// What functions ask while they run, and what is done together with their success.

#include <gmock/gmock.h>

#include "engine/dispatcher_fixture.h"

namespace mayfly::engine {
namespace {

using namespace testing;
using telemetry::Outcome;
using telemetry::Party;

struct FakeServices final : FunctionServices {
  io::Task<Result<std::string>> ask(functions::VersionPtr version, std::string question) override {
    asked.push_back(version->function + " " + question);
    co_return answer;
  }
  io::Task<Status> commit(functions::VersionPtr version, std::string effects,
                          std::shared_ptr<Settlement> settlement, std::string result) override {
    committed.push_back(version->function + " " + effects + " " + result);
    settled = settlement;
    while (hold) co_await gate.wait();
    co_return outcome;
  }

  Result<std::string> answer = std::string(R"({"value":7,"etag":"e"})");
  Status outcome = ok();
  std::vector<std::string> asked, committed;
  std::shared_ptr<Settlement> settled;
  bool hold = false;
  Park gate;
};

struct Questions : DispatcherFixture {
  Questions() {
    services = &fake;
    handle = [this](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
      if (!effects.empty()) p.send(invoke.stream, FrameType::effects, 0, effects);
      if (question.empty()) return p.reply(invoke.stream, "\"done\"");
      p.on_answer = [](Program& q, std::uint32_t stream, std::string_view json) {
        q.reply(stream, json);
      };
      p.ask(invoke.stream, question);
    };
  }
  FakeServices fake;
  std::string effects, question;
};

TEST_F(Questions, AnAnswerGoesToTheCallThatAsked) {
  question = R"({"op":"state.get","key":"k"})";
  const auto answer = call_now();
  ASSERT_EQ(answer.failure, nullptr);
  EXPECT_EQ(answer.reply.body, R"({"value":7,"etag":"e"})");
  EXPECT_THAT(fake.asked, ::testing::ElementsAre("hello " + question));
  EXPECT_TRUE(fake.committed.empty());
}

TEST_F(Questions, ARefusalIsAnAnswer) {
  question = "{}";
  fake.answer = Error{Code::invalid_argument, "no \"op\"", "", 0};
  EXPECT_EQ(call_now().reply.body,
            R"({"error":{"code":"invalid_argument","message":"no \"op\""}})");
}

TEST_F(Questions, AServerWithoutStateSaysSo) {
  services = nullptr;
  question = "{}";
  EXPECT_NE(call_now().reply.body.find("\"unsupported\""), std::string::npos);
  question.clear();
  effects = "{}";
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->code, Code::unsupported);
}

TEST_F(Questions, WhatWasStagedIsDoneBeforeTheAnswer) {
  effects = R"({"delete":["k"]})";
  fake.hold = true;
  auto answer = call();
  ASSERT_TRUE(run_until(loop, [&] { return !fake.committed.empty(); }));
  EXPECT_FALSE(answer.done());
  EXPECT_EQ(stats().busy, 0u);  // the instance does not wait with the caller
  fake.hold = false;
  fake.gate.wake();
  EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_THAT(fake.committed, ::testing::ElementsAre("hello " + effects + " \"done\""));
  EXPECT_EQ(record().outcome, Outcome::ok);
}

TEST_F(Questions, ASettlementIsCommittedWithoutEffectsToo) {
  auto settlement = std::make_shared<Settlement>();
  auto made = invocation(version);
  made.settlement = settlement;
  auto answer = spawn(loop, dispatcher().invoke(std::move(made)));
  EXPECT_EQ(wait(answer).failure, nullptr);
  EXPECT_EQ(fake.settled, settlement);
  EXPECT_EQ(fake.committed.size(), 1u);
}

TEST_F(Questions, WhatCannotBeDoneFailsTheInvocation) {
  effects = "{}";
  fake.outcome = Error{Code::conflict, "the key \"k\" has changed", "", 0};
  answered = 409;
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->code, Code::conflict);
  EXPECT_EQ(answer.failure->party, Party::platform);
  EXPECT_EQ(answer.failure->retry_after_s, 1u);
  EXPECT_TRUE(answer.reply.body.empty());
  EXPECT_EQ(record().outcome, Outcome::platform_error);
  EXPECT_NE(record().error.find("has changed"), std::string::npos);
  EXPECT_EQ(record().http_status, 409);
}

TEST_F(Questions, WhatAFunctionAsksWronglyIsItsFailure) {
  effects = "{}";
  fake.outcome = Error{Code::not_found, "there is no queue \"q\"", "", 0};
  const auto answer = call_now();
  EXPECT_EQ(answer.failure->party, Party::function);
  EXPECT_EQ(answer.failure->outcome, Outcome::function_error);
}

TEST_F(Questions, AFailedInvocationCommitsNothing) {
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.send(invoke.stream, FrameType::effects, 0, "{}");
    p.send(invoke.stream, FrameType::error, wire::kEnd, R"({"errorType":"E","errorMessage":"m"})");
  };
  EXPECT_NE(call_now().failure, nullptr);
  EXPECT_TRUE(fake.committed.empty());
  // Nor does what was staged stay behind for the next call on the stream.
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.reply(invoke.stream, "1");
  };
  EXPECT_EQ(call_now().failure, nullptr);
  EXPECT_TRUE(fake.committed.empty());
}

TEST_F(Questions, EffectsOutOfTurnAreABreach) {
  handle = [](FakeSandbox&, Program& p, const Program::Invoke& invoke) {
    p.send(invoke.stream, FrameType::effects, 0, "{}");
    p.send(invoke.stream, FrameType::effects, 0, "{}");
  };
  const auto answer = call_now();
  ASSERT_NE(answer.failure, nullptr);
  EXPECT_EQ(answer.failure->outcome, Outcome::crash);
  EXPECT_TRUE(fake.committed.empty());
}

}  // namespace
}  // namespace mayfly::engine
