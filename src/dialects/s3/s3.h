#pragma once
// S3's REST API over Mayfly's buckets: what `aws s3`, `aws s3api`, boto3 and the SDKs speak.
// docs/reference/s3.md says which operations there are and what differs.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "aws/service.h"
#include "aws/sigv4.h"
#include "aws/xml.h"
#include "base/clock.h"
#include "buckets/buckets.h"
#include "dialects/s3/receive.h"
#include "dialects/s3/request.h"

namespace mayfly::dialects::s3 {

// Belongs to one loop; outlives the calls that it runs.
class S3 : public aws::StreamService {
 public:
  struct Parts {
    buckets::Buckets& buckets;
    const identity::AccessKeys& keys;
    const Clock& clock;
    std::size_t document_bytes_max = 8u << 20;  // setting aws.body_bytes_max
    std::string region, account;
    // Why nothing can be sent to a target of notifications; ok: it is there.
    std::function<Status(const std::string& arn)> check_target = nullptr;
  };
  explicit S3(Parts parts) : parts_(std::move(parts)), verifier_(parts_.keys, parts_.clock) {}

  std::string_view scope() const override { return "s3"; }
  io::Task<io::HttpResponse> handle(io::HttpRequest request, std::string request_id,
                                    aws::SessionPtr session) override;

 private:
  using Response = aws::Outcome<io::HttpResponse>;
  using Answer = io::Task<Response>;

  aws::Outcome<void> prepare(Request& request, const aws::SessionPtr& session);
  Answer dispatch(RequestPtr request);

  // bucket_calls.cc
  Answer list_buckets(RequestPtr request);
  Answer create_bucket(RequestPtr request);
  Answer delete_bucket(RequestPtr request);
  Answer look_at_bucket(RequestPtr request);  // HeadBucket, and what a bucket is asked about itself
  Answer list_objects(RequestPtr request);
  Answer list_objects_v2(RequestPtr request);
  Answer list_versions(RequestPtr request);

  // configurations.cc
  Answer configuration(RequestPtr request);  // what a bucket could have and has not
  Answer get_acl(RequestPtr request);        // of buckets and objects
  Answer get_bucket_tagging(RequestPtr request);
  Answer put_bucket_tagging(RequestPtr request);  // and DeleteBucketTagging

  // notifications.cc
  Answer get_notification(RequestPtr request);
  Answer put_notification(RequestPtr request);

  // object_calls.cc
  Answer put_object(RequestPtr request);
  Answer get_object(RequestPtr request);  // and HeadObject
  Answer delete_object(RequestPtr request);
  Answer delete_objects(RequestPtr request);
  Answer get_tagging(RequestPtr request);
  Answer put_tagging(RequestPtr request);  // and DeleteObjectTagging

  // object_state.cc
  Answer get_attributes(RequestPtr request);
  Answer restore_object(RequestPtr request);

  // copies.cc
  Answer copy_object(RequestPtr request);
  Answer upload_part_copy(RequestPtr request);
  // The object to copy from, when the request may have it.
  io::Task<aws::Outcome<buckets::Found>> copy_source(RequestPtr request, Address from);

  // upload_calls.cc
  Answer create_upload(RequestPtr request);
  Answer upload_part(RequestPtr request);
  Answer complete_upload(RequestPtr request);
  Answer abort_upload(RequestPtr request);
  Answer list_parts(RequestPtr request);
  Answer list_uploads(RequestPtr request);

  // bodies.cc
  // Takes the body into content, or gives it as text when there is none.
  io::Task<aws::Outcome<std::string>> receive(RequestPtr request, BodyClaims claims,
                                              buckets::NewContentPtr content);
  io::Task<aws::Outcome<aws::XmlNode>> document(RequestPtr request);
  // Bytes of an object into content.
  io::Task<aws::Outcome<void>> copy_bytes(buckets::Found source, ByteRange range,
                                          buckets::NewContentPtr content);

  Parts parts_;
  aws::Verifier verifier_;
};

}  // namespace mayfly::dialects::s3
