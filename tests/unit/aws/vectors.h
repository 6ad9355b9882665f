#pragma once
// Test vectors that others wrote, beside the repository; absent on a user's machine.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace mayfly::aws::testing {

inline std::filesystem::path vectors(const char* folder) {
  const char* set = std::getenv("MAYFLY_VECTORS");
  return (set ? std::filesystem::path(set)
              : std::filesystem::path(MAYFLY_SOURCE_DIR).parent_path() / "shared/vectors") /
         folder;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace mayfly::aws::testing
