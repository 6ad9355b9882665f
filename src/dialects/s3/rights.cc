#include "dialects/s3/rights.h"

#include "aws/session.h"

namespace mayfly::dialects::s3 {

using aws::Need;
using aws::Outcome;

namespace {

constexpr std::string_view kArnStart = "arn:aws:s3:::";

// Empty: the operation's own name.
std::string_view action_of(Op op) {
  switch (op) {
    case Op::list_buckets:
      return "s3:ListAllMyBuckets";
    case Op::head_bucket:
    case Op::list_objects:
    case Op::list_objects_v2:
      return "s3:ListBucket";
    case Op::get_location:
      return "s3:GetBucketLocation";
    case Op::head_object:
      return "s3:GetObject";
    case Op::list_versions:
      return "s3:ListBucketVersions";
    case Op::delete_bucket_tagging:
      return "s3:PutBucketTagging";
    case Op::get_notification:
      return "s3:GetBucketNotification";
    case Op::put_notification:
      return "s3:PutBucketNotification";
    case Op::copy_object:
    case Op::create_upload:
    case Op::upload_part:
    case Op::upload_part_copy:
    case Op::complete_upload:
      return "s3:PutObject";
    case Op::list_parts:
      return "s3:ListMultipartUploadParts";
    case Op::list_uploads:
      return "s3:ListBucketMultipartUploads";
    default:
      return {};
  }
}

std::string arn_of(const Address& address) {
  if (address.bucket.empty()) return "*";
  std::string arn = std::string(kArnStart) + address.bucket;
  if (!address.key.empty()) arn += "/" + address.key;
  return arn;
}

Outcome<void> check(const Request& request, std::span<const Need> needs) {
  auto checked = request.signature->caller.session->check(needs);
  if (checked.has_value()) return checked;
  aws::Fault fault = std::move(checked).error();
  fault.code = "AccessDenied";
  fault.status = 403;
  return fault;
}

}  // namespace

Outcome<void> check_rights(const Request& request) {
  if (!request.signature->caller.session) return boost::system::in_place_value;
  const Op op = request.operation->op;
  if (op == Op::delete_objects) return boost::system::in_place_value;  // each key by itself
  const auto named = action_of(op);
  std::vector<Need> needs{
      {named.empty() ? "s3:" + std::string(request.operation->name) : std::string(named),
       arn_of(request.address)}};
  // Whoever sends no Content of its own reads another's.
  if (const auto source = request.header("x-amz-copy-source")) {
    auto from = parse_copy_source(*source);
    if (from.has_error()) return std::move(from).error();
    needs.push_back({"s3:GetObject", arn_of(*from)});
  }
  // As on AWS: tags beside an object are a right of their own.
  if (request.header("x-amz-tagging")) needs.push_back({"s3:PutObjectTagging", needs[0].resource});
  return check(request, needs);
}

Outcome<void> check_right(const Request& request, std::string_view action, std::string_view key) {
  if (!request.signature->caller.session) return boost::system::in_place_value;
  const Need need{std::string(action), arn_of({request.address.bucket, std::string(key)})};
  return check(request, std::span(&need, 1));
}

}  // namespace mayfly::dialects::s3
