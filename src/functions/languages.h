#pragma once
// The languages whose handlers Mayfly runs: what each is called, what its interpreter says of
// itself, and which files speak for it. Constant data; any thread.

#include <string>
#include <string_view>
#include <vector>

namespace mayfly::functions {

struct Language {
  std::string_view name;                // "ruby"; also its folder in runtimes/
  std::string_view title;               // "Ruby"
  std::string_view main;                // the program in that folder
  std::string_view said;                // pattern of what --version says; group 1 is the version
  std::string_view package;             // Debian's, that brings it
  std::string_view prefix;              // "ruby" and the version make the runtime's name
  int version_parts;                    // so many of them: ruby3.1 has two, node20 one
  std::vector<std::string_view> names;  // what the newest of them answers to as well
  std::string_view programs;            // pattern of file names in /usr/bin and /usr/local/bin
  std::string_view ids;                 // pattern of runtime ids, here and on other platforms
  // A versioned id that is not here is taken as the newest that is, with a note.
  bool any_version;
  std::vector<std::string_view> extensions;  // of files that hold code: ".rb"
  std::vector<std::string_view> projects;    // files at the top that speak for it: "Gemfile"
  bool cloneable = false;                    // its runtime can wait as a template
};

const std::vector<Language>& languages();
// By the name of a language, else null.
const Language* language_named(std::string_view name);
// By the id of a runtime, known here or not; else null.
const Language* language_of_id(std::string_view id);
// By the extension of a file, with its dot; else null.
const Language* language_of_extension(std::string_view extension);

}  // namespace mayfly::functions
