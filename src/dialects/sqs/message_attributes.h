#pragma once
// Internal: attributes of messages: reading, checking, their MD5, and which of them a receiver
// wants. Pure.

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "aws/service.h"
#include "queues/engine.h"

namespace mayfly::dialects::sqs {

// {"name":{"DataType":"String","StringValue":"..."},...}, checked and sorted by name.
aws::Outcome<std::vector<queues::MessageAttribute>> read_attributes(const boost::json::object& map);
boost::json::object write_attributes(const std::vector<queues::MessageAttribute>& attributes);

// The MD5 that clients compare, over attributes sorted by name; empty when there are none.
std::string attributes_md5(const std::vector<queues::MessageAttribute>& attributes);

// Those of attributes that names ask for: a name, All, .*, or prefix.*
std::vector<queues::MessageAttribute> chosen(
    const std::vector<queues::MessageAttribute>& attributes,
    const std::vector<std::string_view>& names);

// Only what XML 1.0 can hold: then true.
bool is_message_text(std::string_view text);

}  // namespace mayfly::dialects::sqs
