#pragma once
// UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing over U+10FFFF. Pure.

#include <cstddef>
#include <string_view>

namespace mayfly::wire {

// Bytes of the character that text begins with; 0: it begins with none. text is not empty.
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace mayfly::wire
