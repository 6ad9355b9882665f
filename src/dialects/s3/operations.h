#pragma once
// The operations of S3, and which of them a request asks for. Pure.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/http_message.h"

namespace mayfly::dialects::s3 {

enum class Op {
  none,  // not served
  abort_upload,
  complete_upload,
  copy_object,
  configuration,         // of a bucket, as S3 tells that there is none
  remove_configuration,  // nothing to remove
  create_bucket,
  create_upload,
  delete_bucket,
  delete_object,
  delete_objects,
  delete_bucket_tagging,
  delete_tagging,
  get_acl,
  get_attributes,
  get_bucket_tagging,
  get_location,
  get_notification,
  get_object,
  get_tagging,
  head_bucket,
  head_object,
  list_buckets,
  list_objects,
  list_objects_v2,
  list_parts,
  list_uploads,
  list_versions,
  put_bucket_tagging,
  put_notification,
  put_object,
  put_tagging,
  restore_object,
  upload_part,
  upload_part_copy,
};

enum class Level { service, bucket, object };  // what the path names

struct Operation {
  std::string_view name, method;
  Level level;
  std::string_view needs;   // parameters that it is told by: "uploadId&partNumber", "list-type=2"
  std::string_view header;  // the same
  Op op;
};

using Parameters = std::vector<std::pair<std::string, std::string>>;  // of the query, decoded

std::span<const Operation> operations();
// The one that fits best; null when none does.
const Operation* find_operation(std::string_view method, Level level, const Parameters& parameters,
                                const wire::Headers& headers);

}  // namespace mayfly::dialects::s3
