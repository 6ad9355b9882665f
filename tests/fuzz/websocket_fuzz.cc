// link: mayfly_wire
// Frames of a hostile client: what is read does not depend on how the bytes were cut, is bounded by
// the limits, and can be sent back as it is.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "wire/utf8.h"
#include "wire/websocket.h"

namespace {

using namespace mayfly::wire;

constexpr SocketReader::Limits kLimits{2048, 512};

struct Read {
  std::vector<SocketReader::Event> events;
  bool broken = false;
  std::uint16_t code = 0;
};

Read read_in_pieces(std::string_view bytes, std::size_t piece) {
  SocketReader reader(kLimits);
  Read read;
  while (!read.broken && !bytes.empty()) {
    reader.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    SocketReader::Event event;
    auto status = reader.next(event);
    for (; status == SocketReader::Status::event; status = reader.next(event))
      read.events.push_back(event);
    read.broken = status == SocketReader::Status::broken;
    if (read.broken) read.code = reader.fail().code;
  }
  return read;
}

void check(const SocketReader::Event& event) {
  const bool message = event.op == SocketOp::text || event.op == SocketOp::binary;
  if (event.payload.size() > (message ? kLimits.message_bytes_max : 125)) std::abort();
  if (event.op == SocketOp::text && !is_utf8(event.payload)) std::abort();
  std::string sent;
  append_socket_frame(sent, event.op, event.payload);
  if (sent.size() < event.payload.size() + 2) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = data[0] + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Read whole = read_in_pieces(bytes, bytes.size());
  const Read pieces = read_in_pieces(bytes, piece);
  if (whole.broken != pieces.broken || whole.code != pieces.code ||
      whole.events.size() != pieces.events.size())
    std::abort();
  for (std::size_t i = 0; i < whole.events.size(); ++i) {
    const auto &one = whole.events[i], &other = pieces.events[i];
    if (one.op != other.op || one.payload != other.payload || one.code != other.code) std::abort();
    check(one);
  }
  const auto accept = websocket_accept(bytes);
  if (accept && accept->size() != 28) std::abort();  // SHA-1 in base64
  return 0;
}
