#include "triggers/async_calls.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/json/parse.hpp>
#include <filesystem>

#include "triggers/async_fixture.h"
#include "triggers/call_state.h"
#include "wire/http_message.h"

namespace mayfly::triggers {
namespace {

using telemetry::Outcome;
using testing::AsyncFixture;
using testing::failure;
using testing::reply;

io::Task<bool> stop(AsyncCalls* calls) {
  co_await calls->stop(milliseconds(0));
  co_return true;
}

class AsyncCallsTest : public AsyncFixture {
 protected:
  std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path() + "/calls"))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
};

TEST_F(AsyncCallsTest, RunsWhatItAcceptedAndKeepsTheResult) {
  auto& hello = function("hello");
  hello.answer = [](const engine::Invocation&) { return reply("{\"ok\":true}"); };
  const auto id = accept(call("hello"));
  EXPECT_EQ(record(id).state, CallState::waiting);
  EXPECT_TRUE(hello.seen.empty());
  calls->start();
  ASSERT_TRUE(until_state(id, CallState::succeeded));
  ASSERT_EQ(hello.seen.size(), 1u);
  EXPECT_EQ(hello.seen[0].body, "{\"n\":1}");
  EXPECT_EQ(hello.seen[0].source, "async");
  EXPECT_EQ(hello.seen[0].request_id, id);
  const auto over = record(id);
  EXPECT_EQ(over.result, "{\"ok\":true}");
  EXPECT_EQ(over.attempts, 1u);
  EXPECT_TRUE(messages(".calls-hello").empty());
}

TEST_F(AsyncCallsTest, TriesAgainWithBackoffAndThenGivesUp) {
  make_queue("failed");
  make_queue("dead");
  functions::Settings with;
  with.async.retries = 2;
  with.async.on_failure = "queue:failed";
  with.async.dead_letter = "queue:dead";
  auto& broken = function("broken", with);
  broken.answer = [](const engine::Invocation&) {
    auto answer = failure(Outcome::function_error, "It broke.");
    answer.failure->error_json = R"({"errorType":"Oops","errorMessage":"it broke"})";
    return answer;
  };
  calls->start();
  const auto id = accept(call("broken"));
  ASSERT_TRUE(world.run_until([&] { return broken.seen.size() == 1; }));
  world.settle_down();
  EXPECT_EQ(record(id).attempts, 1u);
  EXPECT_EQ(record(id).error, "It broke.");
  for (int i = 0; i < 10 && record(id).state != CallState::failed; ++i)
    world.pass(milliseconds(20'000));
  const auto over = record(id);
  EXPECT_EQ(over.state, CallState::failed);
  EXPECT_EQ(over.attempts, 3u);
  ASSERT_EQ(broken.seen.size(), 3u);
  EXPECT_EQ(broken.seen[2].attempt, 3u);

  const auto outcome = messages("failed");
  ASSERT_EQ(outcome.size(), 1u);
  const auto json = boost::json::parse(outcome[0].body);
  EXPECT_EQ(json.at("version").as_string(), "1.0");
  EXPECT_EQ(json.at("requestContext").at("condition").as_string(), "RetriesExhausted");
  EXPECT_EQ(json.at("requestContext").at("requestId").as_string(), id);
  EXPECT_EQ(json.at("requestContext").at("functionArn").as_string(),
            "arn:aws:lambda:us-east-1:000000000000:function:broken:$LATEST");
  EXPECT_EQ(json.at("requestContext").at("approximateInvokeCount").to_number<int>(), 3);
  EXPECT_EQ(json.at("requestPayload").at("n").to_number<int>(), 1);
  EXPECT_EQ(json.at("responseContext").at("functionError").as_string(), "Unhandled");
  EXPECT_EQ(json.at("responsePayload").at("errorType").as_string(), "Oops");

  const auto dead = messages("dead");
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].body, "{\"n\":1}");
  std::map<std::string, std::string> attributes;
  for (const auto& attribute : dead[0].attributes) attributes[attribute.name] = attribute.value;
  EXPECT_EQ(attributes["RequestID"], id);
  EXPECT_EQ(attributes["ErrorMessage"], "It broke.");
}

TEST_F(AsyncCallsTest, GivesUpWhatHasGrownTooOld) {
  functions::Settings with;
  with.async.retries = 100;
  with.async.max_age_s = 30;
  auto& broken = function("broken", with);
  broken.answer = [](const engine::Invocation&) { return failure(Outcome::timeout, "late"); };
  calls->start();
  const auto id = accept(call("broken"));
  for (int i = 0; i < 20 && record(id).state != CallState::failed; ++i)
    world.pass(milliseconds(20'000));
  EXPECT_EQ(record(id).state, CallState::failed);
  EXPECT_LT(record(id).attempts, 20u);
}

TEST_F(AsyncCallsTest, ARetryIsNotSilencedByAClockThatIsSetBack) {
  auto& moody = function("moody");
  moody.answer = [&moody](const engine::Invocation&) {
    return moody.seen.empty() ? failure(Outcome::function_error, "Not yet.") : reply("1");
  };
  world.clock.wall += std::chrono::hours(5);
  const auto id = accept(call("moody"));
  calls->start();
  while (record(id).attempts == 0) world.settle_down();
  world.settle_down();
  world.clock.wall -= std::chrono::hours(5);
  world.pass(seconds(10));
  EXPECT_TRUE(until_state(id, CallState::succeeded));
  EXPECT_EQ(moody.seen.size(), 2u);
}

TEST_F(AsyncCallsTest, ARefusedCallDoesNotCountAsAnAttempt) {
  auto& full = function("full");
  bool room = false;
  full.answer = [&room](const engine::Invocation&) {
    return room ? reply("1") : failure(Outcome::refused, "full", Code::resource_exhausted);
  };
  calls->start();
  const auto id = accept(call("full"));
  ASSERT_TRUE(world.run_until([&] { return !full.seen.empty(); }));
  world.settle_down();
  EXPECT_EQ(record(id).attempts, 0u);
  room = true;
  world.pass(milliseconds(5'000));
  ASSERT_TRUE(world.run_until([&] { return record(id).state == CallState::succeeded; }));
  EXPECT_EQ(record(id).attempts, 1u);
}

TEST_F(AsyncCallsTest, FewRunWhileCallsAreAcceptedAndAllAfter) {
  auto& slow = function("slow");
  slow.hangs = true;
  beside_accepts = 2;
  calls->start();
  for (int i = 0; i < 5; ++i) accept(call("slow"));
  ASSERT_TRUE(world.run_until([&] { return slow.seen.size() == 2; }));
  for (int i = 0; i < 20; ++i) world.settle_down();
  EXPECT_EQ(slow.seen.size(), 2u);
  world.clock.pass(milliseconds(100));
  // One ends: the lane looks again.
  ASSERT_TRUE(world.run(calls->cancel(slow.seen[0].request_id)).has_value());
  EXPECT_TRUE(world.run_until([&] { return slow.seen.size() == 5; }));
}

TEST_F(AsyncCallsTest, SuccessGoesToItsDestination) {
  functions::Settings with;
  with.async.on_success = "function:next";
  function("first", with).answer = [](const engine::Invocation&) { return reply("\"done\""); };
  auto& next = function("next");
  calls->start();
  const auto id = accept(call("first"));
  ASSERT_TRUE(world.run_until([&] { return next.seen.size() == 1; }));
  const auto json = boost::json::parse(next.seen[0].body);
  EXPECT_EQ(json.at("requestContext").at("requestId").as_string(), id);
  EXPECT_EQ(json.at("responsePayload").as_string(), "done");
  EXPECT_EQ(next.seen[0].source, "destination");
}

TEST_F(AsyncCallsTest, DestinationsInACircleEnd) {
  functions::Settings with;
  with.async.on_success = "function:loop";
  auto& loop = function("loop", with);
  calls->start();
  accept(call("loop"));
  ASSERT_TRUE(world.run_until([&] { return loop.seen.size() >= 17; }));
  for (int i = 0; i < 20; ++i) world.settle_down();
  EXPECT_EQ(loop.seen.size(), 17u);
}

TEST_F(AsyncCallsTest, AnUnreachableDestinationDoesNotHoldTheCall) {
  functions::Settings with;
  with.async.on_success = "topic:nobody";
  function("f", with);
  calls->start();
  const auto id = accept(call("f"));
  ASSERT_TRUE(until_state(id, CallState::succeeded));
}

TEST_F(AsyncCallsTest, TheSameIdempotencyKeyIsTheSameCall) {
  auto& hello = function("hello");
  function("other");
  auto keyed = [](const std::string& name) {
    NewCall wanted = call(name);
    wanted.idempotency_key = "order-7";
    return wanted;
  };
  const auto first = accept(keyed("hello"));
  const auto again = world.run(calls->accept(keyed("hello")));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->id, first);
  EXPECT_TRUE(again->duplicate);
  EXPECT_NE(accept(keyed("other")), first);
  // Both at once, too.
  auto one = keyed("hello");
  one.idempotency_key = "at-once";
  auto two = one;
  auto a = world.start(calls->accept(std::move(one)));
  auto b = world.start(calls->accept(std::move(two)));
  const auto first_one = world.wait(a);
  const auto second_one = world.wait(b);
  ASSERT_TRUE(first_one.has_value()) << first_one.error().describe();
  ASSERT_TRUE(second_one.has_value()) << second_one.error().describe();
  EXPECT_EQ(first_one->id, second_one->id);
  calls->start();
  for (int i = 0; i < 20; ++i) world.settle_down();
  EXPECT_EQ(hello.seen.size(), 2u);
  world.clock.pass(seconds(settings.idempotency_s + 1));
  EXPECT_NE(accept(keyed("hello")), first);
}

TEST_F(AsyncCallsTest, ACancelledCallDoesNotRun) {
  auto& hello = function("hello");
  const auto id = accept(call("hello"));
  const auto cancelled = world.run(calls->cancel(id));
  ASSERT_TRUE(cancelled.has_value());
  EXPECT_EQ(cancelled->state, CallState::cancelled);
  restart();  // and stays so
  calls->start();
  ASSERT_TRUE(world.run_until([&] { return messages(".calls-hello").empty(); }));
  for (int i = 0; i < 10; ++i) world.settle_down();
  EXPECT_TRUE(hello.seen.empty());
  EXPECT_EQ(record(id).state, CallState::cancelled);
  EXPECT_EQ(world.run(calls->cancel(id)).error().code, Code::conflict);
  const auto again = world.run(calls->run_again(id));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  ASSERT_TRUE(until_state(again->id, CallState::succeeded));
  EXPECT_EQ(record(again->id).again_of, id);
}

TEST_F(AsyncCallsTest, ACallIsCancelledWhileItRuns) {
  auto& slow = function("slow");
  slow.hangs = true;
  calls->start();
  const auto id = accept(call("slow"));
  ASSERT_TRUE(until_state(id, CallState::running));
  ASSERT_TRUE(world.run(calls->cancel(id)).has_value());
  ASSERT_TRUE(until_state(id, CallState::cancelled));
  for (int i = 0; i < 10; ++i) world.settle_down();
  world.pass(milliseconds(60'000));
  EXPECT_EQ(slow.seen.size(), 1u);
  EXPECT_EQ(world
                .run(world.engine->counts(".calls-slow").has_value()
                         ? world.engine->peek(".calls-slow", 10)
                         : world.engine->peek(".calls-slow", 10))
                ->size(),
            0u);
}

TEST_F(AsyncCallsTest, LongPayloadsAreFilesUntilTheCallIsOver) {
  settings.inline_bytes_max = 1000;
  restart();
  auto& hello = function("hello");
  const std::string body = "\"" + std::string(5000, 'x') + "\"";
  const auto id = accept(call("hello", body));
  EXPECT_EQ(files(), 1u);
  restart();
  EXPECT_EQ(files(), 1u);  // it is waited for
  calls->start();
  ASSERT_TRUE(until_state(id, CallState::succeeded));
  EXPECT_EQ(hello.seen.at(0).body, body);
  EXPECT_EQ(files(), 0u);
}

TEST_F(AsyncCallsTest, FilesOfCallsThatNobodyAcceptedGoAtStart) {
  settings.inline_bytes_max = 1000;
  restart();
  function("hello");
  // Prepared, and then the server is killed before the commit.
  const auto prepared = world.run(calls->prepare(call("hello", std::string(5000, 'x'))));
  ASSERT_TRUE(prepared.has_value());
  EXPECT_EQ(files(), 1u);
  restart();
  EXPECT_EQ(files(), 0u);
}

TEST_F(AsyncCallsTest, WhatFailedCanRunAgainWithItsFile) {
  settings.inline_bytes_max = 1000;
  settings.retries = 0;
  restart();
  auto& f = function("f");
  bool good = false;
  f.answer = [&good](const engine::Invocation&) {
    return good ? reply("1") : failure(Outcome::crash, "gone");
  };
  calls->start();
  const auto id = accept(call("f", std::string(5000, 'y')));
  ASSERT_TRUE(until_state(id, CallState::failed));
  EXPECT_EQ(files(), 1u);
  good = true;
  const auto again = world.run(calls->run_again(id));
  ASSERT_TRUE(again.has_value());
  ASSERT_TRUE(until_state(again->id, CallState::succeeded));
  EXPECT_EQ(f.seen.back().body.size(), 5000u);
}

TEST_F(AsyncCallsTest, ACallThatRanWhenTheServerWasKilledRunsAgain) {
  auto& slow = function("slow");
  slow.hangs = true;
  calls->start();
  const auto id = accept(call("slow"));
  ASSERT_TRUE(world.run_until([&] { return slow.seen.size() == 1; }));
  restart();
  slow.hangs = false;
  calls->start();  // its hold has not run out
  ASSERT_TRUE(until_state(id, CallState::succeeded));
  EXPECT_EQ(slow.seen.size(), 2u);
}

TEST_F(AsyncCallsTest, WhatItStagedHappensOnceThoughTheCallComesAgain) {
  auto& charge = function("charge");
  charge.effects = R"({"add":[{"key":"spent","delta":5}]})";
  charge.hangs = true;  // the effects are on the disk, the call's end is not
  calls->start();
  const auto id = accept(call("charge"));
  const auto spent = [this] {
    const auto value = memory->get("s/d/spent");
    return value.has_value() ? *value : "nothing";
  };
  ASSERT_TRUE(world.run_until([&] { return spent() == "5"; }));
  restart();
  charge.hangs = false;
  charge.answer = [](const engine::Invocation&) { return reply("\"another answer\""); };
  calls->start();  // its hold has not run out
  ASSERT_TRUE(until_state(id, CallState::succeeded));
  EXPECT_EQ(charge.seen.size(), 2u);
  EXPECT_EQ(spent(), "5");
  EXPECT_EQ(record(id).result, "{\"n\":1}");
  world.settle_down();
  EXPECT_TRUE(memory->get(std::string(kMarkPrefix) + id).has_error());
}

TEST_F(AsyncCallsTest, AConflictOfTheFunctionsOwnIsARetry) {
  auto& careful = function("careful");
  careful.effects = R"({"require":[{"key":"k","etag":"0123456789abcdef0123456789abcdef"}],)"
                    R"("put":[{"key":"k","value":1}]})";
  calls->start();
  const auto id = accept(call("careful"));
  ASSERT_TRUE(world.run_until([&] { return record(id).attempts == 1; }));
  EXPECT_EQ(record(id).state, CallState::waiting);
  EXPECT_EQ(record(id).error_code, "conflict");
}

TEST(CallMark, DamagedOnesAreRefused) {
  const std::string bytes = encode(CallMark{7, "result", true});
  EXPECT_EQ(decode_mark(bytes)->result, "result");
  EXPECT_TRUE(decode_mark(bytes)->cut);
  EXPECT_TRUE(decode_mark(bytes.substr(0, bytes.size() - 1)).has_error());
  EXPECT_TRUE(decode_mark(bytes + "x").has_error());
}

TEST_F(AsyncCallsTest, TheCallbackIsHandedOn) {
  std::vector<Delivery> posted;
  targets->register_kind(Target::Kind::webhook, [&posted](Target, Delivery delivery) {
    posted.push_back(std::move(delivery));
    return [](Status status) -> io::Task<Status> { co_return status; }(ok());
  });
  function("hello").answer = [](const engine::Invocation&) { return reply("{\"a\":1}"); };
  calls->start();
  NewCall wanted = call("hello");
  wanted.message.alias = "my-call";
  wanted.message.callback_url = "http://callback.example/x";
  const auto id = accept(std::move(wanted));
  ASSERT_TRUE(world.run_until([&] { return !posted.empty(); }));
  EXPECT_EQ(posted[0].body, "{\"a\":1}");
  std::map<std::string, std::string> headers(posted[0].headers.begin(), posted[0].headers.end());
  EXPECT_EQ(headers["X-Call-Id"], "my-call");
  EXPECT_EQ(headers["X-Function-Name"], "hello");
  EXPECT_EQ(headers["X-Function-Status"], "200");
  EXPECT_FALSE(headers["X-Duration-Seconds"].empty());
  EXPECT_EQ(record("my-call").id, id);
}

TEST_F(AsyncCallsTest, FunctionsThatTakeHttpGetARequest) {
  auto& web = function("web", {}, functions::Model::http);
  web.answer = [](const engine::Invocation&) {
    auto answer = reply("busy");
    answer.reply.kind = engine::PayloadKind::http;
    answer.reply.head = R"({"status":503,"headers":[["Content-Type","text/plain"]]})";
    return answer;
  };
  settings.retries = 0;
  restart();
  calls->start();
  const auto id = accept(call("web"));
  ASSERT_TRUE(until_state(id, CallState::failed));
  EXPECT_EQ(record(id).status, 503);
  EXPECT_EQ(web.seen.at(0).kind, engine::PayloadKind::http);
  const auto head = wire::decode_request_head(web.seen.at(0).head);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->head.method, "POST");
  EXPECT_EQ(web.seen.at(0).body, "{\"n\":1}");
}

TEST_F(AsyncCallsTest, ListsTheNewestAndFilters) {
  function("a");
  function("b");
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(accept(call(i % 2 == 0 ? "a" : "b")));
  CallFilter filter;
  filter.limit = 4;
  auto page = world.run(calls->list(filter));
  ASSERT_TRUE(page.has_value());
  ASSERT_EQ(page->calls.size(), 4u);
  EXPECT_EQ(page->calls[0].id, ids[9]);
  filter.before = page->next;
  page = world.run(calls->list(filter));
  EXPECT_EQ(page->calls.at(0).id, ids[5]);
  filter = CallFilter();
  filter.function = "b";
  page = world.run(calls->list(filter));
  EXPECT_EQ(page->calls.size(), 5u);
  filter.state = CallState::succeeded;
  EXPECT_TRUE(world.run(calls->list(filter))->calls.empty());
}

TEST_F(AsyncCallsTest, RefusesWhatItCannotKeep) {
  function("f");
  settings.payload_bytes_max = 100;
  restart();
  EXPECT_EQ(world.run(calls->accept(call("f", std::string(101, 'x')))).error().code,
            Code::too_large);
  NewCall wanted = call("f");
  wanted.message.callback_url = "queue:x";
  EXPECT_EQ(world.run(calls->accept(std::move(wanted))).error().code, Code::invalid_argument);
  wanted = call("f");
  wanted.message.alias = "a b";
  EXPECT_EQ(world.run(calls->accept(std::move(wanted))).error().code, Code::invalid_argument);
  EXPECT_EQ(world.run(calls->find("nothing")).error().code, Code::not_found);
}

TEST_F(AsyncCallsTest, StoppingGivesBackWhatStillRuns) {
  auto& slow = function("slow");
  slow.hangs = true;
  calls->start();
  const auto id = accept(call("slow"));
  ASSERT_TRUE(until_state(id, CallState::running));
  EXPECT_TRUE(world.run(stop(calls.get())));
  EXPECT_EQ(world.run(calls->accept(call("slow"))).error().code, Code::unavailable);
  EXPECT_EQ(messages(".calls-slow").size(), 1u);
  EXPECT_EQ(record(id).attempts, 0u);
}

}  // namespace
}  // namespace mayfly::triggers
