#pragma once
// Small things about text that several dialects need. Pure.

#include <string_view>

namespace mayfly::dialects {

// Without blanks and tabs at both ends.
inline std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace mayfly::dialects
