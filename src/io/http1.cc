#include "io/http1.h"

#include <cstring>

#include "io/http1_fields.h"

namespace mayfly::io {
namespace {

using namespace http1;

constexpr std::size_t kMethodMax = 64;
constexpr std::size_t kLinesBeforeRequestMax = 4;  // empty ones, RFC 9112 2.2

bool valid_host(std::string_view host) {
  if (!all(host, kHost)) return false;
  std::string_view port;
  if (!host.empty() && host[0] == '[') {
    const auto close = host.find(']');
    if (close == std::string_view::npos) return false;
    port = host.substr(close + 1);
    if (!port.empty() && port[0] != ':') return false;
    if (host.find_first_of("[]", 1) != close) return false;  // a second '['
  } else {
    if (host.find_first_of("[]") != std::string_view::npos) return false;
    const auto colon = host.find(':');
    if (colon != std::string_view::npos) port = host.substr(colon);
  }
  if (!port.empty()) port.remove_prefix(1);
  for (const char c : port)
    if (c < '0' || c > '9') return false;  // a second ':' or ']' too
  return true;
}

bool starts_with_scheme(std::string_view target, std::string_view scheme) {
  return target.size() > scheme.size() &&
         wire::equal_ignoring_case(target.substr(0, scheme.size()), scheme);
}

// Brings target to the form that RequestHead promises. authority: of absolute form, replaces Host.
bool normalise_target(std::string_view method, std::string_view target, std::string& out,
                      std::string_view& authority, HttpError& error) {
  if (target == "*" && method == "OPTIONS") {
    out = "*";
    return true;
  }
  if (method == "CONNECT") {
    error = {501, "CONNECT is not supported: this server is not a proxy."};
    return false;
  }
  std::string_view origin = target;
  bool slash = false;
  if (target[0] != '/') {
    const std::size_t scheme = starts_with_scheme(target, "http://")    ? 7
                               : starts_with_scheme(target, "https://") ? 8
                                                                        : 0;
    if (scheme == 0) {
      error = {400, "The request target is neither a path nor an http URL (RFC 9112 3.2)."};
      return false;
    }
    const auto rest = target.substr(scheme);
    const auto end = rest.find_first_of("/?#");
    authority = rest.substr(0, end);
    const auto at = authority.rfind('@');
    if (at != std::string_view::npos) authority.remove_prefix(at + 1);
    if (authority.empty() || !valid_host(authority)) {
      error = {400, "The URL in the request line has no valid host (RFC 9110 4.2.1)."};
      return false;
    }
    origin = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
    slash = origin.empty() || origin[0] != '/';
  }
  origin = origin.substr(0, origin.find('#'));
  if (slash) out += '/';
  for (const char c : origin) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      constexpr char kHexDigits[] = "0123456789ABCDEF";
      out += '%';
      out += kHexDigits[byte >> 4];
      out += kHexDigits[byte & 15];
    }
  }
  return true;
}

// "HTTP/1.1" or "HTTP/1.0"; others are refused with 505 when they are well-formed.
bool parse_version(std::string_view text, int& version, HttpError& error) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text == "HTTP/1.1") {
    version = 11;
    return true;
  }
  if (text == "HTTP/1.0") {
    version = 10;
    return true;
  }
  if (text.size() == 8 && text.starts_with("HTTP/") && digit(text[5]) && text[6] == '.' &&
      digit(text[7])) {
    if (text[5] == '1') {  // a later 1.x is read as 1.1 (RFC 9110 2.5)
      version = 11;
      return true;
    }
    error = {505, "This server speaks HTTP/1.1 and HTTP/1.0 on this port."};
    return false;
  }
  error = {400, "The request line does not end with an HTTP version (RFC 9112 3)."};
  return false;
}

// 'METHOD SP target SP version'; line is without CR LF.
bool parse_request_line(std::string_view line, const HeadLimits& limits, ParsedRequest& request,
                        std::string_view& authority, HttpError& error) {
  const auto first = line.find(' ');
  const auto method = line.substr(0, first);
  if (first == std::string_view::npos || method.empty() || !all(method, kToken)) {
    error = {400, "The request line does not begin with a method (RFC 9112 3)."};
    return false;
  }
  if (method.size() > kMethodMax) {
    error = {501, "The request method is not supported."};
    return false;
  }
  const auto rest = line.substr(first + 1);
  const auto last = rest.find(' ');
  const auto target = rest.substr(0, last);
  if (last == std::string_view::npos || target.empty() || !all(target, kTarget)) {
    error = {400, "The request line is not 'METHOD target HTTP/1.1' (RFC 9112 3)."};
    return false;
  }
  if (target.size() > limits.target_bytes_max) {
    error = {414, "The request target is longer than the setting http.target_bytes_max allows (" +
                      std::to_string(limits.target_bytes_max) + " bytes)."};
    return false;
  }
  if (!parse_version(rest.substr(last + 1), request.head.version, error)) return false;
  request.head.method.assign(method);
  request.head.target.clear();
  return normalise_target(method, target, request.head.target, authority, error);
}

bool settle_request(const FieldFacts& facts, std::string_view authority, ParsedRequest& request,
                    HttpError& error) {
  const bool http11 = request.head.version >= 11;
  if (facts.hosts > 1 || (http11 && facts.hosts == 0)) {
    error = {400, facts.hosts > 1 ? "Host is given more than once (RFC 9112 3.2)."
                                  : "An HTTP/1.1 request must have a Host header (RFC 9112 3.2)."};
    return false;
  }
  if (!valid_host(facts.host)) {
    error = {400, "The Host header is not a host with an optional port (RFC 9110 7.2)."};
    return false;
  }
  if (facts.coded && (facts.lengths > 0 || !http11)) {
    error = {400, facts.lengths > 0
                      ? "Transfer-Encoding and Content-Length exclude each other (RFC 9112 6.1)."
                      : "Transfer-Encoding is not part of HTTP/1.0 (RFC 9112 6.1)."};
    return false;
  }
  if (facts.coded && !facts.chunked) {
    error = {400, "Transfer-Encoding must end with chunked (RFC 9112 6.1)."};
    return false;
  }
  if (facts.unknown_coding) {
    error = {501, "No transfer coding but chunked is supported."};
    return false;
  }
  if (facts.unknown_expect) {
    error = {417, "No expectation but 100-continue is supported."};
    return false;
  }
  if (!authority.empty()) {
    const std::string host(authority);
    request.head.headers.set("Host", host);
  }
  request.framing = facts.chunked                                   ? Framing::chunked
                    : facts.lengths > 0 && facts.content_length > 0 ? Framing::length
                                                                    : Framing::none;
  request.content_length = facts.content_length;
  request.keep_alive = !facts.close && (http11 || facts.keep_alive);
  request.expect_continue = facts.expect_continue && http11 && request.framing != Framing::none;
  return true;
}

bool parse_status_line(std::string_view line, int& version, int& status) {
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') return false;
  if (line[7] < '0' || line[7] > '9') return false;
  version = line[7] == '0' ? 10 : 11;
  status = 0;
  for (std::size_t i = 9; i < 12; ++i) {
    if (line[i] < '0' || line[i] > '9') return false;
    status = status * 10 + (line[i] - '0');
  }
  if (line.size() > 12 && line[12] != ' ') return false;
  return status >= 100 && status <= 599 && all(line.substr(12), kValue);
}

}  // namespace

ParseStatus HeadScanner::scan(std::string_view bytes, const HeadLimits& limits, std::size_t& end,
                              HttpError& error) {
  if (at_ == 0 && !bytes.empty() && !is(bytes[0], kToken) && bytes[0] != '\r')
    return refuse(error, 400, "This is not HTTP: the first byte cannot begin a request.");
  const std::size_t first_line_max = limits.target_bytes_max + kMethodMax + 16;
  const auto too_long = [&] {
    return refuse(error, 414,
                  "The request target is longer than the setting http.target_bytes_max allows (" +
                      std::to_string(limits.target_bytes_max) + " bytes).");
  };
  while (at_ < bytes.size()) {
    const auto* found =
        static_cast<const char*>(std::memchr(bytes.data() + at_, '\n', bytes.size() - at_));
    if (found == nullptr) {
      at_ = bytes.size();
      break;
    }
    const auto lf = static_cast<std::size_t>(found - bytes.data());
    at_ = lf + 1;
    if (lf == line_ || bytes[lf - 1] != '\r')
      return refuse(error, 400, "A line of the head does not end with CR LF (RFC 9112 2.2).");
    const bool empty = lf - line_ == 1;
    line_ = at_;
    if (!empty) {
      if (lines_++ == 0 && lf - start_ > first_line_max) return too_long();
    } else if (lines_ > 0) {
      end = at_;
      if (end - start_ > limits.head_bytes_max) break;
      return ParseStatus::complete;
    } else {
      start_ = at_;
      if (start_ > 2 * kLinesBeforeRequestMax)
        return refuse(error, 400, "There are too many empty lines before the request.");
    }
  }
  if (lines_ == 0 && bytes.size() - start_ > first_line_max) return too_long();
  if (bytes.size() - start_ > limits.head_bytes_max)
    return refuse(error, 431,
                  "The head is larger than the setting http.head_bytes_max allows (" +
                      std::to_string(limits.head_bytes_max) + " bytes).");
  return ParseStatus::need_more;
}

ParseStatus RequestParser::parse(std::string_view bytes, ParsedRequest& request, std::size_t& used,
                                 HttpError& error) {
  std::size_t end = 0;
  const auto status = scanner_.scan(bytes, limits_, end, error);
  if (status != ParseStatus::complete) return status;
  const auto head = bytes.substr(scanner_.skipped(), end - scanner_.skipped());
  const auto first_end = head.find('\n');
  FieldFacts facts;
  std::string_view authority;
  request.head.headers.clear();
  if (!parse_request_line(head.substr(0, first_end - 1), limits_, request, authority, error) ||
      !parse_fields(head.substr(first_end + 1), limits_, request.head.headers, facts, error) ||
      !settle_request(facts, authority, request, error))
    return ParseStatus::error;
  used = end;
  return ParseStatus::complete;
}

ParseStatus ResponseParser::parse(std::string_view bytes, bool head_request,
                                  ParsedResponse& response, std::size_t& used, HttpError& error) {
  std::size_t end = 0;
  const auto status = scanner_.scan(bytes, limits_, end, error);
  if (status != ParseStatus::complete) return status;
  const auto head = bytes.substr(scanner_.skipped(), end - scanner_.skipped());
  const auto first_end = head.find('\n');
  FieldFacts facts;
  int version = 11;
  if (!parse_status_line(head.substr(0, first_end - 1), version, response.head.status))
    return refuse(error, 502, "The first line is not an HTTP/1 status line.");
  response.head.headers.clear();
  if (!parse_fields(head.substr(first_end + 1), limits_, response.head.headers, facts, error))
    return ParseStatus::error;
  if (facts.coded && (facts.lengths > 0 || !facts.chunked || facts.unknown_coding))
    return refuse(error, 502, "The framing of the response is ambiguous or not supported.");
  const int code = response.head.status;
  response.content_length = facts.content_length;
  response.keep_alive = !facts.close && (version >= 11 || facts.keep_alive);
  if (head_request || code < 200 || code == 204 || code == 304) {
    response.framing = Framing::none;
  } else if (facts.chunked) {
    response.framing = Framing::chunked;
  } else if (facts.lengths > 0) {
    response.framing = facts.content_length > 0 ? Framing::length : Framing::none;
  } else {
    response.framing = Framing::until_close;
    response.keep_alive = false;
  }
  used = end;
  return ParseStatus::complete;
}

}  // namespace mayfly::io
