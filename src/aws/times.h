#pragma once
// Points in time as AWS protocols write them. Pure; parsers take hostile text.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mayfly::aws {

// Seconds since 1970 of 20150830T123600Z; nothing else fits.
std::optional<std::int64_t> parse_basic_time(std::string_view text);
// 2014-04-29T18:30:38Z, with a fraction or an offset (+01:00) if there is one.
std::optional<double> parse_iso8601(std::string_view text);
// Tue, 29 Apr 2014 18:30:38 GMT, perhaps with a fraction.
std::optional<double> parse_http_date(std::string_view text);

std::string basic_time(std::int64_t epoch_s);
std::string iso8601(double epoch_s);  // a fraction (milliseconds) only where there is one
std::string http_date(double epoch_s);

}  // namespace mayfly::aws
