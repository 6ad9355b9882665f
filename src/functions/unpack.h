#pragma once
// Unpacking of foreign archives. Nothing in an archive is believed: every name is taken apart,
// every directory is entered without following links, every byte is counted before it is written.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "functions/packages.h"
#include "functions/tree.h"

namespace mayfly::functions {

// Unpacks the .zip, .tar or .tar.gz at archive_path into the empty directory at directory, which is
// left in any state on an error. Blocks. Thread-safe. Fuzzed.
Result<TreeSummary> unpack_archive(const std::string& archive_path, const std::string& directory,
                                   const PackageLimits& limits);

}  // namespace mayfly::functions
