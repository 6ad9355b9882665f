#pragma once
// The APIs inside a sandbox as programs see them (raw bytes over TCP) and as
// the engine sees them.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "dialects/lambda/runtime_api_protocol.h"
#include "dialects/lambda/runtime_api_syntax.h"
#include "io/http1.h"
#include "io/http_test_server.h"
#include "io/socket.h"
#include "sandbox/fake_sandbox.h"
#include "store/temp_dir.h"

namespace mayfly::dialects::lambda::api_testing {

using engine::InstanceProtocol;
using engine::Invocation;
using io::testing::RawClient;
using namespace std::chrono_literals;

struct Seen {
  int status = 0;
  std::string head, body;
  std::string header(const std::string& name) const {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

// The program inside: one kept-alive connection.
class Program {
 public:
  explicit Program(std::uint16_t port) : client(port) {}
  void ask(const std::string& method, const std::string& path, const std::string& body = "",
           const std::string& headers = "") {
    ask_at("/2018-06-01/", method, path, body, headers);
  }
  void ask_at(const std::string& base, const std::string& method, const std::string& path,
              const std::string& body, const std::string& headers) {
    client.send(method + " " + base + path + " HTTP/1.1\r\nHost: a\r\n" + headers +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  Seen seen() {
    Seen seen;
    seen.head = client.receive_until("\r\n\r\n");
    if (seen.head.size() < 12) return seen;
    seen.status = std::stoi(seen.head.substr(9, 3));
    const auto length = seen.header("Content-Length");
    if (!length.empty()) seen.body = client.receive_exactly(std::stoul(length));
    return seen;
  }
  Seen get(const std::string& path) {
    ask("GET", path);
    return seen();
  }
  Seen post(const std::string& path, const std::string& body, const std::string& headers = "") {
    ask("POST", path, body, headers);
    return seen();
  }

  RawClient client;
};

inline constexpr const char* kNext = "runtime/invocation/next";
inline std::string response_path(const std::string& id) {
  return "runtime/invocation/" + id + "/response";
}
inline std::string error_path(const std::string& id) {
  return "runtime/invocation/" + id + "/error";
}
inline const std::string kIntegration =
    "Content-Type: application/vnd.awslambda.http-integration-response\r\n"
    "Lambda-Runtime-Function-Response-Mode: streaming\r\n";

inline std::string chunk(const std::string& data) {
  std::string out;
  io::append_chunk_size(out, data.size());
  return out + data + "\r\n";
}

struct RuntimeApiFixture : ::testing::Test {
  RuntimeApiFixture() : work(boost::asio::make_work_guard(loop)) {
    auto address = io::parse_address("127.0.0.1:0");
    auto fd = io::listen_tcp(*address, "test");
    const auto bound = io::format_address(*io::local_address(fd->get()));
    port = static_cast<std::uint16_t>(std::stoi(bound.substr(bound.rfind(':') + 1)));
    sandbox.listeners.push_back(std::move(*fd));
    sandbox.connect = [this](std::uint16_t inside) {
      return io::tcp_connector(loop.get_executor(), "127.0.0.1:" + std::to_string(inside));
    };
    version.function = "hello";
    version.model = functions::Model::runtime_api;
    settings.response_bytes_max = 1 << 20;
    factory = make_runtime_api_factory(settings);
    thread = std::thread([this] { loop.run(); });
  }
  // Starts the instance: with these external extensions.
  void attach(const std::vector<std::string>& extensions = {}) {
    if (!extensions.empty()) {
      version.layers_dir = layers.path();
      std::filesystem::create_directory(layers.path() + "/extensions");
      for (const auto& name : extensions)
        std::ofstream(layers.path() + "/extensions/" + name) << "#!/bin/sh\n";
    }
    on_loop([&] {
      protocol = factory->attach(version, sandbox, loop.get_executor(), nullptr);
      engine::InstanceEvents events;
      events.closed = [this](const std::string& why) { closed.set_value(why); };
      events.released = [this] { released.set_value(); };
      protocol->listen(std::move(events));
    });
    started = boost::asio::co_spawn(loop, protocol->start(), boost::asio::use_future);
  }
  ~RuntimeApiFixture() override {
    on_loop([&] { protocol.reset(); });
    work.reset();
    thread.join();
  }
  void on_loop(std::function<void()> action) {
    std::promise<void> done;
    boost::asio::post(loop, [&] {
      action();
      done.set_value();
    });
    done.get_future().get();
  }
  std::future<InstanceProtocol::Called> call(const std::string& id, std::string body = "{}") {
    invocations.push_back(std::make_unique<Invocation>());
    auto& invocation = *invocations.back();
    invocation.request_id = id;
    invocation.trace_id = "Root=1-2-3";
    invocation.client_context = "{\"a\":\n1}";
    invocation.body = std::move(body);
    auto future = boost::asio::co_spawn(
        loop, protocol->call(invocation, from_epoch_us(1'700'000'000'000'000)),
        boost::asio::use_future);
    on_loop([] {});  // it is in the line now
    return future;
  }
  Result<std::string> read(io::BodyReader& body) {
    return boost::asio::co_spawn(loop, body.read(), boost::asio::use_future).get();
  }
  std::string read_all(engine::Reply& reply) {
    std::string all = reply.body;
    while (reply.more) {
      const auto part = read(*reply.more);
      if (part.has_error()) return all + "|" + part.error().message;
      if (part->empty()) break;
      all += *part;
    }
    on_loop([&] { reply.more.reset(); });
    return all;
  }
  // A program that has its invocation in hand.
  std::future<InstanceProtocol::Called> begin(Program& program, const std::string& id) {
    program.ask("GET", kNext);
    EXPECT_EQ(started.get().failure, nullptr);
    auto called = call(id);
    EXPECT_EQ(program.seen().status, 200);
    return called;
  }

  boost::asio::io_context loop{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  std::uint16_t port = 0;
  sandbox::testing::FakeSandbox sandbox{"i-1"};
  functions::Version version;
  RuntimeApiSettings settings;
  std::unique_ptr<engine::ProtocolFactory> factory;
  std::unique_ptr<InstanceProtocol> protocol;
  std::vector<std::unique_ptr<Invocation>> invocations;
  std::promise<void> released;
  std::promise<std::string> closed;
  test::TempDir layers;
  std::future<InstanceProtocol::Started> started;
  std::thread thread;
};

}  // namespace mayfly::dialects::lambda::api_testing
