#pragma once
// Header fields of an HTTP/1.1 message (RFC 9112 5): one line, or all of a head with what they say
// about the message itself. Private to the parsers of http1.h; pure.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "io/http1.h"

namespace mayfly::io::http1 {

// Classes of characters.
enum : std::uint8_t { kToken = 1, kValue = 2, kTarget = 4, kHost = 8 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    std::uint8_t bits = 0;
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const std::string_view token_marks = "!#$%&'*+-.^_`|~";
    const std::string_view host_marks = "-._~!$&'()*+,;=%:[]";
    const char ch = static_cast<char>(c);
    if (alphanumeric || (c != 0 && token_marks.find(ch) != std::string_view::npos)) bits |= kToken;
    if (alphanumeric || (c != 0 && host_marks.find(ch) != std::string_view::npos)) bits |= kHost;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) bits |= kValue;
    if (c > 0x20 && c != 0x7f) bits |= kTarget;
    classes[static_cast<std::size_t>(c)] = bits;
  }
  return classes;
}

inline constexpr auto kClasses = make_classes();

inline bool is(char c, std::uint8_t bits) {
  return (kClasses[static_cast<unsigned char>(c)] & bits) != 0;
}

inline bool all(std::string_view text, std::uint8_t bits) {
  for (const char c : text)
    if (!is(c, bits)) return false;
  return true;
}

inline ParseStatus refuse(HttpError& error, int status, std::string message) {
  error = {status, std::move(message)};
  return ParseStatus::error;
}

// What the fields say about the message, gathered while they are read.
struct FieldFacts {
  unsigned hosts = 0, lengths = 0, content_types = 0;
  bool coded = false;    // Transfer-Encoding is there
  bool chunked = false;  // its last and only coding is chunked
  bool unknown_coding = false;
  bool close = false, keep_alive = false;
  bool expect_continue = false, unknown_expect = false;
  std::uint64_t content_length = 0;
  std::string_view host;
};

// line is without CR LF. False: error says what is wrong.
bool split_field(std::string_view line, std::string_view& name, std::string_view& value,
                 HttpError& error);

// block: the lines behind the first, each with its CR LF, and the last empty line.
bool parse_fields(std::string_view block, const HeadLimits& limits, wire::Headers& headers,
                  FieldFacts& facts, HttpError& error);

}  // namespace mayfly::io::http1
