// link: mayfly_wire
// Heads that instances send as JSON, and the JSON that is written: what is read can be written and
// read again.
#include <cstdlib>
#include <string_view>

#include "wire/http_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::wire;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto head = decode_response_head(bytes)) {
    for (const auto field : head->headers)
      if (!is_token(field.name) || !is_field_value(field.value)) std::abort();
    const auto again = decode_response_head(encode_response_head(*head));
    if (!again || again->status != head->status || !(again->headers == head->headers)) std::abort();
  }
  // Any bytes become one valid JSON string.
  std::string text = "{\"status\":200,\"x\":";
  append_json_string(text, bytes);
  text += '}';
  if (!decode_response_head(text)) std::abort();
  return 0;
}
