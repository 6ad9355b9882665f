#include "aws/xml.h"

#include <expat.h>

#include <memory>

namespace mayfly::aws {

XmlNode::XmlNode() = default;
XmlNode::XmlNode(XmlNode&&) noexcept = default;
XmlNode& XmlNode::operator=(XmlNode&&) noexcept = default;
XmlNode::XmlNode(const XmlNode&) = default;
XmlNode::~XmlNode() = default;

const XmlNode* XmlNode::find(std::string_view child) const {
  for (const auto& one : children)
    if (one.name == child) return &one;
  return nullptr;
}

std::optional<std::string_view> XmlNode::text_of(std::string_view child) const {
  const XmlNode* found = find(child);
  return found ? std::optional<std::string_view>(found->text) : std::nullopt;
}

namespace {

constexpr char kBeforeName = '\n';  // expat's separator of namespace and name

struct Reading {
  XML_Parser parser = nullptr;
  XmlNode root;
  std::vector<XmlNode*> open;  // from the root to the element that is read
  std::size_t nodes = 0;
  std::string refusal;

  void refuse(std::string why) {
    if (refusal.empty()) refusal = std::move(why);
    XML_StopParser(parser, XML_FALSE);
  }
};

void on_start(void* data, const XML_Char* full_name, const XML_Char**) {
  auto& reading = *static_cast<Reading*>(data);
  if (reading.open.size() >= kXmlDepthMax) return reading.refuse("elements are nested too deep");
  if (++reading.nodes > kXmlNodesMax) return reading.refuse("there are too many elements");
  XmlNode* node = &reading.root;
  if (!reading.open.empty()) {
    reading.open.back()->children.emplace_back();
    node = &reading.open.back()->children.back();
  }
  const std::string_view name(full_name);
  const auto at = name.rfind(kBeforeName);
  node->name = at == std::string_view::npos ? name : name.substr(at + 1);
  reading.open.push_back(node);
}

void on_end(void* data, const XML_Char*) {
  auto& reading = *static_cast<Reading*>(data);
  // expat may still tell the end of an element that was refused.
  if (reading.refusal.empty() && !reading.open.empty()) reading.open.pop_back();
}

void on_text(void* data, const XML_Char* text, int size) {
  auto& reading = *static_cast<Reading*>(data);
  if (!reading.open.empty()) reading.open.back()->text.append(text, static_cast<std::size_t>(size));
}

void on_doctype(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
  static_cast<Reading*>(data)->refuse("it has a DOCTYPE");
}

}  // namespace

Result<XmlNode> parse_xml(std::string_view document) {
  const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(
      XML_ParserCreateNS("UTF-8", kBeforeName), &XML_ParserFree);
  if (!parser) return Error{Code::resource_exhausted, "There is no memory for an XML parser."};
  Reading reading;
  reading.parser = parser.get();
  XML_SetUserData(parser.get(), &reading);
  XML_SetElementHandler(parser.get(), on_start, on_end);
  XML_SetCharacterDataHandler(parser.get(), on_text);
  XML_SetStartDoctypeDeclHandler(parser.get(), on_doctype);
  if (document.size() > 1u << 30) return invalid("The XML document is too large.");
  if (XML_Parse(parser.get(), document.data(), static_cast<int>(document.size()), XML_TRUE) !=
      XML_STATUS_OK) {
    const std::string why = !reading.refusal.empty()
                                ? reading.refusal
                                : XML_ErrorString(XML_GetErrorCode(parser.get()));
    return invalid("The XML document cannot be read, line " +
                   std::to_string(XML_GetCurrentLineNumber(parser.get())) + ": " + why + ".");
  }
  return std::move(reading.root);
}

}  // namespace mayfly::aws
