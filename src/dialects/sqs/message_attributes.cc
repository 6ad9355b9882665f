#include "dialects/sqs/message_attributes.h"

#include <algorithm>

#include "aws/digest.h"
#include "base/base64.h"
#include "base/eights.h"
#include "dialects/sqs/faults.h"
#include "dialects/text.h"

namespace mayfly::dialects::sqs {

namespace json = boost::json;
using aws::Outcome;
using queues::MessageAttribute;

namespace {

constexpr std::size_t kAttributesMax = 10;
constexpr std::size_t kNameMax = 256;

bool is_attribute_name(std::string_view name) {
  if (name.empty() || name.size() > kNameMax || name.front() == '.' || name.back() == '.' ||
      name.find("..") != std::string_view::npos)
    return false;
  std::string lower(name.substr(0, 7));
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (lower.starts_with("aws.") || lower.starts_with("amazon.")) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

bool has_base(std::string_view type, std::string_view base) {
  return type == base ||
         (type.starts_with(base) && type.size() > base.size() && type[base.size()] == '.');
}

// What AWS takes: a sign, digits, a point, an exponent.
bool is_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - from;
  };
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  std::size_t seen = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    seen += digits();
  }
  if (seen == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

aws::Fault refuse(std::string_view name, std::string_view why) {
  return invalid_parameter("The message attribute '" + std::string(name.substr(0, 256)) + "' " +
                           std::string(why));
}

const json::string* text_in(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value ? value->if_string() : nullptr;
}

Outcome<MessageAttribute> read_one(std::string_view name, const json::value& value) {
  if (!is_attribute_name(name))
    return refuse(name,
                  "has an invalid name: it can contain A-Z, a-z, 0-9, underscore, hyphen and "
                  "period, and must not begin or end with a period nor with AWS. or Amazon.");
  if (!value.is_object()) return refuse(name, "must have a type and a value.");
  const json::object& object = value.get_object();
  const json::string* type = text_in(object, "DataType");
  if (!type || type->empty())
    return refuse(name, "must contain a non-empty message attribute type.");
  MessageAttribute attribute{std::string(name), std::string(*type), {}};
  if (attribute.type.size() > kNameMax || !is_message_text(attribute.type))
    return refuse(name, "has a type that is too long or not text.");
  const json::string* text = text_in(object, "StringValue");
  const json::string* binary = text_in(object, "BinaryValue");
  if (has_base(attribute.type, "Binary")) {
    if (!binary || binary->empty())
      return refuse(name,
                    "must contain a non-empty message attribute value for message attribute "
                    "type (Binary).");
    auto bytes = decode_base64(*binary);
    if (!bytes) return refuse(name, "has a BinaryValue that is not base64.");
    attribute.value = std::move(*bytes);
    return attribute;
  }
  const bool number = has_base(attribute.type, "Number");
  if (!number && !has_base(attribute.type, "String"))
    return refuse(name,
                  "has an invalid message attribute type, the set of supported type "
                  "prefixes is Binary, Number, and String.");
  if (!text || text->empty())
    return refuse(name,
                  "must contain a non-empty message attribute value for message attribute "
                  "type (" +
                      std::string(number ? "Number" : "String") + ").");
  attribute.value = std::string(*text);
  if (!is_message_text(attribute.value))
    return refuse(name, "has characters that are not allowed.");
  if (number && !is_number(attribute.value))
    return refuse(name, "must contain a number: its type is Number.");
  return attribute;
}

void append_part(std::string& out, std::string_view part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 0xff);
  out += part;
}

}  // namespace

Outcome<std::vector<MessageAttribute>> read_attributes(const json::object& map) {
  if (map.size() > kAttributesMax)
    return invalid_parameter("Number of message attributes [" + std::to_string(map.size()) +
                             "] exceeds the allowed maximum [10].");
  std::vector<MessageAttribute> attributes;
  for (const auto& entry : map) {
    auto read = read_one(entry.key(), entry.value());
    if (read.has_error()) return std::move(read).error();
    attributes.push_back(std::move(*read));
  }
  std::sort(attributes.begin(), attributes.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return attributes;
}

json::object write_attributes(const std::vector<MessageAttribute>& attributes) {
  json::object map;
  for (const auto& attribute : attributes) {
    json::object one{{"DataType", attribute.type}};
    if (has_base(attribute.type, "Binary")) {
      std::string encoded;
      append_base64(encoded, attribute.value);
      one["BinaryValue"] = encoded;
    } else {
      one["StringValue"] = attribute.value;
    }
    map.insert_or_assign(attribute.name, std::move(one));
  }
  return map;
}

std::string attributes_md5(const std::vector<MessageAttribute>& attributes) {
  if (attributes.empty()) return {};
  std::string bytes;
  for (const auto& attribute : attributes) {
    append_part(bytes, attribute.name);
    append_part(bytes, attribute.type);
    bytes += has_base(attribute.type, "Binary") ? '\2' : '\1';
    append_part(bytes, attribute.value);
  }
  return aws::hex_of(aws::md5(bytes));
}

std::vector<MessageAttribute> chosen(const std::vector<MessageAttribute>& attributes,
                                     const std::vector<std::string_view>& names) {
  std::vector<MessageAttribute> out;
  if (names.empty()) return out;
  for (const auto& attribute : attributes) {
    const bool wanted = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      if (name == "All" || name == ".*" || name == attribute.name) return true;
      if (!name.ends_with(".*")) return false;
      name.remove_suffix(2);
      return std::string_view(attribute.name).starts_with(name);
    });
    if (wanted) out.push_back(attribute);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

bool is_message_text(std::string_view text) {
  for (std::size_t i = printable_start(text); i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') return false;
    // U+FFFE and U+FFFF
    if (byte == 0xef && i + 2 < text.size() && static_cast<unsigned char>(text[i + 1]) == 0xbf &&
        static_cast<unsigned char>(text[i + 2]) >= 0xbe)
      return false;
  }
  return true;  // UTF-8 itself is checked by who parsed the request
}

}  // namespace mayfly::dialects::sqs
