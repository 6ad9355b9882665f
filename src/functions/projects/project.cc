#include "functions/projects/project.h"

#include <algorithm>

namespace mayfly::functions::projects {
namespace {

// Whether a line begins with the key: the readers say what is wrong with the rest.
bool has_top_key(std::string_view text, std::string_view key) {
  for (std::size_t i = 0; i < text.size();) {
    const auto end = std::min(text.find('\n', i), text.size());
    std::string_view line = text.substr(i, end - i);
    i = end + 1;
    if (line.starts_with("\"") || line.starts_with("'")) line.remove_prefix(1);
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    if (line.starts_with("\"") || line.starts_with("'")) line.remove_prefix(1);
    if (line.starts_with(":")) return true;
  }
  return false;
}

}  // namespace

ProjectKind kind_of(std::string_view file_name, std::string_view text) {
  if (file_name == "serverless.yml" || file_name == "serverless.yaml")
    return ProjectKind::serverless;
  if (file_name == "mayfly.yaml") return ProjectKind::none;
  if (has_top_key(text, "AWSTemplateFormatVersion") || has_top_key(text, "Resources") ||
      has_top_key(text, "Transform"))
    return ProjectKind::sam;
  if (has_top_key(text, "service") && has_top_key(text, "provider")) return ProjectKind::serverless;
  return ProjectKind::none;
}

}  // namespace mayfly::functions::projects
