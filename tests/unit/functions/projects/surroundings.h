#pragma once
// For tests: what a project is read with.

#include <map>
#include <string>

#include "functions/projects/project.h"

namespace mayfly::functions::projects {

inline Surroundings surroundings(std::string file, std::map<std::string, std::string> files = {}) {
  Surroundings around;
  around.file = std::move(file);
  around.stack = "app";
  around.home_region = "eu-test-1";
  around.account = "123456789012";
  around.gateway = "http://gate";
  around.api = "http://api";
  around.environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "HOME_TOWN") return "Oslo";
    if (name == "TRICKY") return "${self:service}";
    return std::nullopt;
  };
  around.read_file = [files = std::move(files)](const std::string& path) -> Result<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return Error{Code::not_found, "there is no file " + path};
    return found->second;
  };
  return around;
}

// The line of the report about a path; nullptr when there is none of that kind.
inline const Finding* finding(const Project& project, std::string_view path, Finding::Kind kind) {
  for (const auto& one : project.findings)
    if (one.path == path && one.kind == kind) return &one;
  return nullptr;
}

inline std::string why_not(const Project& project, std::string_view path) {
  const auto* found = finding(project, path, Finding::Kind::not_used);
  return found == nullptr ? "(used)" : found->what;
}

inline const Manifest::Function* function_named(const Project& project, std::string_view name) {
  for (const auto& one : project.manifest.functions)
    if (one.name == name) return &one;
  return nullptr;
}

}  // namespace mayfly::functions::projects
