#pragma once
// Internal: looking into the input of an operation. Types are right already (aws::Call).

#include <boost/json/object.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "aws/service.h"
#include "dialects/sqs/faults.h"

namespace mayfly::dialects::sqs {

inline std::string_view text_of(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

inline std::vector<std::string_view> texts_of(const boost::json::object& object,
                                              std::string_view key) {
  std::vector<std::string_view> texts;
  const boost::json::value* value = object.if_contains(key);
  if (value && value->is_array())
    for (const auto& item : value->get_array())
      if (item.is_string()) texts.emplace_back(item.get_string());
  return texts;
}

// nullopt when it is not there; a fault outside low .. high.
inline aws::Outcome<std::optional<std::uint32_t>> number_in(const boost::json::object& object,
                                                            std::string_view key, std::uint32_t low,
                                                            std::uint32_t high) {
  const boost::json::value* value = object.if_contains(key);
  if (!value || !value->is_int64()) return std::optional<std::uint32_t>();
  const std::int64_t number = value->get_int64();
  if (number < low || number > high)
    return bad_value(key, std::to_string(number),
                     "Must be between " + std::to_string(low) + " and " + std::to_string(high) +
                         ", if provided.");
  return std::optional<std::uint32_t>(static_cast<std::uint32_t>(number));
}

io::Task<aws::Outcome<boost::json::object>> ready(aws::Outcome<boost::json::object> outcome);

}  // namespace mayfly::dialects::sqs
