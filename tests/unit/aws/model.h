#pragma once
// Shapes out of a service model in the form of the vectors, and their values in this room's form.

#include <boost/json.hpp>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "aws/service.h"
#include "aws/shape.h"

namespace mayfly::aws::testing {

namespace json = boost::json;

// The string at key, "" when there is none.
inline std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// Owns what shapes and operations point at.
class Model {
 public:
  explicit Model(const json::object& shapes) : shapes_(shapes) {}

  const Shape& shape(const json::object& reference) {
    const std::string name = text_at(reference, "shape");
    const json::object& from = shapes_.at(name).get_object();
    const bool flattened = flag(reference, "flattened") || flag(from, "flattened");
    std::string time = text_at(reference, "timestampFormat");
    if (time.empty()) time = text_at(from, "timestampFormat");
    const std::string key = name + (flattened ? "/flat/" : "/") + time;
    if (const auto made = made_.find(key); made != made_.end()) return *made->second;
    Shape& shape = pool_.emplace_back();
    made_[key] = &shape;
    fill(shape, from, flattened, time);
    return shape;
  }

  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }

  const Operation& operation(const json::object& given) {
    Operation& operation = operations_.emplace_back();
    operation.name = keep(text_at(given, "name"));
    const json::object& http = given.at("http").get_object();
    operation.method = keep(text_at(http, "method"));
    operation.path = keep(text_at(http, "requestUri"));
    if (const json::value* code = http.if_contains("responseCode"))
      operation.status = static_cast<int>(code->to_number<int>());
    if (const json::value* input = given.if_contains("input"))
      operation.input = &shape(input->get_object());
    if (const json::value* output = given.if_contains("output"))
      operation.output = &shape(output->get_object());
    return operation;
  }

 private:
  static bool flag(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value && value->is_bool() && value->get_bool();
  }

  static Kind kind_of(const json::object& from) {
    static const std::map<std::string, Kind> kinds{
        {"string", Kind::string},       {"character", Kind::string}, {"integer", Kind::integer},
        {"long", Kind::integer},        {"float", Kind::floating},   {"double", Kind::floating},
        {"boolean", Kind::boolean},     {"blob", Kind::blob},        {"timestamp", Kind::timestamp},
        {"structure", Kind::structure}, {"list", Kind::list},        {"map", Kind::map}};
    return flag(from, "document") ? Kind::document : kinds.at(text_at(from, "type"));
  }

  static Place place_of(const std::string& name) {
    static const std::map<std::string, Place> places{
        {"uri", Place::path},        {"querystring", Place::query}, {"header", Place::header},
        {"headers", Place::headers}, {"statusCode", Place::status}, {"", Place::body}};
    return places.at(name);
  }

  void fill(Shape& shape, const json::object& from, bool flattened, const std::string& time) {
    shape.kind = kind_of(from);
    shape.flattened = flattened;
    shape.time = time == "iso8601" || time == "date-time"             ? TimeForm::iso8601
                 : time == "rfc822" || time == "http-date"            ? TimeForm::http_date
                 : time == "unixTimestamp" || time == "epoch-seconds" ? TimeForm::epoch
                                                                      : TimeForm::standard;
    if (shape.kind == Kind::structure) {
      auto& members = members_.emplace_back();
      const std::string payload = text_at(from, "payload");
      for (const auto& entry : from.at("members").get_object()) {
        const json::object& reference = entry.value().get_object();
        Member member;
        member.name = keep(std::string(entry.key()));
        member.wire_name = keep(text_at(reference, "locationName"));
        member.place = place_of(text_at(reference, "location"));
        if (!payload.empty() && payload == member.name) member.place = Place::payload;
        member.shape = &this->shape(reference);
        members.push_back(member);
      }
      shape.members = members;
    } else if (shape.kind == Kind::list) {
      const json::object& item = from.at("member").get_object();
      shape.element_name = keep(text_at(item, "locationName"));
      shape.element = &this->shape(item);
    } else if (shape.kind == Kind::map) {
      const json::object& value = from.at("value").get_object();
      shape.key_name = keep(text_at(from.at("key").get_object(), "locationName"));
      shape.element_name = keep(text_at(value, "locationName"));
      shape.element = &this->shape(value);
    }
  }

  const json::object& shapes_;
  std::deque<Shape> pool_;
  std::deque<std::vector<Member>> members_;
  std::deque<std::string> texts_;
  std::deque<Operation> operations_;
  std::map<std::string, const Shape*> made_;
};

inline std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t block = 0;
    const std::size_t size = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j)
      block = block << 8 | (j < size ? static_cast<std::uint8_t>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += j > size ? '=' : kDigits[block >> (18 - 6 * j) & 63];
  }
  return out;
}

// A value of the vectors (params, result) as this room has it: blobs as base64 but for a payload,
// numbers as doubles so that 1 and 1.0 are equal, nulls and empty maps of fields dropped.
inline json::value canonical(const Shape& shape, const json::value& value, bool of_vectors,
                             bool payload = false) {
  if (shape.kind == Kind::structure && value.is_object()) {
    json::object out;
    for (const auto& member : shape.members) {
      const json::value* found = value.get_object().if_contains(member.name);
      if (found && !found->is_null())
        out.emplace(member.name,
                    canonical(*member.shape, *found, of_vectors, member.place == Place::payload));
    }
    return out;
  }
  if (shape.kind == Kind::list && value.is_array()) {
    json::array out;
    for (const auto& item : value.get_array())
      out.push_back(canonical(*shape.element, item, of_vectors));
    return out;
  }
  if (shape.kind == Kind::map && value.is_object()) {
    std::map<std::string, json::value> sorted;
    for (const auto& entry : value.get_object())
      if (!entry.value().is_null())
        sorted[std::string(entry.key())] = canonical(*shape.element, entry.value(), of_vectors);
    json::object out;
    for (auto& [key, item] : sorted) out.emplace(key, std::move(item));
    return out;
  }
  if (shape.kind == Kind::blob && value.is_string() && of_vectors && !payload)
    return json::string(base64(value.get_string()));
  if (value.is_number() && shape.kind != Kind::document) return value.to_number<double>();
  return value;
}

}  // namespace mayfly::aws::testing
