// link: mayfly_dialects
// What an extension asks of the Telemetry and Logs APIs: what is accepted is bounded, and goes
// nowhere but to the sandbox. Lines of a log become records that are JSON.

#include <boost/json/parse.hpp>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "dialects/lambda/telemetry_syntax.h"

namespace {

using namespace mayfly;
using namespace mayfly::dialects::lambda;

void check_subscription(std::string_view body, bool logs_api) {
  const auto read = parse_subscription(body, logs_api);
  if (read.has_error()) {
    if (read.error().message.empty()) std::abort();
    return;
  }
  if (read->port == 0 || !read->path.starts_with('/') || read->logs_api != logs_api) std::abort();
  if (read->path.find_first_of("\r\n ") != std::string::npos)
    std::abort();  // goes into a request line
  if (read->items_max < 1'000 || read->items_max > 10'000 || read->bytes_max < 256 * 1024 ||
      read->bytes_max > 1024 * 1024 || read->timeout.count() < 25 || read->timeout.count() > 30'000)
    std::abort();
  if (read->types.empty()) std::abort();
  for (const auto& type : read->types)
    if (!read->wants(type)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_subscription(text, false);
  check_subscription(text, true);
  for (const bool json_logs : {false, true}) {
    const std::string event = telemetry_event(WallTime(), "function", line_record(text, json_logs));
    boost::json::parse_options options;
    options.max_depth = 256;
    boost::json::error_code failed;
    boost::json::parse(event, failed, {}, options);
    if (failed) std::abort();
  }
  return 0;
}
