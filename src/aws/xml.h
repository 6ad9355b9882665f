#pragma once
// XML documents of requests as a tree, by expat. Documents with a DOCTYPE are refused: so there are
// no entities but XML's own five. Pure; every byte is hostile.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::aws {

struct XmlNode {
  std::string name;  // without its namespace
  std::string text;  // of this element alone
  std::vector<XmlNode> children;

  XmlNode();
  XmlNode(XmlNode&&) noexcept;
  XmlNode& operator=(XmlNode&&) noexcept;
  XmlNode(const XmlNode&);
  ~XmlNode();

  const XmlNode* find(std::string_view child) const;
  std::optional<std::string_view> text_of(std::string_view child) const;
};

inline constexpr std::size_t kXmlDepthMax = 16;
inline constexpr std::size_t kXmlNodesMax = 200'000;

// The root. invalid_argument says what is wrong and in which line.
Result<XmlNode> parse_xml(std::string_view document);

}  // namespace mayfly::aws
