#include "dialects/s3/operations.h"

namespace mayfly::dialects::s3 {
namespace {

constexpr Level kService = Level::service, kBucket = Level::bucket, kObject = Level::object;

// Every operation of botocore's model but WriteGetObjectResponse, which has an address of its own;
// docs/reference/s3.md has the same table for people.
constexpr Operation kOperations[] = {
    {"AbortMultipartUpload", "DELETE", kObject, "uploadId", "", Op::abort_upload},
    {"CompleteMultipartUpload", "POST", kObject, "uploadId", "", Op::complete_upload},
    {"CopyObject", "PUT", kObject, "", "x-amz-copy-source", Op::copy_object},
    {"CreateBucket", "PUT", kBucket, "", "", Op::create_bucket},
    {"CreateMultipartUpload", "POST", kObject, "uploads", "", Op::create_upload},
    {"DeleteBucket", "DELETE", kBucket, "", "", Op::delete_bucket},
    {"DeleteBucketAnalyticsConfiguration", "DELETE", kBucket, "analytics&id", "", Op::none},
    {"DeleteBucketCors", "DELETE", kBucket, "cors", "", Op::remove_configuration},
    {"DeleteBucketEncryption", "DELETE", kBucket, "encryption", "", Op::remove_configuration},
    {"DeleteBucketIntelligentTieringConfiguration", "DELETE", kBucket, "intelligent-tiering&id", "",
     Op::none},
    {"DeleteBucketInventoryConfiguration", "DELETE", kBucket, "inventory&id", "", Op::none},
    {"DeleteBucketLifecycle", "DELETE", kBucket, "lifecycle", "", Op::remove_configuration},
    {"DeleteBucketMetricsConfiguration", "DELETE", kBucket, "metrics&id", "", Op::none},
    {"DeleteBucketOwnershipControls", "DELETE", kBucket, "ownershipControls", "", Op::none},
    {"DeleteBucketPolicy", "DELETE", kBucket, "policy", "", Op::remove_configuration},
    {"DeleteBucketReplication", "DELETE", kBucket, "replication", "", Op::remove_configuration},
    {"DeleteBucketTagging", "DELETE", kBucket, "tagging", "", Op::delete_bucket_tagging},
    {"DeleteBucketWebsite", "DELETE", kBucket, "website", "", Op::remove_configuration},
    {"DeleteObject", "DELETE", kObject, "", "", Op::delete_object},
    {"DeleteObjectTagging", "DELETE", kObject, "tagging", "", Op::delete_tagging},
    {"DeleteObjects", "POST", kBucket, "delete", "", Op::delete_objects},
    {"DeletePublicAccessBlock", "DELETE", kBucket, "publicAccessBlock", "", Op::none},
    {"GetBucketAccelerateConfiguration", "GET", kBucket, "accelerate", "", Op::configuration},
    {"GetBucketAcl", "GET", kBucket, "acl", "", Op::get_acl},
    {"GetBucketAnalyticsConfiguration", "GET", kBucket, "analytics&id", "", Op::none},
    {"GetBucketCors", "GET", kBucket, "cors", "", Op::configuration},
    {"GetBucketEncryption", "GET", kBucket, "encryption", "", Op::configuration},
    {"GetBucketIntelligentTieringConfiguration", "GET", kBucket, "intelligent-tiering&id", "",
     Op::none},
    {"GetBucketInventoryConfiguration", "GET", kBucket, "inventory&id", "", Op::none},
    {"GetBucketLifecycle", "GET", kBucket, "lifecycle", "", Op::configuration},
    {"GetBucketLifecycleConfiguration", "GET", kBucket, "lifecycle", "", Op::configuration},
    {"GetBucketLocation", "GET", kBucket, "location", "", Op::get_location},
    {"GetBucketLogging", "GET", kBucket, "logging", "", Op::configuration},
    {"GetBucketMetricsConfiguration", "GET", kBucket, "metrics&id", "", Op::none},
    {"GetBucketNotification", "GET", kBucket, "notification", "", Op::get_notification},
    {"GetBucketNotificationConfiguration", "GET", kBucket, "notification", "",
     Op::get_notification},
    {"GetBucketOwnershipControls", "GET", kBucket, "ownershipControls", "", Op::configuration},
    {"GetBucketPolicy", "GET", kBucket, "policy", "", Op::configuration},
    {"GetBucketPolicyStatus", "GET", kBucket, "policyStatus", "", Op::configuration},
    {"GetBucketReplication", "GET", kBucket, "replication", "", Op::configuration},
    {"GetBucketRequestPayment", "GET", kBucket, "requestPayment", "", Op::configuration},
    {"GetBucketTagging", "GET", kBucket, "tagging", "", Op::get_bucket_tagging},
    {"GetBucketVersioning", "GET", kBucket, "versioning", "", Op::configuration},
    {"GetBucketWebsite", "GET", kBucket, "website", "", Op::configuration},
    {"GetObject", "GET", kObject, "", "", Op::get_object},
    {"GetObjectAcl", "GET", kObject, "acl", "", Op::get_acl},
    {"GetObjectAttributes", "GET", kObject, "attributes", "", Op::get_attributes},
    {"GetObjectLegalHold", "GET", kObject, "legal-hold", "", Op::none},
    {"GetObjectLockConfiguration", "GET", kBucket, "object-lock", "", Op::configuration},
    {"GetObjectRetention", "GET", kObject, "retention", "", Op::none},
    {"GetObjectTagging", "GET", kObject, "tagging", "", Op::get_tagging},
    {"GetObjectTorrent", "GET", kObject, "torrent", "", Op::none},
    {"GetPublicAccessBlock", "GET", kBucket, "publicAccessBlock", "", Op::configuration},
    {"HeadBucket", "HEAD", kBucket, "", "", Op::head_bucket},
    {"HeadObject", "HEAD", kObject, "", "", Op::head_object},
    {"ListBucketAnalyticsConfigurations", "GET", kBucket, "analytics", "", Op::configuration},
    {"ListBucketIntelligentTieringConfigurations", "GET", kBucket, "intelligent-tiering", "",
     Op::configuration},
    {"ListBucketInventoryConfigurations", "GET", kBucket, "inventory", "", Op::configuration},
    {"ListBucketMetricsConfigurations", "GET", kBucket, "metrics", "", Op::configuration},
    {"ListBuckets", "GET", kService, "", "", Op::list_buckets},
    {"ListMultipartUploads", "GET", kBucket, "uploads", "", Op::list_uploads},
    {"ListObjectVersions", "GET", kBucket, "versions", "", Op::list_versions},
    {"ListObjects", "GET", kBucket, "", "", Op::list_objects},
    {"ListObjectsV2", "GET", kBucket, "list-type=2", "", Op::list_objects_v2},
    {"ListParts", "GET", kObject, "uploadId", "", Op::list_parts},
    {"PutBucketAccelerateConfiguration", "PUT", kBucket, "accelerate", "", Op::none},
    {"PutBucketAcl", "PUT", kBucket, "acl", "", Op::none},
    {"PutBucketAnalyticsConfiguration", "PUT", kBucket, "analytics&id", "", Op::none},
    {"PutBucketCors", "PUT", kBucket, "cors", "", Op::none},
    {"PutBucketEncryption", "PUT", kBucket, "encryption", "", Op::none},
    {"PutBucketIntelligentTieringConfiguration", "PUT", kBucket, "intelligent-tiering&id", "",
     Op::none},
    {"PutBucketInventoryConfiguration", "PUT", kBucket, "inventory&id", "", Op::none},
    {"PutBucketLifecycle", "PUT", kBucket, "lifecycle", "", Op::none},
    {"PutBucketLifecycleConfiguration", "PUT", kBucket, "lifecycle", "", Op::none},
    {"PutBucketLogging", "PUT", kBucket, "logging", "", Op::none},
    {"PutBucketMetricsConfiguration", "PUT", kBucket, "metrics&id", "", Op::none},
    {"PutBucketNotification", "PUT", kBucket, "notification", "", Op::put_notification},
    {"PutBucketNotificationConfiguration", "PUT", kBucket, "notification", "",
     Op::put_notification},
    {"PutBucketOwnershipControls", "PUT", kBucket, "ownershipControls", "", Op::none},
    {"PutBucketPolicy", "PUT", kBucket, "policy", "", Op::none},
    {"PutBucketReplication", "PUT", kBucket, "replication", "", Op::none},
    {"PutBucketRequestPayment", "PUT", kBucket, "requestPayment", "", Op::none},
    {"PutBucketTagging", "PUT", kBucket, "tagging", "", Op::put_bucket_tagging},
    {"PutBucketVersioning", "PUT", kBucket, "versioning", "", Op::none},
    {"PutBucketWebsite", "PUT", kBucket, "website", "", Op::none},
    {"PutObject", "PUT", kObject, "", "", Op::put_object},
    {"PutObjectAcl", "PUT", kObject, "acl", "", Op::none},
    {"PutObjectLegalHold", "PUT", kObject, "legal-hold", "", Op::none},
    {"PutObjectLockConfiguration", "PUT", kBucket, "object-lock", "", Op::none},
    {"PutObjectRetention", "PUT", kObject, "retention", "", Op::none},
    {"PutObjectTagging", "PUT", kObject, "tagging", "", Op::put_tagging},
    {"PutPublicAccessBlock", "PUT", kBucket, "publicAccessBlock", "", Op::none},
    {"RestoreObject", "POST", kObject, "restore", "", Op::restore_object},
    {"SelectObjectContent", "POST", kObject, "select&select-type=2", "", Op::none},
    {"UploadPart", "PUT", kObject, "partNumber&uploadId", "", Op::upload_part},
    {"UploadPartCopy", "PUT", kObject, "partNumber&uploadId", "x-amz-copy-source",
     Op::upload_part_copy},
};

// "uploadId" wants this parameter, "list-type=2" this value of it.
bool has(const Parameters& parameters, std::string_view needed) {
  const auto equals = needed.find('=');
  const std::string_view name = needed.substr(0, equals);
  for (const auto& [given, value] : parameters)
    if (given == name)
      return equals == std::string_view::npos || value == needed.substr(equals + 1);
  return false;
}

// How well the request fits; -1: not at all.
int fit(const Operation& operation, const Parameters& parameters, const wire::Headers& headers) {
  int points = 0;
  for (std::string_view needs = operation.needs; !needs.empty();) {
    const auto end = needs.find('&');
    if (!has(parameters, needs.substr(0, end))) return -1;
    needs = end == std::string_view::npos ? std::string_view() : needs.substr(end + 1);
    ++points;
  }
  if (operation.header.empty()) return points;
  return headers.contains(operation.header) ? points + 1 : -1;
}

}  // namespace

std::span<const Operation> operations() {
  return kOperations;
}

const Operation* find_operation(std::string_view method, Level level, const Parameters& parameters,
                                const wire::Headers& headers) {
  const Operation* best = nullptr;
  int most = -1;
  for (const auto& operation : kOperations) {
    if (operation.method != method || operation.level != level) continue;
    const int points = fit(operation, parameters, headers);
    if (points <= most) continue;
    most = points;
    best = &operation;
  }
  return best;
}

}  // namespace mayfly::dialects::s3
