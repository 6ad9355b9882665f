// The Runtime API as a program sees it (raw bytes over TCP) and as the engine
// sees it.
#include "dialects/runtime_api_fixture.h"

namespace mayfly::dialects::lambda {
namespace {

using namespace api_testing;
using telemetry::Outcome;
using ::testing::HasSubstr;

struct RuntimeApiTest : RuntimeApiFixture {
  RuntimeApiTest() { attach(); }
};

struct ConcurrentRuntimeApiTest : RuntimeApiFixture {
  ConcurrentRuntimeApiTest() {
    version.concurrency = 3;
    attach();
  }
};

TEST_F(RuntimeApiTest, PingAndUnknownPaths) {
  Program program(port);
  const auto ping = program.get("ping");
  EXPECT_EQ(ping.status, 200);
  EXPECT_EQ(ping.body, "pong");
  for (const char* path : {"runtime/restore/other", "runtime/invocation//response", "", "extension",
                           "runtime/invocation/a/b/response", "runtime/invocation/a/other"})
    EXPECT_EQ(program.get(path).status, 404) << path;
  EXPECT_EQ(program.post(kNext, "").status, 405);
  const auto wrong = program.get(response_path("a"));
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "POST");
}

TEST_F(RuntimeApiTest, FirstPollEndsInitialisation) {
  EXPECT_EQ(started.wait_for(0s), std::future_status::timeout);
  Program program(port);
  program.ask("GET", kNext);
  const auto ready = started.get();
  ASSERT_EQ(ready.failure, nullptr);
  EXPECT_EQ(ready.ready.model, functions::Model::runtime_api);
  EXPECT_EQ(ready.ready.concurrency, 1u);
  auto called = call("id-1", "{\"x\":1}");
  const auto event = program.seen();
  EXPECT_EQ(event.status, 200);
  EXPECT_EQ(event.body, "{\"x\":1}");
  EXPECT_EQ(event.header("Content-Type"), "application/json");
  EXPECT_EQ(event.header("Lambda-Runtime-Aws-Request-Id"), "id-1");
  EXPECT_EQ(event.header("Lambda-Runtime-Deadline-Ms"), "1700000000000");
  EXPECT_EQ(event.header("Lambda-Runtime-Trace-Id"), "Root=1-2-3");
  EXPECT_EQ(event.header("Lambda-Runtime-Client-Context"), "{\"a\": 1}");
  EXPECT_EQ(event.header("Lambda-Runtime-Invoked-Function-Arn"),
            "arn:aws:lambda:us-east-1:000000000000:function:hello");
  EXPECT_EQ(event.header("Lambda-Runtime-Cognito-Identity"), "");
  const auto answer = program.post(response_path("id-1"), "[1]");
  EXPECT_EQ(answer.status, 202);
  EXPECT_THAT(answer.body, HasSubstr("{\"status\":\"OK\"}"));
  const auto done = called.get();
  ASSERT_EQ(done.failure, nullptr);
  EXPECT_EQ(done.reply.kind, engine::PayloadKind::event);
  EXPECT_EQ(done.reply.body, "[1]");
}

TEST_F(RuntimeApiTest, TheNextInvocationWaitsForTheNextPoll) {
  Program program(port);
  auto first = begin(program, "a");
  EXPECT_EQ(program.post(response_path("a"), "1").status, 202);
  EXPECT_EQ(first.get().reply.body, "1");
  auto second = call("b", "two");
  EXPECT_EQ(second.wait_for(0s), std::future_status::timeout);
  EXPECT_EQ(program.get("ping").status, 200);  // work after the answer is legal
  const auto event = program.get(kNext);
  EXPECT_EQ(event.header("Lambda-Runtime-Aws-Request-Id"), "b");
  EXPECT_EQ(event.body, "two");
  EXPECT_EQ(program.post(response_path("b"), "2").status, 202);
  EXPECT_EQ(second.get().reply.body, "2");
}

TEST_F(RuntimeApiTest, WrongIdsAndStatesAreRefused) {
  const auto body = [](const char* type, const char* message) {
    return std::string("{\"errorMessage\":\"") + message + "\",\"errorType\":\"" + type + "\"}\n";
  };
  const auto wrong_id = body("InvalidRequestID", "Invalid request ID");
  const auto wrong_state = [&](const std::string& from, const std::string& to) {
    return body("InvalidStateTransition", ("State transition from " + from + " to " + to +
                                           " failed for runtime. Error: State transition is not "
                                           "allowed")
                                              .c_str());
  };
  Program program(port);
  EXPECT_EQ(program.post(response_path("a"), "1").body, wrong_id) << "nothing runs";
  auto called = begin(program, "a");
  const auto wrong = program.post(response_path("b"), "1");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(wrong.body, wrong_id);
  EXPECT_EQ(program.post(error_path("b"), "{}").status, 400);
  const auto early = program.get(kNext);  // without an answer to the first
  EXPECT_EQ(early.status, 403);
  EXPECT_EQ(early.body, wrong_state("Running", "Ready"));
  EXPECT_EQ(program.post("runtime/init/error", "{}").body, wrong_state("Running", "InitError"));
  EXPECT_EQ(called.wait_for(0s), std::future_status::timeout);
  EXPECT_EQ(program.post(response_path("a"), "1").body, "{\"status\":\"OK\"}\n");
  const auto twice = program.post(response_path("a"), "2");
  EXPECT_EQ(twice.status, 403);
  EXPECT_EQ(twice.body, wrong_state("RuntimeResponseSentState", "InvocationResponse"));
  EXPECT_EQ(program.post(error_path("a"), "{}").body,
            wrong_state("RuntimeResponseSentState", "InvocationErrorResponse"));
  EXPECT_EQ(called.get().reply.body, "1");
}

TEST_F(RuntimeApiTest, AnUnknownResponseModeFailsTheCall) {
  Program program(port);
  auto called = begin(program, "a");
  for (const char* mode : {"buffered", "Streaming"}) {
    const auto refused =
        program.post(response_path("a"), "1",
                     std::string("Lambda-Runtime-Function-Response-Mode: ") + mode + "\r\n");
    if (called.valid()) {
      EXPECT_EQ(refused.status, 400);
      EXPECT_EQ(refused.body,
                "{\"errorMessage\":\"Invalid function response mode\",\"errorType\":"
                "\"InvalidFunctionResponseMode\"}\n");
      EXPECT_THAT(called.get().failure->error_json, HasSubstr("Runtime.InvalidResponseModeHeader"));
    } else {
      EXPECT_EQ(refused.status, 403) << "answered already";
    }
  }
}

TEST_F(RuntimeApiTest, HooksOfSnapshots) {
  Program program(port);
  const auto restored = program.get("runtime/restore/next");
  EXPECT_EQ(restored.status, 200);
  EXPECT_EQ(restored.body, "");
  EXPECT_EQ(program.get("runtime/restore/error").status, 405);
  EXPECT_EQ(program.post("runtime/restore/error", R"({"errorMessage":"hook"})").status, 202);
  EXPECT_EQ(started.get().failure->message, "Runtime.Unknown: hook");
  EXPECT_EQ(program.get("runtime/restore/next").status, 403);
}

TEST_F(RuntimeApiTest, ErrorsWithACauseLoseIt) {
  const std::string with_cause = "Content-Type: application/vnd.aws.lambda.error.cause+json\r\n";
  Program program(port);
  auto called = begin(program, "a");
  EXPECT_EQ(program
                .post(error_path("a"),
                      R"({"errorType":"E","errorMessage":"x","stackTrace":["f"],)"
                      R"("errorCause":{"working_directory":"/"}})",
                      with_cause)
                .status,
            202);
  EXPECT_EQ(called.get().failure->error_json,
            R"({"errorMessage":"x","errorType":"E","stackTrace":["f"]})");
  EXPECT_EQ(without_cause("no JSON"), "\"Invalid error body\"");
}

TEST_F(RuntimeApiTest, OnlyOnePollAtATime) {
  Program program(port), other(port);
  program.ask("GET", kNext);
  (void)started.get();
  EXPECT_EQ(other.get(kNext).status, 403);
}

TEST_F(RuntimeApiTest, ErrorsOfTheHandler) {
  Program program(port);
  auto first = begin(program, "a");
  EXPECT_EQ(program
                .post(error_path("a"),
                      R"({"errorType":"KeyError","errorMessage":"x","stackTrace":["f"]})")
                .status,
            202);
  auto failed = first.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_EQ(failed.failure->outcome, Outcome::function_error);
  EXPECT_EQ(failed.failure->message, "KeyError: x");
  EXPECT_THAT(failed.failure->error_json, HasSubstr("stackTrace"));

  auto second = call("b");
  EXPECT_EQ(program.get(kNext).status, 200);
  EXPECT_EQ(program
                .post(error_path("b"), "no JSON",
                      "Lambda-Runtime-Function-Error-Type: Runtime.Broken\r\n")
                .status,
            202);
  failed = second.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_EQ(failed.failure->error_json,
            R"({"errorType":"Runtime.Broken","errorMessage":"no JSON"})");
}

TEST_F(RuntimeApiTest, InitErrorFailsTheStart) {
  Program program(port);
  EXPECT_EQ(program
                .post("runtime/init/error", R"({"errorMessage":"no file"})",
                      "Lambda-Runtime-Function-Error-Type: Runtime.NoFile\r\n")
                .status,
            202);
  const auto result = started.get();
  ASSERT_NE(result.failure, nullptr);
  EXPECT_EQ(result.failure->outcome, Outcome::init_failed);
  EXPECT_EQ(result.failure->message, "Runtime.NoFile: no file");
  EXPECT_EQ(program.post("runtime/init/error", "{}").status, 403);
  EXPECT_EQ(program.get(kNext).status, 403);
}

TEST_F(RuntimeApiTest, TooLargeAnAnswer) {
  Program program(port);
  auto called = begin(program, "a");
  const auto answer = program.post(response_path("a"), std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(answer.status, 413);
  EXPECT_THAT(answer.body, HasSubstr("RequestEntityTooLarge"));
  const auto failed = called.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_EQ(failed.failure->outcome, Outcome::function_error);
  EXPECT_THAT(failed.failure->error_json, HasSubstr("Function.ResponseSizeTooLarge"));
  // The connection has stayed in step, and the instance goes on.
  auto second = call("b");
  EXPECT_EQ(program.get(kNext).status, 200);
  EXPECT_EQ(program.post(response_path("b"), std::string(1 << 20, 'x')).status, 202);
  EXPECT_EQ(second.get().reply.body.size(), std::size_t{1} << 20);
}

TEST_F(RuntimeApiTest, StreamedHttpAnswer) {
  Program program(port);
  auto called = begin(program, "a");
  program.client.send("POST /2018-06-01/" + response_path("a") + " HTTP/1.1\r\nHost: a\r\n" +
                      kIntegration + "Transfer-Encoding: chunked\r\n\r\n" +
                      chunk(R"({"statusCode":201,"headers":{"X-A":"1"},)") +
                      chunk("\"cookies\":[\"k=v\"]}" + std::string(3, '\0')) +
                      chunk(std::string(5, '\0') + "first"));
  auto answer = called.get();
  ASSERT_EQ(answer.failure, nullptr);
  ASSERT_EQ(answer.reply.kind, engine::PayloadKind::http);
  const auto head = wire::decode_response_head(answer.reply.head);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 201);
  EXPECT_EQ(head->headers.find("X-A"), "1");
  EXPECT_EQ(head->headers.find("Set-Cookie"), "k=v");
  ASSERT_NE(answer.reply.more,
            nullptr);  // the caller has the head before the end is there
  program.client.send(chunk(" second") + "0\r\n\r\n");
  EXPECT_EQ(read_all(answer.reply), "first second");
  EXPECT_EQ(program.seen().status, 202);
}

TEST_F(RuntimeApiTest, AStreamMayEndInAnError) {
  Program program(port);
  auto called = begin(program, "a");
  program.client.send("POST /2018-06-01/" + response_path("a") + " HTTP/1.1\r\nHost: a\r\n" +
                      "Content-Type: text/plain\r\n"
                      "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
                      "Trailer: Lambda-Runtime-Function-Error-Type, "
                      "Lambda-Runtime-Function-Error-Body\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n" +
                      chunk("part"));
  auto answer = called.get();
  ASSERT_EQ(answer.failure, nullptr);
  ASSERT_NE(answer.reply.more, nullptr);
  program.client.send(
      "0\r\nLambda-Runtime-Function-Error-Type: Function.Oops\r\n"
      "Lambda-Runtime-Function-Error-Body: "
      "eyJlcnJvck1lc3NhZ2UiOiJtaWQifQ==\r\n\r\n");
  EXPECT_EQ(read_all(answer.reply), "part|Function.Oops: mid");
  EXPECT_EQ(program.seen().status, 202);
  bool healthy = false;
  on_loop([&] { healthy = protocol->healthy(); });
  EXPECT_TRUE(healthy);
}

TEST_F(RuntimeApiTest, ABufferedAnswerMayEndInAnError) {
  Program program(port);
  auto called = begin(program, "a");
  program.client.send("POST /2018-06-01/" + response_path("a") +
                      " HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"
                      "Trailer: Lambda-Runtime-Function-Error-Type\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n" +
                      chunk("{}") + "0\r\nLambda-Runtime-Function-Error-Type: not a type\r\n\r\n");
  const auto failed = called.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_EQ(failed.failure->outcome, Outcome::function_error);
  EXPECT_THAT(failed.failure->error_json, HasSubstr("Runtime.Unknown"));
  EXPECT_EQ(program.seen().status, 202);
}

TEST_F(RuntimeApiTest, AnAnswerWithoutPreludeFails) {
  Program program(port);
  auto called = begin(program, "a");
  EXPECT_EQ(program.post(response_path("a"), "{\"statusCode\":200}", kIntegration).status, 202);
  auto failed = called.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_THAT(failed.failure->message, HasSubstr("8 NUL bytes"));
  auto second = call("b");
  EXPECT_EQ(program.get(kNext).status, 200);
  EXPECT_EQ(program.post(response_path("b"), "[]" + std::string(8, '\0'), kIntegration).status,
            202);
  failed = second.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_THAT(failed.failure->message, HasSubstr("no JSON object"));
}

TEST_F(RuntimeApiTest, ACallerThatLeavesAStreamDoesNotHoldTheProgramBack) {
  Program program(port);
  auto called = begin(program, "a");
  program.client.send("POST /2018-06-01/" + response_path("a") + " HTTP/1.1\r\nHost: a\r\n" +
                      kIntegration + "Transfer-Encoding: chunked\r\n\r\n" +
                      chunk("{}" + std::string(8, '\0') + "x"));
  auto answer = called.get();
  ASSERT_NE(answer.reply.more, nullptr);
  InstanceProtocol::Abort state{};
  on_loop([&] {
    state = protocol->abort("a");
    answer.reply.more.reset();
  });
  EXPECT_EQ(state, InstanceProtocol::Abort::pending);
  for (int i = 0; i < 64; ++i) program.client.send(chunk(std::string(65536, 'y')));
  program.client.send("0\r\n\r\n");
  EXPECT_EQ(program.seen().status, 202);
  program.ask("GET", kNext);
  EXPECT_EQ(released.get_future().wait_for(10s), std::future_status::ready);
}

TEST_F(RuntimeApiTest, APollThatHangsUpLosesNothing) {
  {
    Program program(port);
    program.ask("GET", kNext);
    ASSERT_EQ(started.get().failure, nullptr);
  }
  for (int turn = 0; turn < 3; ++turn) on_loop([] {});  // the hang-up has been seen
  Program program(port);
  auto called = call("a", "{\"n\":1}");
  const auto event = program.get(kNext);
  EXPECT_EQ(event.status, 200);
  EXPECT_EQ(event.body, "{\"n\":1}");
  EXPECT_EQ(program.post(response_path("a"), "1").status, 202);
  EXPECT_EQ(called.get().reply.body, "1");
}

TEST_F(RuntimeApiTest, AnAnswerThatBreaksOffIsACrash) {
  Program program(port);
  auto called = begin(program, "a");
  program.client.send("POST /2018-06-01/" + response_path("a") +
                      " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
  program.client.close();
  const auto failed = called.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_EQ(failed.failure->outcome, Outcome::crash);
  EXPECT_EQ(failed.failure->message, "");
  bool healthy = true;
  on_loop([&] { healthy = protocol->healthy(); });
  EXPECT_FALSE(healthy);
}

TEST_F(RuntimeApiTest, AStreamThatBreaksOffIsCutOff) {
  Program program(port);
  auto called = begin(program, "a");
  program.client.send("POST /2018-06-01/" + response_path("a") + " HTTP/1.1\r\nHost: a\r\n" +
                      kIntegration + "Transfer-Encoding: chunked\r\n\r\n" +
                      chunk("{}" + std::string(8, '\0') + "x"));
  auto answer = called.get();
  ASSERT_NE(answer.reply.more, nullptr);
  program.client.close();
  EXPECT_EQ(read_all(answer.reply), "x|the program broke off its answer");
  bool healthy = true;
  on_loop([&] { healthy = protocol->healthy(); });
  EXPECT_FALSE(healthy);
}

TEST_F(RuntimeApiTest, TheEndOfTheProgram) {
  Program program(port);
  auto called = begin(program, "a");
  on_loop([&] { protocol->ended({}); });
  const auto failed = called.get();
  ASSERT_NE(failed.failure, nullptr);
  EXPECT_EQ(failed.failure->outcome, Outcome::crash);
  EXPECT_TRUE(failed.delivered);
  const auto late = call("b").get();
  ASSERT_NE(late.failure, nullptr);
  EXPECT_FALSE(late.delivered);
}

TEST_F(RuntimeApiTest, TheEndOfTheProgramWhileItStarts) {
  on_loop([&] { protocol->ended({}); });
  const auto result = started.get();
  ASSERT_NE(result.failure, nullptr);
  EXPECT_EQ(result.failure->outcome, Outcome::crash);
  EXPECT_EQ(result.failure->phase, telemetry::Phase::init);
}

TEST_F(RuntimeApiTest, AbortedCalls) {
  Program program(port);
  auto first = begin(program, "a");
  InstanceProtocol::Abort state{};
  on_loop([&] { state = protocol->abort("a"); });
  EXPECT_EQ(state, InstanceProtocol::Abort::pending);
  EXPECT_EQ(first.get().failure->outcome, Outcome::cancelled);
  EXPECT_EQ(program.post(response_path("a"), "late").status,
            202);  // nobody reads it
  auto done = released.get_future();
  EXPECT_EQ(done.wait_for(0s), std::future_status::timeout);
  auto second = call("b");
  on_loop([&] { state = protocol->abort("b"); });
  EXPECT_EQ(state,
            InstanceProtocol::Abort::released);  // it never reached the program
  EXPECT_EQ(second.get().failure->outcome, Outcome::cancelled);
  program.ask("GET", kNext);
  EXPECT_EQ(done.wait_for(10s), std::future_status::ready);
  auto third = call("c");
  EXPECT_EQ(program.seen().header("Lambda-Runtime-Aws-Request-Id"), "c");
  EXPECT_EQ(program.post(response_path("c"), "3").status, 202);
  EXPECT_EQ(third.get().reply.body, "3");
}

TEST_F(ConcurrentRuntimeApiTest, EachPollGetsAnInvocationOfItsOwn) {
  std::vector<Program> programs;
  for (int i = 0; i < 4; ++i) programs.emplace_back(port).ask("GET", kNext);
  EXPECT_EQ(started.get().ready.concurrency, 3u);
  const auto refused = [&] {  // so many polls as the concurrency allows, and no more
    for (;;)
      for (auto program = programs.begin(); program != programs.end(); ++program)
        if (program->client.readable(1ms)) return program;
  }();
  EXPECT_EQ(refused->seen().status, 403);
  programs.erase(refused);
  std::future<InstanceProtocol::Called> calls[3] = {call("a", "1"), call("b", "2"), call("c", "3")};
  std::map<std::string, std::string> bodies;
  for (auto& program : programs) {
    const auto event = program.seen();
    bodies[event.header("Lambda-Runtime-Aws-Request-Id")] = event.body;
  }
  EXPECT_EQ(bodies, (std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}, {"c", "3"}}));
  // In any order, by any connection, by the id.
  EXPECT_EQ(programs[0].post(response_path("c"), "of c").status, 202);
  EXPECT_EQ(calls[2].get().reply.body, "of c");
  EXPECT_EQ(calls[0].wait_for(0s), std::future_status::timeout);
  EXPECT_EQ(programs[0].post(response_path("c"), "again").status, 400);
  EXPECT_EQ(programs[1].post(error_path("a"), R"({"errorMessage":"no","errorType":"E"})").status,
            202);
  EXPECT_THAT(calls[0].get().failure->error_json, testing::HasSubstr("\"no\""));
  programs[0].ask("GET", kNext);
  auto later = call("d", "4");
  EXPECT_EQ(programs[0].seen().body, "4") << "while b still runs";
  EXPECT_EQ(programs[2].post(response_path("b"), "of b").status, 202);
  EXPECT_EQ(calls[1].get().reply.body, "of b");
  EXPECT_EQ(programs[2].post(response_path("d"), "of d").status, 202);
  EXPECT_EQ(later.get().reply.body, "of d");
}

TEST_F(ConcurrentRuntimeApiTest, AbortedAndLostOnesDisturbNobody) {
  Program one(port), two(port);
  one.ask("GET", kNext);
  (void)started.get();
  auto first = call("a");
  EXPECT_EQ(one.seen().header("Lambda-Runtime-Aws-Request-Id"), "a");
  auto second = call("b");  // nobody polls
  auto third = call("c");
  InstanceProtocol::Abort state{};
  on_loop([&] { state = protocol->abort("b"); });
  EXPECT_EQ(state, InstanceProtocol::Abort::released);
  EXPECT_EQ(second.get().failure->outcome, Outcome::cancelled);
  EXPECT_EQ(two.get(kNext).header("Lambda-Runtime-Aws-Request-Id"), "c");
  on_loop([&] { state = protocol->abort("a"); });
  EXPECT_EQ(state, InstanceProtocol::Abort::pending);
  EXPECT_EQ(first.get().failure->outcome, Outcome::cancelled);
  auto done = released.get_future();
  EXPECT_EQ(one.post(response_path("a"), "late").status, 202);
  EXPECT_EQ(done.wait_for(10s), std::future_status::ready) << "its answer is the end of it";
  auto fourth = call("d");
  EXPECT_EQ(one.get(kNext).header("Lambda-Runtime-Aws-Request-Id"), "d");
  on_loop([&] { protocol->ended({}); });
  one.client.close();
  two.client.close();
  EXPECT_EQ(third.get().failure->outcome, Outcome::crash);
  EXPECT_EQ(fourth.get().failure->outcome, Outcome::crash);
}

TEST_F(RuntimeApiTest, DestroyedWhileTheProgramPolls) {
  Program program(port);
  program.ask("GET", kNext);
  (void)started.get();
  on_loop([&] { protocol.reset(); });
  EXPECT_EQ(program.client.receive_all(), "");
}

TEST_F(RuntimeApiTest, FactoryLaunchesTheProgram) {
  EXPECT_TRUE(factory->serves(version));
  version.model = functions::Model::unknown;
  EXPECT_FALSE(factory->serves(version));
  version.settings.runtime = "provided.al2023";
  EXPECT_TRUE(factory->serves(version));
  sandbox::LaunchSpec spec;
  version.entry = "bin/run";
  ASSERT_TRUE(factory->prepare(version, {}, spec));
  EXPECT_EQ(spec.argv, std::vector<std::string>{"/var/task/bin/run"});
  EXPECT_EQ(spec.listen_ports, std::vector<std::uint16_t>{9001});
  EXPECT_FALSE(spec.channel);
  EXPECT_EQ(spec.env, std::vector<std::string>{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001"});
  version.settings.concurrency = 4;
  ASSERT_TRUE(factory->prepare(version, {}, spec));
  EXPECT_THAT(spec.env, testing::Contains("AWS_LAMBDA_MAX_CONCURRENCY=4"));
}

TEST(RuntimeApiSyntax, ErrorTypes) {
  EXPECT_EQ(checked_error_type("Runtime.ExitError"), "Runtime.ExitError");
  EXPECT_EQ(checked_error_type("Function.oops"), "Function.Unknown");
  EXPECT_EQ(checked_error_type("Runtime.No1"), "Runtime.No1") << "the pattern is not anchored";
  EXPECT_EQ(checked_error_type("Runtime.N1"), "Runtime.Unknown");
  EXPECT_EQ(checked_error_type("Other.Name"), "Runtime.Unknown");
  EXPECT_EQ(checked_error_type("MyFunction.Name"), "MyFunction.Name");
  EXPECT_EQ(checked_error_type("Function." + std::string(300, 'A')), "Function.Unknown");
  EXPECT_EQ(checked_error_type(""), "Runtime.Unknown");
}

TEST(RuntimeApiSyntax, PreludeEndMayCrossPieces) {
  const std::string text = "{}" + std::string(8, '\0') + "b";
  for (std::size_t seen = 0; seen < 10; ++seen) {
    EXPECT_EQ(find_prelude_end(text.substr(0, seen), 0), std::nullopt);
    EXPECT_EQ(find_prelude_end(text, seen), 2u) << seen;
  }
}

}  // namespace
}  // namespace mayfly::dialects::lambda
