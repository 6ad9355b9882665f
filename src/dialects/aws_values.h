#pragma once
// Looking into the input of an operation of an AWS service. Types are right already (aws::Call).

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/service.h"

namespace mayfly::dialects {

inline std::string text_member(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

inline std::vector<std::string> texts_member(const boost::json::object& object,
                                             std::string_view key) {
  std::vector<std::string> texts;
  const boost::json::value* value = object.if_contains(key);
  if (value && value->is_array())
    for (const auto& item : value->get_array())
      if (item.is_string()) texts.emplace_back(item.get_string());
  return texts;
}

inline const boost::json::object* object_member(const boost::json::object& object,
                                                std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value ? value->if_object() : nullptr;
}

// Objects of a list; items of other kinds are left out.
inline std::vector<const boost::json::object*> objects_member(const boost::json::object& object,
                                                              std::string_view key) {
  std::vector<const boost::json::object*> objects;
  const boost::json::value* value = object.if_contains(key);
  if (value && value->is_array())
    for (const auto& item : value->get_array())
      if (const auto* one = item.if_object()) objects.push_back(one);
  return objects;
}

inline std::map<std::string, std::string> map_member(const boost::json::object& object,
                                                     std::string_view key) {
  std::map<std::string, std::string> out;
  if (const auto* map = object_member(object, key))
    for (const auto& [name, value] : *map)
      if (value.is_string()) out[std::string(name)] = std::string(value.get_string());
  return out;
}

// [{"Key", "Value"}]
inline std::map<std::string, std::string> tags_member(const boost::json::object& object,
                                                      std::string_view key) {
  std::map<std::string, std::string> out;
  for (const auto* tag : objects_member(object, key))
    out[text_member(*tag, "Key")] = text_member(*tag, "Value");
  return out;
}

inline boost::json::array tags_list(const std::map<std::string, std::string>& tags) {
  boost::json::array out;
  for (const auto& [key, value] : tags)
    out.push_back(boost::json::object{{"Key", key}, {"Value", value}});
  return out;
}

inline std::int64_t number_member(const boost::json::object& object, std::string_view key,
                                  std::int64_t fallback) {
  const boost::json::value* value = object.if_contains(key);
  return value && value->is_int64() ? value->get_int64() : fallback;
}

inline bool flag_member(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value && value->is_bool() && value->get_bool();
}

inline io::Task<aws::Outcome<boost::json::object>> answered(
    aws::Outcome<boost::json::object> outcome) {
  co_return outcome;
}

// A page of items that are ordered by name: those behind token, at most max; next is the token of
// the page after, empty at the end.
template <class Item, class NameOf>
std::pair<std::vector<Item>, std::string> page_of(const std::vector<Item>& items,
                                                  const std::string& token, std::size_t max,
                                                  const NameOf& name_of) {
  std::pair<std::vector<Item>, std::string> page;
  for (const auto& item : items) {
    if (!token.empty() && name_of(item) <= token) continue;
    if (page.first.size() == max) {
      page.second = name_of(page.first.back());
      break;
    }
    page.first.push_back(item);
  }
  return page;
}

}  // namespace mayfly::dialects
