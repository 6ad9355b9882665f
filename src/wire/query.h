#pragma once
// The parameters of a query or form: "a=1&b". Pure.

#include <optional>
#include <string_view>

namespace mayfly::wire {

// Both as received, still encoded.
struct QueryParameter {
  std::string_view name, value;  // value: empty without '=' too
};

// Takes the first one off the front of query, passing over empty ones; nullopt at the end.
std::optional<QueryParameter> take_parameter(std::string_view& query);

}  // namespace mayfly::wire
