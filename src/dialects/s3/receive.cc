#include "dialects/s3/receive.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>

#include "base/base64.h"
#include "base/ids.h"
#include "dialects/s3/faults.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;
using buckets::Checksum;
using buckets::Digest;

namespace {

constexpr std::string_view kChecksumPrefix = "x-amz-checksum-";
constexpr Checksum kAlgorithms[] = {Checksum::crc32, Checksum::crc32c, Checksum::crc64nvme,
                                    Checksum::sha1, Checksum::sha256};

Fault bad_digest(std::string_view what) {
  return {"BadDigest", std::string("The ") + std::string(what) +
                           " you specified did not match what we received."};
}

Fault bad_checksum_value(std::string_view field) {
  return invalid_request("Value for " + std::string(field) + " header is invalid.");
}

Outcome<std::string> checksum_bytes(Checksum kind, std::string_view text) {
  auto bytes = decode_base64(text);
  if (!bytes || bytes->size() != size_of(kind)) return bad_checksum_value(checksum_field(kind));
  return Outcome<std::string>(boost::system::in_place_value, std::move(*bytes));
}

Outcome<void> checksum_claims(const Request& request, BodyClaims& claims) {
  for (const Checksum kind : kAlgorithms) {
    const std::string field = checksum_field(kind);
    const auto value = request.header(field);
    if (!value) continue;
    if (claims.algorithm != Checksum::none)
      return invalid_request(
          "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    auto bytes = checksum_bytes(kind, *value);
    if (bytes.has_error()) return std::move(bytes).error();
    claims.algorithm = kind;
    claims.checksum = std::move(*bytes);
  }
  if (const auto trailer = request.header("x-amz-trailer")) {
    for (const Checksum kind : kAlgorithms)
      if (wire::equal_ignoring_case(*trailer, checksum_field(kind))) {
        if (claims.algorithm != Checksum::none)
          return invalid_request("Expecting a single x-amz-checksum- header.");
        claims.algorithm = kind;
        claims.trailer = checksum_field(kind);
      }
    if (claims.trailer.empty())
      return invalid_request(
          "The value specified in the x-amz-trailer header is not supported: it must be one "
          "x-amz-checksum- field.");
    if (!request.payload.trailer)
      return invalid_request("x-amz-trailer wants a body with a trailer.");
  }
  const auto named = request.header("x-amz-sdk-checksum-algorithm");
  if (!named) return boost::system::in_place_value;
  const auto kind = buckets::checksum_named(*named);
  if (!kind)
    return invalid_request("Checksum algorithm provided is unsupported: " + std::string(*named) +
                           ". Please try again with any of the valid types: [CRC32, CRC32C, "
                           "CRC64NVME, SHA1, SHA256]");
  if (claims.algorithm == Checksum::none)
    return invalid_request(
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
        "x-amz-trailer headers were found.");
  if (claims.algorithm != *kind)
    return invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.");
  return boost::system::in_place_value;
}

}  // namespace

std::string checksum_field(Checksum kind) {
  std::string field(kChecksumPrefix);
  for (const char c : name_of(kind))
    field += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return field;
}

Outcome<BodyClaims> body_claims(const Request& request) {
  BodyClaims claims;
  if (const auto text = request.header("Content-MD5")) {
    auto bytes = decode_base64(*text);
    if (!bytes || bytes->size() != 16)
      return Fault{"InvalidDigest", "The Content-MD5 you specified was invalid."};
    claims.md5 = std::move(*bytes);
  }
  AWS_TRY(checksum_claims(request, claims));
  const bool chunked_http = request.header("Transfer-Encoding").has_value();
  const auto length = request.payload.chunked ? request.header("x-amz-decoded-content-length")
                                              : request.header("Content-Length");
  if (!length) {
    if (!chunked_http)
      return Fault{"MissingContentLength",
                   "You must provide the Content-Length HTTP header, and with aws-chunked "
                   "x-amz-decoded-content-length.",
                   411};
    return claims;
  }
  std::uint64_t size = 0;
  const auto [end, failed] = std::from_chars(length->data(), length->data() + length->size(), size);
  if (failed != std::errc() || end != length->data() + length->size())
    return invalid_argument("x-amz-decoded-content-length must be a whole number.");
  claims.size = size;
  return claims;
}

Receiver::Receiver(RequestPtr request, BodyClaims claims, buckets::NewContentPtr content,
                   std::uint64_t limit, std::string_view limit_setting)
    : request_(std::move(request)),
      claims_(std::move(claims)),
      content_(std::move(content)),
      limit_(limit),
      limit_setting_(limit_setting),
      sink_([this](std::string_view bytes) { return keep(bytes); }) {
  if (request_->payload.chunked) decoder_.emplace(request_->payload, *request_->signature);
}

Outcome<void> Receiver::keep(std::string_view bytes) {
  size_ += bytes.size();
  if (size_ > limit_ || (claims_.size && *claims_.size > limit_))
    return Fault{
        "EntityTooLarge",
        fmt::format("Your proposed upload exceeds the maximum allowed size: the setting {} allows "
                    "{} bytes.",
                    limit_setting_, limit_)};
  if (!content_) {
    text_.append(bytes);
    return boost::system::in_place_value;
  }
  const Status written = content_->write(bytes);
  if (written.has_value()) return boost::system::in_place_value;
  return fault_of(buckets::Failure{buckets::Why::other, written.error()});
}

Outcome<void> Receiver::feed(std::string_view bytes) {
  return decoder_ ? decoder_->feed(bytes, sink_) : keep(bytes);
}

Outcome<void> Receiver::finish() {
  if (decoder_) AWS_TRY(decoder_->finish());
  if (claims_.size && *claims_.size != size_)
    return Fault{"IncompleteBody",
                 fmt::format("You did not provide the number of bytes specified by the "
                             "Content-Length HTTP header: {} came of {}.",
                             size_, *claims_.size)};
  if (!claims_.trailer.empty()) {
    const auto found = decoder_->trailers().find(claims_.trailer);
    if (found == decoder_->trailers().end())
      return Fault{"MalformedTrailerError",
                   "The request contained trailing data that was not well-formed or did not "
                   "conform to our published schema: " +
                       claims_.trailer + " is missing."};
    auto bytes = checksum_bytes(claims_.algorithm, found->second);
    if (bytes.has_error()) return std::move(bytes).error();
    claims_.checksum = std::move(*bytes);
  }
  if (content_) content_->finish();
  const auto digest = [this](Checksum kind, const std::string& of_content) {
    return content_ ? of_content : Digest::of(kind, text_);
  };
  static const std::string kNone;
  if (!request_->payload.sha256.empty() &&
      to_hex(digest(Checksum::sha256, content_ ? content_->sha256() : kNone)) !=
          request_->payload.sha256)
    return Fault{"XAmzContentSHA256Mismatch",
                 "The provided 'x-amz-content-sha256' header does not match what was computed."};
  if (claims_.md5 && digest(Checksum::md5, content_ ? content_->md5() : kNone) != *claims_.md5)
    return bad_digest("Content-MD5");
  if (claims_.checksum &&
      digest(claims_.algorithm, content_ ? content_->checksum() : kNone) != *claims_.checksum)
    return bad_digest(name_of(claims_.algorithm));
  return boost::system::in_place_value;
}

}  // namespace mayfly::dialects::s3
