#include "aws/chunked.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/hex.h"

namespace mayfly::aws {
namespace {

constexpr std::string_view kNoHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Fault bad_chunks(std::string what) {
  return {"InvalidRequest", "The body is not well-formed aws-chunked: " + std::move(what) + "."};
}

bool is_hex_digest(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

Outcome<PayloadForm> PayloadForm::of(std::string_view payload) {
  PayloadForm form;
  if (payload == "UNSIGNED-PAYLOAD") return form;
  if (is_hex_digest(payload)) {
    form.sha256 = payload;
    return form;
  }
  if (payload.starts_with("STREAMING-")) {
    form.chunked = true;
    form.trailer = payload.ends_with("-TRAILER");
    form.signed_chunks = payload.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    const std::string_view rest = payload.substr(0, payload.size() - (form.trailer ? 8 : 0));
    if (rest == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" ||
        (rest == "STREAMING-UNSIGNED-PAYLOAD" && form.trailer))
      return form;
    if (rest == "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
      return Fault{"NotImplemented",
                   "Signature Version 4A is not implemented here; sign with AWS4-HMAC-SHA256.",
                   501};
  }
  return Fault{"InvalidArgument",
               "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
               "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or "
               "a valid sha256 value."};
}

ChunkedDecoder::ChunkedDecoder(const PayloadForm& form, const SignedHead& head)
    : form_(form), head_(head), before_(head.signature) {}

Outcome<void> ChunkedDecoder::feed(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    if (state_ == State::done) return bad_chunks("there are bytes behind its end");
    if (state_ == State::data) {
      const std::string_view piece =
          bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
      if (form_.signed_chunks) hash_.add(piece);
      AWS_TRY(sink(piece));
      left_ -= piece.size();
      bytes.remove_prefix(piece.size());
      if (left_ == 0) state_ = State::data_end;
      continue;
    }
    const auto end = bytes.find('\n');
    const std::size_t take = end == std::string_view::npos ? bytes.size() : end + 1;
    if (line_.size() + take > kLineMax) return bad_chunks("a line is too long");
    line_.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (end == std::string_view::npos) continue;
    if (!line_.ends_with("\r\n")) return bad_chunks("a line does not end with CR LF");
    line_.resize(line_.size() - 2);
    const std::string text = std::move(line_);
    line_.clear();
    AWS_TRY(line(text));
  }
  return boost::system::in_place_value;
}

Outcome<void> ChunkedDecoder::line(std::string_view text) {
  if (state_ == State::size) return size_line(text);
  if (state_ == State::trailer) return trailer_line(text);
  if (!text.empty()) return bad_chunks("a chunk is longer than its size says");
  return end_of_chunk();
}

Outcome<void> ChunkedDecoder::size_line(std::string_view text) {
  const auto end = text.find(';');
  const std::string_view digits = text.substr(0, end);
  if (digits.empty() || digits.size() > 15) return bad_chunks("a chunk has no size");
  left_ = 0;
  for (const char c : digits) {
    const int digit = hex_digit(c);
    if (digit < 0) return bad_chunks("the size of a chunk is not hexadecimal");
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
  }
  signature_.clear();
  constexpr std::string_view kName = "chunk-signature=";
  if (end != std::string_view::npos && text.substr(end + 1).starts_with(kName))
    signature_ = text.substr(end + 1 + kName.size());
  if (form_.signed_chunks && signature_.empty()) return bad_chunks("a chunk is not signed");
  last_ = left_ == 0;
  state_ = State::data;
  if (!last_) return boost::system::in_place_value;
  // Behind the last chunk come an empty line, or the trailers and an empty line.
  AWS_TRY(end_of_chunk());
  state_ = State::trailer;
  return boost::system::in_place_value;
}

Outcome<void> ChunkedDecoder::end_of_chunk() {
  state_ = State::size;
  if (!form_.signed_chunks) return boost::system::in_place_value;
  const std::string hashes = std::string(kNoHash) + "\n" + hex_of(hash_.finish());
  AWS_TRY(check("AWS4-HMAC-SHA256-PAYLOAD", hashes, signature_));
  before_ = signature_;
  return boost::system::in_place_value;
}

Outcome<void> ChunkedDecoder::trailer_line(std::string_view text) {
  if (!text.empty()) {
    const auto colon = text.find(':');
    if (!form_.trailer || colon == std::string_view::npos || colon == 0 ||
        trailers_.size() >= kTrailersMax)
      return bad_chunks("there is something behind the last chunk that is no trailer");
    std::string name(text.substr(0, colon));
    for (char& c : name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    std::string_view value = text.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    if (name == "x-amz-trailer-signature") {
      trailer_signature_ = value;
      return boost::system::in_place_value;
    }
    signed_trailers_.append(name).append(":").append(value).append("\n");
    if (!trailers_.emplace(std::move(name), value).second)
      return bad_chunks("a trailer comes twice");
    return boost::system::in_place_value;
  }
  // Some clients put an empty line between the last chunk and its trailers.
  if (form_.trailer && trailers_.empty() && !std::exchange(last_, false))
    return bad_chunks("the trailer is missing");
  if (form_.trailer && trailers_.empty()) return boost::system::in_place_value;
  if (form_.trailer && form_.signed_chunks)
    AWS_TRY(
        check("AWS4-HMAC-SHA256-TRAILER", hex_of(sha256(signed_trailers_)), trailer_signature_));
  state_ = State::done;
  return boost::system::in_place_value;
}

Outcome<void> ChunkedDecoder::check(std::string_view kind, std::string_view hashes,
                                    std::string_view signature) {
  std::string text(kind);
  text.append("\n").append(head_.time).append("\n").append(head_.scope);
  text.append("\n").append(before_).append("\n").append(hashes);
  const std::string wanted = hex_of(head_.key.sign(text));
  if (signature.size() == wanted.size() &&
      CRYPTO_memcmp(signature.data(), wanted.data(), wanted.size()) == 0)
    return boost::system::in_place_value;
  return Fault{"SignatureDoesNotMatch",
               "The signature of a chunk of the body does not match its bytes.", 403};
}

Outcome<void> ChunkedDecoder::finish() const {
  if (state_ == State::done) return boost::system::in_place_value;
  return Fault{"IncompleteBody", "The body ended before its last chunk and its trailers."};
}

}  // namespace mayfly::aws
