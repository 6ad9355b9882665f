#include "engine/log_pump.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace mayfly::engine {
namespace {

constexpr std::size_t kPipeReadMax = 64 * 1024;

char* pipe_buffer() {
  thread_local const std::unique_ptr<char[]> buffer(new char[kPipeReadMax]);
  return buffer.get();
}

std::string_view without_return(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

LogPump::LogPump(boost::asio::any_io_executor executor, os::Fd pipe, Sink sink)
    : pipe_(std::move(executor)), sink_(std::move(sink)) {
  // SAFETY: O_NONBLOCK belongs to the open file, which is the engine's own end of the pipe.
  ::fcntl(pipe.get(), F_SETFL, ::fcntl(pipe.get(), F_GETFL) | O_NONBLOCK);
  boost::system::error_code ec;
  pipe_.assign(pipe.get(), ec);
  if (!ec) pipe.release();
}

void LogPump::open() {
  wait_readable();
}

void LogPump::wait_readable() {
  if (waiting_ || !pipe_.is_open()) return;
  waiting_ = true;
  pipe_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                   [self = shared_from_this()](const boost::system::error_code& ec) {
                     self->waiting_ = false;
                     if (ec) return;
                     (void)self->read_some();
                     self->wait_readable();
                   });
}

bool LogPump::read_some() {
  if (!pipe_.is_open()) return false;
  const ssize_t got = ::read(pipe_.native_handle(), pipe_buffer(), kPipeReadMax);
  if (got > 0) {
    take({pipe_buffer(), static_cast<std::size_t>(got)});
    return static_cast<std::size_t>(got) == kPipeReadMax;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  boost::system::error_code ignored;
  pipe_.close(ignored);
  return false;
}

void LogPump::take(std::string_view text) {
  for (;;) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) break;
    if (partial_.empty()) {
      sink_(without_return(text.substr(0, end)));
    } else {
      partial_.append(text.substr(0, end));
      sink_(without_return(partial_));
      partial_.clear();
    }
    text.remove_prefix(end + 1);
  }
  partial_.append(text);
  if (partial_.size() >= kLineMax) {
    sink_(partial_);
    partial_.clear();
  }
}

void LogPump::drain(std::size_t limit) {
  for (std::size_t taken = 0; taken < limit && read_some(); taken += kPipeReadMax) {
  }
}

void LogPump::close() {
  drain();
  if (!partial_.empty()) sink_(partial_);
  partial_.clear();
  boost::system::error_code ignored;
  pipe_.close(ignored);
}

void split_lines(std::string_view text, const LogPump::Sink& sink) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    sink(without_return(text.substr(0, end)));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

}  // namespace mayfly::engine
