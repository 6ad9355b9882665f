// Chunked bodies (RFC 9112 7.1).

#include <algorithm>

#include "base/hex.h"
#include "io/http1_fields.h"

namespace mayfly::io {
namespace {

using namespace http1;

constexpr std::size_t kChunkOverheadMax = 16 * 1024;

}  // namespace

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
