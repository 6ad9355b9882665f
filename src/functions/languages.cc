#include "functions/languages.h"

#include <re2/re2.h>

#include <algorithm>

namespace mayfly::functions {
namespace {

std::vector<Language> scripts() {
  return {
      {"python",
       "Python",
       "main.py",
       R"(^Python (3\.\d+[^\s]*))",
       "python3",
       "python",
       2,
       {"python", "python3", "py"},
       R"(python3(\.\d+)?)",
       R"(py|python(\d+(\.\d+|\.x)*)?)",
       false,
       {".py"},
       {"requirements.txt", "pyproject.toml", "setup.py"},
       true},
      {"node",
       "JavaScript",
       "main.js",
       R"(^v(\d+\.\d+[^\s]*))",
       "nodejs",
       "node",
       1,
       {"node", "nodejs", "js", "javascript"},
       "node|nodejs",
       R"(js|javascript|node(js)?(\d+(\.\d+|\.x)*)?)",
       false,
       {".js", ".mjs", ".cjs"},
       {"package.json"},
       true},
      {"ruby",
       "Ruby",
       "main.rb",
       R"(^ruby (\d+\.\d+\.\d+))",
       "ruby",
       "ruby",
       2,
       {"ruby", "rb"},
       R"(ruby(\d+\.\d+)?)",
       R"(rb|ruby(\d+(\.\d+|\.x)*)?)",
       true,
       {".rb"},
       {"Gemfile", "config.ru"},
       true},
      {"php",
       "PHP",
       "main.php",
       R"(^PHP (\d+\.\d+\.\d+))",
       "php-cli",
       "php",
       2,
       {"php"},
       R"(php(\d+\.\d+)?)",
       R"(php(-?\d+(\.\d+|\.x)*)?)",
       true,
       {".php"},
       {"composer.json"},
       true},
      {"perl",
       "Perl",
       "main.pl",
       R"(This is perl \d+, version \d+.*\(v(\d+\.\d+\.\d+)\))",
       "perl",
       "perl",
       2,
       {"perl", "perl5"},
       "perl",
       R"(perl(\d+(\.\d+|\.x)*)?)",
       true,
       {".pl"},
       {"cpanfile", "Makefile.PL"},
       true},
  };
}

std::vector<Language> compiled() {
  return {
      {"java",
       "Java",
       "main.jar",
       R"(^(?:openjdk|java) (\d+[^\s]*))",
       "default-jdk-headless",
       "java",
       1,
       {"java"},
       "java",
       R"(java(\d+(\.\d+)?(\.al2|\.al2023)?)?)",
       true,
       {".java", ".class", ".jar"},
       {"pom.xml", "build.gradle", "build.gradle.kts"}},
      {"dotnet",
       ".NET",
       "main.exe",
       R"(^Mono JIT compiler version (\d+\.\d+\.\d+))",
       "mono-runtime mono-mcs",
       "mono",
       2,
       {"mono", "dotnet", "csharp", "cs"},
       "mono",
       R"(cs|csharp|mono(\d+(\.\d+)*)?|dotnet(core)?(\d+(\.\d+)*)?)",
       true,
       {".dll", ".cs"},
       {}},
  };
}

std::vector<Language> together() {
  std::vector<Language> all = scripts();
  for (auto& language : compiled()) all.push_back(std::move(language));
  return all;
}

}  // namespace

const std::vector<Language>& languages() {
  static const std::vector<Language> all = together();
  return all;
}

namespace {

template <typename Has>
const Language* first_that(Has has) {
  const auto& all = languages();
  const auto found = std::find_if(all.begin(), all.end(), has);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

const Language* language_named(std::string_view name) {
  return first_that([name](const Language& language) { return language.name == name; });
}

const Language* language_of_id(std::string_view id) {
  return first_that(
      [id](const Language& language) { return RE2::FullMatch(id, RE2(language.ids)); });
}

const Language* language_of_extension(std::string_view extension) {
  return first_that([extension](const Language& language) {
    const auto& known = language.extensions;
    return std::find(known.begin(), known.end(), extension) != known.end();
  });
}

}  // namespace mayfly::functions
