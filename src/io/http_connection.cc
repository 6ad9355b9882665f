#include "io/http_connection.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>

namespace mayfly::io {
namespace {

constexpr std::size_t kBufferMax = 64 * 1024;    // or a whole head, when that is more
constexpr std::size_t kSealBytes = 32 * 1024;    // bodies over this are not copied
constexpr std::size_t kOutKeep = 32 * 1024;      // capacity that an idle connection may keep
constexpr std::size_t kBatchBytes = 128 * 1024;  // responses to pipelined requests in one write
constexpr std::chrono::milliseconds kLingerTime{2'000};

}  // namespace

Connection::Connection(std::shared_ptr<ServerCore> core, const SocketAddress& peer)
    : core_(std::move(core)),
      socket_(core_->loop.get_executor()),
      parser_({core_->options.head_bytes_max, core_->options.target_bytes_max,
               core_->options.fields_max}) {
  remote_ip_ = ip_of(peer, remote_port_);
  facts_.number = core_->accepted++;
}

Connection::~Connection() = default;

bool Connection::expired() const {
  const auto over = [this](std::int64_t deadline) {
    return deadline != 0 && deadline <= core_->tick;
  };
  return over(read_deadline_) || over(write_deadline_);
}

void Connection::on_deadline() {
  if (write_deadline_ != 0 && write_deadline_ <= core_->tick) return abort();
  read_deadline_ = 0;
  timed_out_ = true;
  const auto self = shared_from_this();
  if (reader_ != nullptr) reader_->waiter_.notify();
  input_.notify();
}

void Connection::close() {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = true;
  read_deadline_ = write_deadline_ = 0;
  boost::system::error_code ignored;
  if (cut_off_) {
    // The peer must not take the end of the connection for the end of the body: reset it.
    const struct ::linger hard { 1, 0 };
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  }
  socket_.close(ignored);
  if (is_linked()) {
    unlink();
    --core_->open;
  }
  if (reader_ != nullptr) reader_->waiter_.notify();
  writable_.notify();
  input_.notify();
  if (core_->on_change) core_->on_change();
}

void Connection::abort() {
  const auto self = shared_from_this();
  broken_ = true;
  if (handler_runs_) cancel_.emit(boost::asio::cancellation_type::terminal);
  close();
}

void Connection::drop() {
  const auto self = shared_from_this();
  closed_ = true;
  if (is_linked()) unlink();
  input_.drop();
  writable_.drop();
  if (reader_ != nullptr) reader_->waiter_.drop();
}

// ---- reading

void Connection::consume(std::size_t bytes) {
  begin_ += bytes;
  if (!reading_ && begin_ == end_) begin_ = end_ = 0;
}

// Makes free space behind end_; false when as much is buffered as may be. No read is under way.
bool Connection::make_room() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (capacity_ > kBufferFirst && idle_) capacity_ = 0;  // idle connections stay small
  }
  if (capacity_ == 0) {
    capacity_ = kBufferFirst;
    in_ = std::make_unique_for_overwrite<char[]>(capacity_);
  }
  if (capacity_ - end_ >= kBufferFirst / 2) return true;
  if (begin_ > 0) {
    std::memmove(in_.get(), in_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (capacity_ - end_ >= kBufferFirst / 2) return true;
  }
  const std::size_t most = std::max(kBufferMax, core_->options.head_bytes_max + kBufferFirst);
  if (capacity_ < most) {
    const std::size_t bigger = std::min(most, capacity_ * 4);
    auto larger = std::make_unique_for_overwrite<char[]>(bigger);
    std::memcpy(larger.get(), in_.get(), end_);
    in_ = std::move(larger);
    capacity_ = bigger;
  }
  return capacity_ > end_;
}

void Connection::arm_read() {
  if (reading_ || eof_ || broken_ || closed_ || !make_room()) return;
  reading_ = true;
  socket_.async_read_some(
      boost::asio::buffer(in_.get() + end_, capacity_ - end_),
      [self = shared_from_this()](boost::system::error_code problem, std::size_t bytes) {
        self->on_read(problem, bytes);
      });
}

void Connection::on_read(boost::system::error_code problem, std::size_t bytes) {
  reading_ = false;
  if (closed_) return;
  if (upgrading_) {
    end_ += bytes;
    broken_ = problem && problem != boost::asio::error::operation_aborted;
    return input_.notify();
  }
  if (problem) {
    eof_ = true;
    broken_ = problem != boost::asio::error::eof;
    return on_peer_gone();
  }
  end_ += bytes;
  if (lingering_) {
    begin_ = end_ = 0;
    return arm_read();
  }
  in_callback_ = true;
  if (reader_ != nullptr) reader_->waiter_.notify();
  input_.notify();
  in_callback_ = false;
  if (closed_) return;
  flush();
  arm_read();
}

void Connection::on_peer_gone() {
  if (reader_ != nullptr) reader_->waiter_.notify();
  input_.notify();
  if (handler_runs_ && !closed_) cancel_.emit(boost::asio::cancellation_type::terminal);
  if (broken_) writable_.notify();
}

// ---- writing

void Connection::append_body(std::string body) {
  if (body.size() < kSealBytes) {
    out_ += body;
    return;
  }
  if (!out_.empty()) {
    sealed_.push_back(std::move(out_));
    out_.clear();
  }
  sealed_.push_back(std::move(body));
}

void Connection::flush() {
  if (write_waiting_ || closed_ || broken_ || !pending()) return;
  send_now();
}

void Connection::sent(std::size_t bytes) {
  sent_ += bytes;
  std::size_t whole = 0;
  while (whole < sealed_.size() && sent_ >= sealed_[whole].size()) sent_ -= sealed_[whole++].size();
  sealed_.erase(sealed_.begin(), sealed_.begin() + static_cast<std::ptrdiff_t>(whole));
  if (sealed_.empty() && sent_ == out_.size()) {
    sent_ = 0;
    out_.clear();
    if (out_.capacity() > kOutKeep) std::string().swap(out_);
  }
}

void Connection::send_now() {
  while (pending()) {
    std::array<iovec, 16> pieces;
    std::size_t count = 0;
    std::size_t skip = sent_;
    for (auto& piece : sealed_) {
      if (count == pieces.size()) break;
      pieces[count++] = {piece.data() + skip, piece.size() - skip};
      skip = 0;
    }
    if (count < pieces.size() && out_.size() > skip)
      pieces[count++] = {out_.data() + skip, out_.size() - skip};
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t done = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done >= 0) {
      sent(static_cast<std::size_t>(done));
      if (write_deadline_ != 0) write_deadline_ = core_->deadline(core_->options.stall_timeout);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return on_write_failed();
    write_waiting_ = true;
    write_deadline_ = core_->deadline(core_->options.stall_timeout);
    socket_.async_wait(Socket::wait_write,
                       [self = shared_from_this()](boost::system::error_code problem) {
                         self->write_waiting_ = false;
                         if (self->closed_) return;
                         if (problem)
                           self->on_write_failed();
                         else
                           self->send_now();
                         const bool gone = self->broken_ && self->handler_runs_;
                         if (!self->pending()) self->writable_.notify();
                         if (gone && self->handler_runs_ && !self->closed_)
                           self->cancel_.emit(boost::asio::cancellation_type::terminal);
                       });
    return;
  }
  write_deadline_ = 0;
}

void Connection::on_write_failed() {
  broken_ = true;
  write_deadline_ = 0;
  sealed_.clear();
  out_.clear();
  sent_ = 0;
}

Task<void> Connection::drained() {
  while (pending() && !broken_ && !closed_) co_await writable_.wait();
}

// ---- the coroutine

void Connection::start(os::Fd fd, int family, std::unique_ptr<ParsedRequest> first) {
  boost::system::error_code problem;
  socket_.assign(boost::asio::generic::stream_protocol(family, IPPROTO_TCP), fd.get(), problem);
  if (problem) return;
  (void)fd.release();  // the socket owns it now
  core_->connections.push_back(*this);
  ++core_->open;
  ++core_->running;
  auto self = shared_from_this();
  const bool moved = first != nullptr;
  boost::asio::co_spawn(core_->loop, run(self, std::move(first)),
                        boost::asio::bind_cancellation_slot(
                            cancel_.slot(), [self](std::exception_ptr e) { self->run_ended(e); }));
  if (moved) arm_read();
}

void Connection::run_ended(std::exception_ptr problem) {
  --core_->running;
  if (problem && !broken_ && !eof_ && !closed_) {
    // Only cancellation throws here; anything else is our bug, and the client sees a closed
    // connection.
    try {
      std::rethrow_exception(problem);
    } catch (const std::exception& e) {
      core_->report(std::string("a connection ended with: ") + e.what());
    }
  }
  if (reader_ != nullptr) reader_->detach();
  const bool was_closed = closed_;
  close();
  if (was_closed && core_->on_change) core_->on_change();
}

Task<void> Connection::run(std::shared_ptr<Connection> self, std::unique_ptr<ParsedRequest> first) {
  // The common request runs through here without a coroutine frame of its own for each step.
  Connection& me = *self;
  while (!me.closed_) {
    ParsedRequest parsed;
    if (first) {
      parsed = std::move(*first);
      first.reset();
    } else {
      const bool found = co_await me.next_head(parsed);
      if (!found) break;
    }
    if (HttpServer* const other = me.steered(parsed)) {
      co_await me.move_to(*other, parsed);
      co_return;
    }
    me.begin_request(parsed);
    HttpRequest request;
    request.head = std::move(parsed.head);
    request.head.remote_ip = me.remote_ip_;
    request.head.remote_port = me.remote_port_;
    if (!me.body_done_) {
      if (me.framing_ == Framing::chunked && request.head.headers.contains("Trailer"))
        request.trailers = me.trailers_ = std::make_shared<wire::Headers>();
      const bool received = co_await me.receive_body(request);
      if (!received) break;
    }
    if (me.pending() && !me.in_callback_) me.post_flush();
    Task<HttpResponse> task = me.call_handler(request);
    HttpResponse response = co_await std::move(task);
    if (me.broken_ || me.closed_) break;
    if (me.eof_) {
      me.answer_last(response);
      break;
    }
    if (response.upgrade && response.head.status == 101) {
      co_await me.hand_over(response);
      break;
    }
    std::uint64_t length = 0;
    const OutFraming framing = me.append_head(response, length);
    if (framing != OutFraming::none && response.more) {
      co_await me.stream(response, framing, length);
    } else if (framing != OutFraming::none) {
      me.append_body(std::move(response.body));
    }
    response.more.reset();
    if (!me.body_done_ || me.reader_ != nullptr) co_await me.finish_body();
    me.trailers_.reset();
    if (!me.keep_alive_ || !me.body_done_ || me.broken_ || me.closed_) break;
    if (me.out_.size() > kBatchBytes) me.flush();
    if (me.write_waiting_) co_await me.drained();
  }
  co_await me.linger();
}

// The handler may suspend: what is ready must not wait for it.
void Connection::post_flush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  boost::asio::post(core_->loop, [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

// The client has closed its side, perhaps only for writing. The coroutine is cancelled: no waiting.
void Connection::answer_last(HttpResponse& response) {
  keep_alive_ = false;
  if (response.more) return;
  std::uint64_t length = 0;
  if (append_head(response, length) != OutFraming::none) append_body(std::move(response.body));
  flush();
}

// Waits for a whole head. False when the connection is to be closed.
Task<bool> Connection::next_head(ParsedRequest& parsed) {
  HttpError problem;
  std::size_t used = 0;
  parser_.reset();
  std::int64_t head_deadline = 0;
  while (true) {
    const auto status = parser_.parse(input(), parsed, used, problem);
    if (status == ParseStatus::complete) break;
    if (status == ParseStatus::error) {
      refuse(std::move(problem));
      co_return false;
    }
    const bool partial = !input().empty();
    if (broken_ || closed_ || (!partial && (eof_ || timed_out_ || core_->stopping)))
      co_return false;
    if (eof_ || timed_out_) {
      problem = eof_ ? HttpError{400, "The connection was closed in the middle of a request head."}
                     : HttpError{408,
                                 "The request head took longer than the setting http.head_timeout "
                                 "allows."};
      refuse(std::move(problem));
      co_return false;
    }
    if (partial && head_deadline == 0) head_deadline = core_->deadline(core_->options.head_timeout);
    read_deadline_ = partial ? head_deadline : core_->deadline(core_->options.idle_timeout);
    idle_ = !partial;
    flush();
    arm_read();
    co_await input_.wait();
    idle_ = false;
  }
  read_deadline_ = 0;
  consume(used);
  co_return true;
}

void Connection::begin_request(const ParsedRequest& parsed) {
  head_request_ = parsed.head.method == "HEAD";
  version_ = parsed.head.version;
  keep_alive_ = parsed.keep_alive && !core_->stopping;
  framing_ = parsed.framing;
  body_left_ = parsed.content_length;
  body_total_ = 0;
  body_done_ = framing_ == Framing::none;
  expect_pending_ = parsed.expect_continue;
  response_begun_ = false;
  decoder_ = ChunkDecoder();
}

// Fills request; the body whole when it is small or here already, else as a stream.
Task<bool> Connection::receive_body(HttpRequest& request) {
  const HttpServerOptions& options = core_->options;
  HttpError problem;
  if (framing_ == Framing::length && body_left_ > options.body_bytes_max) {
    problem = {413, "The request body (" + std::to_string(body_left_) +
                        " bytes) is larger than the setting http.body_bytes_max allows (" +
                        std::to_string(options.body_bytes_max) + ")."};
    refuse(std::move(problem));
    co_return false;
  }
  const bool whole =
      framing_ == Framing::length && body_left_ <= options.buffer_body_max && !expect_pending_;
  if (whole) request.body.reserve(body_left_);
  Error error;
  Take taken = Take::data;
  while (!body_done_ && taken == Take::data && request.body.size() < options.buffer_body_max + 1) {
    taken = take_body(request.body, error);
    if (taken == Take::wait && whole) {
      before_body_wait();
      co_await input_.wait();
      read_deadline_ = 0;
      taken = Take::data;
    }
  }
  if (taken == Take::error && (broken_ || closed_)) co_return false;
  if (taken == Take::error) {
    problem = {error.code == Code::deadline_exceeded ? 408
               : error.code == Code::too_large       ? 413
                                                     : 400,
               std::move(error.message)};
    refuse(std::move(problem));
    co_return false;
  }
  if (!body_done_) request.more = std::make_unique<RequestBody>(shared_from_this());
  co_return true;
}

Task<HttpResponse> Connection::call_handler(HttpRequest& request) {
  handler_runs_ = true;
  std::string thrown;
  try {
    Task<HttpResponse> task = core_->handler(std::move(request));
    HttpResponse response = co_await std::move(task);
    handler_runs_ = false;
    co_return response;
  } catch (const std::exception& e) {
    thrown = e.what();
  } catch (...) {
    thrown = "unknown exception";
  }
  handler_runs_ = false;
  if (eof_ || broken_ || closed_) {  // cancelled because the client is gone
    broken_ = true;
    co_return HttpResponse();
  }
  core_->report("a handler threw: " + thrown);
  HttpError problem{500, "The platform failed to handle the request: " + thrown + "."};
  co_return error_answer(problem, "platform", "accept");
}

Task<void> Connection::stream(HttpResponse& response, OutFraming framing, std::uint64_t length) {
  std::string piece = std::move(response.body);
  bool failed = false;
  bool first = true;
  while (!broken_ && !closed_) {
    if (!first) {
      handler_runs_ = true;
      Result<std::string> read = co_await response.more->read();
      handler_runs_ = false;
      failed = read.has_error();
      if (failed || read->empty()) break;
      piece = std::move(*read);
    }
    if (framing == OutFraming::length && piece.size() > length) {
      piece.resize(length);
      failed = true;  // more than was announced: send no byte of it
    }
    length -= framing == OutFraming::length ? piece.size() : 0;
    if (framing == OutFraming::chunked && !piece.empty()) {
      append_chunk_size(out_, piece.size());
      append_body(std::move(piece));
      out_ += "\r\n";
    } else if (!piece.empty()) {
      append_body(std::move(piece));
    }
    piece.clear();
    first = false;
    flush();
    if (failed) break;
    if (pending()) co_await drained();
  }
  response.more.reset();
  if (framing == OutFraming::length && length > 0) failed = true;
  if (failed) {
    keep_alive_ = false;
    cut_off_ = framing == OutFraming::until_close;
  } else if (framing == OutFraming::chunked) {
    out_ += "0\r\n\r\n";
  }
}

// Skips what is left of the request body, if it is little; else body_done_ stays false.
Task<void> Connection::finish_body() {
  if (reader_ != nullptr) reader_->detach();
  std::size_t skipped = 0;
  while (keep_alive_ && !body_done_ && !expect_pending_ && skipped <= kBodyPiece) {
    std::string data;
    Error error;
    const Take taken = take_body(data, error);
    if (taken == Take::error) co_return;
    skipped += data.size();
    if (taken == Take::wait) {
      flush();
      before_body_wait();
      co_await input_.wait();
      if (!timed_out_) read_deadline_ = 0;
    }
  }
}

void Connection::refuse(HttpError problem) {
  keep_alive_ = false;
  framing_ = Framing::chunked;  // what the client still sends is not to be trusted
  body_done_ = false;
  HttpResponse response = error_answer(problem, "client", "accept");
  std::uint64_t length = 0;
  if (append_head(response, length) != OutFraming::none) append_body(std::move(response.body));
}

// Sends the rest, then lets the client read it: closing with unread input would reset it.
Task<void> Connection::linger() {
  flush();
  if (pending()) co_await drained();
  if (broken_ || closed_ || cut_off_ || eof_ || (body_done_ && input().empty())) co_return;
  ::shutdown(socket_.native_handle(), SHUT_WR);
  lingering_ = true;
  timed_out_ = false;
  begin_ = end_;
  read_deadline_ = core_->deadline(kLingerTime);
  arm_read();
  while (!eof_ && !broken_ && !closed_ && !timed_out_) co_await input_.wait();
}

}  // namespace mayfly::io
