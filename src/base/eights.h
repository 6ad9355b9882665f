#pragma once
// Eight characters at a time, for loops that look at each one and find nearly all of them ordinary.
// "Hasless": https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord

#include <cstdint>
#include <cstring>
#include <string_view>

namespace mayfly {

inline constexpr std::uint64_t kEightOnes = 0x0101010101010101;
inline constexpr std::uint64_t kEightHighs = 0x8080808080808080;

// The characters from at on; there must be eight.
inline std::uint64_t eight_at(std::string_view text, std::size_t at) {
  std::uint64_t eight;
  std::memcpy(&eight, text.data() + at, sizeof(eight));
  return eight;
}

inline bool has_character(std::uint64_t eight, char c) {
  const std::uint64_t zeros = eight ^ (kEightOnes * static_cast<unsigned char>(c));
  return ((zeros - kEightOnes) & ~zeros & kEightHighs) != 0;
}

// All from 0x20 to 0x7e.
inline bool all_printable(std::uint64_t eight) {
  const std::uint64_t below_or_high = (eight - kEightOnes * 0x20) | eight;
  return (below_or_high & kEightHighs) == 0 && !has_character(eight, 0x7f);
}

// How many at the start are printable, in whole eights.
inline std::size_t printable_start(std::string_view text) {
  std::size_t at = 0;
  while (text.size() - at >= 8 && all_printable(eight_at(text, at))) at += 8;
  return at;
}

}  // namespace mayfly
