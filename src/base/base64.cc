#include "base/base64.h"

#include <array>
#include <cstdint>

namespace mayfly {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_values() {
  std::array<std::int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (std::int8_t i = 0; i < 64; ++i) values[static_cast<unsigned char>(kAlphabet[i])] = i;
  return values;
}
constexpr auto kValues = make_values();

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  std::size_t i = 0;
  const auto at = [&](std::size_t k) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[k]));
  };
  for (; i + 2 < bytes.size(); i += 3) {
    const std::uint32_t word = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    const char four[4] = {kAlphabet[word >> 18], kAlphabet[word >> 12 & 63],
                          kAlphabet[word >> 6 & 63], kAlphabet[word & 63]};
    out.append(four, 4);
  }
  if (i == bytes.size()) return;
  const bool two = i + 1 < bytes.size();
  const std::uint32_t word = at(i) << 16 | (two ? at(i + 1) << 8 : 0);
  const char four[4] = {kAlphabet[word >> 18], kAlphabet[word >> 12 & 63],
                        two ? kAlphabet[word >> 6 & 63] : '=', '='};
  out.append(four, 4);
}

std::optional<std::string> decode_base64(std::string_view text) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t word = 0;
  int bits = 0;
  for (const char c : text) {
    const std::int8_t value = kValues[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    word = word << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(word >> bits & 0xff);
    }
  }
  return bytes;
}

}  // namespace mayfly
