#include "wire/frames.h"

#include <cstring>

namespace mayfly::wire {
namespace {

// The protocol is little-endian whatever the machine is.
void put_u32(std::string& out, std::uint32_t value) {
  const char bytes[4] = {static_cast<char>(value), static_cast<char>(value >> 8),
                         static_cast<char>(value >> 16), static_cast<char>(value >> 24)};
  out.append(bytes, sizeof(bytes));
}

std::uint32_t get_u32(const char* at) {
  unsigned char bytes[4];
  std::memcpy(bytes, at, sizeof(bytes));
  return static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8 |
         static_cast<std::uint32_t>(bytes[2]) << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
}

void put_header(std::string& out, std::size_t size, std::uint32_t stream, FrameType type,
                std::uint8_t flags) {
  put_u32(out, static_cast<std::uint32_t>(size));
  put_u32(out, stream);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  out.append(2, '\0');
}

bool known_type(std::uint8_t type) {
  switch (static_cast<FrameType>(type)) {
    case FrameType::invoke:
    case FrameType::data:
    case FrameType::cancel:
    case FrameType::window:
    case FrameType::shutdown:
    case FrameType::answer:
    case FrameType::ready:
    case FrameType::init_error:
    case FrameType::reply:
    case FrameType::error:
    case FrameType::log:
    case FrameType::effects:
    case FrameType::ask:
      return true;
  }
  return false;
}

// Takes `u32 n | n bytes` off the front.
bool take_sized(std::string_view& payload, std::string_view& part) {
  if (payload.size() < 4) return false;
  const std::uint32_t size = get_u32(payload.data());
  if (size > payload.size() - 4) return false;
  part = payload.substr(4, size);
  payload.remove_prefix(4 + size);
  return true;
}

}  // namespace

void append_frame(std::string& out, std::uint32_t stream, FrameType type, std::uint8_t flags,
                  std::string_view payload) {
  put_header(out, payload.size(), stream, type, flags);
  out.append(payload);
}

void append_invoke(std::string& out, std::uint32_t stream, std::uint8_t flags,
                   std::string_view meta, std::string_view head, std::string_view body) {
  const std::size_t size = 4 + meta.size() + 4 + head.size() + body.size();
  put_header(out, size, stream, FrameType::invoke, flags);
  put_u32(out, static_cast<std::uint32_t>(meta.size()));
  out.append(meta);
  put_u32(out, static_cast<std::uint32_t>(head.size()));
  out.append(head);
  out.append(body);
}

void append_window(std::string& out, std::uint32_t stream, std::uint32_t bytes) {
  put_header(out, 4, stream, FrameType::window, 0);
  put_u32(out, bytes);
}

void append_answer(std::string& out, std::uint32_t stream, std::uint32_t question,
                   std::string_view json) {
  put_header(out, 4 + json.size(), stream, FrameType::answer, 0);
  put_u32(out, question);
  out.append(json);
}

bool split_ask(std::string_view payload, std::uint32_t& question, std::string_view& json) {
  if (payload.size() < 4) return false;
  question = get_u32(payload.data());
  json = payload.substr(4);
  return true;
}

bool split_reply(std::string_view payload, std::string_view& head, std::string_view& body) {
  if (!take_sized(payload, head)) return false;
  body = payload;
  return true;
}

bool split_invoke(std::string_view payload, std::string_view& meta, std::string_view& head,
                  std::string_view& body) {
  if (!take_sized(payload, meta) || !take_sized(payload, head)) return false;
  body = payload;
  return true;
}

bool read_u32(std::string_view payload, std::uint32_t& value) {
  if (payload.size() != 4) return false;
  value = get_u32(payload.data());
  return true;
}

DecodeStatus decode_frame(std::string_view bytes, Frame& frame, std::size_t& used) {
  if (bytes.size() < kFrameHeader) return DecodeStatus::need_more;
  const std::uint32_t size = get_u32(bytes.data());
  const auto type = static_cast<std::uint8_t>(bytes[8]);
  const auto flags = static_cast<std::uint8_t>(bytes[9]);
  if (size > kMaxFrame || !known_type(type) || (flags & ~(kEnd | kHttp)) != 0 || bytes[10] != 0 ||
      bytes[11] != 0)
    return DecodeStatus::error;
  if (bytes.size() - kFrameHeader < size) return DecodeStatus::need_more;
  frame.stream = get_u32(bytes.data() + 4);
  frame.type = static_cast<FrameType>(type);
  frame.flags = flags;
  frame.payload = bytes.substr(kFrameHeader, size);
  used = kFrameHeader + size;
  return DecodeStatus::frame;
}

}  // namespace mayfly::wire
