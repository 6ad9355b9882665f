#pragma once
// The rows of this room in the store, all under "o/". Values begin with a version byte.
//   o/b/BUCKET              a bucket
//   o/k/BUCKET/KEY          an object
//   o/m/BUCKET/KEY\0ID      an upload in parts
//   o/p/ID/NNNNN            a part of one
//   o/s/CONTENT             the files that an object uploaded in parts is made of
//   o/f/FILE                a row refers to this file
//   o/g/FILE                none does any more: the file is to be removed
//   o/n                     bytes of all objects and parts, as decimal text

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "buckets/types.h"

namespace mayfly::buckets {

inline constexpr std::string_view kBucketPrefix = "o/b/";
inline constexpr std::string_view kFilePrefix = "o/f/";
inline constexpr std::string_view kGarbagePrefix = "o/g/";
inline constexpr std::string_view kUploadsPrefix = "o/m/";
inline constexpr std::string_view kBytesRow = "o/n";

std::string bucket_row(std::string_view bucket);
std::string object_row(std::string_view bucket, std::string_view key);
std::string upload_row(std::string_view bucket, std::string_view key, std::string_view id);
std::string part_prefix(std::string_view upload);
std::string part_row(std::string_view upload, std::uint32_t number);
std::string segments_row(std::string_view content);
std::string file_row(std::string_view file);
std::string garbage_row(std::string_view file);

// One file of an object that was uploaded in parts.
struct Segment {
  std::string file;
  std::uint64_t size = 0;
  std::string checksum;  // base64
};
using Segments = std::vector<Segment>;

std::string encode(const Bucket& bucket);
std::string encode(const Object& object);
std::string encode(const Upload& upload);
std::string encode(const Part& part);
std::string encode(const Segments& segments);

// corrupt names the row.
Result<Bucket> decode_bucket(std::string_view row, std::string_view value);
Result<Object> decode_object(std::string key, std::string_view value);
Result<Upload> decode_upload(std::string key, std::string id, std::string_view value);
Result<Part> decode_part(std::uint32_t number, std::string_view value);
Result<Segments> decode_segments(std::string_view content, std::string_view value);

}  // namespace mayfly::buckets
