#pragma once
// XML documents of answers.

#include <string>
#include <string_view>

#include "aws/text.h"
#include "io/http.h"

namespace mayfly::dialects::s3 {

class XmlOut {
 public:
  explicit XmlOut(std::string_view root) : root_(root) {
    text_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<" + root_ +
            " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  }
  void open(std::string_view name) { text_.append("<").append(name).append(">"); }
  void close(std::string_view name) { text_.append("</").append(name).append(">"); }
  void add(std::string_view name, std::string_view value) {
    open(name);
    aws::append_xml(text_, value);
    close(name);
  }
  void add(std::string_view name, std::uint64_t value) { add(name, std::to_string(value)); }
  void add_flag(std::string_view name, bool value) { add(name, value ? "true" : "false"); }
  void text(std::string_view value) { aws::append_xml(text_, value); }

  io::HttpResponse response() && {
    close(root_);
    io::HttpResponse out;
    out.head.headers.add("Content-Type", "application/xml");
    out.body = std::move(text_);
    return out;
  }

 private:
  std::string root_, text_;
};

}  // namespace mayfly::dialects::s3
