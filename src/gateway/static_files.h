#pragma once
// Files of a static folder over HTTP: GET and HEAD, validators, one range, an index file for
// folders and a fallback for single-page apps. Nothing outside the folder can be reached: paths are
// resolved by the kernel below it, and symbolic links that leave it count as missing.

#include <string>
#include <string_view>
#include <vector>

#include "io/blocking.h"
#include "io/http.h"

namespace mayfly::gateway {

struct StaticFolder {
  std::string dir;       // host path
  std::string index;     // "index.html"
  std::string fallback;  // file for paths that are not there; may be empty
};

// segments: path below the folder, decoded. pool reads the files; it must outlive the response.
// Status 404 has no body: the gateway gives it one.
io::Task<io::HttpResponse> serve_file(io::BlockingPool& pool, StaticFolder folder,
                                      std::vector<std::string> segments, bool trailing_slash,
                                      wire::RequestHead head);

// By the file name's extension; application/octet-stream when unknown.
std::string_view mime_type(std::string_view file_name);

// "Sat, 21 Nov 2026 08:30:00 GMT" both ways; -1 when text is not of that form (RFC 9110 5.6.7).
std::string http_date(std::int64_t unix_seconds);
std::int64_t parse_http_date(std::string_view text);

// One range of "bytes=..." against size. ignored: no range, several, or malformed.
enum class RangeStatus { ignored, satisfiable, unsatisfiable };
RangeStatus parse_range(std::string_view text, std::uint64_t size, std::uint64_t& first,
                        std::uint64_t& last);

}  // namespace mayfly::gateway
