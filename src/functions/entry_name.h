#pragma once
// Names of entries in archives that strangers made.

#include <string>
#include <string_view>

namespace mayfly::functions {

// As it may be shown: control characters would reach people's terminals.
inline std::string shown_entry(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 200))
    text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text;
}

}  // namespace mayfly::functions
