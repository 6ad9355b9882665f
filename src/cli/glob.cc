#include "cli/glob.h"

#include <fnmatch.h>

namespace mayfly::cli {
namespace {

constexpr std::size_t kAlternativesMax = 256;

// "a{b,c}d" is "abd" and "acd".
void expand(const std::string& pattern, std::vector<std::string>& out) {
  if (out.size() >= kAlternativesMax) return;
  const auto open = pattern.find('{');
  int depth = 0;
  std::size_t close = std::string::npos;
  std::vector<std::size_t> commas;
  for (std::size_t i = open; i < pattern.size(); ++i) {
    if (pattern[i] == '{') ++depth;
    if (pattern[i] == ',' && depth == 1) commas.push_back(i);
    if (pattern[i] == '}' && --depth == 0) {
      close = i;
      break;
    }
  }
  if (close == std::string::npos || commas.empty()) {
    out.push_back(pattern);
    return;
  }
  commas.push_back(close);
  std::size_t from = open + 1;
  for (const auto comma : commas) {
    expand(pattern.substr(0, open) + pattern.substr(from, comma - from) + pattern.substr(close + 1),
           out);
    from = comma + 1;
  }
}

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  for (std::size_t i = 0; i <= path.size();) {
    const auto end = std::min(path.find('/', i), path.size());
    if (end > i) segments.emplace_back(path.substr(i, end - i));
    i = end + 1;
  }
  return segments;
}

// Row by row, so that many ** cost no more than their product with the path.
bool segments_match(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  std::vector<char> reached(path.size() + 1, 0), next;
  reached[0] = 1;
  for (const auto& segment : pattern) {
    next.assign(path.size() + 1, 0);
    if (segment == "**") {
      bool any = false;
      for (std::size_t i = 0; i <= path.size(); ++i) next[i] = any = any || reached[i] != 0;
    } else {
      for (std::size_t i = 0; i < path.size(); ++i)
        next[i + 1] = reached[i] != 0 && ::fnmatch(segment.c_str(), path[i].c_str(), 0) == 0;
    }
    reached.swap(next);
  }
  return reached[path.size()] != 0;
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
  if (pattern.starts_with("./")) pattern.remove_prefix(2);
  std::vector<std::string> plain;
  expand(std::string(pattern), plain);
  const auto segments = segments_of(path);
  for (const auto& one : plain)
    if (segments_match(segments_of(one), segments)) return true;
  return false;
}

PathSelection::PathSelection(const std::vector<std::string>& patterns) {
  for (const auto& pattern : patterns) {
    const bool leaves_out = pattern.starts_with('!');
    patterns_.push_back({pattern.substr(leaves_out ? 1 : 0), !leaves_out});
  }
}

bool PathSelection::takes(std::string_view path) const {
  for (auto at = patterns_.rbegin(); at != patterns_.rend(); ++at)
    if (glob_matches(at->glob, path)) return at->takes;
  return true;
}

}  // namespace mayfly::cli
