#include "aws/query.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "aws/text.h"
#include "aws/times.h"
#include "base/hex.h"
#include "wire/query.h"
#include "wire/utf8.h"

namespace mayfly::aws {

namespace json = boost::json;

namespace {

Fault malformed(std::string message) {
  return {"MalformedQueryString", std::move(message)};
}

Fault misfit(std::string_view name, std::string_view value, std::string_view wanted) {
  return {"MalformedInput", "Value (" + std::string(value) + ") for parameter " +
                                std::string(name) + " is invalid. Reason: Must be " +
                                std::string(wanted) + "."};
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

}  // namespace

Outcome<Form> Form::parse(std::string_view text) {
  Form form;
  while (const auto one = wire::take_parameter(text)) {
    if (form.parameters_.size() >= kParametersMax)
      return malformed("The form has more than 20,000 parameters.");
    auto name = decode(one->name), value = decode(one->value);
    if (!name || !value || !wire::is_utf8(*name) || !wire::is_utf8(*value))
      return malformed("The form has a broken %-escape, or bytes that are not UTF-8.");
    form.parameters_.emplace_back(std::move(*name), std::move(*value));
  }
  std::stable_sort(form.parameters_.begin(), form.parameters_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return form;
}

std::optional<std::string_view> Form::find(std::string_view name) const {
  const auto at = std::lower_bound(
      parameters_.begin(), parameters_.end(), name,
      [](const auto& parameter, std::string_view wanted) { return parameter.first < wanted; });
  if (at == parameters_.end() || at->first != name) return std::nullopt;
  return at->second;
}

class FormReader {
 public:
  FormReader(const Form& form, json::storage_ptr memory)
      : form_(form), memory_(std::move(memory)) {}

  Outcome<json::object> structure(const Shape& shape, const std::string& prefix, int depth) {
    json::object object(memory_);
    if (depth > Form::kDepthMax) return malformed("The form is nested too deeply.");
    for (const auto& member : shape.members) {
      std::string name = prefix.empty() ? "" : prefix + ".";
      // A flattened list goes under the name of its items.
      const Shape& of = *member.shape;
      if (of.kind == Kind::list && of.flattened && !of.element_name.empty() &&
          !member.renamed_in_query())
        name += of.element_name;
      else
        name += member.query();
      if (!is_there(name)) continue;
      auto read = value(of, name, depth + 1);
      if (read.has_error()) return std::move(read).error();
      if (!read->is_null()) object.emplace(member.name, std::move(*read));
    }
    return object;
  }

 private:
  using At = std::vector<std::pair<std::string, std::string>>::const_iterator;

  At lower(std::string_view name) const {
    return std::lower_bound(form_.parameters_.begin(), form_.parameters_.end(), name,
                            [](const auto& p, std::string_view n) { return p.first < n; });
  }

  bool is_there(const std::string& name) const {
    if (form_.find(name)) return true;
    const auto at = lower(name + ".");
    return at != form_.parameters_.end() && at->first.starts_with(name + ".");
  }

  // The numbers N of prefix.N and prefix.N.anything, in order.
  std::vector<std::uint32_t> indices(const std::string& prefix) const {
    std::vector<std::uint32_t> found;
    const std::string start = prefix + ".";
    for (auto at = lower(start); at != form_.parameters_.end() && at->first.starts_with(start);
         ++at) {
      const char* first = at->first.data() + start.size();
      const char* last = at->first.data() + at->first.size();
      std::uint32_t index = 0;
      const auto [end, failed] = std::from_chars(first, last, index);
      if (failed == std::errc() && (end == last || *end == '.') && *first != '0')
        found.push_back(index);
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  Outcome<json::value> value(const Shape& shape, const std::string& name, int depth) {
    switch (shape.kind) {
      case Kind::structure: {
        auto read = structure(shape, name, depth);
        if (read.has_error()) return std::move(read).error();
        return json::value(std::move(*read));
      }
      case Kind::list:
        return list(shape, name, depth);
      case Kind::map:
        return map(shape, name, depth);
      default: {
        const auto text = form_.find(name);
        if (!text) return json::value(nullptr);
        return scalar(shape, name, *text);
      }
    }
  }

  Outcome<json::value> list(const Shape& shape, const std::string& name, int depth) {
    std::string prefix = name;
    if (!shape.flattened)
      prefix.append(".").append(shape.element_name.empty() ? "member" : shape.element_name);
    json::array items(memory_);
    for (const std::uint32_t index : indices(prefix)) {
      auto read = value(*shape.element, prefix + "." + std::to_string(index), depth + 1);
      if (read.has_error()) return std::move(read).error();
      items.push_back(std::move(*read));
    }
    return json::value(std::move(items));
  }

  Outcome<json::value> map(const Shape& shape, const std::string& name, int depth) {
    const std::string prefix = shape.flattened ? name : name + ".entry";
    const std::string key_name(shape.key_name.empty() ? "key" : shape.key_name);
    const std::string value_name(shape.element_name.empty() ? "value" : shape.element_name);
    json::object entries(memory_);
    for (const std::uint32_t index : indices(prefix)) {
      const std::string entry = prefix + "." + std::to_string(index) + ".";
      const auto key = form_.find(entry + key_name);
      if (!key)
        return Fault{"MissingParameter",
                     "The request must contain the parameter " + entry + key_name + "."};
      auto read = value(*shape.element, entry + value_name, depth + 1);
      if (read.has_error()) return std::move(read).error();
      if (!read->is_null()) entries.insert_or_assign(*key, std::move(*read));
    }
    return json::value(std::move(entries));
  }

  Outcome<json::value> scalar(const Shape& shape, std::string_view name, std::string_view text) {
    switch (shape.kind) {
      case Kind::integer: {
        std::int64_t number = 0;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (failed != std::errc() || end != text.data() + text.size())
          return misfit(name, text, "an integer");
        return json::value(number, memory_);
      }
      case Kind::floating: {
        if (text == "NaN" || text == "Infinity" || text == "-Infinity")
          return json::value(json::string_view(text), memory_);
        double number = 0;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (failed != std::errc() || end != text.data() + text.size() || !std::isfinite(number))
          return misfit(name, text, "a number");
        return json::value(number, memory_);
      }
      case Kind::boolean:
        if (wire::equal_ignoring_case(text, "true")) return json::value(true, memory_);
        if (wire::equal_ignoring_case(text, "false")) return json::value(false, memory_);
        return misfit(name, text, "true or false");
      case Kind::timestamp: {
        auto time =
            parse_time(shape.time == TimeForm::standard ? TimeForm::iso8601 : shape.time, text);
        if (!time) return misfit(name, text, "a timestamp");
        return json::value(*time, memory_);
      }
      default:
        return json::value(json::string_view(text), memory_);
    }
  }

  const Form& form_;
  json::storage_ptr memory_;
};

Outcome<json::object> Form::read(const Shape& shape, json::storage_ptr memory) const {
  return FormReader(*this, std::move(memory)).structure(shape, "", 0);
}

namespace {

class XmlWriter {
 public:
  explicit XmlWriter(std::string& out) : out_(out) {}

  void members(const Shape& shape, const json::object& object) {
    for (const auto& member : shape.members) {
      const json::value* value = object.if_contains(member.name);
      if (value && !value->is_null()) element(member, *value);
    }
  }

  void text_element(std::string_view name, std::string_view text) {
    open(name);
    append_xml(out_, text);
    close(name);
  }

  // Without a shape: members of faults.
  void any(std::string_view name, const json::value& value) {
    open(name);
    if (value.is_object())
      for (const auto& member : value.get_object()) any(member.key(), member.value());
    else if (value.is_string())
      append_xml(out_, value.get_string());
    else
      append_xml(out_, json::serialize(value));
    close(name);
  }

 private:
  void open(std::string_view name) { out_.append("<").append(name).append(">"); }
  void close(std::string_view name) { out_.append("</").append(name).append(">"); }

  void element(const Member& member, const json::value& value) {
    const Shape& shape = *member.shape;
    if (shape.kind == Kind::list && value.is_array() && shape.flattened) {
      const std::string_view name = member.renamed_in_query()     ? member.query()
                                    : !shape.element_name.empty() ? shape.element_name
                                                                  : member.name;
      for (const auto& item : value.get_array()) named(name, *shape.element, item);
    } else if (shape.kind == Kind::map && value.is_object() && shape.flattened) {
      entries(member.query(), shape, value.get_object());
    } else {
      named(member.query(), shape, value);
    }
  }

  void named(std::string_view name, const Shape& shape, const json::value& value) {
    open(name);
    content(shape, value);
    close(name);
  }

  void entries(std::string_view name, const Shape& shape, const json::object& object) {
    for (const auto& entry : object) {
      open(name);
      text_element(shape.key_name.empty() ? "key" : shape.key_name, entry.key());
      named(shape.element_name.empty() ? "value" : shape.element_name, *shape.element,
            entry.value());
      close(name);
    }
  }

  void content(const Shape& shape, const json::value& value) {
    if (shape.kind == Kind::structure && value.is_object()) {
      members(shape, value.get_object());
    } else if (shape.kind == Kind::list && value.is_array()) {
      for (const auto& item : value.get_array())
        named(shape.element_name.empty() ? "member" : shape.element_name, *shape.element, item);
    } else if (shape.kind == Kind::map && value.is_object()) {
      entries("entry", shape, value.get_object());
    } else if (shape.kind == Kind::timestamp && value.is_number()) {
      append_xml(out_,
                 format_time(shape.time == TimeForm::standard ? TimeForm::iso8601 : shape.time,
                             value.to_number<double>()));
    } else if (value.is_string()) {
      append_xml(out_, value.get_string());
    } else {
      append_xml(out_, number_text(value));
    }
  }

  std::string& out_;
};

void begin(std::string& out, std::string_view root, std::string_view xml_namespace) {
  out.append("<?xml version=\"1.0\"?>\n<").append(root);
  if (!xml_namespace.empty()) {
    out += " xmlns=\"";
    append_xml(out, xml_namespace);
    out += '"';
  }
  out += '>';
}

}  // namespace

std::string render_xml(const Operation& operation, std::string_view xml_namespace,
                       const json::object& output, std::string_view request_id) {
  const std::string name(operation.name);
  std::string out;
  XmlWriter writer(out);
  begin(out, name + "Response", xml_namespace);
  if (!operation.output->members.empty()) {
    out.append("<").append(name).append("Result>");
    writer.members(*operation.output, output);
    out.append("</").append(name).append("Result>");
  }
  out += "<ResponseMetadata>";
  writer.text_element("RequestId", request_id);
  out.append("</ResponseMetadata></").append(name).append("Response>\n");
  return out;
}

std::string render_xml_fault(const Fault& fault, std::string_view xml_namespace,
                             std::string_view request_id) {
  std::string out;
  XmlWriter writer(out);
  begin(out, "ErrorResponse", xml_namespace);
  out += "<Error>";
  writer.text_element("Type", fault.sender ? "Sender" : "Receiver");
  writer.text_element("Code", fault.query_code.empty() ? fault.code : fault.query_code);
  writer.text_element("Message", fault.message);
  if (fault.detail.empty())
    out += "<Detail/>";
  else
    for (const auto& member : fault.detail) writer.any(member.key(), member.value());
  out += "</Error>";
  writer.text_element("RequestId", request_id);
  out += "</ErrorResponse>\n";
  return out;
}

}  // namespace mayfly::aws
