#include "functions/vendored.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <sstream>

#include "functions/json_forms.h"
#include "os/files.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamesMax = 8;

std::string text_of(const std::string& path) {
  auto text = os::read_file(path);
  return text.has_value() ? std::move(text.value()) : "";
}

bool is_there(const std::string& tree, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&tree](const char* name) {
    std::error_code error;
    return fs::exists(tree + "/" + name, error);
  });
}

// Group 1 of the pattern in each line of a file.
std::vector<std::string> named_in(const std::string& path, const char* pattern) {
  std::vector<std::string> names;
  const RE2 line_pattern(pattern);
  std::istringstream lines(text_of(path));
  std::string line, name;
  while (std::getline(lines, line))
    if (RE2::PartialMatch(line, line_pattern, &name)) names.push_back(name);
  return names;
}

std::string list_of(std::vector<std::string> names) {
  const std::size_t more = names.size() > kNamesMax ? names.size() - kNamesMax : 0;
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, ", "),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

std::vector<std::string> composer_packages(const std::string& tree) {
  std::vector<std::string> names;
  const auto project = parse_object(text_of(tree + "/composer.json"), "composer.json");
  if (project.has_error()) return names;
  const auto* wanted = project->if_contains("require");
  if (wanted == nullptr || !wanted->is_object()) return names;
  for (const auto& item : wanted->get_object())
    if (item.key().find('/') != std::string_view::npos) names.emplace_back(item.key());
  return names;
}

}  // namespace

std::vector<std::string> not_vendored(const std::string& tree, std::string_view language) {
  std::vector<std::string> names;
  std::string said_by, how;
  if (language == "ruby" && !is_there(tree, {"vendor/bundle", "vendor/ruby"})) {
    names = named_in(tree + "/Gemfile", R"(^\s*gem[\s(]+['"]([^'"]+)['"])");
    said_by = "Gemfile";
    how = "bundle config set --local path vendor/bundle && bundle install";
  } else if (language == "php" && !is_there(tree, {"vendor/autoload.php"})) {
    names = composer_packages(tree);
    said_by = "composer.json";
    how = "composer install --no-dev";
  } else if (language == "perl" && !is_there(tree, {"local/lib/perl5", "extlib/lib/perl5"})) {
    names = named_in(tree + "/cpanfile", R"(^\s*requires[\s(]+['"]([^'"]+)['"])");
    std::erase(names, "perl");
    said_by = "cpanfile";
    how = "cpanm --local-lib-contained local --installdeps .";
  }
  if (!names.empty())
    return {fmt::format(
        "{} names {}, which the package does not hold and Mayfly does not install: unless the "
        "machine has them, run `{}` in the folder and deploy it again",
        said_by, list_of(std::move(names)), how)};
  if (language == "java" && is_there(tree, {"pom.xml", "build.gradle", "build.gradle.kts"}))
    return {
        "Maven and Gradle are not run here: deploy the jar that they make, with its dependencies "
        "in it or in lib/"};
  return {};
}

}  // namespace mayfly::functions
