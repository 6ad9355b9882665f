#pragma once
// What travels in fields beside the bytes of an object. Pure; every byte of a request is hostile.

#include <string>
#include <string_view>

#include "buckets/types.h"
#include "dialects/s3/request.h"

namespace mayfly::dialects::s3 {

// Content-Type and its kin, x-amz-meta-..., x-amz-tagging. MetadataTooLarge, InvalidTag.
aws::Outcome<buckets::Attributes> attributes_of(const Request& request,
                                                const buckets::Limits& limits);
// x-amz-tagging: a=1&b=2.
inline constexpr std::size_t kObjectTagsMax = 10, kBucketTagsMax = 50;
aws::Outcome<std::string> check_tags(std::string_view text, std::size_t max = kObjectTagsMax);
// Of x-amz-storage-class, as Attributes::storage. InvalidStorageClass.
aws::Outcome<std::string> check_storage(std::string_view name);
std::string_view storage_name(const buckets::Attributes& attributes);
// Its bytes are out of reach: InvalidObjectState.
aws::Outcome<void> check_readable(const buckets::Attributes& attributes, std::int64_t now_us);

// Fields of a GetObject or HeadObject but for those of the body.
void write_fields(const buckets::Object& object, const Request& request, wire::Headers& headers);
void write_checksum(const buckets::Object& object, wire::Headers& headers);
std::string quoted(std::string_view etag);
std::string unquoted(std::string_view etag);

// If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, with prefix in front of their
// names. PreconditionFailed; NotModified of the status 304, when not_modified allows it.
aws::Outcome<void> check_conditions(const Request& request, const buckets::Object& object,
                                    std::string_view prefix, bool not_modified);
// If-None-Match: * and If-Match of a write.
aws::Outcome<buckets::Precondition> precondition_of(const Request& request);

}  // namespace mayfly::dialects::s3
