#include "dialects/adapters/http_port_protocol.h"

#include <gmock/gmock.h>

#include "dialects/adapters/fixture.h"
#include "engine/park.h"
#include "io/http_server.h"

namespace mayfly::dialects::adapters::testing {
namespace {

using engine::InstanceProtocol;
using functions::Model;
using telemetry::Outcome;
using ::testing::IsEmpty;

// Parts that come when the test says so.
struct Tap final {
  engine::Park park;
  std::optional<Result<std::string>> next;
  void give(Result<std::string> part) {
    next.emplace(std::move(part));
    park.wake();
  }
};
class TapBody final : public io::BodyReader {
 public:
  explicit TapBody(std::shared_ptr<Tap> tap) : tap_(std::move(tap)) {}
  io::Task<Result<std::string>> read() override {
    while (!tap_->next) (void)co_await tap_->park.wait();
    Result<std::string> part = std::move(*tap_->next);
    tap_->next.reset();
    co_return part;
  }

 private:
  std::shared_ptr<Tap> tap_;
};

class HttpPort : public ::testing::Test, public Loop {
 protected:
  HttpPort() : server(std::in_place, loop, io::HttpServerOptions{}, Handler{this}) {
    address = *server->listen("127.0.0.1:0");
    protocol = make_http_port_protocol(loop.get_executor(),
                                       io::tcp_connector(loop.get_executor(), address));
    const auto started = run(protocol->start());
    EXPECT_EQ(started.failure, nullptr);
    EXPECT_EQ(started.ready.model, Model::http_port);
  }
  ~HttpPort() override {
    protocol.reset();
    bool stopped = false;
    boost::asio::co_spawn(loop, server->stop(0ms), [&](std::exception_ptr) { stopped = true; });
    until([&] { return stopped; });
  }
  struct Handler {
    HttpPort* test;
    io::Task<io::HttpResponse> operator()(io::HttpRequest request) const {
      return test->answer(std::move(request));
    }
  };
  io::Task<io::HttpResponse> answer(io::HttpRequest request) {
    ++requests;
    io::HttpResponse response;
    if (request.head.method == "HOLD") {
      ++holding;
      engine::Park never;
      (void)co_await never.wait();
      --holding;
    } else if (request.head.method == "STREAM") {
      response.more = std::make_unique<TapBody>(tap);
    } else {
      auto reading = io::read_all(std::move(request.body), std::move(request.more), 1 << 20, "x");
      Result<std::string> body = co_await std::move(reading);
      response.body = request.head.method + " " + request.head.target + " " + text_or_cut(body);
    }
    response.head.headers.add("X-Answer", "yes");
    co_return response;
  }
  void call(Invocation& invocation) {
    boost::asio::co_spawn(loop, protocol->call(invocation, {}),
                          [this](std::exception_ptr problem, InstanceProtocol::Called value) {
                            EXPECT_EQ(problem, nullptr);
                            all.push_back(std::move(value));
                          });
  }
  int requests = 0, holding = 0;
  std::shared_ptr<Tap> tap = std::make_shared<Tap>();
  std::vector<InstanceProtocol::Called> all;
  std::optional<io::HttpServer> server;
  std::string address;
  std::unique_ptr<InstanceProtocol> protocol;
};

TEST_F(HttpPort, PassesRequestAndAnswerOn) {
  auto invocation = http_invocation("id", "POST", "hello");
  auto called = run(protocol->call(invocation, {}));
  ASSERT_EQ(called.failure, nullptr);
  EXPECT_EQ(called.reply.kind, PayloadKind::http);
  auto head = wire::decode_response_head(called.reply.head);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->headers.find("x-answer"), "yes");
  const auto body =
      run(io::read_all(std::move(called.reply.body), std::move(called.reply.more), 1 << 20, "x"));
  EXPECT_EQ(text_or_cut(body), "POST /a%20b?x=1 hello");
}

TEST_F(HttpPort, StreamsRequestAndAnswer) {
  auto invocation = http_invocation("id", "PUT", "a");
  auto upload = std::make_shared<Tap>();
  invocation.more = std::make_unique<TapBody>(upload);
  call(invocation);
  until([&] { return requests == 1; });
  upload->give(std::string("b"));
  until([&] { return !upload->next; });
  upload->give(std::string());
  until([&] { return !all.empty(); });
  ASSERT_EQ(all[0].failure, nullptr);
  EXPECT_EQ(text_or_cut(run(
                io::read_all(std::move(all[0].reply.body), std::move(all[0].reply.more), 99, "x"))),
            "PUT /a%20b?x=1 ab");

  auto streaming = http_invocation("id2", "STREAM");
  auto called = run(protocol->call(streaming, {}));
  ASSERT_EQ(called.failure, nullptr);
  ASSERT_NE(called.reply.more, nullptr);
  tap->give(std::string("first"));
  EXPECT_EQ(text_or_cut(run(called.reply.more->read())), "first");
  tap->give(std::string());
  EXPECT_EQ(text_or_cut(run(called.reply.more->read())), "");
}

TEST_F(HttpPort, AnAbortedCallDropsItsConnectionAndOthersGoOn) {
  auto held = http_invocation("held", "HOLD"), other = http_invocation("other");
  call(held);
  until([&] { return holding == 1; });
  EXPECT_EQ(protocol->abort("held"), InstanceProtocol::Abort::unknown);
  until([&] { return all.size() == 1 && holding == 0; });
  ASSERT_NE(all[0].failure, nullptr);
  EXPECT_EQ(all[0].failure->outcome, Outcome::cancelled);
  auto called = run(protocol->call(other, {}));
  EXPECT_EQ(called.failure, nullptr);
  EXPECT_EQ(protocol->abort("held"), InstanceProtocol::Abort::released);
}

TEST_F(HttpPort, TheEndOfTheProgramIsACrashOfAllCalls) {
  std::vector<Invocation> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(http_invocation("c" + std::to_string(i), "HOLD"));
  for (auto& each : calls) call(each);
  until([&] { return holding == 3; });
  protocol->ended(exit_of(true, 9, "killed by SIGKILL"));
  until([&] { return all.size() == 3; });
  for (const auto& called : all) {
    ASSERT_NE(called.failure, nullptr);
    EXPECT_EQ(called.failure->outcome, Outcome::crash);
    EXPECT_THAT(called.failure->message, IsEmpty());
  }
  EXPECT_FALSE(protocol->healthy());
  auto late = http_invocation("late");
  const auto called = run(protocol->call(late, {}));
  ASSERT_NE(called.failure, nullptr);
  EXPECT_FALSE(called.delivered);
}

TEST_F(HttpPort, ABrokenConnectionOfALivingProgramIsAnError) {
  auto invocation = http_invocation("id", "STREAM");
  auto called = run(protocol->call(invocation, {}));
  ASSERT_NE(called.reply.more, nullptr);
  tap->give(Error{Code::internal, "gone", "", 0});
  const auto part = run(called.reply.more->read());
  ASSERT_TRUE(part.has_error());
  EXPECT_EQ(part.error().code, Code::unavailable);
  EXPECT_TRUE(protocol->healthy());
}

}  // namespace
}  // namespace mayfly::dialects::adapters::testing
