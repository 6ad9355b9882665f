#include "wire/utf8.h"

#include <cstdint>
#include <cstring>

namespace mayfly::wire {

std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](std::size_t i) { return (at(i) & 0xc0u) == 0x80u; };
  const unsigned a = at(0);
  if (a < 0x80) return 1;
  if (a < 0xc2 || a > 0xf4) return 0;
  if (a < 0xe0) return continues(1) ? 2 : 0;
  if (a < 0xf0) {
    const bool good = continues(1) && continues(2) && !(a == 0xe0 && at(1) < 0xa0) &&
                      !(a == 0xed && at(1) > 0x9f);
    return good ? 3 : 0;
  }
  const bool good = continues(1) && continues(2) && continues(3) && !(a == 0xf0 && at(1) < 0x90) &&
                    !(a == 0xf4 && at(1) > 0x8f);
  return good ? 4 : 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    // Eight ASCII bytes at a time: most bodies are nothing else.
    std::uint64_t word;
    while (text.size() >= sizeof word) {
      std::memcpy(&word, text.data(), sizeof word);
      if ((word & 0x8080808080808080ull) != 0) break;
      text.remove_prefix(sizeof word);
    }
    if (text.empty()) return true;
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace mayfly::wire
