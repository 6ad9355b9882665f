#pragma once
// State of one stream of a FrameConnection, and the reader of its answer. Private to that class.

#include "engine/frame_connection.h"

namespace mayfly::engine {

inline constexpr std::size_t kOutKeepMax = 256 * 1024;  // capacity kept between bursts

struct FrameConnection::Stream {
  std::uint32_t id = 0;
  std::uint64_t serial = 0;
  bool open = false;
  std::string request_id;

  // The answer.
  Park park;  // call() or a read of the body
  bool replied = false, http = false;
  bool remote_ended = false;  // the instance has sent its last frame
  bool dropped = false;       // nobody reads the answer any more
  bool cancel_sent = false;
  bool pending_abort = false;  // cancelled; events.released when the instance ends it
  std::string head, received;
  std::string effects;  // JSON, what the call has staged
  std::shared_ptr<Failure> failure;
  std::uint32_t receive_credit = 0;  // what the instance may still send
  std::uint32_t consumed = 0;        // read, but not granted again yet
  std::uint64_t received_total = 0;

  // The request.
  std::uint32_t send_credit = 0;
  std::uint64_t sent_mark = 0;  // the invoke frame is out when so many bytes were sent
  std::string unsent;
  std::size_t unsent_at = 0;
  bool unsent_is_last = false;
  Park pump_park;
  std::shared_ptr<boost::asio::cancellation_signal> pump_cancel;  // while a pump runs

  void begin(std::uint64_t new_serial) {
    serial = new_serial;
    open = true;
    replied = http = remote_ended = dropped = pending_abort = cancel_sent = false;
    unsent_is_last = false;
    receive_credit = send_credit = wire::kInitialWindow;
    consumed = 0;
    received_total = 0;
    sent_mark = 0;
    unsent_at = 0;
  }
  void finish() {
    open = false;
    request_id.clear();
    head.clear();
    received.clear();
    effects.clear();
    unsent.clear();
    failure.reset();
  }
  void grant(std::size_t bytes, std::string& out) {
    if (bytes == 0) return;
    receive_credit += static_cast<std::uint32_t>(bytes);
    wire::append_window(out, id, static_cast<std::uint32_t>(bytes));
  }
};

// The rest of an answer. Holds the connection; letting go of it cancels what is still to come.
class FrameConnection::Reader final : public io::BodyReader {
 public:
  Reader(std::shared_ptr<FrameConnection> connection, std::uint32_t id)
      : connection_(std::move(connection)), id_(id) {}
  ~Reader() override { connection_->drop_reader(id_); }
  io::Task<Result<std::string>> read() override { return connection_->read_body(id_); }

 private:
  std::shared_ptr<FrameConnection> connection_;
  std::uint32_t id_;
};

}  // namespace mayfly::engine
