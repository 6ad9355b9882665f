#pragma once
// What the room buckets speaks of: buckets, objects, uploads in parts, and why something is
// refused.

#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "buckets/checksums.h"

namespace mayfly::buckets {

struct Limits {
  std::uint64_t put_bytes_max = 5ull << 30;     // setting buckets.put_bytes_max
  std::uint64_t object_bytes_max = 5ull << 40;  // setting buckets.object_bytes_max
  std::uint64_t bytes_max = 0;                  // setting buckets.bytes_max; 0: what the disk holds
  std::uint64_t part_bytes_min = 5u << 20;      // setting buckets.part_bytes_min
  std::uint32_t parts_max = 10'000;             // setting buckets.parts_max
  std::uint32_t uploads_max = 10'000;           // setting buckets.uploads_max
  std::uint32_t buckets_max = 1'000;            // setting buckets.buckets_max
  std::uint32_t metadata_bytes_max = 2'048;     // setting buckets.metadata_bytes_max
};

inline constexpr std::size_t kKeyBytesMax = 1024;

// Why a call was refused, where callers tell it apart.
enum class Why {
  other,
  no_such_bucket,
  no_such_key,
  no_such_upload,
  bucket_exists,
  bucket_not_empty,
  too_many_buckets,
  too_many_uploads,
  too_large,            // an object, over a setting
  full,                 // disk, or setting buckets.bytes_max
  precondition_failed,  // Precondition::etag
  busy,                 // another change of the same thing is under way
  invalid_part,
  invalid_part_order,
  part_too_small,
  wrong_size,
  bad_digest,
};

struct Failure {
  Why why = Why::other;
  Error error;
};
[[noreturn]] void throw_exception_from_error(const Failure& failure,
                                             const boost::source_location& where);

template <class T>
using Answer = boost::system::result<T, Failure>;

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Who is told when objects change.
struct Notification {
  std::string id;
  std::string target;               // as triggers have it: "function:NAME", "queue:NAME" ...
  std::vector<std::string> events;  // "ObjectCreated:*", "ObjectRemoved:Delete" ...
  std::string prefix, suffix;       // of keys

  bool wants(std::string_view event, std::string_view key) const;
  bool operator==(const Notification&) const = default;
};
// One change could fit both, which S3 does not allow.
bool overlap(const Notification& a, const Notification& b);
// Those of a bucket: their number, ids and events, and that none overlap. Not their targets.
Status check_notifications(const std::vector<Notification>& notifications);

// Why an object changes, as notifications tell it.
struct Cause {
  std::string event;                     // "ObjectCreated:Put"; empty: nobody is told
  std::string request_id, address, who;  // of the client
};

// A change that somebody is to be told of.
struct Happening {
  std::string notification, target;
  std::string bucket, region, key, etag;
  std::uint64_t size = 0;
  std::int64_t time_us = 0;
  Cause cause;
};

struct Bucket {
  std::string name;
  std::string region;
  std::int64_t created_us = 0;
  std::string tags;  // as those of Attributes
  std::vector<Notification> notifications;
};

// What comes with the bytes and is given back with them.
struct Attributes {
  Pairs fields;                        // Content-Type, Cache-Control, ...
  Pairs metadata;                      // of the user: names in lower case, without x-amz-meta-
  std::string tags;                    // a=1&b=2, percent-encoded
  std::string storage;                 // a name, with no effect here; "": the usual one
  std::int64_t restored_until_us = 0;  // of storage that must be restored before it is read
};

// Kept in a storage class of which the bytes must be restored before they are read.
bool is_archived(const Attributes& attributes);
bool is_readable(const Attributes& attributes, std::int64_t now_us);

struct Object {
  std::string key;
  std::string etag;  // hex, with -N for an object of N parts
  std::uint64_t size = 0;
  std::int64_t modified_us = 0;
  std::uint32_t parts = 0;  // 0: not uploaded in parts
  Checksum algorithm = Checksum::none;
  std::string checksum;    // base64; with -N when it is composite
  bool composite = false;  // a checksum of the checksums of the parts
  Attributes attributes;
  std::string content;  // id of its bytes; "" when there are none
};

// An upload in parts that is under way.
struct Upload {
  std::string key, id;
  std::int64_t begun_us = 0;
  Checksum algorithm = Checksum::none;
  bool composite = false;
  Attributes attributes;
};

struct Part {
  std::uint32_t number = 0;
  std::string etag;
  std::uint64_t size = 0;
  std::int64_t modified_us = 0;
  std::string checksum;  // base64
  std::string content;
};

// What must hold of the object that is there when another takes its place.
struct Precondition {
  bool absent = false;              // If-None-Match: *
  std::optional<std::string> etag;  // If-Match; "*": any
};

// A page of a listing in the order of keys.
struct ListQuery {
  std::string bucket, prefix, delimiter;
  std::string after;  // keys and common prefixes behind it
  std::size_t limit = 1000;
};
struct ListPage {
  struct Entry {
    std::optional<Object> object;
    std::string prefix;  // a common prefix, when there is no object
    const std::string& name() const { return object ? object->key : prefix; }
  };
  std::vector<Entry> entries;
  bool truncated = false;
};
struct UploadPage {
  struct Entry {
    std::optional<Upload> upload;
    std::string prefix;
  };
  std::vector<Entry> entries;
  bool truncated = false;
};

// [a-z0-9.-]{3,63} as the S3 rules want it; the error says what is wrong.
Status check_bucket_name(std::string_view name);
// 1 to 1024 bytes of UTF-8 without NUL.
Status check_key(std::string_view key);

}  // namespace mayfly::buckets
