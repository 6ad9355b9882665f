#include "io/http1.h"

#include <array>
#include <charconv>
#include <cstring>

namespace mayfly::io {
namespace {

constexpr std::size_t kMethodMax = 64;
constexpr std::size_t kLinesBeforeRequestMax = 4;  // empty ones, RFC 9112 2.2
constexpr std::size_t kChunkOverheadMax = 16 * 1024;

enum : std::uint8_t { kToken = 1, kValue = 2, kTarget = 4, kHost = 8 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    std::uint8_t bits = 0;
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const std::string_view token_marks = "!#$%&'*+-.^_`|~";
    const std::string_view host_marks = "-._~!$&'()*+,;=%:[]";
    const char ch = static_cast<char>(c);
    if (alphanumeric || (c != 0 && token_marks.find(ch) != std::string_view::npos)) bits |= kToken;
    if (alphanumeric || (c != 0 && host_marks.find(ch) != std::string_view::npos)) bits |= kHost;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) bits |= kValue;
    if (c > 0x20 && c != 0x7f) bits |= kTarget;
    classes[static_cast<std::size_t>(c)] = bits;
  }
  return classes;
}

constexpr auto kClasses = make_classes();

bool is(char c, std::uint8_t bits) {
  return (kClasses[static_cast<unsigned char>(c)] & bits) != 0;
}

bool all(std::string_view text, std::uint8_t bits) {
  for (const char c : text)
    if (!is(c, bits)) return false;
  return true;
}

ParseStatus refuse(HttpError& error, int status, std::string message) {
  error = {status, std::move(message)};
  return ParseStatus::error;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool parse_decimal(std::string_view text, std::uint64_t& value) {
  if (text.empty() || text.size() > 18) return false;
  for (const char c : text)
    if (c < '0' || c > '9') return false;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return true;
}

// Calls use(element) for each element of a comma-separated list; false as soon as use() says so.
template <class Use>
bool each_element(std::string_view list, Use use) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto element = trim(list.substr(0, comma));
    if (!element.empty() && !use(element)) return false;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return true;
}

// What the fields say about the message, gathered while they are read.
struct Facts {
  unsigned hosts = 0, lengths = 0, content_types = 0;
  bool coded = false;    // Transfer-Encoding is there
  bool chunked = false;  // its last and only coding is chunked
  bool unknown_coding = false;
  bool close = false, keep_alive = false;
  bool expect_continue = false, unknown_expect = false;
  std::uint64_t content_length = 0;
  std::string_view host;
};

bool note_transfer_encoding(std::string_view value, Facts& facts, HttpError& error) {
  facts.coded = true;
  bool any = false;
  const bool fine = each_element(value, [&](std::string_view coding) {
    any = true;
    if (facts.chunked) return false;  // anything behind chunked, chunked twice
    if (wire::equal_ignoring_case(coding, "chunked"))
      facts.chunked = true;
    else
      facts.unknown_coding = true;
    return true;
  });
  if (fine && any) return true;
  error = {400, "Transfer-Encoding must end with chunked, given once (RFC 9112 6.1)."};
  return false;
}

bool note_connection(std::string_view value, Facts& facts, HttpError& error) {
  const bool fine = each_element(value, [&](std::string_view option) {
    if (wire::equal_ignoring_case(option, "close")) facts.close = true;
    if (wire::equal_ignoring_case(option, "keep-alive")) facts.keep_alive = true;
    return all(option, kToken);
  });
  if (!fine) error = {400, "Connection is not a list of options (RFC 9110 7.6.1)."};
  return fine;
}

bool note_length(std::string_view value, Facts& facts, HttpError& error) {
  std::uint64_t length = 0;
  if (!parse_decimal(value, length)) {
    error = {400, "Content-Length is not a decimal number (RFC 9112 6.3)."};
    return false;
  }
  if (facts.lengths++ > 0) {
    error = {400, "Content-Length is given more than once (RFC 9112 6.3)."};
    return false;
  }
  facts.content_length = length;
  return true;
}

// The few names that matter for the message itself, told apart by their length first.
bool note_field(std::string_view name, std::string_view value, Facts& facts, HttpError& error) {
  using wire::equal_ignoring_case;
  switch (name.size()) {
    case 4:
      if (equal_ignoring_case(name, "Host")) {
        ++facts.hosts;
        facts.host = value;
      }
      return true;
    case 6:
      if (equal_ignoring_case(name, "Expect")) {
        if (equal_ignoring_case(value, "100-continue"))
          facts.expect_continue = true;
        else
          facts.unknown_expect = true;
      }
      return true;
    case 10:
      return !equal_ignoring_case(name, "Connection") || note_connection(value, facts, error);
    case 12:
      if (equal_ignoring_case(name, "Content-Type") && ++facts.content_types > 1) {
        error = {400, "Content-Type is given more than once (RFC 9110 5.3)."};
        return false;
      }
      return true;
    case 14:
      if (equal_ignoring_case(name, "Content-Length")) return note_length(value, facts, error);
      // Read as Content-Length by everything that follows CGI's naming (RFC 3875 4.1.18).
      if (equal_ignoring_case(name, "Content_Length")) {
        error = {400, "The header Content_Length can be mistaken for Content-Length."};
        return false;
      }
      return true;
    case 17:
      if (equal_ignoring_case(name, "Transfer-Encoding"))
        return note_transfer_encoding(value, facts, error);
      if (equal_ignoring_case(name, "Transfer_Encoding")) {
        error = {400, "The header Transfer_Encoding can be mistaken for Transfer-Encoding."};
        return false;
      }
      return true;
    default:
      return true;
  }
}

// line is without CR LF.
bool split_field(std::string_view line, std::string_view& name, std::string_view& value,
                 HttpError& error) {
  std::size_t colon = 0;
  while (colon < line.size() && is(line[colon], kToken)) ++colon;
  if (colon == line.size() || line[colon] != ':' || colon == 0) {
    if (!line.empty() && (line[0] == ' ' || line[0] == '\t'))
      error = {400, "A header is continued on a second line, which is obsolete (RFC 9112 5.2)."};
    else if (colon < line.size() && (line[colon] == ' ' || line[colon] == '\t') && colon > 0)
      error = {400, "A header has white space before its colon (RFC 9112 5.1)."};
    else
      error = {400, "A header line has no valid name and colon (RFC 9112 5)."};
    return false;
  }
  name = line.substr(0, colon);
  value = trim(line.substr(colon + 1));
  if (!all(value, kValue)) {
    error = {400, "The header " + std::string(name) +
                      " has a control character in its value (RFC 9110 5.5)."};
    return false;
  }
  return true;
}

// block: the lines behind the first, each with its CR LF, and the last empty line.
bool parse_fields(std::string_view block, const HeadLimits& limits, wire::Headers& headers,
                  Facts& facts, HttpError& error) {
  headers.reserve(8, block.size());
  while (true) {
    const auto end = static_cast<const char*>(std::memchr(block.data(), '\n', block.size()));
    const auto size = static_cast<std::size_t>(end - block.data());
    const auto line = block.substr(0, size - 1);
    block.remove_prefix(size + 1);
    if (line.empty()) return true;
    std::string_view name, value;
    if (!split_field(line, name, value, error)) return false;
    if (headers.size() == limits.fields_max) {
      error = {431, "The request has more headers than the setting http.fields_max allows (" +
                        std::to_string(limits.fields_max) + ")."};
      return false;
    }
    if (!note_field(name, value, facts, error)) return false;
    headers.add(name, value);
  }
}

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

bool settle_request(const Facts& facts, std::string_view authority, ParsedRequest& request,
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

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
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
  Facts facts;
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
  Facts facts;
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

ParseStatus ChunkDecoder::decode(std::string_view bytes, std::size_t& used, std::string& out,
                                 std::size_t out_max, HttpError& error) {
  used = 0;
  while (used < bytes.size() && state_ != State::done) {
    if (state_ == State::data) {
      if (out.size() >= out_max) return ParseStatus::need_more;
      const auto wanted = std::min<std::uint64_t>(left_, out_max - out.size());
      const auto piece = bytes.substr(used, wanted);
      out.append(piece);
      used += piece.size();
      left_ -= piece.size();
      if (left_ == 0) state_ = State::data_cr;
      continue;
    }
    if (step(bytes[used++], error) == ParseStatus::error) return ParseStatus::error;
  }
  return state_ == State::done ? ParseStatus::complete : ParseStatus::need_more;
}

ParseStatus ChunkDecoder::step(char c, HttpError& error) {
  switch (state_) {
    case State::size: {
      const int digit = hex_digit(c);
      if (digit >= 0 && !blank_) {
        ++digits_;
        if (left_ >> 56 != 0)
          return refuse(error, 400, "A chunk size is too large (RFC 9112 7.1).");
        if (digits_ > 64) return refuse(error, 400, "A chunk size has too many digits.");
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        return ParseStatus::need_more;
      }
      if (digits_ == 0) return refuse(error, 400, "A chunk has no size in hex (RFC 9112 7.1).");
      if (c == ';') {
        state_ = State::extension;
      } else if (c == '\r' && !blank_) {
        state_ = State::size_lf;
      } else if ((c == ' ' || c == '\t') && ++overhead_ <= kChunkOverheadMax) {
        blank_ = true;
      } else {
        return refuse(error, 400, "A chunk size is not a hex number (RFC 9112 7.1).");
      }
      return ParseStatus::need_more;
    }
    case State::extension:
      if (c == '\r')
        state_ = State::size_lf;
      else if (!is(c, kValue) || ++overhead_ > kChunkOverheadMax)
        return refuse(error, 400, "A chunk extension is invalid or too long (RFC 9112 7.1.1).");
      return ParseStatus::need_more;
    case State::size_lf:
      if (c != '\n') return refuse(error, 400, "A chunk size does not end with CR LF.");
      state_ = left_ == 0 ? State::trailer : State::data;
      digits_ = 0;
      blank_ = false;
      return ParseStatus::need_more;
    case State::data_cr:
    case State::data_lf:
      if (c != (state_ == State::data_cr ? '\r' : '\n'))
        return refuse(error, 400, "A chunk is longer or shorter than its size (RFC 9112 7.1).");
      state_ = state_ == State::data_cr ? State::data_lf : State::size;
      return ParseStatus::need_more;
    case State::trailer:
      if (++overhead_ > kChunkOverheadMax) return refuse(error, 431, "The trailers are too long.");
      if (c != '\n') {
        line_ += c;
        return ParseStatus::need_more;
      }
      return end_of_trailer_line(error);
    case State::data:
    case State::done:
      break;
  }
  return ParseStatus::need_more;
}

ParseStatus ChunkDecoder::end_of_trailer_line(HttpError& error) {
  if (line_.empty() || line_.back() != '\r')
    return refuse(error, 400, "A trailer line does not end with CR LF (RFC 9112 7.1.2).");
  line_.pop_back();
  if (line_.empty()) {
    state_ = State::done;
    return ParseStatus::complete;
  }
  std::string_view name, value;
  if (!split_field(line_, name, value, error)) return ParseStatus::error;
  for (const std::string_view forbidden :
       {"Content-Length", "Transfer-Encoding", "Host", "Trailer"})
    if (wire::equal_ignoring_case(name, forbidden))
      return refuse(
          error, 400,
          "The header " + std::string(name) + " is not allowed in trailers (RFC 9110 6.5.1).");
  trailers_.add(name, value);
  line_.clear();
  return ParseStatus::need_more;
}

}  // namespace mayfly::io
