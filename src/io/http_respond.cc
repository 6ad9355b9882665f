// How Connection writes response heads.

#include <charconv>

#include "io/http_connection.h"

namespace mayfly::io {
namespace {

std::string_view code_of(int status) {
  switch (status) {
    case 408:
      return code_name(Code::deadline_exceeded);
    case 413:
    case 414:
    case 431:
      return code_name(Code::too_large);
    case 500:
      return code_name(Code::internal);
    case 501:
    case 505:
      return code_name(Code::unsupported);
    default:
      return code_name(Code::invalid_argument);
  }
}

bool has_close(std::string_view value) {
  while (!value.empty()) {
    const auto comma = value.find(',');
    auto option = value.substr(0, comma);
    while (!option.empty() && option.front() == ' ') option.remove_prefix(1);
    while (!option.empty() && option.back() == ' ') option.remove_suffix(1);
    if (wire::equal_ignoring_case(option, "close")) return true;
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  return false;
}

void append_number(std::string& out, std::uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

}  // namespace

HttpResponse error_answer(const HttpError& problem, std::string_view party,
                          std::string_view phase) {
  const auto code = code_of(problem.status);
  std::string body = "{\"error\":{\"code\":";
  wire::append_json_string(body, code);
  body += ",\"message\":";
  wire::append_json_string(body, problem.message);
  body += ",\"party\":";
  wire::append_json_string(body, party);
  body += ",\"phase\":";
  wire::append_json_string(body, phase);
  body += "}}\n";
  HttpResponse response = json_response(problem.status, std::move(body));
  std::string mark(code);
  mark.append("; party=").append(party).append("; phase=").append(phase);
  response.head.headers.add("X-Mayfly-Error", mark);
  return response;
}

// What the handler's fields said about framing.
struct Connection::Sent {
  bool has_length = false, has_date = false;
  std::uint64_t length = 0;
};

void Connection::append_fields(const wire::Headers& headers, bool upgrade, Sent& sent) {
  using wire::equal_ignoring_case;
  for (const auto [name, value] : headers) {
    switch (name.size()) {
      case 4:
        if (equal_ignoring_case(name, "Date")) sent.has_date = true;
        break;
      case 7:
        if (equal_ignoring_case(name, "Upgrade") && !upgrade) continue;
        break;
      case 10:
        if (equal_ignoring_case(name, "Connection")) {
          if (has_close(value)) keep_alive_ = false;
          continue;
        }
        if (equal_ignoring_case(name, "Keep-Alive")) continue;
        break;
      case 14:
        if (equal_ignoring_case(name, "Content-Length")) {
          const auto end = value.data() + value.size();
          const auto parsed = std::from_chars(value.data(), end, sent.length);
          sent.has_length = parsed.ec == std::errc() && parsed.ptr == end;
          continue;
        }
        break;
      case 17:
        if (equal_ignoring_case(name, "Transfer-Encoding")) continue;
        break;
      default:
        break;
    }
    // Last line of defence against response splitting; the dialects refuse such fields earlier.
    if (!wire::is_token(name) || !wire::is_field_value(value)) continue;
    append_field(out_, name, value);
  }
}

Connection::OutFraming Connection::append_head(HttpResponse& response, std::uint64_t& length) {
  const bool upgrade = response.upgrade != nullptr && response.head.status == 101;
  int status = response.head.status;
  if (!upgrade && (status < 200 || status > 599)) {
    HttpError problem{
        500, "The handler answered with the invalid status " + std::to_string(status) + "."};
    response = error_answer(problem, "platform", "reply");
    status = 500;
  }
  response_begun_ = true;
  append_status_line(out_, status);
  Sent sent;
  append_fields(response.head.headers, upgrade, sent);
  if (!sent.has_date) out_ += core_->date_field();
  if (upgrade) {
    out_ += "Connection: Upgrade\r\n\r\n";
    return OutFraming::none;
  }

  OutFraming framing = OutFraming::length;
  bool tell_length = true;
  if (response.more && !sent.has_length)
    framing = version_ >= 11 ? OutFraming::chunked : OutFraming::until_close;
  if (!response.more && !(sent.has_length && (head_request_ || status == 304)))
    sent.length = response.body.size();
  if (head_request_ || status == 204 || status == 304) {
    tell_length =
        status != 204 && framing == OutFraming::length && (head_request_ || sent.has_length);
    framing = OutFraming::none;
  }
  if (framing == OutFraming::until_close) keep_alive_ = false;
  const bool body_left = !body_done_ && reader_ == nullptr;
  if (core_->stopping ||
      (body_left && (expect_pending_ || (framing_ == Framing::length && body_left_ > kBodyPiece))))
    keep_alive_ = false;

  if (framing == OutFraming::chunked) {
    out_ += "Transfer-Encoding: chunked\r\n";
  } else if (tell_length && framing != OutFraming::until_close) {
    out_ += "Content-Length: ";
    append_number(out_, sent.length);
    out_ += "\r\n";
  }
  if (!keep_alive_)
    out_ += "Connection: close\r\n";
  else if (version_ < 11)
    out_ += "Connection: keep-alive\r\n";
  out_ += "\r\n";
  length = sent.length;
  return framing;
}

}  // namespace mayfly::io
