#include "dialects/adapters/proxy_headers.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/ids.h"
#include "dialects/text.h"

namespace mayfly::dialects::adapters {
namespace {

bool belongs_to_connection(std::string_view name) {
  static constexpr std::string_view kNames[] = {"connection",
                                                "keep-alive",
                                                "proxy-connection",
                                                "proxy-authenticate",
                                                "proxy-authorization",
                                                "te",
                                                "trailer",
                                                "transfer-encoding",
                                                "upgrade"};
  for (const auto known : kNames)
    if (wire::equal_ignoring_case(name, known)) return true;
  return false;
}

bool names(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (wire::equal_ignoring_case(trim(list.substr(0, comma)), name)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

std::string new_trace_id() {
  const auto seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("Root=1-{:08x}-{}", static_cast<std::uint32_t>(seconds), random_hex(12));
}

}  // namespace

wire::Headers end_to_end(const wire::Headers& headers) {
  wire::Headers kept;
  std::string connection;
  for (const auto [name, value] : headers)
    if (wire::equal_ignoring_case(name, "connection")) connection.append(value).append(",");
  for (const auto [name, value] : headers)
    if (!belongs_to_connection(name) && !names(connection, name)) kept.add(name, value);
  return kept;
}

Result<wire::RequestHead> proxied_request(const engine::Invocation& invocation) {
  wire::DecodedRequest request;
  if (invocation.kind == engine::PayloadKind::http) {
    auto decoded = wire::decode_request_head(invocation.head);
    if (decoded.has_error()) return std::move(decoded).error();
    request = std::move(*decoded);
  } else {
    request.head.method = "POST";
    request.head.target = "/";
    request.head.remote_ip = "127.0.0.1";
    request.head.headers.add("Host", "localhost");
    request.head.headers.add("Content-Type", "application/json");
  }
  auto headers = end_to_end(request.head.headers);
  const std::string host(headers.find("host").value_or("localhost"));
  std::string forwarded_for(headers.find("x-forwarded-for").value_or(""));
  if (!forwarded_for.empty()) forwarded_for += ", ";
  forwarded_for += request.head.remote_ip;
  headers.set("X-Forwarded-For", forwarded_for);
  headers.set("X-Forwarded-Proto", request.head.scheme.empty() ? "http" : request.head.scheme);
  headers.set("X-Forwarded-Host", host);
  headers.remove("X-Forwarded-Prefix");
  if (!request.base.empty()) headers.set("X-Forwarded-Prefix", request.base);
  headers.set("X-Mayfly-Request-Id", invocation.request_id);
  if (!headers.contains("x-amzn-trace-id")) {
    const auto& trace = invocation.trace_id;
    const bool amazons = trace.find("Root=") != std::string::npos && wire::is_field_value(trace);
    headers.add("X-Amzn-Trace-Id", amazons ? trace : new_trace_id());
  }
  request.head.headers = std::move(headers);
  return std::move(request.head);
}

}  // namespace mayfly::dialects::adapters
