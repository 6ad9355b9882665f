#pragma once
// Within the room: reads the members of JSON objects, strictly.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/checks.h"

namespace mayfly::functions {

inline std::string_view kind_name(const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return "null";
    case boost::json::kind::bool_:
      return "a boolean";
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
    case boost::json::kind::double_:
      return "a number";
    case boost::json::kind::string:
      return "a text";
    case boost::json::kind::array:
      return "a list";
    case boost::json::kind::object:
      return "an object";
  }
  return "something else";
}

// Reads the members of one object; the first error stays.
class Fields {
 public:
  Fields(const boost::json::object& object, std::string where)
      : object_(object), where_(std::move(where)) {}

  void text(std::string_view key, std::string& out) {
    if (const auto* value = member(key)) {
      if (!value->is_string()) return wrong(key, "a text", *value);
      out = std::string(value->get_string());
    }
  }
  void boolean(std::string_view key, bool& out) {
    if (const auto* value = member(key)) {
      if (!value->is_bool()) return wrong(key, "true or false", *value);
      out = value->get_bool();
    }
  }
  void number(std::string_view key, double& out) {
    if (const auto* value = member(key)) {
      if (!value->is_number()) return wrong(key, "a number", *value);
      out = value->to_number<double>();
    }
  }
  void text_map(std::string_view key, std::map<std::string, std::string>& out) {
    const auto* map = object(key);
    if (map == nullptr) return;
    for (const auto& entry : *map) {
      if (!entry.value().is_string()) return wrong(key, "an object of texts", entry.value());
      out[std::string(entry.key())] = std::string(entry.value().get_string());
    }
  }
  template <class T>
  void integer(std::string_view key, T& out, std::int64_t min = 0) {
    const auto* value = member(key);
    if (value == nullptr) return;
    // 128 may arrive as 128.0 from clients whose numbers are all floating.
    std::int64_t number = 0;
    if (value->is_int64()) {
      number = value->get_int64();
    } else if (value->is_double() && value->get_double() >= -9e15 && value->get_double() <= 9e15 &&
               value->get_double() ==
                   static_cast<double>(static_cast<std::int64_t>(value->get_double()))) {
      number = static_cast<std::int64_t>(value->get_double());
    } else {
      return wrong(key, "a whole number", *value);
    }
    constexpr std::uint64_t kTypeMax = std::numeric_limits<T>::max();
    if (number < min || (number > 0 && static_cast<std::uint64_t>(number) > kTypeMax))
      return fail(
          fmt::format("{}{} is {}; it must be {} to {}.", where_, key, number, min, kTypeMax));
    out = static_cast<T>(number);
  }
  void texts(std::string_view key, std::vector<std::string>& out) {
    const auto* value = member(key);
    if (value == nullptr) return;
    if (!value->is_array()) return wrong(key, "a list of texts", *value);
    for (const auto& item : value->get_array()) {
      if (!item.is_string()) return wrong(key, "a list of texts", item);
      out.emplace_back(item.get_string());
    }
  }
  const boost::json::object* object(std::string_view key) {
    const auto* value = member(key);
    if (value == nullptr) return nullptr;
    if (!value->is_object()) {
      wrong(key, "an object", *value);
      return nullptr;
    }
    return &value->get_object();
  }
  const boost::json::array* array(std::string_view key) {
    const auto* value = member(key);
    if (value == nullptr) return nullptr;
    if (!value->is_array()) {
      wrong(key, "a list", *value);
      return nullptr;
    }
    return &value->get_array();
  }
  void fail(std::string message) {
    if (!error_) error_ = invalid(std::move(message));
  }
  // Complains about keys that nobody asked for.
  Status finish() {
    if (error_) return *error_;
    for (const auto& entry : object_) {
      const std::string_view key = entry.key();
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        return invalid(fmt::format("{}'{}' is not a known key.{}", where_, key.substr(0, 100),
                                   did_you_mean(key, known_)));
    }
    return ok();
  }

 private:
  const boost::json::value* member(std::string_view key) {
    known_.push_back(key);
    if (error_) return nullptr;
    const auto* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  void wrong(std::string_view key, std::string_view wanted, const boost::json::value& value) {
    fail(fmt::format("{}{} must be {}, not {}.", where_, key, wanted, kind_name(value)));
  }

  const boost::json::object& object_;
  const std::string where_;
  std::vector<std::string_view> known_;
  std::optional<Error> error_;
};

inline boost::json::array json_array_of(const std::vector<std::string>& texts) {
  return boost::json::array(texts.begin(), texts.end());
}

}  // namespace mayfly::functions
