#include "triggers/cloud_event.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <optional>

#include "base/base64.h"
#include "wire/utf8.h"

namespace mayfly::triggers {

namespace json = boost::json;

namespace {

constexpr std::size_t kNameMax = 64;
constexpr std::size_t kExtensionsMax = 64;

Error wrong(std::string what) {
  return Error{Code::invalid_argument, "This is no CloudEvent: " + std::move(what) + "."};
}

bool is_attribute_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// The media type without parameters, in lower case.
std::string bare_type(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ') || content_type.ends_with('\t')) content_type.remove_suffix(1);
  return in_lower_case(content_type);
}

// What the HTTP binding makes of an attribute's value: blanks, ", %, and all that is not printable
// ASCII are percent-encoded.
std::string to_header_value(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '"' && c != '%') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

// The way back is lenient: a % that begins no escape is itself, quotes around the value go.
Result<std::string> from_header_value(std::string_view name, std::string_view text) {
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"'))
    text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto [end, failed] =
          std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16);
      if (failed == std::errc() && end == text.data() + i + 3) {
        out += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  if (!wire::is_utf8(out)) return wrong("the header ce-" + std::string(name) + " is not UTF-8");
  return out;
}

std::string* standard_attribute(CloudEvent& event, std::string_view name) {
  if (name == "id") return &event.id;
  if (name == "source") return &event.source;
  if (name == "type") return &event.type;
  if (name == "subject") return &event.subject;
  if (name == "time") return &event.time;
  if (name == "dataschema") return &event.data_schema;
  if (name == "datacontenttype") return &event.data_content_type;
  return nullptr;
}

Status check(const CloudEvent& event, const std::optional<std::string>& version) {
  if (!version) return wrong("specversion is missing");
  if (*version != "1.0") return wrong("specversion is " + version->substr(0, 20) + ", not 1.0");
  for (const auto& [name, value] : {std::pair{"id", &event.id}, std::pair{"source", &event.source},
                                    std::pair{"type", &event.type}})
    if (value->empty()) return wrong(std::string(name) + " is missing or empty");
  if (!event.time.empty() && !is_timestamp(event.time))
    return wrong("time is no RFC 3339 timestamp");
  if (event.extensions.size() > kExtensionsMax)
    return wrong("it has more than " + std::to_string(kExtensionsMax) + " extensions");
  return ok();
}

Status read_member(std::string_view name, const json::value& value, CloudEvent& event,
                   std::optional<std::string>& version) {
  if (value.is_null()) return ok();  // as if it were not there
  if (!is_attribute_name(name))
    return wrong("\"" + std::string(name.substr(0, kNameMax)) +
                 "\" is no name of an attribute (a to z, 0 to 9)");
  const auto* text = value.if_string();
  if (name == "specversion" || standard_attribute(event, name) != nullptr) {
    if (text == nullptr) return wrong(std::string(name) + " is no text");
    if (name == "specversion") {
      version = std::string(*text);
    } else {
      *standard_attribute(event, name) = std::string(*text);
    }
    return ok();
  }
  CloudEvent::Extension& extension = event.extensions[std::string(name)];
  if (text != nullptr) {
    extension = std::string(*text);
  } else if (value.is_bool()) {
    extension = value.get_bool();
  } else if (const auto* number = value.if_int64();
             number != nullptr && *number >= INT32_MIN && *number <= INT32_MAX) {
    extension = static_cast<std::int32_t>(*number);
  } else {
    return wrong("the extension " + std::string(name) +
                 " is neither text, nor true or false, nor a whole number of 32 bits");
  }
  return ok();
}

Result<CloudEvent> from_object(const json::object& object) {
  CloudEvent event;
  std::optional<std::string> version;
  const json::value* data = nullptr;
  const json::value* base64 = nullptr;
  for (const auto& [name, value] : object) {
    if (name == "data") {
      data = &value;
    } else if (name == "data_base64") {
      base64 = &value;
    } else {
      MAYFLY_TRY(read_member(name, value, event, version));
    }
  }
  MAYFLY_TRY(check(event, version));
  if (data != nullptr && base64 != nullptr) return wrong("it has both data and data_base64");
  event.has_data = data != nullptr || base64 != nullptr;
  if (base64 != nullptr) {
    auto bytes = base64->is_string() ? decode_base64(base64->get_string()) : std::nullopt;
    if (!bytes) return wrong("data_base64 is no base64");
    event.data = std::move(*bytes);
  } else if (data != nullptr) {
    const bool as_json = event.data_content_type.empty() || is_json_type(event.data_content_type);
    event.data =
        !as_json && data->is_string() ? std::string(data->get_string()) : json::serialize(*data);
    if (event.data_content_type.empty()) event.data_content_type = "application/json";
  }
  return event;
}

Result<json::value> parse(std::string_view text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (failed) return wrong("its JSON is not valid (" + failed.message() + ")");
  return value;
}

json::value extension_value(const CloudEvent::Extension& extension) {
  if (const auto* flag = std::get_if<bool>(&extension)) return *flag;
  if (const auto* number = std::get_if<std::int32_t>(&extension)) return *number;
  return json::value(std::get<std::string>(extension));
}

std::string extension_text(const CloudEvent::Extension& extension) {
  if (const auto* flag = std::get_if<bool>(&extension)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int32_t>(&extension)) return std::to_string(*number);
  return std::get<std::string>(extension);
}

}  // namespace

bool is_json_type(std::string_view content_type) {
  const std::string type = bare_type(content_type);
  return type == "application/json" || type == "text/json" || type.ends_with("+json");
}

CloudEventForm cloud_event_form(const wire::Headers& headers) {
  const std::string type = bare_type(headers.find("Content-Type").value_or(""));
  if (type == kCloudEventType) return CloudEventForm::structured;
  if (type == kCloudEventBatchType) return CloudEventForm::batched;
  return headers.contains("ce-specversion") ? CloudEventForm::binary : CloudEventForm::none;
}

Result<CloudEvent> read_binary_event(const wire::Headers& headers, std::string body) {
  CloudEvent event;
  std::optional<std::string> version;
  for (const auto& field : headers) {
    const std::string name = in_lower_case(field.name);
    if (!name.starts_with("ce-")) continue;
    const std::string attribute = name.substr(3);
    if (!is_attribute_name(attribute))
      return wrong("the header " + name.substr(0, kNameMax) + " names no attribute");
    if (attribute == "datacontenttype") return wrong("datacontenttype belongs into Content-Type");
    auto value = from_header_value(attribute, field.value);
    if (value.has_error()) return value.error();
    if (attribute == "specversion") {
      version = std::move(*value);
    } else if (auto* standard = standard_attribute(event, attribute)) {
      *standard = std::move(*value);
    } else {
      event.extensions[attribute] = std::move(*value);
    }
  }
  event.data_content_type = std::string(headers.find("Content-Type").value_or(""));
  if (!wire::is_utf8(event.data_content_type)) return wrong("Content-Type is not UTF-8");
  MAYFLY_TRY(check(event, version));
  event.has_data = !body.empty();
  event.data = std::move(body);
  return event;
}

Result<CloudEvent> read_structured_event(std::string_view text) {
  auto value = parse(text);
  if (value.has_error()) return value.error();
  if (!value->is_object()) return wrong("it must be a JSON object");
  return from_object(value->get_object());
}

Result<std::vector<CloudEvent>> read_event_batch(std::string_view text) {
  auto value = parse(text);
  if (value.has_error()) return value.error();
  const auto* list = value->if_array();
  if (list == nullptr) return wrong("a batch must be a JSON list");
  if (list->size() > kCloudEventBatchMax)
    return wrong("a batch holds at most " + std::to_string(kCloudEventBatchMax) + " events");
  std::vector<CloudEvent> events;
  for (const auto& item : *list) {
    if (!item.is_object()) return wrong("a batch must hold JSON objects");
    auto event = from_object(item.get_object());
    if (event.has_error()) return event.error();
    events.push_back(std::move(*event));
  }
  return events;
}

Result<std::vector<CloudEvent>> read_cloud_events(const wire::Headers& headers, std::string body) {
  const CloudEventForm form = cloud_event_form(headers);
  if (form == CloudEventForm::batched) return read_event_batch(body);
  if (form == CloudEventForm::none)
    return wrong("it has neither ce- headers nor the Content-Type " + std::string(kCloudEventType));
  auto event = form == CloudEventForm::structured ? read_structured_event(body)
                                                  : read_binary_event(headers, std::move(body));
  if (event.has_error()) return event.error();
  std::vector<CloudEvent> events;
  events.push_back(std::move(*event));
  return events;
}

std::string write_structured_event(const CloudEvent& event) {
  json::object out;
  out["specversion"] = "1.0";
  out["id"] = event.id;
  out["source"] = event.source;
  out["type"] = event.type;
  if (!event.subject.empty()) out["subject"] = event.subject;
  if (!event.time.empty()) out["time"] = event.time;
  if (!event.data_schema.empty()) out["dataschema"] = event.data_schema;
  if (!event.data_content_type.empty()) out["datacontenttype"] = event.data_content_type;
  for (const auto& [name, extension] : event.extensions) out[name] = extension_value(extension);
  if (!event.has_data) return json::serialize(out);
  if (event.data_content_type.empty() || is_json_type(event.data_content_type)) {
    boost::system::error_code failed;
    json::value data = json::parse(event.data, failed);
    if (!failed) {
      out["data"] = std::move(data);
      return json::serialize(out);
    }
  } else if (wire::is_utf8(event.data)) {
    out["data"] = event.data;
    return json::serialize(out);
  }
  std::string base64;
  append_base64(base64, event.data);
  out["data_base64"] = base64;
  return json::serialize(out);
}

std::vector<std::pair<std::string, std::string>> binary_event_headers(const CloudEvent& event) {
  std::vector<std::pair<std::string, std::string>> headers;
  headers.emplace_back("ce-specversion", "1.0");
  const auto add = [&headers](std::string_view name, std::string_view value) {
    if (!value.empty()) headers.emplace_back("ce-" + std::string(name), to_header_value(value));
  };
  add("id", event.id);
  add("source", event.source);
  add("type", event.type);
  add("subject", event.subject);
  add("time", event.time);
  add("dataschema", event.data_schema);
  for (const auto& [name, extension] : event.extensions) add(name, extension_text(extension));
  return headers;
}

namespace {

// Reads so many digits off the front of text.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// Z or an offset, as minutes east.
std::optional<int> take_offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  const bool west = text.starts_with('-');
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_digits(text, 2);
  if (!hours || !take(text, ":")) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return (*hours * 60 + *minutes) * (west ? -1 : 1);
}

std::optional<WallTime> timestamp_of(std::string_view text) {
  const auto y = take_digits(text, 4);
  if (!y || !take(text, "-")) return std::nullopt;
  const auto mo = take_digits(text, 2);
  if (!mo || !take(text, "-")) return std::nullopt;
  const auto d = take_digits(text, 2);
  if (!d || !take(text, "Tt ")) return std::nullopt;
  const auto h = take_digits(text, 2);
  if (!h || !take(text, ":")) return std::nullopt;
  const auto mi = take_digits(text, 2);
  if (!mi || !take(text, ":")) return std::nullopt;
  const auto s = take_digits(text, 2);
  if (!s) return std::nullopt;
  std::int64_t fraction_us = 0;
  if (take(text, ".")) {
    std::int64_t unit = 100'000;
    bool any = false;
    while (const auto digit = take_digits(text, 1)) {
      fraction_us += *digit * unit;
      unit /= 10;
      any = true;
    }
    if (!any) return std::nullopt;
  }
  const auto offset = take_offset(text);
  const std::chrono::year_month_day date{std::chrono::year(*y),
                                         std::chrono::month(static_cast<unsigned>(*mo)),
                                         std::chrono::day(static_cast<unsigned>(*d))};
  if (!offset || !date.ok() || *h > 23 || *mi > 59 || *s > 60) return std::nullopt;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(*h) +
         std::chrono::minutes(*mi - *offset) + seconds(*s) + microseconds(fraction_us);
}

}  // namespace

bool is_timestamp(std::string_view text) {
  return timestamp_of(text).has_value();
}

Result<WallTime> parse_timestamp(std::string_view text) {
  const auto time = timestamp_of(text);
  if (!time)
    return Error{Code::invalid_argument,
                 "\"" + std::string(text.substr(0, 40)) + "\" is no RFC 3339 timestamp."};
  return *time;
}

}  // namespace mayfly::triggers
