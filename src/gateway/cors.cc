#include "gateway/cors.h"

#include <algorithm>

namespace mayfly::gateway {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// What goes into Access-Control-Allow-Origin; empty: this origin is not allowed.
std::string_view allowed_origin(const functions::Cors& cors, std::string_view origin) {
  if (origin.empty()) return {};
  const bool any = contains(cors.allow_origins, "*");
  // With credentials the literal "*" means nothing to browsers.
  if (any && !cors.allow_credentials) return "*";
  return any || contains(cors.allow_origins, origin) ? origin : std::string_view{};
}

// The answer depends on Origin unless every origin gets "*".
void add_vary(const functions::Cors& cors, wire::Headers& headers) {
  if (contains(cors.allow_origins, "*") && !cors.allow_credentials) return;
  const auto present = headers.find("Vary");
  if (!present) return headers.add("Vary", "Origin");
  std::string lower(*present);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "*" || lower.find("origin") != std::string::npos) return;
  headers.set("Vary", std::string(*present) + ", Origin");
}

}  // namespace

std::string join(const std::vector<std::string>& list) {
  std::string out;
  for (const auto& item : list) {
    if (!out.empty()) out += ", ";
    out += item;
  }
  return out;
}

bool is_preflight(const wire::RequestHead& head) {
  return head.method == "OPTIONS" && head.headers.contains("Origin") &&
         head.headers.contains("Access-Control-Request-Method");
}

io::HttpResponse preflight_response(const functions::Cors& cors, const wire::RequestHead& head,
                                    const std::vector<std::string>& methods) {
  io::HttpResponse response;
  response.head.status = 204;
  auto& headers = response.head.headers;
  const auto origin = head.headers.find("Origin").value_or("");
  const auto allowed = allowed_origin(cors, origin);
  add_vary(cors, headers);
  if (allowed.empty()) return response;
  headers.add("Access-Control-Allow-Origin", allowed);
  if (cors.allow_credentials) headers.add("Access-Control-Allow-Credentials", "true");
  headers.add("Access-Control-Allow-Methods",
              join(cors.allow_methods.empty() ? methods : cors.allow_methods));
  const auto wanted = head.headers.find("Access-Control-Request-Headers");
  if (!cors.allow_headers.empty())
    headers.add("Access-Control-Allow-Headers", join(cors.allow_headers));
  else if (wanted)
    headers.add("Access-Control-Allow-Headers", *wanted);
  headers.add("Access-Control-Max-Age", std::to_string(cors.max_age_s));
  return response;
}

void add_cors(const functions::Cors& cors, std::string_view origin, wire::ResponseHead& head) {
  if (!has_cors(cors)) return;
  auto& headers = head.headers;
  for (const std::string_view name :
       {"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
        "Access-Control-Expose-Headers"})
    headers.remove(name);
  add_vary(cors, headers);
  const auto allowed = allowed_origin(cors, origin);
  if (allowed.empty()) return;
  headers.add("Access-Control-Allow-Origin", allowed);
  if (cors.allow_credentials) headers.add("Access-Control-Allow-Credentials", "true");
  if (!cors.expose_headers.empty())
    headers.add("Access-Control-Expose-Headers", join(cors.expose_headers));
}

}  // namespace mayfly::gateway
