// link: mayfly_wire
#include <cstdlib>
#include <string_view>

#include "wire/http_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto decoded = mayfly::wire::percent_decode(bytes);
  if (!decoded) return 0;
  if (decoded->find('\0') != std::string::npos || decoded->size() > size) std::abort();
  std::string encoded;
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : *decoded) {
    const auto byte = static_cast<unsigned char>(c);
    encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  if (mayfly::wire::percent_decode(encoded) != decoded) std::abort();
  return 0;
}
