#pragma once
// Internal: what the files of this folder share beside the service.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dialects/aws_values.h"
#include "dialects/lambda_api/faults.h"

namespace mayfly::dialects::lambda_api {

// Size of a file; 0 when it cannot be told. Blocks.
std::uint64_t file_bytes(const std::string& path);

inline constexpr std::string_view kMappingArn = ":event-source-mapping:";  // + id

// Names and number of tags.
aws::Outcome<void> check_tags(const std::map<std::string, std::string>& tags);

// The page that Marker and MaxItems of input ask for, and the marker of the next.
template <class Item, class KeyOf>
aws::Outcome<std::pair<std::vector<Item>, std::string>> lambda_page(
    const std::vector<Item>& items, const boost::json::object& input, std::int64_t most,
    const KeyOf& key_of) {
  const std::int64_t max = number_member(input, "MaxItems", most);
  if (max < 1)
    return validation(std::to_string(max), "maxItems",
                      "Member must have value greater than or equal to 1");
  if (max > 10'000)
    return validation(std::to_string(max), "maxItems",
                      "Member must have value less than or equal to 10000");
  return page_of(items, text_member(input, "Marker"), static_cast<std::size_t>(std::min(max, most)),
                 key_of);
}

}  // namespace mayfly::dialects::lambda_api
