#pragma once
// Patterns of paths as the Serverless Framework has them: ** crosses folders, * and ? do not,
// [abc] is one of a set, {a,b} either. Pure.

#include <string>
#include <string_view>
#include <vector>

namespace mayfly::cli {

bool glob_matches(std::string_view pattern, std::string_view path);

// Patterns in order, of which the last that matches decides; one that begins with ! leaves out.
// What none matches is taken in.
class PathSelection {
 public:
  explicit PathSelection(const std::vector<std::string>& patterns);
  bool takes(std::string_view path) const;

 private:
  struct Pattern {
    std::string glob;
    bool takes = true;
  };
  std::vector<Pattern> patterns_;
};

}  // namespace mayfly::cli
