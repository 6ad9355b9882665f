#include "dialects/text.h"

#include <cstring>

namespace mayfly::dialects {

bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());  // SAFETY: bytes as bytes
  const auto* const end = at + text.size();
  while (at < end) {
    // Eight ASCII bytes at a time: most bodies are nothing else.
    std::uint64_t word;
    while (end - at >= 8) {
      std::memcpy(&word, at, 8);
      if ((word & 0x8080808080808080ull) != 0) break;
      at += 8;
    }
    if (at == end) return true;
    const unsigned char first = *at;
    if (first < 0x80) {
      ++at;
      continue;
    }
    int size = 0;
    unsigned char low = 0x80, high = 0xbf;  // bounds of the second byte
    if (first >= 0xc2 && first <= 0xdf)
      size = 1;
    else if (first >= 0xe0 && first <= 0xef)
      size = 2;
    else if (first >= 0xf0 && first <= 0xf4)
      size = 3;
    else
      return false;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (end - at <= size || at[1] < low || at[1] > high) return false;
    for (int i = 2; i <= size; ++i)
      if (at[i] < 0x80 || at[i] > 0xbf) return false;
    at += size + 1;
  }
  return true;
}

}  // namespace mayfly::dialects
