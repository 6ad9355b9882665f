#pragma once
// A request of S3, its address taken apart: path style (/BUCKET/KEY) and virtual-host style
// (BUCKET.localhost). Pure; every byte is hostile.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aws/chunked.h"
#include "aws/service.h"
#include "buckets/types.h"
#include "dialects/s3/operations.h"
#include "io/http.h"

namespace mayfly::dialects::s3 {

struct Address {
  std::string bucket, key;  // "": none
};

// InvalidURI: a broken escape, NUL, no UTF-8. KeyTooLongError.
aws::Outcome<Address> parse_address(std::string_view host, std::string_view path);
// The same for "/BUCKET/KEY?versionId=..." of x-amz-copy-source.
aws::Outcome<Address> parse_copy_source(std::string_view text);
aws::Outcome<Parameters> parse_query(std::string_view query);

// first .. last, both of the object.
struct ByteRange {
  std::uint64_t first = 0, size = 0;
};
// bytes=A-B, bytes=A-, bytes=-N over so many bytes. nullopt: the field is not understood, and the
// whole object is meant. InvalidRange: nothing of it is there.
aws::Outcome<std::optional<ByteRange>> parse_range(std::string_view field, std::uint64_t size);

struct Request {
  io::HttpRequest http;
  std::optional<aws::SignedHead> signature;  // there once it was checked
  aws::PayloadForm payload;
  Address address;
  Parameters parameters;
  const Operation* operation = nullptr;
  std::string id;

  std::optional<std::string_view> parameter(std::string_view name) const;
  // A field; one that a presigned address carries in its query counts as well (not those of
  // checksums, which are of the address's making and not of the body that is sent).
  std::optional<std::string_view> header(std::string_view name) const;
  // Of a change that this request asks for.
  buckets::Cause cause(std::string event) const;
};
using RequestPtr = std::shared_ptr<Request>;

}  // namespace mayfly::dialects::s3
