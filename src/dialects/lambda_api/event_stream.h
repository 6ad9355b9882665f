#pragma once
// application/vnd.amazon.eventstream: frames with headers and two checksums, in which
// InvokeWithResponseStream answers.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/body.h"

namespace mayfly::dialects::lambda_api {

// One frame; headers are texts. Pure.
std::string encode_event(const std::vector<std::pair<std::string_view, std::string_view>>& headers,
                         std::string_view payload);

// What InvokeComplete says.
struct StreamEnd {
  std::string error_code, error_details, log_result;  // empty: not there
};

// The body as PayloadChunk events, then InvokeComplete. more may be null; when it breaks off,
// InvokeComplete says so.
io::BodyReaderPtr make_event_stream(std::string first, io::BodyReaderPtr more, StreamEnd end);

}  // namespace mayfly::dialects::lambda_api
