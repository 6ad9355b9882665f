#pragma once
// Checks that the catalogue, the manifest and the JSON forms share. All pure; errors name what is
// wrong and the bound.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/app.h"
#include "functions/types.h"

namespace mayfly::functions {

struct Defaults;

inline constexpr std::size_t kLayersMax = 5;  // of a function, as on AWS

// [a-zA-Z0-9_-]{1,64}; what is "function" or "application".
Status check_name(std::string_view what, std::string_view name);
// [a-zA-Z0-9_-]{1,140}
Status check_layer_name(std::string_view name);
// What functions name layers by (layers.h), and how many of them.
Status check_layer_refs(const std::vector<std::string>& layers);
Status check_settings(const Settings& settings, const Defaults& defaults);
// Method and path of a route: "/", "/a/{id}", "/files/{proxy+}" (a greedy parameter only at the
// end).
Status check_route_method(std::string_view method);
Status check_route_path(std::string_view path);
// The path with the names of its parameters taken out: equal shapes match the same requests.
std::string route_shape(std::string_view path);
Status check_cors(const Cors& cors);
Status check_app(const App& app);

// The nearest of known, if one is near enough to be what was meant; else "".
std::string nearest(std::string_view word, const std::vector<std::string_view>& known);
// " Did you mean 'x'?" or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known);

bool is_sha256(std::string_view text);

}  // namespace mayfly::functions
