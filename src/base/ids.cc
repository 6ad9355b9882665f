#include "base/ids.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace mayfly {
namespace {

constexpr auto kHexPairs = [] {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<char, 512> pairs{};
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = digits[i >> 4];
    pairs[2 * i + 1] = digits[i & 15];
  }
  return pairs;
}();

void write_hex(std::uint8_t byte, char* out) {
  std::memcpy(out, &kHexPairs[2 * std::size_t{byte}], 2);
}

void fill_from_kernel(std::uint8_t* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(out, size, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();  // no randomness: nothing that follows would be safe
    }
    out += got;
    size -= static_cast<std::size_t>(got);
  }
}

// One kernel call serves many ids: an id is made for every request.
struct RandomBuffer {
  std::array<std::uint8_t, 4096> bytes;
  std::size_t used = sizeof(bytes);
};

}  // namespace

void random_bytes(std::span<std::uint8_t> out) {
  thread_local RandomBuffer buffer;
  if (out.size() > buffer.bytes.size()) return fill_from_kernel(out.data(), out.size());
  if (buffer.bytes.size() - buffer.used < out.size()) {
    fill_from_kernel(buffer.bytes.data(), buffer.bytes.size());
    buffer.used = 0;
  }
  std::memcpy(out.data(), buffer.bytes.data() + buffer.used, out.size());
  std::memset(buffer.bytes.data() + buffer.used, 0, out.size());
  buffer.used += out.size();
}

std::string new_uuid() {
  std::array<std::uint8_t, 16> raw;
  random_bytes(raw);
  return uuid_of(raw);
}

std::string uuid_of(std::array<std::uint8_t, 16> bytes) {
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text(36, '-');
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i, at += 2) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    write_hex(bytes[i], text.data() + at);
  }
  return text;
}

std::string to_hex(std::string_view bytes) {
  std::string text(bytes.size() * 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    write_hex(static_cast<std::uint8_t>(bytes[i]), text.data() + 2 * i);
  return text;
}

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  random_bytes({reinterpret_cast<std::uint8_t*>(raw.data()), raw.size()});
  return to_hex(raw);
}

std::string sha256_hex(std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    std::abort();
  return to_hex({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace mayfly
