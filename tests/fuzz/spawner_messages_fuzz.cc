// link: mayfly_wire
// The spawner reads what the server sends, and init what the spawner sends: whatever is accepted is
// exactly what encoding it again gives.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "wire/spawner_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto message = wire::decode_spawner_message(bytes);
  if (message.has_error()) {
    if (message.error().code != Code::corrupt) std::abort();
    return 0;
  }
  if (wire::encode_spawner_message(*message) != bytes) std::abort();
  return 0;
}
