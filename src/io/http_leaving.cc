// A connection that leaves its server: for another one, or as what it has become.

#include <fcntl.h>

#include <algorithm>

#include "io/http_connection.h"

namespace mayfly::io {

// The connection stops being HTTP: response goes out, then its upgrade owns the socket.
Task<void> Connection::hand_over(HttpResponse& response) {
  std::uint64_t length = 0;
  append_head(response, length);
  flush();
  if (pending()) co_await drained();
  const bool quiet = co_await stop_reading();
  if (!quiet) co_return;
  const int fd = ::fcntl(socket_.native_handle(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) co_return;
  boost::system::error_code problem;
  StreamSocket socket(core_->loop.get_executor());
  socket.assign(socket_.local_endpoint().protocol(), fd, problem);
  std::string rest(input());
  handler_runs_ = true;
  Task<void> task = response.upgrade->run(std::move(socket), std::move(rest));
  co_await std::move(task);
  handler_runs_ = false;
  broken_ = true;  // nothing more is said here
}

// The socket is somebody else's from here on. False when there is nobody at its other end.
Task<bool> Connection::stop_reading() {
  upgrading_ = true;
  if (reading_) {
    boost::system::error_code problem;
    socket_.cancel(problem);
    co_await input_.wait();
  }
  co_return !broken_ && !closed_;
}

HttpServer* Connection::steered(const ParsedRequest& parsed) {
  return core_->steer ? core_->steer(parsed.head, facts_) : nullptr;
}

// With the request that has begun; what is here of it goes along.
Task<void> Connection::move_to(HttpServer& other, ParsedRequest& parsed) {
  flush();
  if (pending()) co_await drained();
  const bool quiet = co_await stop_reading();
  if (!quiet) co_return;
  auto moved = std::make_shared<MovedConnection>();
  moved->fd = os::Fd(::fcntl(socket_.native_handle(), F_DUPFD_CLOEXEC, 0));
  if (!moved->fd) co_return core_->report(errno_error("move a connection", errno).describe());
  moved->family = socket_.local_endpoint().protocol().family();
  moved->remote_ip = remote_ip_;
  moved->remote_port = remote_port_;
  moved->facts = {facts_.number, facts_.moves + 1};
  moved->parsed = std::move(parsed);
  moved->rest = input();
  other.adopt(std::move(moved));
}

Connection::Connection(std::shared_ptr<ServerCore> core, MovedConnection& moved)
    : core_(std::move(core)),
      socket_(core_->loop.get_executor()),
      remote_ip_(std::move(moved.remote_ip)),
      remote_port_(moved.remote_port),
      facts_(moved.facts),
      parser_({core_->options.head_bytes_max, core_->options.target_bytes_max,
               core_->options.fields_max}) {
  if (moved.rest.empty()) return;
  capacity_ = std::max(kBufferFirst, moved.rest.size());
  in_ = std::make_unique_for_overwrite<char[]>(capacity_);
  end_ = moved.rest.copy(in_.get(), moved.rest.size());
}

}  // namespace mayfly::io
