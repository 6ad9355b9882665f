#pragma once
// Takes JSON apart without making values of it: members and elements stay the bytes that were sent,
// so that a number keeps its digits, whatever language wrote it. Strict (RFC 8259, UTF-8, no member
// twice). Pure; fuzzed.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mayfly::wire {

inline constexpr int kJsonDepthMax = 128;

// The text without blanks around its one value; invalid_argument with the byte where it breaks.
Result<std::string_view> check_json(std::string_view text);

// The following take values that check_json() has seen, and parts of them; invalid_argument when it
// is another kind of value. what begins the sentence of the error.
using JsonMembers = std::vector<std::pair<std::string, std::string_view>>;
Result<JsonMembers> json_members(std::string_view value, std::string_view what);
Result<std::vector<std::string_view>> json_elements(std::string_view value, std::string_view what);
Result<std::string> json_string(std::string_view value, std::string_view what);
Result<std::int64_t> json_integer(std::string_view value, std::string_view what);

}  // namespace mayfly::wire
