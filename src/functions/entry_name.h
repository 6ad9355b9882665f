#pragma once
// Names of entries in archives that strangers made.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::functions {

// As it may be shown: control characters would reach people's terminals.
std::string shown_entry(std::string_view name);

// "The package was refused: the entry 'x' is a device."
Error refused_entry(std::string_view archive, std::string_view name, std::string_view why);

// The parts of an entry's path, or of a link's, from the top of archive ("package"): none for the
// top itself, and never "..". name: of the entry, for errors.
Result<std::vector<std::string>> entry_parts(std::string_view archive, std::string_view name,
                                             std::string_view path, std::size_t depth_max);

}  // namespace mayfly::functions
