#pragma once
// Just enough of an XML reader to compare answers: elements and text; attributes are skipped.

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::aws::testing {

struct XmlNode {
  std::string name, text;
  std::vector<XmlNode> children;

  const XmlNode* path(std::initializer_list<const char*> names) const {
    const XmlNode* at = this;
    for (const char* name : names) {
      const auto found = std::find_if(at->children.begin(), at->children.end(),
                                      [&](const XmlNode& child) { return child.name == name; });
      if (found == at->children.end()) return nullptr;
      at = &*found;
    }
    return at;
  }

  void drop(const std::string& child_name) {
    std::erase_if(children, [&](const XmlNode& child) { return child.name == child_name; });
  }

  // One text for all orders of children of different names.
  std::string sorted_text() const {
    std::vector<std::string> parts;
    for (const auto& child : children) parts.push_back(child.sorted_text());
    std::stable_sort(parts.begin(), parts.end());
    std::string out = "<" + name + ">";
    if (children.empty()) out += text;
    for (const auto& part : parts) out += part;
    return out + "</" + name + ">";
  }
};

class XmlReader {
 public:
  explicit XmlReader(std::string_view text) : text_(text) {}

  std::optional<XmlNode> read() {
    skip_blank();
    if (text_.substr(at_, 2) == "<?") at_ = text_.find("?>", at_) + 2;
    skip_blank();
    XmlNode root;
    if (!element(root)) return std::nullopt;
    skip_blank();
    if (at_ != text_.size()) return std::nullopt;
    if (!root.children.empty()) root.text.clear();
    return root;
  }

 private:
  void skip_blank() {
    while (at_ < text_.size() && std::string_view(" \n\r\t").find(text_[at_]) != text_.npos &&
           std::string_view(" \n\r\t").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }

  bool element(XmlNode& node) {
    if (at_ >= text_.size() || text_[at_] != '<') return false;
    const auto end = text_.find('>', at_);
    if (end == text_.npos) return false;
    std::string_view tag = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    const bool closed = tag.ends_with('/');
    if (closed) tag.remove_suffix(1);
    node.name = tag.substr(0, tag.find_first_of(" \n\t"));
    if (closed) return true;
    for (;;) {
      const auto next = text_.find('<', at_);
      if (next == text_.npos) return false;
      if (!unescape(text_.substr(at_, next - at_), node.text)) return false;
      at_ = next;
      if (text_.substr(at_, 2) == "</") break;
      if (!element(node.children.emplace_back())) return false;
    }
    const std::string closing = "</" + node.name + ">";
    if (text_.substr(at_, closing.size()) != closing) return false;
    at_ += closing.size();
    const bool blank = node.text.find_first_not_of(" \n\r\t") == std::string::npos;
    if (!node.children.empty() || (blank && node.text.find('\n') != std::string::npos))
      node.text.clear();
    return true;
  }

  static bool unescape(std::string_view text, std::string& out) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '&') {
        out += text[i];
        continue;
      }
      const auto end = text.find(';', i);
      if (end == text.npos) return false;
      const std::string_view name = text.substr(i + 1, end - i - 1);
      if (name == "amp")
        out += '&';
      else if (name == "lt")
        out += '<';
      else if (name == "gt")
        out += '>';
      else if (name == "quot")
        out += '"';
      else if (name == "#xD")
        out += '\r';
      else
        return false;
      i = end;
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

inline std::optional<XmlNode> parse_xml(std::string_view text) {
  return XmlReader(text).read();
}

}  // namespace mayfly::aws::testing
