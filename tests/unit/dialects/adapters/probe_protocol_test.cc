#include "dialects/adapters/probe_protocol.h"

#include <gmock/gmock.h>

#include "dialects/adapters/fixture.h"
#include "dialects/adapters/frame_program.h"
#include "io/socket.h"
#include "sandbox/fake_sandbox.h"
#include "wire/frames.h"

namespace mayfly::dialects::adapters::testing {
namespace {

using engine::InstanceProtocol;
using functions::Model;
using telemetry::Outcome;
using ::testing::Contains;
using ::testing::HasSubstr;

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
    sandbox.connect = [](std::uint16_t) { return io::Connector(Refuse{}); };
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
  sandbox::testing::FakeSandbox sandbox;
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
  EXPECT_THAT(spec.env, Contains("MAYFLY_CHANNEL=3"));
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
  const os::Fd port = *io::listen_tcp(*io::parse_address("127.0.0.1:0"), "");
  sandbox.connect = [this, &port](std::uint16_t) {
    return io::tcp_connector(loop.get_executor(),
                             io::format_address(*io::local_address(port.get())));
  };
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
}  // namespace mayfly::dialects::adapters::testing
