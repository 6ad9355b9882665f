#pragma once
// Dependencies that a package names and does not hold, for the languages whose package managers are
// not run here. Blocks on the disk; runs nothing.

#include <string>
#include <string_view>
#include <vector>

namespace mayfly::functions {

// Sentences for the person who deploys: what is not there, and how to put it there.
std::vector<std::string> not_vendored(const std::string& tree, std::string_view language);

}  // namespace mayfly::functions
