// The frame protocol by itself: round trips to an echo thread over a socket pair, and the CPU time
// they cost on the engine's side and in all.
//   ninja -C build bench_frames && build/bench_frames [calls at once] [seconds]

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "engine/frame_protocol.h"
#include "wire/frames.h"

namespace {

using namespace mayfly;
using Clock = std::chrono::steady_clock;

double cpu_seconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

// An instance that answers each invoke with its own body.
void echo(int fd) {
  std::string in, out;
  char buffer[256 * 1024];
  for (;;) {
    const ssize_t got = ::recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) return;
    in.append(buffer, static_cast<std::size_t>(got));
    std::size_t at = 0, used = 0;
    wire::Frame frame;
    out.clear();
    while (wire::decode_frame(std::string_view(in).substr(at), frame, used) ==
           wire::DecodeStatus::frame) {
      at += used;
      std::string_view meta, head, body;
      if (frame.type != wire::FrameType::invoke ||
          !wire::split_invoke(frame.payload, meta, head, body))
        continue;
      std::string payload(4, '\0');
      payload.append(body);
      wire::append_frame(out, frame.stream, wire::FrameType::reply, wire::kEnd, payload);
    }
    in.erase(0, at);
    send_all(fd, out);
  }
}

struct Load {
  engine::InstanceProtocol* protocol;
  Clock::time_point until;
  std::uint64_t calls = 0;
  std::uint64_t failures = 0;
};

io::Task<void> caller(Load* load) {
  const std::string body(200, 'x');
  while (Clock::now() < load->until) {
    engine::Invocation invocation;
    invocation.request_id = "6f1c9d0e-0000-4000-8000-000000000000";
    invocation.body = body;
    auto calling = load->protocol->call(invocation, std::chrono::system_clock::now());
    const engine::InstanceProtocol::Called called = co_await std::move(calling);
    ++load->calls;
    if (called.failure != nullptr || called.reply.body != body) ++load->failures;
  }
}

struct Rethrow {
  void operator()(const std::exception_ptr& problem) const {
    if (problem) std::rethrow_exception(problem);
  }
};

void measure(int at_once, double seconds) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  std::thread instance(echo, fds[1]);
  boost::asio::io_context loop(1);
  auto protocol = engine::make_frame_protocol(
      loop.get_executor(), os::Fd(fds[0]),
      [](const std::string&, telemetry::LogLine::Stream, std::string_view) {}, "arn:bench",
      1u << 20);
  Load load{protocol.get(), Clock::now() + std::chrono::microseconds(std::int64_t(seconds * 1e6))};
  for (int i = 0; i < at_once; ++i) boost::asio::co_spawn(loop, caller(&load), Rethrow{});
  const auto from = Clock::now();
  const double all_before = cpu_seconds(RUSAGE_SELF), mine_before = cpu_seconds(RUSAGE_THREAD);
  while (Clock::now() < load.until && loop.run_one() > 0) {
  }
  const double took = std::chrono::duration<double>(Clock::now() - from).count();
  const double mine = cpu_seconds(RUSAGE_THREAD) - mine_before;
  const double all = cpu_seconds(RUSAGE_SELF) - all_before;
  std::printf("%4d at once  %9.0f round trips/s  engine %5.2f us CPU each, both sides %5.2f us%s\n",
              at_once, double(load.calls) / took, mine * 1e6 / double(load.calls),
              all * 1e6 / double(load.calls), load.failures == 0 ? "" : "  FAILURES");
  protocol.reset();
  loop.restart();
  loop.run();
  ::shutdown(fds[1], SHUT_RDWR);
  instance.join();
  ::close(fds[1]);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1.0;
  if (argc > 1) {
    measure(std::atoi(argv[1]), seconds);
    return 0;
  }
  for (const int at_once : {1, 8, 32, 128}) measure(at_once, seconds);
}
