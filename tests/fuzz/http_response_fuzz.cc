// link: mayfly_io mayfly_wire
// Response heads as the client reads them from programs in a sandbox.
#include <cstdlib>
#include <string_view>

#include "io/http1.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly::io;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ResponseParser parser({4096, 1024, 32});
  ParsedResponse response;
  HttpError error;
  std::size_t used = 0;
  const auto status = parser.parse(bytes, size % 2 == 0, response, used, error);
  if (status == ParseStatus::complete) {
    const int code = response.head.status;
    if (used > size || code < 100 || code > 599) std::abort();
    if (size % 2 == 0 && response.framing != Framing::none) std::abort();
    for (const auto field : response.head.headers)
      if (!mayfly::wire::is_token(field.name) || !mayfly::wire::is_field_value(field.value))
        std::abort();
  }
  if (status == ParseStatus::error && error.message.empty()) std::abort();
  return 0;
}
