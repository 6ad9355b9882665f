#include "engine/frame_connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <deque>

#include "base/log.h"
#include "engine/frame_stream.h"

namespace mayfly::engine {
namespace {

using telemetry::Phase;
using wire::FrameType;

constexpr std::size_t kReadMax = 256 * 1024;

// One buffer for each thread: bytes are handled before the next read.
char* read_buffer() {
  thread_local const std::unique_ptr<char[]> buffer(new char[kReadMax]);
  return buffer.get();
}

}  // namespace

FrameConnection::FrameConnection(boost::asio::any_io_executor executor, os::Fd channel, LogSink log,
                                 Options options)
    : executor_(executor), socket_(executor), log_(std::move(log)), options_(std::move(options)) {
  boost::system::error_code ec;
  if (channel.valid()) {
    socket_.assign(boost::asio::local::stream_protocol(), channel.get(), ec);
    if (!ec) channel.release();
    if (!ec) socket_.native_non_blocking(true, ec);
  }
  closed_ = !socket_.is_open();
  ready_seen_ = options_.clone;
}

FrameConnection::~FrameConnection() = default;

void FrameConnection::open() {
  if (!closed_) wait_readable();
}

void FrameConnection::wait_readable() {
  socket_.async_wait(boost::asio::socket_base::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& ec) {
                       if (!ec && !self->closed_) self->on_readable();
                     });
}

void FrameConnection::on_readable() {
  const auto self = shared_from_this();  // what wakes up may drop the instance
  const ssize_t got = ::recv(socket_.native_handle(), read_buffer(), kReadMax, MSG_DONTWAIT);
  if (got == 0) {
    broken("");
    return run_woken();
  }
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR)
      broken("");
    else
      wait_readable();
    return run_woken();
  }
  consuming_ = true;
  take_bytes({read_buffer(), static_cast<std::size_t>(got)});
  consuming_ = false;
  if (!closed_) wait_readable();
  run_woken();
}

// Handles all whole frames and keeps the rest for the next read.
void FrameConnection::take_bytes(std::string_view bytes) {
  if (partial_.empty()) {
    bytes.remove_prefix(consume(bytes));
    partial_.assign(bytes);
    return;
  }
  partial_.append(bytes);
  partial_.erase(0, consume(partial_));
  if (partial_.empty() && partial_.capacity() > kOutKeepMax) partial_ = {};
}

std::size_t FrameConnection::consume(std::string_view bytes) {
  std::size_t at = 0;
  while (!closed_ && at < bytes.size()) {
    wire::Frame frame;
    std::size_t used = 0;
    const auto status = wire::decode_frame(bytes.substr(at), frame, used);
    if (status == wire::DecodeStatus::need_more) break;
    if (status == wire::DecodeStatus::error) {
      broken("sent bytes that are no frame of the protocol");
      break;
    }
    at += used;
    if (!handle(frame)) break;
  }
  return at;
}

bool FrameConnection::handle(const wire::Frame& frame) {
  switch (frame.type) {
    case FrameType::ready:
    case FrameType::init_error:
      return handle_ready(frame);
    case FrameType::log:
      handle_log(frame);
      return !closed_;
    case FrameType::window:
      return handle_window(frame);
    case FrameType::reply:
    case FrameType::data:
    case FrameType::error:
    case FrameType::effects:
    case FrameType::ask: {
      Stream* stream = find(frame.stream);
      if (stream == nullptr || stream->remote_ended) {
        broken("answered on a stream that is not open");
        return false;
      }
      if (frame.type == FrameType::reply) return handle_reply(*stream, frame);
      if (frame.type == FrameType::data) return handle_data(*stream, frame);
      if (frame.type == FrameType::effects) return handle_effects(*stream, frame);
      if (frame.type == FrameType::ask) return handle_ask(*stream, frame);
      handle_error(*stream, frame);
      return !closed_;
    }
    default:
      broken("sent a frame that only the engine may send");
      return false;
  }
}

bool FrameConnection::handle_ready(const wire::Frame& frame) {
  if (options_.clone && frame.type == FrameType::init_error && frame.stream == 0) {
    hooks_failed(frame);
    return false;
  }
  if (ready_seen_ || frame.stream != 0) {
    broken("sent a second ready frame");
    return false;
  }
  ready_seen_ = true;
  if (frame.type == FrameType::init_error) {
    started_.failure = function_failure(Phase::init, std::string(frame.payload));
  } else {
    auto ready = parse_ready(frame.payload);
    if (ready.has_error()) {
      ready_seen_ = false;
      broken(ready.error().message);
      return false;
    }
    started_.ready = std::move(*ready);
  }
  wake(ready_park_);
  return true;
}

void FrameConnection::hooks_failed(const wire::Frame& frame) {
  hooks_failure_ = function_failure(Phase::init, std::string(frame.payload));
  for (auto& stream : streams_)
    if (stream->open && !stream->failure)
      stream->failure = std::make_shared<Failure>(*hooks_failure_);
  broken("");
}

bool FrameConnection::take_credit(Stream& stream, std::size_t bytes) {
  if (bytes > stream.receive_credit) {
    broken("sent more of a body than the window allows");
    return false;
  }
  stream.receive_credit -= static_cast<std::uint32_t>(bytes);
  return true;
}

bool FrameConnection::handle_reply(Stream& stream, const wire::Frame& frame) {
  std::string_view head, body;
  if (stream.replied || !wire::split_reply(frame.payload, head, body)) {
    broken(stream.replied ? "replied twice" : "sent a reply whose lengths do not fit");
    return false;
  }
  // A complete reply needs no window: there is nothing to hold back.
  if ((frame.flags & wire::kEnd) == 0 && !take_credit(stream, body.size())) return false;
  stream.replied = true;
  const bool dropped = stream.dropped;
  if (dropped) {
    stream.grant(body.size(), out_);
    schedule_flush();
  } else {
    stream.http = (frame.flags & wire::kHttp) != 0;
    stream.head.assign(head);
    stream.received.assign(body);
  }
  if ((frame.flags & wire::kEnd) != 0) remote_end(stream);
  if (!dropped) wake(stream.park);
  return !closed_;
}

bool FrameConnection::handle_data(Stream& stream, const wire::Frame& frame) {
  if (!stream.replied) {
    broken("sent a body before its reply");
    return false;
  }
  if (!take_credit(stream, frame.payload.size())) return false;
  if (stream.dropped) {
    // Nobody reads it, but a program that waits for its window must get to its end.
    stream.grant(frame.payload.size(), out_);
    schedule_flush();
  } else {
    stream.received.append(frame.payload);
    wake(stream.park);
  }
  if ((frame.flags & wire::kEnd) != 0) remote_end(stream);
  return !closed_;
}

void FrameConnection::handle_error(Stream& stream, const wire::Frame& frame) {
  if (!stream.dropped) {
    stream.failure =
        function_failure(stream.replied ? Phase::reply : Phase::run, std::string(frame.payload));
    wake(stream.park);
  }
  remote_end(stream);
}

void FrameConnection::handle_log(const wire::Frame& frame) {
  if (frame.payload.empty() || (frame.payload[0] != 1 && frame.payload[0] != 2))
    return broken("sent a log frame of no known stream");
  static const std::string kNone;
  const Stream* stream = frame.stream == 0 ? nullptr : find(frame.stream);
  log_(stream != nullptr ? stream->request_id : kNone,
       static_cast<telemetry::LogLine::Stream>(frame.payload[0]), frame.payload.substr(1));
}

bool FrameConnection::handle_window(const wire::Frame& frame) {
  std::uint32_t bytes = 0;
  if (!wire::read_u32(frame.payload, bytes)) {
    broken("sent a window frame of a wrong size");
    return false;
  }
  Stream* stream = find(frame.stream);
  if (stream == nullptr || stream->remote_ended) return true;  // crossed with the end: no harm
  if (bytes > wire::kMaxFrame || stream->send_credit > wire::kMaxFrame) {
    broken("granted a window beyond the limit");
    return false;
  }
  stream->send_credit += bytes;
  if (!stream->unsent.empty()) send_rest(*stream);
  wake(stream->pump_park);
  return true;
}

// The instance is done with the stream; what it has sent may still have to be read.
void FrameConnection::remote_end(Stream& stream) {
  stream.remote_ended = true;
  if (portions_.ended()) portions_.measured(std::chrono::steady_clock::now());
  stop_sending(stream);
  if (!stream.dropped) return;
  const bool pending = std::exchange(stream.pending_abort, false);
  release(stream);
  if (pending && events_.released) events_.released();
}

void FrameConnection::stop_sending(Stream& stream) {
  stream.unsent.clear();
  stream.unsent_at = 0;
  if (const auto cancel = std::exchange(stream.pump_cancel, nullptr))
    cancel->emit(boost::asio::cancellation_type::terminal);
}

// Waiters woken while frames are handled run when the last frame is: they may call back in here.
void FrameConnection::wake(Park& park) {
  if (!consuming_) return park.wake();
  if (auto handler = park.release()) woken_.push_back(std::move(*handler));
}

void FrameConnection::run_woken() {
  if (woken_.empty()) return;
  auto handlers = std::move(woken_);
  woken_.clear();
  for (auto& handler : handlers) handler();
  handlers.clear();
  if (woken_.empty()) woken_.swap(handlers);  // keeps the capacity
}

FrameConnection::Stream& FrameConnection::claim() {
  if (free_.empty()) {
    streams_.push_back(std::make_unique<Stream>());
    streams_.back()->id = static_cast<std::uint32_t>(streams_.size());
    free_.push_back(streams_.back()->id);
  }
  Stream& stream = *streams_[free_.back() - 1];
  free_.pop_back();
  stream.begin(++serial_);
  return stream;
}

void FrameConnection::release(Stream& stream) {
  if (!stream.open) return;
  stream.finish();
  free_.push_back(stream.id);
}

FrameConnection::Stream* FrameConnection::find(std::uint32_t id) {
  if (id == 0 || id > streams_.size() || !streams_[id - 1]->open) return nullptr;
  return streams_[id - 1].get();
}

io::Task<InstanceProtocol::Started> FrameConnection::wait_ready() {
  const auto self = shared_from_this();
  while (!ready_seen_ && !closed_) {
    const bool go_on = co_await ready_park_.wait();
    if (!go_on) break;
  }
  if (!ready_seen_) {
    started_.failure = crash_failure(Phase::init, breach_.empty() ? "" : "the program " + breach_);
    started_.failure->outcome = telemetry::Outcome::init_failed;
  }
  co_return std::move(started_);
}

io::Task<InstanceProtocol::Called> FrameConnection::call(Invocation& invocation, std::string meta) {
  const auto self = shared_from_this();
  if (closed_) {
    InstanceProtocol::Called called;
    called.delivered = hooks_failure_ != nullptr;
    called.failure =
        hooks_failure_ ? std::make_shared<Failure>(*hooks_failure_) : crash_failure(Phase::run);
    co_return called;
  }
  Stream& stream = claim();
  stream.request_id = invocation.request_id;
  send_request(stream, invocation, meta);
  while (!stream.replied && !stream.failure) {
    const bool go_on = co_await stream.park.wait();
    if (!go_on) (void)abort(invocation.request_id);
  }
  co_return answer_of(stream);
}

std::shared_ptr<Failure> FrameConnection::too_large() const {
  auto failure = crash_failure(Phase::reply, "the result of the function is over the limit of " +
                                                 std::to_string(options_.event_bytes_max) +
                                                 " bytes (setting engine.response_bytes_max)");
  failure->outcome = telemetry::Outcome::function_error;
  failure->code = Code::too_large;
  return failure;
}

InstanceProtocol::Called FrameConnection::answer_of(Stream& stream) {
  InstanceProtocol::Called called;
  called.delivered = sent_ >= stream.sent_mark;
  if (stream.failure) {
    called.failure = std::move(stream.failure);
    drop_reader(stream.id);
    return called;
  }
  if (!stream.http && stream.received.size() > options_.event_bytes_max) {
    called.failure = too_large();
    drop_reader(stream.id);
    return called;
  }
  called.reply.kind = stream.http ? PayloadKind::http : PayloadKind::event;
  called.reply.head = std::move(stream.head);
  called.reply.body = std::move(stream.received);
  called.reply.effects = std::move(stream.effects);
  stream.received.clear();
  if (stream.remote_ended) {
    release(stream);
    return called;
  }
  stream.received_total = called.reply.body.size();
  stream.consumed = static_cast<std::uint32_t>(called.reply.body.size());
  called.reply.more = std::make_unique<Reader>(shared_from_this(), stream.id);
  return called;
}

void FrameConnection::abort_stream(Stream& stream, telemetry::Party party, const Error& error) {
  if (!stream.failure) {
    stream.failure = std::make_shared<Failure>();
    stream.failure->outcome = telemetry::Outcome::cancelled;
    stream.failure->party = party;
    stream.failure->phase = Phase::run;
    stream.failure->code = error.code;
    stream.failure->message = error.message;
  }
  send_cancel(stream);
  stream.park.wake();
}

void FrameConnection::send_cancel(Stream& stream) {
  if (stream.remote_ended || closed_ || std::exchange(stream.cancel_sent, true)) return;
  wire::append_frame(out_, stream.id, FrameType::cancel, 0, {});
  schedule_flush();
}

InstanceProtocol::Abort FrameConnection::abort(const std::string& request_id) {
  for (auto& slot : streams_) {
    Stream& stream = *slot;
    if (!stream.open || stream.request_id != request_id) continue;
    if (!stream.dropped)
      abort_stream(stream, telemetry::Party::client,
                   Error{Code::cancelled, "the call was given up", "", 0});
    if (stream.remote_ended || closed_) return InstanceProtocol::Abort::released;
    stream.pending_abort = true;
    return InstanceProtocol::Abort::pending;
  }
  return InstanceProtocol::Abort::released;
}

// The caller's side of a stream is over. The slot stays taken until the instance ends its side.
void FrameConnection::drop_reader(std::uint32_t id) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->dropped) return;
  stream->dropped = true;
  if (stream->remote_ended || closed_) {
    const bool pending = std::exchange(stream->pending_abort, false);
    stop_sending(*stream);
    release(*stream);
    if (pending && events_.released) events_.released();
    return;
  }
  send_cancel(*stream);
  stream->grant(stream->received.size() + stream->consumed, out_);
  stream->consumed = 0;
  stream->received = {};
  stop_sending(*stream);
  schedule_flush();
}

io::Task<Result<std::string>> FrameConnection::read_body(std::uint32_t id) {
  const auto self = shared_from_this();
  Stream& stream = *streams_[id - 1];
  // What the reader took before is used up now: it came back for more.
  if (stream.consumed >= wire::kInitialWindow / 4 && !stream.remote_ended && !closed_) {
    stream.grant(stream.consumed, out_);
    stream.consumed = 0;
    schedule_flush();
  }
  while (stream.received.empty() && !stream.remote_ended && !stream.failure) {
    const bool go_on = co_await stream.park.wait();
    if (!go_on) (void)abort(stream.request_id);
  }
  if (!stream.received.empty() && (!stream.failure || stream.remote_ended)) {
    std::string bytes = std::move(stream.received);
    stream.received.clear();
    stream.consumed += static_cast<std::uint32_t>(bytes.size());
    stream.received_total += bytes.size();
    if (!stream.http && stream.received_total > options_.event_bytes_max) {
      const auto failure = too_large();
      co_return Error{failure->code, failure->message, "", 0};
    }
    co_return bytes;
  }
  if (stream.failure)
    co_return Error{stream.failure->code, stream.failure->message, "answer of the instance", 0};
  co_return std::string();
}

void FrameConnection::broken(std::string why) {
  if (closed_) return;
  breach_ = why;
  fail_all();
  if (events_.closed) {
    // Not from inside whatever called: the engine may end the instance at once.
    boost::asio::post(executor_, [self = shared_from_this(), why = std::move(why)] {
      if (self->events_.closed) self->events_.closed(why);
    });
  }
}

void FrameConnection::fail_all() {
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  wake(ready_park_);
  for (auto& slot : streams_) {
    Stream& stream = *slot;
    if (!stream.open) continue;
    stop_sending(stream);
    if (stream.dropped) {
      stream.pending_abort = false;
      release(stream);
      continue;
    }
    if (stream.remote_ended) continue;  // all of it is here
    if (!stream.failure)
      stream.failure = crash_failure(stream.replied ? Phase::reply : Phase::run,
                                     breach_.empty() ? "" : "the program " + breach_);
    wake(stream.park);
  }
}

void FrameConnection::ended() {
  if (!closed_) {
    // What the program managed to send before its end still counts.
    const auto self = shared_from_this();
    consuming_ = true;
    while (!closed_) {
      const ssize_t got = ::recv(socket_.native_handle(), read_buffer(), kReadMax, MSG_DONTWAIT);
      if (got <= 0) break;
      take_bytes({read_buffer(), static_cast<std::size_t>(got)});
    }
    consuming_ = false;
    if (!closed_) fail_all();
    // ended() may be called from anywhere: the waiters run in their own turn.
    auto handlers = std::move(woken_);
    woken_.clear();
    for (auto& handler : handlers) {
      auto executor = handler.get_executor();
      boost::asio::post(executor, std::move(handler));
    }
  }
}

void FrameConnection::shutdown() {
  if (closed_) return;
  wire::append_frame(out_, 0, FrameType::shutdown, 0, {});
  flush();
}

void FrameConnection::close() {
  events_ = {};
  if (!closed_) fail_all();
}

}  // namespace mayfly::engine
