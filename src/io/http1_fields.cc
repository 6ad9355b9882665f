#include "io/http1_fields.h"

#include <charconv>
#include <cstring>

#include "base/eights.h"

namespace mayfly::io::http1 {
namespace {

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

bool note_transfer_encoding(std::string_view value, FieldFacts& facts, HttpError& error) {
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

bool note_connection(std::string_view value, FieldFacts& facts, HttpError& error) {
  const bool fine = each_element(value, [&](std::string_view option) {
    if (wire::equal_ignoring_case(option, "close")) facts.close = true;
    if (wire::equal_ignoring_case(option, "keep-alive")) facts.keep_alive = true;
    return all(option, kToken);
  });
  if (!fine) error = {400, "Connection is not a list of options (RFC 9110 7.6.1)."};
  return fine;
}

bool note_length(std::string_view value, FieldFacts& facts, HttpError& error) {
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
bool note_field(std::string_view name, std::string_view value, FieldFacts& facts,
                HttpError& error) {
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

}  // namespace

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
  if (!all(value.substr(printable_start(value)), kValue)) {
    error = {400, "The header " + std::string(name) +
                      " has a control character in its value (RFC 9110 5.5)."};
    return false;
  }
  return true;
}

bool parse_fields(std::string_view block, const HeadLimits& limits, wire::Headers& headers,
                  FieldFacts& facts, HttpError& error) {
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

}  // namespace mayfly::io::http1
