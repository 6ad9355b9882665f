// link: mayfly_wire
// Whatever an instance sends: decoding ends, stays inside the input, and encodes back.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "wire/frames.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::wire;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  for (;;) {
    Frame frame;
    std::size_t used = 0;
    if (decode_frame(rest, frame, used) != DecodeStatus::frame) break;
    if (used < kFrameHeader || used > rest.size()) std::abort();
    std::string again;
    append_frame(again, frame.stream, frame.type, frame.flags, frame.payload);
    if (again != rest.substr(0, used)) std::abort();
    std::string_view meta, head, body;
    std::uint32_t value = 0;
    (void)split_reply(frame.payload, head, body);
    (void)split_invoke(frame.payload, meta, head, body);
    (void)read_u32(frame.payload, value);
    rest.remove_prefix(used);
  }
  return 0;
}
