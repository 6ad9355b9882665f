#include "wire/http_message.h"

#include <algorithm>
#include <array>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstdint>

#include "base/eights.h"
#include "base/hex.h"
#include "wire/utf8.h"

namespace mayfly::wire {
namespace {

namespace json = boost::json;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

constexpr char kHex[] = "0123456789abcdef";

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  out += "\\u00";
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

// JSON takes them as they are.
bool is_plain(std::uint64_t eight) {
  return all_printable(eight) && !has_character(eight, '"') && !has_character(eight, '\\');
}

void append_pairs(std::string& out, const Headers& headers) {
  out += '[';
  bool first = true;
  for (const auto field : headers) {
    if (!first) out += ',';
    first = false;
    out += '[';
    append_json_string(out, field.name);
    out += ',';
    append_json_string(out, field.value);
    out += ']';
  }
  out += ']';
}

Error bad_head(std::string message) {
  return Error{Code::corrupt, "The response head of the function " + std::move(message) + ".",
               "decode response head"};
}

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}

Error bad_request_head(std::string what) {
  return Error{Code::corrupt, "the head of the request " + std::move(what), "read request head"};
}

Status add_pair(Headers& headers, const json::value& pair) {
  const auto* fields = pair.if_array();
  if (fields == nullptr || fields->size() != 2 || !(*fields)[0].is_string() ||
      !(*fields)[1].is_string())
    return bad_head("has a header that is not a [name, value] pair of strings");
  const auto name = view((*fields)[0].get_string());
  const auto value = view((*fields)[1].get_string());
  if (!is_token(name)) return bad_head("has a header whose name is no HTTP token");
  if (!is_field_value(value))
    return bad_head("has the header " + std::string(name) + " with CR, LF or NUL in its value");
  headers.add(name, value);
  return ok();
}

}  // namespace

bool is_token(std::string_view text) {
  static constexpr auto kIsTokenChar = [] {
    std::array<bool, 256> marks{};
    for (const char c : std::string_view("0123456789abcdefghijklmnopqrstuvwxyz"
                                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~"))
      marks[static_cast<unsigned char>(c)] = true;
    return marks;
  }();
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return kIsTokenChar[static_cast<unsigned char>(c)];
  });
}

bool is_field_value(std::string_view text) {
  for (const char c : text)
    if (c == '\r' || c == '\n' || c == '\0') return false;
  return true;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  return true;
}

void Headers::add(std::string_view name, std::string_view value) {
  const auto at = static_cast<std::uint32_t>(bytes_.size());
  bytes_.append(name);
  bytes_.append(value);
  const auto name_size = static_cast<std::uint32_t>(name.size());
  fields_.push_back({at, name_size, at + name_size, static_cast<std::uint32_t>(value.size())});
}

void Headers::set(std::string_view name, std::string_view value) {
  // The arguments may be views into this object.
  const std::string name_copy(name);
  const std::string value_copy(value);
  remove(name_copy);
  add(name_copy, value_copy);
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const Slot& slot) {
    const std::string_view own(bytes_.data() + slot.name_at, slot.name_size);
    return equal_ignoring_case(own, name);
  });
  if (fields_.empty()) bytes_.clear();
}

void Headers::clear() {
  fields_.clear();
  bytes_.clear();
}

void Headers::reserve(std::size_t fields, std::size_t bytes) {
  fields_.reserve(fields);
  bytes_.reserve(bytes);
}

Headers::Field Headers::operator[](std::size_t index) const {
  const Slot& slot = fields_[index];
  return {{bytes_.data() + slot.name_at, slot.name_size},
          {bytes_.data() + slot.value_at, slot.value_size}};
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const Slot& slot : fields_) {
    if (slot.name_size == name.size() &&
        equal_ignoring_case({bytes_.data() + slot.name_at, slot.name_size}, name))
      return std::string_view(bytes_.data() + slot.value_at, slot.value_size);
  }
  return std::nullopt;
}

bool operator==(const Headers& a, const Headers& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].name != b[i].name || a[i].value != b[i].value) return false;
  return true;
}

std::string_view RequestHead::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view RequestHead::query() const {
  const auto mark = target.find('?');
  return mark == std::string::npos ? std::string_view{} : std::string_view(target).substr(mark + 1);
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;  // start of the run that needs no change
  std::size_t at = 0;
  const auto flush = [&] { out.append(text.data() + plain, at - plain); };
  while (at < text.size()) {
    if (text.size() - at >= 8 && is_plain(eight_at(text, at))) {
      at += 8;
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
      ++at;
    } else if (byte < 0x80) {
      flush();
      append_escaped(out, text[at]);
      plain = ++at;
    } else if (const auto length = utf8_length(text.substr(at, 4)); length > 0) {
      at += length;
    } else {
      flush();
      out += "\xef\xbf\xbd";
      plain = ++at;
    }
  }
  flush();
  out += '"';
}

std::string encode_request_head(const RequestHead& head, std::string_view path,
                                std::string_view base) {
  std::string out;
  out.reserve(192 + path.size() + head.target.size() + head.headers.size() * 48);
  out += "{\"method\":";
  append_json_string(out, head.method);
  out += ",\"path\":";
  append_json_string(out, path);
  out += ",\"query\":";
  append_json_string(out, head.query());
  out += ",\"headers\":";
  append_pairs(out, head.headers);
  out += ",\"remote\":";
  append_json_string(out, head.remote_ip);
  out += ",\"scheme\":";
  append_json_string(out, head.scheme);
  out += ",\"version\":\"";
  out += head.version == 10 ? "1.0" : head.version == 20 ? "2" : "1.1";
  out += "\",\"base\":";
  append_json_string(out, base);
  out += '}';
  return out;
}

std::string encode_response_head(const ResponseHead& head) {
  std::string out = "{\"status\":" + std::to_string(head.status) + ",\"headers\":";
  append_pairs(out, head.headers);
  out += '}';
  return out;
}

Result<ResponseHead> decode_response_head(std::string_view text) {
  // Typical heads fit; what does not goes on to the heap.
  unsigned char scratch[8192];
  json::monotonic_resource memory(scratch, sizeof(scratch));
  json::error_code problem;
  const json::value document =
      json::parse(json::string_view(text.data(), text.size()), problem, &memory);
  if (problem) return bad_head("is not valid JSON: " + problem.message());
  const auto* object = document.if_object();
  if (object == nullptr) return bad_head("is not a JSON object");

  ResponseHead head;
  const auto* status = object->if_contains("status");
  if (status == nullptr || !status->is_int64()) return bad_head("has no integer status");
  if (status->get_int64() < 100 || status->get_int64() > 599)
    return bad_head("has the status " + std::to_string(status->get_int64()) +
                    ", which is outside 100 to 599");
  head.status = static_cast<int>(status->get_int64());

  const auto* headers = object->if_contains("headers");
  if (headers == nullptr) return head;
  const auto* list = headers->if_array();
  if (list == nullptr) return bad_head("has headers that are not an array of pairs");
  head.headers.reserve(list->size() + 4, text.size() + 128);
  for (const auto& pair : *list) MAYFLY_TRY(add_pair(head.headers, pair));
  return head;
}

Result<DecodedRequest> decode_request_head(std::string_view text) {
  unsigned char scratch[8192];
  json::monotonic_resource memory(scratch, sizeof(scratch));
  json::error_code problem;
  const json::value document =
      json::parse(json::string_view(text.data(), text.size()), problem, &memory);
  if (problem) return bad_request_head("is not valid JSON: " + problem.message());
  const auto* object = document.if_object();
  if (object == nullptr) return bad_request_head("is not a JSON object");
  const auto member = [&](const char* name) {
    const auto* value = object->if_contains(name);
    return value != nullptr && value->is_string() ? std::string(view(value->get_string()))
                                                  : std::string();
  };
  DecodedRequest request;
  request.head.method = member("method");
  if (!is_token(request.head.method)) return bad_request_head("has no method");
  request.head.target = member("path");
  if (request.head.target.empty()) return bad_request_head("has no path");
  if (const auto query = member("query"); !query.empty()) request.head.target += "?" + query;
  request.head.remote_ip = member("remote");
  request.head.scheme = member("scheme");
  const auto version = member("version");
  request.head.version = version == "1.0" ? 10 : version == "2" ? 20 : 11;
  request.base = member("base");
  const auto* headers = object->if_contains("headers");
  const auto* list = headers != nullptr ? headers->if_array() : nullptr;
  if (list == nullptr) return bad_request_head("has no headers");
  request.head.headers.reserve(list->size() + 8, text.size() + 256);
  for (const auto& pair : *list) MAYFLY_TRY(add_pair(request.head.headers, pair));
  return request;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    out += c;
  }
  return out;
}

}  // namespace mayfly::wire
