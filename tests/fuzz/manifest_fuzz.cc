// link: mayfly_functions
// mayfly.yaml: foreign text through a YAML parser. Must answer, never throw or crash.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "functions/app.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = mayfly::functions::parse_manifest(text, "folder");
  if (manifest.has_error() && manifest.error().message.empty()) std::abort();
  return 0;
}
