#include "functions/sandbox_run.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace mayfly::functions {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kOutputBytesMax = 64 * 1024;
// A program that ended may have left others that hold its pipes; they are killed by then.
constexpr auto kDrainLimit = std::chrono::seconds(2);

// Shared by the task and its two readers, which may outlive it by a moment.
struct Output {
  explicit Output(const asio::any_io_executor& executor) : closed(executor) {}
  std::string text;
  int open = 0;
  asio::steady_timer closed;
};

io::Task<void> drain(std::shared_ptr<asio::posix::stream_descriptor> from,
                     std::shared_ptr<Output> output) {
  std::string buffer(16 * 1024, '\0');
  for (;;) {
    const auto [error, size] =
        co_await from->async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
    if (error) break;
    output->text.append(buffer.data(), size);
    if (output->text.size() > 2 * kOutputBytesMax)
      output->text.erase(0, output->text.size() - kOutputBytesMax);
  }
  if (--output->open == 0) output->closed.cancel();
}

void report(std::exception_ptr problem) {
  if (problem == nullptr) return;
  try {
    std::rethrow_exception(problem);
  } catch (const std::exception& e) {
    log::error("Reading the output of a build failed: {}", e.what());
  }
}

std::shared_ptr<asio::posix::stream_descriptor> start_draining(
    const asio::any_io_executor& executor, os::Fd fd, const std::shared_ptr<Output>& output) {
  if (!fd) return nullptr;
  auto from = std::make_shared<asio::posix::stream_descriptor>(executor, fd.release());
  ++output->open;
  asio::co_spawn(executor, drain(from, output), report);
  return from;
}

}  // namespace

io::Task<Result<SandboxResult>> run_in_sandbox(sandbox::Sandboxes& sandboxes,
                                               sandbox::LaunchSpec spec,
                                               std::chrono::milliseconds limit) {
  const auto executor = co_await asio::this_coro::executor;
  auto launching = sandboxes.launch(std::move(spec));
  auto launched = co_await std::move(launching);
  if (launched.has_error()) co_return std::move(launched).error();
  const std::unique_ptr<sandbox::Sandbox> box = std::move(*launched);
  const auto output = std::make_shared<Output>(executor);
  output->closed.expires_at(asio::steady_timer::time_point::max());
  const auto out = start_draining(executor, std::move(box->stdout_fd), output);
  const auto err = start_draining(executor, std::move(box->stderr_fd), output);

  SandboxResult result;
  const auto over_limit = std::make_shared<bool>(false);
  asio::steady_timer killer(executor, limit);
  killer.async_wait([over_limit, box = box.get()](boost::system::error_code error) {
    if (error) return;
    *over_limit = true;
    box->kill();
  });
  auto waiting = box->wait();
  const sandbox::Exit exit = co_await std::move(waiting);
  // Cancelled before box goes. The handler may be queued already: it must find nothing to do.
  if (killer.cancel() == 0 && !*over_limit) co_await asio::post(executor, asio::use_awaitable);
  if (output->open > 0) {
    output->closed.expires_after(kDrainLimit);
    co_await output->closed.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  for (const auto& from : {out, err}) {
    boost::system::error_code ignored;
    if (from != nullptr) from->close(ignored);
  }
  result.over_limit = *over_limit;
  result.succeeded = !exit.signalled && exit.status == 0 && !*over_limit;
  result.reason = exit.reason;
  result.output = output->text;
  if (result.output.size() > kOutputBytesMax)
    result.output.erase(0, result.output.size() - kOutputBytesMax);
  co_return result;
}

}  // namespace mayfly::functions
