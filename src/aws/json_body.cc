#include "aws/json_body.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "aws/text.h"
#include "aws/times.h"

namespace mayfly::aws {

namespace json = boost::json;

namespace {

constexpr double kWholeMax = 9.0e18;

Fault misfit(std::string_view where, std::string_view wanted) {
  return {"SerializationException", std::string(where.empty() ? "The body" : where) + " must be " +
                                        std::string(wanted) + "."};
}

Outcome<json::value> structure_from(const Shape& shape, json::object&& object) {
  json::object out(object.storage());
  out.reserve(object.size());
  for (const auto& member : shape.members) {
    if (member.place != Place::body && member.place != Place::host_label) continue;
    json::value* value = object.if_contains(member.wire());
    if (!value || value->is_null()) continue;
    auto read = from_wire(*member.shape, std::move(*value), member.name);
    if (read.has_error()) return std::move(read).error();
    out.emplace(member.name, std::move(*read));
  }
  return json::value(std::move(out));
}

Outcome<json::value> number_from(const Shape& shape, json::value&& value, std::string_view where) {
  if (shape.kind == Kind::floating) {
    if (value.is_number()) return std::move(value);
    if (value.is_string() && (value.get_string() == "NaN" || value.get_string() == "Infinity" ||
                              value.get_string() == "-Infinity"))
      return std::move(value);
    return misfit(where, "a number");
  }
  if (value.is_int64()) return std::move(value);
  if (value.is_double() && std::abs(value.get_double()) < kWholeMax &&
      value.get_double() == std::floor(value.get_double()))
    return json::value(static_cast<std::int64_t>(value.get_double()), value.storage());
  return misfit(where, "an integer");
}

Outcome<json::value> time_from(const Shape& shape, json::value&& value, std::string_view where) {
  if (value.is_number()) return std::move(value);
  if (value.is_string()) {
    const TimeForm form = shape.time == TimeForm::standard ? TimeForm::iso8601 : shape.time;
    if (const auto time = parse_time(form, value.get_string()))
      return json::value(*time, value.storage());
  }
  return misfit(where, "a timestamp");
}

}  // namespace

Outcome<json::value> from_wire(const Shape& shape, json::value&& value, std::string_view where) {
  switch (shape.kind) {
    case Kind::structure:
      if (!value.is_object()) return misfit(where, "an object");
      return structure_from(shape, std::move(value.get_object()));
    case Kind::list:
      if (!value.is_array()) return misfit(where, "a list");
      for (auto& item : value.get_array()) {
        if (item.is_null()) continue;
        auto read = from_wire(*shape.element, std::move(item), where);
        if (read.has_error()) return std::move(read).error();
        item = std::move(*read);
      }
      return std::move(value);
    case Kind::map:
      if (!value.is_object()) return misfit(where, "an object");
      for (auto& entry : value.get_object()) {
        if (entry.value().is_null()) continue;
        auto read = from_wire(*shape.element, std::move(entry.value()), where);
        if (read.has_error()) return std::move(read).error();
        entry.value() = std::move(*read);
      }
      return std::move(value);
    case Kind::string:
    case Kind::blob:
      if (!value.is_string()) return misfit(where, "a string");
      return std::move(value);
    case Kind::boolean:
      if (!value.is_bool()) return misfit(where, "true or false");
      return std::move(value);
    case Kind::integer:
    case Kind::floating:
      return number_from(shape, std::move(value), where);
    case Kind::timestamp:
      return time_from(shape, std::move(value), where);
    case Kind::document:
      break;
  }
  return std::move(value);
}

Outcome<json::object> read_json(const Shape& shape, std::string_view text,
                                json::storage_ptr memory) {
  if (text.empty()) return json::object(std::move(memory));
  boost::system::error_code failed;
  json::value value =
      json::parse(json::string_view(text.data(), text.size()), failed, std::move(memory));
  if (failed) return Fault{"SerializationException", "The body is not valid JSON."};
  auto read = from_wire(shape, std::move(value), "");
  if (read.has_error()) return std::move(read).error();
  return std::move(read->get_object());
}

json::value to_wire(const Shape& shape, const json::value& value) {
  if (shape.kind == Kind::structure && value.is_object()) {
    json::object out;
    for (const auto& member : shape.members) {
      if (member.place != Place::body && member.place != Place::host_label) continue;
      const json::value* found = value.get_object().if_contains(member.name);
      if (found && !found->is_null()) out.emplace(member.wire(), to_wire(*member.shape, *found));
    }
    return out;
  }
  if (shape.kind == Kind::list && value.is_array()) {
    json::array out;
    out.reserve(value.get_array().size());
    for (const auto& item : value.get_array()) out.push_back(to_wire(*shape.element, item));
    return out;
  }
  if (shape.kind == Kind::map && value.is_object()) {
    json::object out;
    for (const auto& entry : value.get_object())
      out.emplace(entry.key(), to_wire(*shape.element, entry.value()));
    return out;
  }
  if (shape.kind == Kind::timestamp && value.is_number()) {
    const double time = value.to_number<double>();
    if (shape.time == TimeForm::iso8601 || shape.time == TimeForm::http_date)
      return json::string(format_time(shape.time, time));
    if (time == std::floor(time) && std::abs(time) < kWholeMax)
      return static_cast<std::int64_t>(time);
  }
  return value;
}

std::string write_json(const Shape& shape, const json::object& object) {
  // Boost writes doubles as 1.7E9, which every JSON parser reads; whole times go as integers.
  return json::serialize(to_wire(shape, json::value(object)));
}

std::string write_json_fault(const Fault& fault, std::string_view prefix) {
  json::object body = fault.detail;
  body["__type"] = std::string(prefix) + fault.code;
  body["message"] = fault.message;
  return json::serialize(body);
}

Outcome<void> check_required(const Shape& shape, const json::object& object,
                             std::string_view code) {
  for (const auto& member : shape.members) {
    const json::value* value = object.if_contains(member.name);
    if (!value) {
      if (!member.required) continue;
      return Fault{std::string(code),
                   "The request must contain the parameter " + std::string(member.name) + "."};
    }
    const Shape* inner = member.shape;
    if (inner->kind == Kind::structure && value->is_object()) {
      AWS_TRY(check_required(*inner, value->get_object(), code));
    } else if (inner->kind == Kind::list && inner->element->kind == Kind::structure &&
               value->is_array()) {
      for (const auto& item : value->get_array())
        if (item.is_object()) AWS_TRY(check_required(*inner->element, item.get_object(), code));
    }
  }
  return {};
}

}  // namespace mayfly::aws
