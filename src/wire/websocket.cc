#include "wire/websocket.h"

#include <openssl/sha.h>

#include <algorithm>

#include "base/base64.h"
#include "wire/utf8.h"

namespace mayfly::wire {

namespace {

constexpr std::string_view kSocketGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kControlBytesMax = 125;

// Has a list of options (Connection, Upgrade) this word?
bool lists_word(const Headers& headers, std::string_view name, std::string_view word) {
  for (const auto field : headers) {
    if (!equal_ignoring_case(field.name, name)) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      auto item = rest.substr(0, comma);
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
      while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
      while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
      if (equal_ignoring_case(item, word)) return true;
    }
  }
  return false;
}

// Codes that may travel (RFC 6455 7.4).
bool valid_close_code(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

std::optional<std::string> websocket_accept(std::string_view key) {
  const auto nonce = decode_base64(key);
  if (key.size() != 24 || !nonce || nonce->size() != 16) return std::nullopt;
  const std::string text = std::string(key) + std::string(kSocketGuid);
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string out;
  append_base64(out, std::string_view(reinterpret_cast<char*>(digest), sizeof digest));
  return out;
}

bool wants_websocket(const RequestHead& head) {
  return head.method == "GET" && lists_word(head.headers, "Upgrade", "websocket") &&
         lists_word(head.headers, "Connection", "upgrade");
}

void append_socket_frame(std::string& out, SocketOp op, std::string_view payload) {
  out += static_cast<char>(0x80 | static_cast<std::uint8_t>(op));
  const std::uint64_t size = payload.size();
  if (size < 126) {
    out += static_cast<char>(size);
  } else {
    const int bytes = size <= 0xffff ? 2 : 8;
    out += static_cast<char>(bytes == 2 ? 126 : 127);
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(size >> (8 * i) & 0xff);
  }
  out.append(payload);
}

void append_close_frame(std::string& out, std::uint16_t code, std::string_view reason) {
  std::string payload;
  payload += static_cast<char>(code >> 8);
  payload += static_cast<char>(code & 0xff);
  payload.append(reason.substr(0, kControlBytesMax - 2));
  append_socket_frame(out, SocketOp::close, payload);
}

SocketReader::Status SocketReader::broken(std::uint16_t code, std::string_view reason) {
  dead_ = true;
  failure_ = {code, reason};
  return Status::broken;
}

SocketReader::Status SocketReader::control(SocketOp op, std::string payload, Event& event) {
  event = {op, std::move(payload), 0};
  if (op != SocketOp::close) return Status::event;
  dead_ = true;  // nothing counts behind it
  failure_ = {1000, ""};
  event.code = 1005;
  if (event.payload.empty()) return Status::event;
  if (event.payload.size() < 2) return broken(1002, "a close frame of one byte");
  event.code = static_cast<std::uint16_t>(big_endian(std::string_view(event.payload).substr(0, 2)));
  event.payload.erase(0, 2);
  if (!valid_close_code(event.code)) return broken(1002, "a close code that must not travel");
  if (!is_utf8(event.payload)) return broken(1007, "a reason that is no UTF-8");
  return Status::event;
}

SocketReader::Status SocketReader::next(Event& event) {
  while (!dead_) {
    if (input_.size() < 2) return Status::more;
    const auto first = static_cast<std::uint8_t>(input_[0]);
    const auto second = static_cast<std::uint8_t>(input_[1]);
    const bool last = (first & 0x80) != 0;
    const std::uint8_t op = first & 0x0f;
    if ((first & 0x70) != 0) return broken(1002, "a reserved bit is set");
    if ((second & 0x80) == 0) return broken(1002, "a frame without a mask");
    std::uint64_t size = second & 0x7f;
    std::size_t head = 2;
    if (size >= 126) {
      const std::size_t bytes = size == 126 ? 2 : 8;
      if (input_.size() < head + bytes) return Status::more;
      size = big_endian(std::string_view(input_).substr(head, bytes));
      head += bytes;
      if ((bytes == 2 && size < 126) || (bytes == 8 && size <= 0xffff))
        return broken(1002, "a length that is longer than it must be");
    }
    if (op >= 8) {
      if (op > 10) return broken(1002, "an unknown kind of frame");
      if (!last || size > kControlBytesMax)
        return broken(1002, "a control frame of the wrong form");
    } else {
      if (op > 2) return broken(1002, "an unknown kind of frame");
      if ((op == 0) != (message_op_ != 0)) return broken(1002, "a frame out of order");
      if (size > limits_.frame_bytes_max) return broken(1009, "Frame too large");
      if (message_.size() + size > limits_.message_bytes_max)
        return broken(1009, "Message too large");
    }
    if (input_.size() < head + 4 + size) return Status::more;
    std::string payload = input_.substr(head + 4, static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < payload.size(); ++i)
      payload[i] = static_cast<char>(payload[i] ^ input_[head + i % 4]);
    input_.erase(0, head + 4 + static_cast<std::size_t>(size));
    if (op >= 8) return control(static_cast<SocketOp>(op), std::move(payload), event);
    if (op != 0) message_op_ = op;
    message_.append(payload);
    if (!last) continue;
    const SocketOp kind = static_cast<SocketOp>(std::exchange(message_op_, std::uint8_t{0}));
    event = {kind, std::exchange(message_, std::string()), 0};
    if (kind == SocketOp::text && !is_utf8(event.payload))
      return broken(1007, "a text that is no UTF-8");
    return Status::event;
  }
  return Status::broken;
}

}  // namespace mayfly::wire
