// link: mayfly_io mayfly_wire
// Request heads and chunked bodies. What our parser accepts must not depend on how the bytes were
// cut, and Beast's parser, which is more lenient, must read the same message.
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/http1.h"

using namespace mayfly::io;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

constexpr HeadLimits kLimits{4096, 1024, 32};

ParseStatus parse_in_pieces(std::string_view bytes, std::size_t step, ParsedRequest& request,
                            std::size_t& used) {
  RequestParser parser(kLimits);
  HttpError error;
  for (std::size_t size = std::min(step, bytes.size());;
       size = std::min(size + step, bytes.size())) {
    const auto status = parser.parse(bytes.substr(0, size), request, used, error);
    if (status != ParseStatus::need_more || size == bytes.size()) {
      require((status == ParseStatus::error) == (error.status != 0));
      return status;
    }
  }
}

void compare_with_beast(std::string_view head, const ParsedRequest& ours) {
  namespace http = boost::beast::http;
  // Beast knows 1.0 and 1.1 only; RFC 9110 2.5 has us read a later 1.x as 1.1.
  const auto version = head.find(" HTTP/1.") + 8;
  if (head[version] != '0' && head[version] != '1') return;
  http::request_parser<http::empty_body> parser;
  parser.header_limit(1 << 20);
  parser.body_limit(boost::none);
  boost::system::error_code problem;
  parser.put(boost::asio::buffer(head.data(), head.size()), problem);
  require(!problem && parser.is_header_done());
  const auto& theirs = parser.get();
  require(std::string_view(theirs.method_string()) == ours.head.method);
  require(parser.chunked() == (ours.framing == Framing::chunked));
  if (ours.framing == Framing::length) require(*parser.content_length() == ours.content_length);
  // Beast moves fields of one name together, and an absolute target replaces our Host.
  const auto lower = [](std::string_view name) {
    std::string text(name);
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return text;
  };
  std::map<std::string, std::vector<std::string_view>> mine, beasts;
  for (const auto field : ours.head.headers) mine[lower(field.name)].push_back(field.value);
  for (const auto& field : theirs)
    beasts[lower(std::string_view(field.name_string()))].emplace_back(field.value());
  mine.erase("host");
  beasts.erase("host");
  require(mine == beasts);
}

void decode_chunks(std::string_view bytes) {
  std::string whole, pieces;
  HttpError error;
  std::size_t used = 0;
  ChunkDecoder at_once;
  const auto status = at_once.decode(bytes, used, whole, 1 << 20, error);
  ChunkDecoder by_byte;
  ParseStatus last = ParseStatus::need_more;
  std::size_t at = 0;
  while (at < bytes.size() && last == ParseStatus::need_more) {
    std::size_t took = 0;
    last = by_byte.decode(bytes.substr(at, 1), took, pieces, 1 << 20, error);
    require(took == 1);
    at += took;
  }
  require(last == status && pieces == whole);
  if (status == ParseStatus::complete) require(at == used);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = data[0] % 7 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ParsedRequest whole, cut;
  std::size_t used_whole = 0, used_cut = 0;
  const auto status = parse_in_pieces(bytes, bytes.size() + 1, whole, used_whole);
  const auto again = parse_in_pieces(bytes, step, cut, used_cut);
  require(status == again);
  if (status == ParseStatus::complete) {
    require(used_whole == used_cut && used_whole <= bytes.size());
    require(whole.head.headers == cut.head.headers && whole.head.target == cut.head.target);
    require(whole.head.target == "*" || whole.head.target[0] == '/');
    for (const char c : whole.head.target) require(c > ' ' && c < 0x7f);
    for (const auto field : whole.head.headers) {
      require(mayfly::wire::is_token(field.name));
      require(mayfly::wire::is_field_value(field.value));
    }
    const auto start = bytes.find_first_not_of("\r\n");
    compare_with_beast(bytes.substr(start, used_whole - start), whole);
  }
  decode_chunks(bytes);
  return 0;
}
