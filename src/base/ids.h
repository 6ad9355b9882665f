#pragma once
// Random identifiers. Thread-safe; the bytes come from getrandom(2), buffered per thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mayfly {

// Fills out with random bytes fit for secrets.
void random_bytes(std::span<std::uint8_t> out);

// A version 4 UUID as 36 characters (RFC 9562); request ids have this form, as AWS clients expect.
std::string new_uuid();

// The same of 16 bytes that look random; the bits of version and variant are set.
std::string uuid_of(std::array<std::uint8_t, 16> bytes);

// bytes random bytes as lower-case hex.
std::string random_hex(std::size_t bytes);

// Lower case.
std::string to_hex(std::string_view bytes);

// SHA-256 of data as 64 lower-case hex characters.
std::string sha256_hex(std::string_view data);

}  // namespace mayfly
