#pragma once
// A real HttpServer on a thread of its own, and a blocking client that sends raw bytes.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <optional>
#include <string>
#include <thread>

#include "io/http_server.h"
#include "os/fd.h"

namespace mayfly::io::testing {

using namespace std::chrono_literals;

class TestServer {
 public:
  explicit TestServer(HttpHandler handler, HttpServerOptions options = {})
      : work_(boost::asio::make_work_guard(loop_)),
        server_(std::in_place, loop_, options, handler) {
    const auto bound = server_->listen("127.0.0.1:0");
    EXPECT_TRUE(bound) << (bound ? "" : bound.error().describe());
    address = *bound;
    port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~TestServer() { stop(100ms); }

  void stop(std::chrono::milliseconds grace) {
    if (!thread_.joinable()) return;
    stop_started(grace).get();
    boost::asio::post(loop_, [this] { server_.reset(); });
    work_.reset();
    thread_.join();
  }
  std::future<void> stop_started(std::chrono::milliseconds grace) {
    return boost::asio::co_spawn(loop_, server_->stop(grace), boost::asio::use_future);
  }
  std::size_t connections() {
    std::promise<std::size_t> count;
    boost::asio::post(loop_, [&] { count.set_value(server_->connections()); });
    return count.get_future().get();
  }

  void steer_by(Steer steer) {
    std::promise<void> done;
    boost::asio::post(loop_, [&] {
      server_->steer_by(std::move(steer));
      done.set_value();
    });
    done.get_future().get();
  }
  HttpServer& server() { return *server_; }

  boost::asio::io_context& loop() { return loop_; }
  std::string address;
  std::uint16_t port = 0;

 private:
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::optional<HttpServer> server_;
  std::thread thread_;
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0)
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    const timeval patience{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto done = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (done <= 0) return;  // the server has closed: what it said is still to be read
      bytes.remove_prefix(static_cast<std::size_t>(done));
    }
  }
  bool writable(std::chrono::milliseconds patience) {
    pollfd socket{fd_.get(), POLLOUT, 0};
    return ::poll(&socket, 1, static_cast<int>(patience.count())) > 0;
  }
  bool readable(std::chrono::milliseconds patience) {
    pollfd socket{fd_.get(), POLLIN, 0};
    return !left_.empty() || ::poll(&socket, 1, static_cast<int>(patience.count())) > 0;
  }
  std::size_t send_some(std::string_view bytes) {
    const auto done = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return done > 0 ? static_cast<std::size_t>(done) : 0;
  }
  void end() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

  // One recv; empty at the end or when the peer reset the connection.
  std::string receive() {
    char buffer[65536];
    const auto got = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
    reset = got < 0;
    return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : std::string();
  }
  std::string receive_all() {
    std::string all = std::move(left_);
    left_.clear();
    for (std::string piece = receive(); !piece.empty(); piece = receive()) all += piece;
    return all;
  }
  // Up to and including mark; "" when the connection ends before it.
  std::string receive_until(std::string_view mark) {
    while (left_.find(mark) == std::string::npos) {
      const std::string piece = receive();
      if (piece.empty()) return "";
      left_ += piece;
    }
    const auto size = left_.find(mark) + mark.size();
    std::string found = left_.substr(0, size);
    left_.erase(0, size);
    return found;
  }

  // Less when the connection ends before.
  std::string receive_exactly(std::size_t size) {
    while (left_.size() < size) {
      const std::string piece = receive();
      if (piece.empty()) break;
      left_ += piece;
    }
    std::string found = left_.substr(0, size);
    left_.erase(0, found.size());
    return found;
  }

  bool reset = false;

 private:
  os::Fd fd_;
  std::string left_;
};

inline std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1))
    ++count;
  return count;
}

// Answers with what it saw: "METHOD target body".
inline Task<HttpResponse> echo(HttpRequest request) {
  std::string text = request.head.method + " " + request.head.target + " ";
  Result<std::string> body = co_await read_all(std::move(request.body), std::move(request.more),
                                               64u << 20, "http.body_bytes_max");
  if (!body)
    co_return text_response(body.error().code == Code::too_large ? 413 : 400, body.error().message);
  co_return text_response(200, text + *body);
}

}  // namespace mayfly::io::testing
