#pragma once
// Cross-origin resource sharing as an app asks for it (WHATWG Fetch, 3.2). Pure.

#include <string>
#include <string_view>
#include <vector>

#include "functions/app.h"
#include "io/http.h"

namespace mayfly::gateway {

// "a, b, c": the value of a header that lists.
std::string join(const std::vector<std::string>& list);

inline bool has_cors(const functions::Cors& cors) {
  return !cors.allow_origins.empty();
}

// True for OPTIONS with Origin and Access-Control-Request-Method.
bool is_preflight(const wire::RequestHead& head);

// The answer to a preflight. methods: those of the path, for when the app names none.
io::HttpResponse preflight_response(const functions::Cors& cors, const wire::RequestHead& head,
                                    const std::vector<std::string>& methods);

// Adds the headers to any other answer; the app's rules replace what the function said. origin is
// empty when the request has none.
void add_cors(const functions::Cors& cors, std::string_view origin, wire::ResponseHead& head);

}  // namespace mayfly::gateway
