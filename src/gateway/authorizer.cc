#include "gateway/authorizer.h"

#include <algorithm>

namespace mayfly::gateway {

bool matches_pattern(std::string_view pattern, std::string_view text) {
  // Greedy with one place to go back to: linear in most cases, never worse than the product.
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] != '*' && pattern[p] == text[t]))) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Word word_of(const Grant& grant, std::string_view arn) {
  if (grant.simple) return grant.allowed ? Word::allow : Word::silent;
  Word word = Word::silent;
  for (const auto& statement : grant.statements) {
    const bool meant =
        std::any_of(statement.resources.begin(), statement.resources.end(),
                    [arn](const std::string& pattern) { return matches_pattern(pattern, arn); });
    if (!meant) continue;
    if (!statement.allow) return Word::deny;
    word = Word::allow;
  }
  return word;
}

}  // namespace mayfly::gateway
