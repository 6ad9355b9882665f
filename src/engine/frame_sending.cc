// What goes to the instance: requests, their streamed bodies, and the writes that carry them.

#include <sys/socket.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>

#include "base/log.h"
#include "engine/frame_connection.h"
#include "engine/frame_stream.h"

namespace mayfly::engine {
namespace {

using wire::FrameType;

constexpr std::size_t kPieceMax = 256 * 1024;  // of a body, in one frame

// Logs what a pump could not handle by itself; its failure is the instance's failure to get a body.
struct PumpEnded {
  std::shared_ptr<boost::asio::cancellation_signal> cancel;  // outlives the pump
  void operator()(const std::exception_ptr& problem) const {
    if (!problem) return;
    try {
      std::rethrow_exception(problem);
    } catch (const boost::system::system_error& error) {
      if (error.code() != boost::asio::error::operation_aborted)
        log::error("request body of an instance: {}", error.what());
    } catch (const std::exception& error) {
      log::error("request body of an instance: {}", error.what());
    }
  }
};

}  // namespace

void FrameConnection::send_request(Stream& stream, Invocation& invocation, std::string_view meta) {
  std::uint8_t flags = invocation.kind == PayloadKind::http ? wire::kHttp : 0;
  const std::size_t first = std::min<std::size_t>(invocation.body.size(), stream.send_credit);
  const bool whole = first == invocation.body.size();
  if (whole && !invocation.more) flags |= wire::kEnd;
  wire::append_invoke(out_, stream.id, flags, meta, invocation.head,
                      std::string_view(invocation.body).substr(0, first));
  stream.sent_mark = sent_ + out_.size() - out_at_;
  stream.send_credit -= static_cast<std::uint32_t>(first);
  // A program with one call at a time waits for just this; with several, one write serves many.
  const bool portion = portions_.add();
  if (portion || (streams_.size() == 1 && !flush_scheduled_))
    flush();
  else
    schedule_flush();
  if (!whole) {
    stream.unsent = std::move(invocation.body);
    stream.unsent_at = first;
    stream.unsent_is_last = !invocation.more;
  }
  if (invocation.more) {
    const auto cancel = std::make_shared<boost::asio::cancellation_signal>();
    stream.pump_cancel = cancel;
    auto task = pump(shared_from_this(), stream.id, stream.serial, std::move(invocation.more));
    boost::asio::co_spawn(executor_, std::move(task),
                          boost::asio::bind_cancellation_slot(cancel->slot(), PumpEnded{cancel}));
  }
}

void FrameConnection::send_rest(Stream& stream) {
  const std::size_t left = stream.unsent.size() - stream.unsent_at;
  const std::size_t size = std::min<std::size_t>({left, stream.send_credit, kPieceMax});
  if (size == 0) return;
  const bool last = size == left && stream.unsent_is_last;
  wire::append_frame(out_, stream.id, FrameType::data, last ? wire::kEnd : 0,
                     std::string_view(stream.unsent).substr(stream.unsent_at, size));
  stream.send_credit -= static_cast<std::uint32_t>(size);
  stream.unsent_at += size;
  if (stream.unsent_at == stream.unsent.size()) {
    stream.unsent = {};
    stream.unsent_at = 0;
  }
  schedule_flush();
  if (!stream.unsent.empty() && stream.send_credit > 0) send_rest(stream);
}

// Passes a streamed request body on as fast as the instance takes it. The serial tells whether the
// stream id still means this request.
io::Task<void> FrameConnection::pump(std::shared_ptr<FrameConnection> self, std::uint32_t id,
                                     std::uint64_t serial, io::BodyReaderPtr more) {
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  const auto live = [&]() -> Stream* {
    Stream* stream = self->find(id);
    if (stream == nullptr || stream->serial != serial || stream->remote_ended || self->closed_)
      return nullptr;
    return stream;
  };
  bool last = false;
  while (!last) {
    // The first part of the body goes first.
    for (;;) {
      Stream* stream = live();
      if (stream == nullptr) co_return;
      if (stream->unsent.empty() && stream->send_credit > 0) break;
      const bool go_on = co_await stream->pump_park.wait();
      if (!go_on) co_return;
    }
    Result<std::string> part = co_await more->read();
    Stream* stream = live();
    if (stream == nullptr) co_return;
    if (part.has_error()) {
      // The client broke off: the instance must not take half a body for a whole one.
      self->abort_stream(*stream, telemetry::Party::client, part.error());
      break;
    }
    last = part->empty();
    stream->unsent = std::move(*part);
    stream->unsent_at = 0;
    stream->unsent_is_last = false;
    if (!last) {
      self->send_rest(*stream);
      continue;
    }
    wire::append_frame(self->out_, id, FrameType::data, wire::kEnd, {});
    self->schedule_flush();
  }
  if (Stream* stream = live()) stream->pump_cancel.reset();
}

// One send for all that one turn of the loop has produced.
void FrameConnection::schedule_flush() {
  if (flush_scheduled_ || write_waiting_ || closed_) return;
  flush_scheduled_ = true;
  boost::asio::post(executor_, [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    self->flush();
  });
}

void FrameConnection::flush() {
  if (closed_ || write_waiting_) return;
  while (out_at_ < out_.size()) {
    const ssize_t put = ::send(socket_.native_handle(), out_.data() + out_at_,
                               out_.size() - out_at_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put >= 0) {
      out_at_ += static_cast<std::size_t>(put);
      sent_ += static_cast<std::size_t>(put);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return broken("");
    write_waiting_ = true;
    socket_.async_wait(boost::asio::socket_base::wait_write,
                       [self = shared_from_this()](const boost::system::error_code& ec) {
                         self->write_waiting_ = false;
                         if (!ec) self->flush();
                       });
    if (out_at_ > kOutKeepMax) {
      out_.erase(0, out_at_);
      out_at_ = 0;
    }
    return;
  }
  if (portions_.written()) portions_.began(std::chrono::steady_clock::now());
  out_at_ = 0;
  if (out_.capacity() > kOutKeepMax)
    out_ = {};
  else
    out_.clear();
}

}  // namespace mayfly::engine
