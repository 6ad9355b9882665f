#pragma once
// The HTTP/1.1 message syntax without I/O (RFC 9112), for server and client: heads, chunked bodies,
// and the heads that are sent. Strict: nothing that two parsers could read in two ways is accepted.
// Pure and fuzzed (tests/fuzz). Why not Beast's parser: docs/decisions/0003-http.md.

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/http_message.h"

namespace mayfly::io {

enum class ParseStatus { need_more, complete, error };

// Why a message was refused: the status to answer with, and a sentence for the client.
struct HttpError {
  int status = 0;
  std::string message;
};

enum class Framing { none, length, chunked, until_close };

struct HeadLimits {
  std::size_t head_bytes_max = 64 * 1024;
  std::size_t target_bytes_max = 16 * 1024;
  std::size_t fields_max = 256;
};

struct ParsedRequest {
  wire::RequestHead head;  // remote_ip, remote_port and scheme are left alone
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
  bool expect_continue = false;
};

struct ParsedResponse {
  wire::ResponseHead head;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
};

// Finds the end of a head as bytes come in: looks at each byte once, refuses line breaks that are
// not CR LF, and heads over the limits.
class HeadScanner {
 public:
  // bytes: everything from the start of the message. complete: end is the size of the head.
  ParseStatus scan(std::string_view bytes, const HeadLimits& limits, std::size_t& end,
                   HttpError& error);
  void reset() { *this = HeadScanner(); }
  std::size_t skipped() const { return start_; }  // empty lines before the request line

 private:
  std::size_t start_ = 0;  // of the first line
  std::size_t line_ = 0;   // of the line being scanned
  std::size_t at_ = 0;     // next byte to look at
  std::size_t lines_ = 0;
};

// One request head at the start of bytes; call again with more bytes while need_more. After
// complete (used says how many bytes it took) or error, reset() before the next.
class RequestParser {
 public:
  explicit RequestParser(HeadLimits limits) : limits_(limits) {}
  ParseStatus parse(std::string_view bytes, ParsedRequest& request, std::size_t& used,
                    HttpError& error);
  void reset() { scanner_.reset(); }

 private:
  HeadLimits limits_;
  HeadScanner scanner_;
};

class ResponseParser {
 public:
  explicit ResponseParser(HeadLimits limits) : limits_(limits) {}
  // head_request: the request was HEAD, so that there is no body whatever the head says.
  ParseStatus parse(std::string_view bytes, bool head_request, ParsedResponse& response,
                    std::size_t& used, HttpError& error);
  void reset() { scanner_.reset(); }

 private:
  HeadLimits limits_;
  HeadScanner scanner_;
};

// Decodes one chunked body (RFC 9112 7.1). Extensions are checked and dropped.
class ChunkDecoder {
 public:
  // Appends decoded bytes to out until it holds out_max bytes or bytes are used up. used: how many
  // of bytes were taken. complete: the body and its trailers have ended.
  ParseStatus decode(std::string_view bytes, std::size_t& used, std::string& out,
                     std::size_t out_max, HttpError& error);
  // Those behind the body; all of them once it is complete.
  wire::Headers& trailers() { return trailers_; }

 private:
  enum class State { size, extension, size_lf, data, data_cr, data_lf, trailer, done };
  ParseStatus step(char c, HttpError& error);
  ParseStatus end_of_trailer_line(HttpError& error);

  State state_ = State::size;
  std::uint64_t left_ = 0;    // of the chunk
  unsigned digits_ = 0;       // of the size line
  bool blank_ = false;        // white space behind the size: an extension must follow
  std::size_t overhead_ = 0;  // bytes of extensions and trailers
  std::string line_;          // trailer line
  wire::Headers trailers_;
};

std::string_view reason_phrase(int status);

// "HTTP/1.1 200 OK\r\n"
void append_status_line(std::string& out, int status);
void append_field(std::string& out, std::string_view name, std::string_view value);
// A chunk header: size in hex and CR LF.
void append_chunk_size(std::string& out, std::size_t size);

}  // namespace mayfly::io
