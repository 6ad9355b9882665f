#pragma once
// Calls of programs, and the loop on which their protocols run.

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>

#include "engine/instance_protocol.h"
#include "os/ipc.h"
#include "sandbox/sandbox.h"

namespace mayfly::dialects::adapters::testing {

using namespace std::chrono_literals;
using engine::Invocation;
using engine::PayloadKind;

inline Invocation http_invocation(std::string id, std::string method = "GET",
                                  std::string body = {}) {
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

inline std::string text_or_cut(const Result<std::string>& text) {
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

inline sandbox::Exit exit_of(bool signalled, int status, std::string reason) {
  sandbox::Exit exit;
  exit.signalled = signalled;
  exit.status = status;
  exit.reason = std::move(reason);
  return exit;
}

// Standard input and output of a program.
struct Pipes {
  Pipes() {
    auto in = *os::make_pipe(), out = *os::make_pipe();
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

}  // namespace mayfly::dialects::adapters::testing
