#include "fixture.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mayfly::sandbox_tests {

namespace asio = boost::asio;

namespace {

sandbox::Task<bool> read_pipe(asio::posix::stream_descriptor& pipe, std::string& text) {
  auto token = asio::as_tuple(asio::use_awaitable);
  char buffer[4096];
  for (;;) {
    auto target = asio::buffer(buffer);
    auto [error, size] = co_await pipe.async_read_some(target, token);
    if (size > 0 && text.size() < (1 << 20)) text.append(buffer, size);
    if (error) co_return true;
  }
}

}  // namespace

Result<Output> World::finish(Sandbox& sandbox, std::chrono::milliseconds kill_after) {
  Output output;
  asio::posix::stream_descriptor out(loop, sandbox.stdout_fd.release());
  asio::posix::stream_descriptor err(loop, sandbox.stderr_fd.release());
  int left = 3;
  auto count_down = [&left](std::exception_ptr, auto&&...) { --left; };
  asio::co_spawn(loop, read_pipe(out, output.out), count_down);
  asio::co_spawn(loop, read_pipe(err, output.err), count_down);
  asio::co_spawn(loop, sandbox.wait(), [&](std::exception_ptr, Exit exit) {
    output.exit = std::move(exit);
    --left;
  });
  asio::steady_timer timer(loop);
  if (kill_after.count() > 0) {
    timer.expires_after(kill_after);
    timer.async_wait([&](boost::system::error_code error) {
      if (!error) sandbox.kill();
    });
  }
  loop.restart();
  while (left > 0 && loop.run_one() > 0) {
  }
  timer.cancel();
  return output;
}

Result<Output> World::run(LaunchSpec spec, std::chrono::milliseconds kill_after) {
  auto launched = launch(std::move(spec));
  if (launched.has_error()) return std::move(launched).error();
  return finish(*launched.value(), kill_after);
}

}  // namespace mayfly::sandbox_tests
