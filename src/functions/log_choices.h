#pragma once
// What LogSettings may hold, in the words and the order of AWS. Empty stands for the default.

#include <algorithm>
#include <array>
#include <string_view>

namespace mayfly::functions {

inline constexpr std::array<std::string_view, 2> kLogFormats = {"JSON", "Text"};
inline constexpr std::array<std::string_view, 6> kLogLevels = {"TRACE", "DEBUG", "INFO",
                                                               "WARN",  "ERROR", "FATAL"};
inline constexpr std::array<std::string_view, 3> kSystemLogLevels = {"DEBUG", "INFO", "WARN"};

template <class Choices>
bool is_choice(const Choices& choices, std::string_view text) {
  return std::find(choices.begin(), choices.end(), text) != choices.end();
}

}  // namespace mayfly::functions
