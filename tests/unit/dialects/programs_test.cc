// The protocols for programs, against an HTTP server and pipes in this process.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <functional>

#include "dialects/adapters/frame_program.h"
#include "dialects/adapters/http_port_protocol.h"
#include "dialects/adapters/probe_protocol.h"
#include "dialects/adapters/program.h"
#include "dialects/adapters/proxy_headers.h"
#include "dialects/adapters/stdio_protocol.h"
#include "engine/park.h"
#include "io/http_server.h"
#include "io/socket.h"
#include "os/ipc.h"
#include "wire/frames.h"

namespace mayfly::dialects::adapters {
namespace {

using namespace std::chrono_literals;
using engine::InstanceProtocol;
using engine::Invocation;
using engine::PayloadKind;
using functions::Model;
using telemetry::Outcome;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Invocation http_invocation(std::string id, std::string method = "GET", std::string body = {}) {
  wire::RequestHead head;
  head.method = std::move(method);
  head.target = "/function/f/a%20b?x=1";
  head.remote_ip = "10.1.2.3";
  head.headers.add("Host", "example.test");
  head.headers.add("content-type", "text/x");
  head.headers.add("Connection", "close, X-Hop");
  head.headers.add("X-Hop", "1");
  head.headers.add("Proxy", "http://evil.test");
  head.headers.add("X-Forwarded-For", "9.9.9.9");
  Invocation invocation;
  invocation.request_id = std::move(id);
  invocation.kind = PayloadKind::http;
  invocation.head = wire::encode_request_head(head, "/a%20b", "/function/f");
  invocation.body = std::move(body);
  return invocation;
}

std::string text_or_cut(const Result<std::string>& text) {
  return text ? *text : "cut";
}

// co_spawn wants results that can be made from nothing; not all of ours can.
template <class T>
io::Task<std::optional<T>> boxed(io::Task<T> task) {
  co_return std::optional<T>(co_await std::move(task));
}

// Runs one task on a loop that gives up after ten seconds.
class Loop {
 public:
  template <class T>
  T run(io::Task<T> task) {
    std::optional<T> result;
    boost::asio::co_spawn(loop, boxed(std::move(task)),
                          [&](std::exception_ptr problem, std::optional<T> value) {
                            EXPECT_EQ(problem, nullptr);
                            result = std::move(value);
                          });
    until([&] { return result.has_value(); });
    if (!result) throw std::runtime_error("the task did not end in time");
    return std::move(*result);
  }
  void until(const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + 10s;
    loop.restart();
    while (!done() && std::chrono::steady_clock::now() < limit) loop.run_one_for(50ms);
    EXPECT_TRUE(done());
  }
  boost::asio::io_context loop;
};

sandbox::Exit exit_of(bool signalled, int status, std::string reason) {
  sandbox::Exit exit;
  exit.signalled = signalled;
  exit.status = status;
  exit.reason = std::move(reason);
  return exit;
}

// ---- pure parts

TEST(ProgramArgv, ChoosesTheInterpreter) {
  EXPECT_THAT(argv_for("/t/a",
                       "\x7f"
                       "ELF\x02",
                       true),
              ElementsAre("/t/a"));
  EXPECT_THAT(argv_for("/t/a.sh", "#!/bin/bash -e\necho", true), ElementsAre("/t/a.sh"));
  EXPECT_THAT(argv_for("/t/a.sh", "#!/usr/bin/env bash -e\r\necho", false),
              ElementsAre("/usr/bin/env", "bash -e", "/t/a.sh"));
  EXPECT_THAT(argv_for("/t/a.sh", "echo hi\n", true), ElementsAre("/bin/sh", "/t/a.sh"));
}

TEST(ProxiedRequest, SetsWhatProxiesSet) {
  auto invocation = http_invocation("id-1");
  invocation.trace_id = "Root=1-5-6";
  const auto head = proxied_request(invocation);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->target, "/a%20b?x=1");
  EXPECT_EQ(head->headers.find("host"), "example.test");
  EXPECT_EQ(head->headers.find("x-forwarded-for"), "9.9.9.9, 10.1.2.3");
  EXPECT_EQ(head->headers.find("x-forwarded-host"), "example.test");
  EXPECT_EQ(head->headers.find("x-forwarded-proto"), "http");
  EXPECT_EQ(head->headers.find("x-forwarded-prefix"), "/function/f");
  EXPECT_EQ(head->headers.find("x-mayfly-request-id"), "id-1");
  EXPECT_EQ(head->headers.find("x-amzn-trace-id"), "Root=1-5-6");
  EXPECT_FALSE(head->headers.contains("connection"));
  EXPECT_FALSE(head->headers.contains("x-hop"));
}

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

// ---- standard input and output

struct Pipes {
  Pipes() {
    auto in = std::move(*os::make_pipe()), out = std::move(*os::make_pipe());
    to_stdin = std::move(in.write_end);
    program_in = std::move(in.read_end);
    from_stdout = std::move(out.read_end);
    program_out = std::move(out.write_end);
  }
  void print(std::string_view text) const {
    EXPECT_EQ(::write(program_out.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  os::Fd to_stdin, program_in, from_stdout, program_out;
};

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

// ---- HTTP on a port

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

// ---- finding out

class FakeSandbox final : public sandbox::Sandbox {
 public:
  const std::string& id() const override { return name_; }
  sandbox::Usage usage() const override { return {}; }
  io::Connector connector(std::uint16_t) override { return connect; }
  io::Task<Result<std::unique_ptr<sandbox::Sandbox>>> clone(sandbox::CloneSpec) override {
    co_return Error{Code::unavailable, "no template", "clone sandbox", 0};
  }
  void keep_shells(unsigned) override {}
  void set_cpu_share(std::uint32_t, bool) override {}
  void terminate() override {}
  void kill() override {}
  io::Task<sandbox::Exit> wait() override { co_return sandbox::Exit{}; }
  io::Connector connect;

 private:
  std::string name_ = "fake";
};

struct Refuse {
  io::Task<Result<io::StreamSocket>> operator()() const {
    co_return Error{Code::unavailable, "refused", "connect", 0};
  }
};

// Stands for the protocol of the Runtime API: ready when it was given the listener.
class FakeApi final : public engine::ProtocolFactory {
 public:
  bool serves(const functions::Version&) const override { return false; }
  Status prepare(const functions::Version&, const functions::Runtime&,
                 sandbox::LaunchSpec&) const override {
    return ok();
  }
  std::unique_ptr<InstanceProtocol> attach(const functions::Version&, sandbox::Sandbox& sandbox,
                                           boost::asio::any_io_executor,
                                           engine::LogSink) const override {
    listener = std::move(sandbox.listeners.front());
    return std::make_unique<Protocol>();
  }
  struct Protocol final : InstanceProtocol {
    io::Task<Started> start() override {
      Started started;
      started.ready.model = Model::runtime_api;
      co_return started;
    }
    io::Task<Called> call(Invocation& invocation, WallTime) override {
      Called called;
      called.reply.body = invocation.request_id;
      co_return called;
    }
    Abort abort(const std::string&) override { return Abort::released; }
    void ended(const sandbox::Exit&) override {}
    bool healthy() const override { return true; }
  };
  mutable os::Fd listener;
};

class Probing : public ::testing::Test, public Loop {
 protected:
  Probing() {
    version.settings.runtime = "native";
    sandbox.connect = Refuse{};
    sandbox.stdin_fd = std::move(pipes.to_stdin);
    auto channel = os::make_socket_pair(SOCK_STREAM);
    sandbox.channel = std::move(channel->first);
    program_channel = std::move(channel->second);
    sandbox.listeners.push_back(*io::listen_tcp(*io::parse_address("127.0.0.1:0"), ""));
    api_address = io::format_address(*io::local_address(sandbox.listeners.front().get()));
  }
  void begin() {
    protocol = factory->attach(version, sandbox, loop.get_executor(), {});
    boost::asio::co_spawn(loop, protocol->start(),
                          [this](std::exception_ptr problem, InstanceProtocol::Started value) {
                            EXPECT_EQ(problem, nullptr);
                            started.emplace(std::move(value));
                          });
    loop.poll();
  }
  void say(wire::FrameType type, std::string_view json) {
    std::string bytes;
    wire::append_frame(bytes, 0, type, 0, json);
    ASSERT_EQ(::write(program_channel.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }
  functions::Version version;
  FakeSandbox sandbox;
  os::Fd program_channel;
  Pipes pipes;
  FakeApi api;
  std::string api_address;
  std::unique_ptr<engine::ProtocolFactory> frames = make_frame_program_factory({});
  std::unique_ptr<engine::ProtocolFactory> factory = make_probe_factory(*frames, api);
  std::unique_ptr<InstanceProtocol> protocol;
  std::optional<InstanceProtocol::Started> started;
};

TEST_F(Probing, ServesUnknownProgramsOnly) {
  EXPECT_TRUE(factory->serves(version));
  version.model = Model::http_port;
  EXPECT_FALSE(factory->serves(version));
  version.model = Model::unknown;
  version.settings.runtime = "python3.11";
  EXPECT_FALSE(factory->serves(version));
}

TEST_F(Probing, OffersAChannel) {
  sandbox::LaunchSpec spec;
  ASSERT_FALSE(factory->prepare(version, {}, spec).has_error());
  EXPECT_TRUE(spec.channel);
  EXPECT_THAT(spec.env, ::testing::Contains("MAYFLY_CHANNEL=3"));
}

TEST_F(Probing, AReadyFrameGoesToItsProtocol) {
  begin();
  EXPECT_FALSE(started.has_value());
  say(wire::FrameType::ready, R"({"model":"http","handler":"h","concurrency":7})");
  until([&] { return started.has_value(); });
  ASSERT_EQ(started->failure, nullptr);
  EXPECT_EQ(started->ready.model, Model::http);
  EXPECT_EQ(started->ready.concurrency, 7u);
  EXPECT_TRUE(protocol->healthy());
  version.model = Model::http;
  EXPECT_TRUE(frames->serves(version));
  EXPECT_FALSE(factory->serves(version));
  version.settings.runtime = "python3.11";
  EXPECT_FALSE(frames->serves(version));
}

TEST_F(Probing, AnInitialisationThatFailsInFramesSaysWhy) {
  begin();
  say(wire::FrameType::init_error, R"({"errorType":"E","errorMessage":"no database"})");
  until([&] { return started.has_value(); });
  ASSERT_NE(started->failure, nullptr);
  EXPECT_THAT(started->failure->error_json, HasSubstr("no database"));
}

TEST_F(Probing, AChannelThatIsClosedOrMisusedIsNoSign) {
  begin();
  ASSERT_EQ(::write(program_channel.get(), "log: hello, I am no frame\n", 26), 26);
  program_channel.reset();
  for (int i = 0; i < 20; ++i) loop.poll();
  EXPECT_FALSE(started.has_value());
  const auto client =
      run(io::connect_stream(loop.get_executor(), *io::parse_address(api_address), "api"));
  ASSERT_TRUE(client.has_value());
  until([&] { return started.has_value(); });
  EXPECT_EQ(started->ready.model, Model::runtime_api);
}

TEST_F(Probing, AConnectionToTheRuntimeApiGoesToItsProtocol) {
  begin();
  EXPECT_FALSE(started.has_value());
  const auto client =
      run(io::connect_stream(loop.get_executor(), *io::parse_address(api_address), "api"));
  ASSERT_TRUE(client.has_value());
  until([&] { return started.has_value(); });
  ASSERT_EQ(started->failure, nullptr);
  EXPECT_EQ(started->ready.model, Model::runtime_api);
  EXPECT_TRUE(api.listener.valid());
  auto invocation = http_invocation("through");
  EXPECT_EQ(run(protocol->call(invocation, {})).reply.body, "through");
}

TEST_F(Probing, AListeningProgramServesHttp) {
  const os::Fd port = std::move(*io::listen_tcp(*io::parse_address("127.0.0.1:0"), ""));
  sandbox.connect =
      io::tcp_connector(loop.get_executor(), io::format_address(*io::local_address(port.get())));
  begin();
  until([&] { return started.has_value(); });
  ASSERT_EQ(started->failure, nullptr);
  EXPECT_EQ(started->ready.model, Model::http_port);
  EXPECT_TRUE(protocol->healthy());
  EXPECT_TRUE(sandbox.listeners.front().valid());
}

TEST_F(Probing, AProgramThatReadsItsInputAndEndsIsStdio) {
  begin();
  char byte;
  EXPECT_EQ(::read(pipes.program_in.get(), &byte, 1), 0);
  protocol->ended(exit_of(false, 0, "exited with status 0"));
  until([&] { return started.has_value(); });
  ASSERT_EQ(started->failure, nullptr);
  EXPECT_EQ(started->ready.model, Model::stdio);
}

TEST_F(Probing, AProgramThatFailsIsNotCalledStdio) {
  begin();
  protocol->ended(exit_of(false, 1, "exited with status 1"));
  until([&] { return started.has_value(); });
  ASSERT_NE(started->failure, nullptr);
  EXPECT_EQ(started->failure->outcome, Outcome::init_failed);
  EXPECT_THAT(started->failure->message, HasSubstr("exited with status 1"));
  EXPECT_THAT(started->failure->message, HasSubstr("--runtime exec"));
}

}  // namespace
}  // namespace mayfly::dialects::adapters
