#pragma once
// The body of a request on its way in: decoded, limited, and held against everything that the
// client said about it.

#include <optional>
#include <string>
#include <string_view>

#include "aws/chunked.h"
#include "buckets/content.h"
#include "buckets/types.h"
#include "dialects/s3/request.h"

namespace mayfly::dialects::s3 {

// What a client says that a body is.
struct BodyClaims {
  std::optional<std::string> md5;  // bytes
  buckets::Checksum algorithm = buckets::Checksum::none;
  std::optional<std::string> checksum;  // bytes
  std::string trailer;                  // the field behind the body that brings the checksum
  std::optional<std::uint64_t> size;    // of what is inside of aws-chunked
};
// InvalidDigest, InvalidRequest, MissingContentLength, NotImplemented.
aws::Outcome<BodyClaims> body_claims(const Request& request);

// "x-amz-checksum-crc32", ...
std::string checksum_field(buckets::Checksum kind);

// Used by one thread at a time.
class Receiver {
 public:
  // Bytes go to content, or are gathered in text() when it is null. At most limit of them.
  Receiver(RequestPtr request, BodyClaims claims, buckets::NewContentPtr content,
           std::uint64_t limit, std::string_view limit_setting);

  // EntityTooLarge, InsufficientStorage, and the faults of aws-chunked.
  aws::Outcome<void> feed(std::string_view bytes);
  // All has come: IncompleteBody, BadDigest, XAmzContentSHA256Mismatch.
  aws::Outcome<void> finish();

  std::string& text() { return text_; }

 private:
  aws::Outcome<void> keep(std::string_view bytes);

  const RequestPtr request_;
  BodyClaims claims_;
  const buckets::NewContentPtr content_;
  const std::uint64_t limit_;
  const std::string limit_setting_;
  std::optional<aws::ChunkedDecoder> decoder_;
  aws::ChunkedDecoder::Sink sink_;
  std::string text_;
  std::uint64_t size_ = 0;
};

}  // namespace mayfly::dialects::s3
