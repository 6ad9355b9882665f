#pragma once
// How the programs of packages are started.

#include <string>
#include <string_view>
#include <vector>

#include "functions/types.h"

namespace mayfly::dialects::adapters {

// The command line inside the sandbox. A file with execute permission and an ELF head or a #! line
// is for the kernel; a script without that permission is given to its interpreter, one that names
// none to /bin/sh. Reads the first bytes of the file.
std::vector<std::string> program_argv(const functions::Version& version);

// The part behind: the command line for a file with these first bytes. Pure.
std::vector<std::string> argv_for(const std::string& path, std::string_view first_bytes,
                                  bool executable);

// True when the version is a program, not code for one of the language runtimes.
bool is_program(const functions::Version& version);

}  // namespace mayfly::dialects::adapters
