#pragma once
// Small things about text that the protocols share. Pure.

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "aws/shape.h"
#include "wire/http_message.h"

namespace mayfly::aws {

// Escaped for XML text and attributes; characters that XML 1.0 cannot hold become U+FFFD.
void append_xml(std::string& out, std::string_view text);

// A number or boolean of JSON as text: 5, 5.5, true.
std::string number_text(const boost::json::value& value);

std::optional<double> parse_time(TimeForm form, std::string_view text);
std::string format_time(TimeForm form, double epoch_s);

}  // namespace mayfly::aws
