// link: mayfly_aws
#include <cstdlib>
#include <string_view>

#include "aws/xml.h"

namespace {

using mayfly::aws::XmlNode;

// Text comes from the document alone: nothing is expanded.
std::size_t measure(const XmlNode& node, std::size_t depth) {
  if (depth > mayfly::aws::kXmlDepthMax || node.name.empty()) std::abort();
  std::size_t bytes = node.text.size();
  for (const auto& child : node.children) bytes += measure(child, depth + 1);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto root = mayfly::aws::parse_xml({reinterpret_cast<const char*>(data), size});
  // UTF-16 and Latin-1 grow when they become UTF-8.
  if (root.has_value() && measure(*root, 1) > 2 * size) std::abort();
  return 0;
}
