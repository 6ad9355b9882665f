#include "dialects/adapters/stdio_protocol.h"

#include <gmock/gmock.h>

#include "dialects/adapters/fixture.h"

namespace mayfly::dialects::adapters::testing {
namespace {

using engine::InstanceProtocol;
using telemetry::Outcome;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(RequestEnv, NamesTheRequest) {
  std::vector<std::string> env;
  ASSERT_TRUE(set_request_env(http_invocation("id-2", "PUT"), env).has_value());
  EXPECT_THAT(env, Contains("Http_Method=PUT"));
  EXPECT_THAT(env, Contains("Http_Path=/a%20b"));
  EXPECT_THAT(env, Contains("Http_Query=x=1"));
  EXPECT_THAT(env, Contains("Http_Content_Type=text/x"));
  EXPECT_THAT(env, Contains("MAYFLY_REQUEST_ID=id-2"));
  EXPECT_THAT(env, Not(Contains(HasSubstr("Http_Proxy"))));
}

TEST(ContentType, IsFoundInTheOutput) {
  EXPECT_EQ(content_type_of(" {\"a\":1}\n", true), "application/json");
  EXPECT_EQ(content_type_of("{\"a\":1", true), "text/plain; charset=utf-8");
  EXPECT_EQ(content_type_of("caf\xc3", true), "application/octet-stream");
  EXPECT_EQ(content_type_of("caf\xc3", false), "text/plain; charset=utf-8");
  EXPECT_EQ(content_type_of("\x89PNG\r\n\x1a\n", true), "application/octet-stream");
}

class Stdio : public ::testing::Test, public Loop {
 protected:
  Stdio()
      : protocol(make_stdio_protocol(loop.get_executor(), std::move(pipes.to_stdin),
                                     std::move(pipes.from_stdout),
                                     [this](const std::string& id, auto, std::string_view text) {
                                       logged += id + ":" + std::string(text);
                                     })) {}
  void call(Invocation invocation) {
    held = std::move(invocation);
    boost::asio::co_spawn(loop, protocol->call(held, {}),
                          [this](std::exception_ptr problem, InstanceProtocol::Called value) {
                            EXPECT_EQ(problem, nullptr);
                            called.emplace(std::move(value));
                          });
  }
  void end(bool signalled, int status, std::string reason) {
    pipes.program_out.reset();
    protocol->ended(exit_of(signalled, status, std::move(reason)));
  }
  Pipes pipes;
  std::string logged;
  std::unique_ptr<InstanceProtocol> protocol;
  Invocation held;
  std::optional<InstanceProtocol::Called> called;
};

TEST_F(Stdio, GivesTheBodyAndTakesTheOutput) {
  call(http_invocation("id", "POST", "question"));
  std::string input;
  until([&] {
    char buffer[64];
    loop.poll();
    const auto got = ::read(pipes.program_in.get(), buffer, sizeof buffer);
    if (got > 0) input.append(buffer, static_cast<std::size_t>(got));
    return got == 0;  // the end of the input
  });
  EXPECT_EQ(input, "question");
  pipes.print("[1]");
  end(false, 0, "exited with status 0");
  until([&] { return called.has_value(); });
  ASSERT_EQ(called->failure, nullptr);
  EXPECT_EQ(called->reply.body, "[1]");
  EXPECT_EQ(called->reply.more, nullptr);
  EXPECT_THAT(called->reply.head, HasSubstr("application/json"));
}

TEST_F(Stdio, AnExitStatusIsAFailureAndTheOutputGoesToTheLog) {
  call(http_invocation("id"));
  pipes.print("usage: prog\n");
  end(false, 3, "exited with status 3");
  until([&] { return called.has_value(); });
  ASSERT_NE(called->failure, nullptr);
  EXPECT_EQ(called->failure->outcome, Outcome::function_error);
  EXPECT_EQ(called->failure->message, "exited with status 3");
  EXPECT_EQ(logged, "id:usage: prog\n");
}

TEST_F(Stdio, ASignalIsACrash) {
  call(http_invocation("id"));
  end(true, 11, "killed by SIGSEGV");
  until([&] { return called.has_value(); });
  ASSERT_NE(called->failure, nullptr);
  EXPECT_EQ(called->failure->outcome, Outcome::crash);
  EXPECT_THAT(called->failure->message, IsEmpty());
}

TEST_F(Stdio, StreamsAndIsCutOffByAFailure) {
  call(http_invocation("id"));
  pipes.print("one");
  until([&] { return called.has_value(); });
  ASSERT_EQ(called->failure, nullptr);
  EXPECT_EQ(called->reply.body, "one");
  ASSERT_NE(called->reply.more, nullptr);
  pipes.print("two");
  auto part = run(called->reply.more->read());
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(*part, "two");
  end(false, 1, "exited with status 1");
  part = run(called->reply.more->read());
  ASSERT_TRUE(part.has_error());
  EXPECT_THAT(part.error().message, HasSubstr("exited with status 1"));
  EXPECT_FALSE(protocol->healthy());
}

TEST_F(Stdio, LetsGoOfAnAbortedCall) {
  call(http_invocation("id"));
  loop.poll();
  (void)protocol->abort("id");
  until([&] { return called.has_value(); });
  ASSERT_NE(called->failure, nullptr);
  EXPECT_EQ(called->failure->outcome, Outcome::cancelled);
}

}  // namespace
}  // namespace mayfly::dialects::adapters::testing
