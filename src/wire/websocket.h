#pragma once
// WebSocket (RFC 6455) without I/O, the server's side: the handshake's answer, frames in and out.
// Every byte from the client is hostile. Not thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/http_message.h"

namespace mayfly::wire {

// The value of Sec-WebSocket-Accept; nullopt when key is not 16 bytes in base64.
std::optional<std::string> websocket_accept(std::string_view key);
// GET with Upgrade: websocket and Connection: Upgrade; version and key are another matter.
bool wants_websocket(const RequestHead& head);

enum class SocketOp : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// Appends one frame, whole and without a mask, as servers send.
void append_socket_frame(std::string& out, SocketOp op, std::string_view payload);
// A close frame; the reason is cut to what fits.
void append_close_frame(std::string& out, std::uint16_t code, std::string_view reason);

class SocketReader {
 public:
  struct Limits {
    std::size_t message_bytes_max = 128 << 10;
    std::size_t frame_bytes_max = 32 << 10;
  };
  explicit SocketReader(Limits limits) : limits_(limits) {}

  void feed(std::string_view bytes) { input_.append(bytes); }

  // A whole message, put together from its frames, or a control frame.
  struct Event {
    SocketOp op = SocketOp::text;
    std::string payload;
    std::uint16_t code = 0;  // of a close frame; 1005 when it has none
  };
  enum class Status { more, event, broken };
  // broken: fail() says how the connection is to be closed; nothing more is read.
  Status next(Event& event);

  struct Failure {
    std::uint16_t code = 1002;
    std::string_view reason;
  };
  const Failure& fail() const { return failure_; }

 private:
  Status broken(std::uint16_t code, std::string_view reason);
  Status control(SocketOp op, std::string payload, Event& event);

  Limits limits_;
  std::string input_;
  std::string message_;          // of frames so far
  std::uint8_t message_op_ = 0;  // 0: no message is under way
  bool dead_ = false;
  Failure failure_;
};

}  // namespace mayfly::wire
