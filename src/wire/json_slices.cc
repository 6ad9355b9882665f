#include "wire/json_slices.h"

#include <charconv>
#include <set>

#include "base/hex.h"
#include "wire/utf8.h"

namespace mayfly::wire {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::size_t at() const { return at_; }
  bool done() const { return at_ >= text_.size(); }
  void blanks() {
    while (!done() && is_blank(text_[at_])) ++at_;
  }
  bool take(char c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool value(int depth) {
    if (done() || depth > kJsonDepthMax) return false;
    switch (text_[at_]) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool string() {
    if (!take('"')) return false;
    while (!done()) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\') {
        if (!escape()) return false;
        continue;
      }
      if (static_cast<unsigned char>(c) < 0x80) {
        ++at_;
        continue;
      }
      const std::size_t length = utf8_length(text_.substr(at_, 4));
      if (length == 0) return false;
      at_ += length;
    }
    return false;
  }

 private:
  bool escape() {
    ++at_;
    if (done()) return false;
    const char c = text_[at_++];
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    for (int i = 0; i < 4; ++i)
      if (done() || hex_digit(text_[at_++]) < 0) return false;
    return true;
  }
  bool word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  bool digits() {
    const std::size_t from = at_;
    while (!done() && is_digit(text_[at_])) ++at_;
    return at_ > from;
  }
  bool number() {
    (void)take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) (void)take('-');
      return digits();
    }
    return true;
  }
  bool array(int depth) {
    ++at_;
    blanks();
    if (take(']')) return true;
    for (;;) {
      blanks();
      if (!value(depth + 1)) return false;
      blanks();
      if (take(']')) return true;
      if (!take(',')) return false;
    }
  }
  bool object(int depth) {
    ++at_;
    blanks();
    if (take('}')) return true;
    for (;;) {
      blanks();
      if (!string()) return false;
      blanks();
      if (!take(':')) return false;
      blanks();
      if (!value(depth + 1)) return false;
      blanks();
      if (take('}')) return true;
      if (!take(',')) return false;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Error wrong(std::string_view what, std::string_view wanted) {
  return Error{Code::invalid_argument, std::string(what) + " must be " + std::string(wanted) + ".",
               "read JSON", 0};
}

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

unsigned code_at(std::string_view text, std::size_t at) {
  unsigned code = 0;
  for (std::size_t i = at; i < at + 4; ++i)
    code = code * 16 + static_cast<unsigned>(hex_digit(text[i]));
  return code;
}

// inner: between the quotes, valid. False: half of a surrogate pair.
bool decode(std::string_view inner, std::string& out) {
  for (std::size_t i = 0; i < inner.size();) {
    const std::size_t plain = std::min(inner.find('\\', i), inner.size());
    out.append(inner.substr(i, plain - i));
    if (plain == inner.size()) break;
    const char c = inner[plain + 1];
    i = plain + 2;
    if (c != 'u') {
      constexpr std::string_view kFrom = "bfnrt", kTo = "\b\f\n\r\t";
      const auto which = kFrom.find(c);
      out += which == std::string_view::npos ? c : kTo[which];
      continue;
    }
    unsigned code = code_at(inner, i);
    i += 4;
    if (code >= 0xd800 && code < 0xdc00) {
      if (inner.substr(i, 2) != "\\u") return false;
      const unsigned low = code_at(inner, i + 2);
      if (low < 0xdc00 || low > 0xdfff) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      i += 6;
    } else if (code >= 0xdc00 && code < 0xe000) {
      return false;
    }
    append_utf8(out, code);
  }
  return true;
}

}  // namespace

Result<std::string_view> check_json(std::string_view text) {
  Scanner scanner(text);
  scanner.blanks();
  const std::size_t from = scanner.at();
  const bool good = scanner.value(0);
  const std::size_t to = scanner.at();
  if (good) scanner.blanks();
  if (!good || !scanner.done())
    return Error{Code::invalid_argument,
                 "This is not valid JSON, near byte " + std::to_string(scanner.at()) + ".",
                 "read JSON", 0};
  return text.substr(from, to - from);
}

Result<JsonMembers> json_members(std::string_view value, std::string_view what) {
  Scanner scanner(value);
  if (!scanner.take('{')) return wrong(what, "an object");
  JsonMembers members;
  std::set<std::string_view> seen;
  scanner.blanks();
  if (scanner.take('}')) return members;
  do {
    scanner.blanks();
    const std::size_t name_from = scanner.at();
    if (!scanner.string()) return wrong(what, "an object");
    auto name = json_string(value.substr(name_from, scanner.at() - name_from), what);
    if (name.has_error()) return name.error();
    scanner.blanks();
    if (!scanner.take(':')) return wrong(what, "an object");
    scanner.blanks();
    const std::size_t from = scanner.at();
    if (!scanner.value(0)) return wrong(what, "an object");
    members.emplace_back(std::move(*name), value.substr(from, scanner.at() - from));
    scanner.blanks();
  } while (scanner.take(','));
  for (const auto& [name, ignored] : members)
    if (!seen.insert(name).second)
      return Error{Code::invalid_argument,
                   std::string(what) + " has the member \"" + name.substr(0, 100) + "\" twice.",
                   "read JSON", 0};
  return members;
}

Result<std::vector<std::string_view>> json_elements(std::string_view value, std::string_view what) {
  Scanner scanner(value);
  if (!scanner.take('[')) return wrong(what, "a list");
  std::vector<std::string_view> elements;
  scanner.blanks();
  if (scanner.take(']')) return elements;
  do {
    scanner.blanks();
    const std::size_t from = scanner.at();
    if (!scanner.value(0)) return wrong(what, "a list");
    elements.push_back(value.substr(from, scanner.at() - from));
    scanner.blanks();
  } while (scanner.take(','));
  return elements;
}

Result<std::string> json_string(std::string_view value, std::string_view what) {
  std::string text;
  if (value.size() < 2 || value.front() != '"') return wrong(what, "a text");
  if (!decode(value.substr(1, value.size() - 2), text))
    return wrong(what, "a text without halves of surrogate pairs");
  return text;
}

Result<std::int64_t> json_integer(std::string_view value, std::string_view what) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (failed != std::errc() || end != value.data() + value.size())
    return wrong(what, "a whole number of at most 64 bits");
  return number;
}

}  // namespace mayfly::wire
