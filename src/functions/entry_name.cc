#include "functions/entry_name.h"

#include <fmt/format.h>

#include <algorithm>

#include "functions/checks.h"

namespace mayfly::functions {
namespace {

constexpr std::size_t kEntryPathMax = 2048, kEntryNameMax = 255;

}  // namespace

std::string shown_entry(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 200))
    text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text;
}

Error refused_entry(std::string_view archive, std::string_view name, std::string_view why) {
  return invalid(
      fmt::format("The {} was refused: the entry '{}' {}.", archive, shown_entry(name), why));
}

Result<std::vector<std::string>> entry_parts(std::string_view archive, std::string_view name,
                                             std::string_view path, std::size_t depth_max) {
  if (path.size() > kEntryPathMax)
    return refused_entry(archive, name,
                         fmt::format("has a path of more than {} bytes", kEntryPathMax));
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return refused_entry(archive, name, "has .. in its path");
    if (part.size() > kEntryNameMax)
      return refused_entry(archive, name,
                           fmt::format("has a name of more than {} bytes", kEntryNameMax));
    if (part.find('\0') != std::string_view::npos)
      return refused_entry(archive, name, "has a NUL in its name");
    parts.emplace_back(part);
    if (parts.size() > depth_max)
      return refused_entry(archive, name,
                           fmt::format("is more than {} directories deep", depth_max));
  }
  return parts;
}

}  // namespace mayfly::functions
