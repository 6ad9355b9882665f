#include "dialects/s3/s3.h"

#include "base/log.h"
#include "dialects/s3/faults.h"
#include "dialects/s3/rights.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;

namespace {

// Fields that ask for what is not done here; ignoring them would be a lie.
constexpr std::string_view kRefusedFields[] = {
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-legal-hold",
    "x-amz-website-redirect-location",
    "x-amz-grant-read",
    "x-amz-grant-full-control",
    "x-amz-grant-write",
    "x-amz-write-offset-bytes",
};

Outcome<void> check_fields(const Request& request, const std::string& account) {
  for (const auto field : kRefusedFields)
    if (request.header(field))
      return not_implemented("What the header " + std::string(field) + " asks for");
  for (const auto field : {"x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"})
    if (const auto owner = request.header(field); owner && *owner != account)
      return Fault{"AccessDenied",
                   "Access Denied: all buckets belong to the account " + account +
                       " (setting engine.account).",
                   403};
  if (const auto acl = request.header("x-amz-acl");
      acl && *acl != "private" && *acl != "bucket-owner-full-control")
    return Fault{"AccessControlListNotSupported", "The bucket does not allow ACLs"};
  if (const auto locked = request.header("x-amz-bucket-object-lock-enabled");
      locked && wire::equal_ignoring_case(*locked, "true"))
    return not_implemented("Object lock");
  return boost::system::in_place_value;
}

}  // namespace

Outcome<void> S3::prepare(Request& request, const aws::SessionPtr& session) {
  const wire::RequestHead& head = request.http.head;
  if (aws::bears_old_s3_signature(head))
    return invalid_request(
        "The authorization mechanism you have provided is not supported. Please use "
        "AWS4-HMAC-SHA256.");
  auto signature = verifier_.verify_head(head, session);
  if (signature.has_error()) return std::move(signature).error();
  request.signature = std::move(*signature);
  auto payload = aws::PayloadForm::of(request.signature->payload);
  if (payload.has_error()) return std::move(payload).error();
  request.payload = std::move(*payload);
  auto address = parse_address(head.headers.find("Host").value_or(""), head.path());
  if (address.has_error()) return std::move(address).error();
  request.address = std::move(*address);
  auto parameters = parse_query(head.query());
  if (parameters.has_error()) return std::move(parameters).error();
  request.parameters = std::move(*parameters);
  const Level level = request.address.bucket.empty() ? Level::service
                      : request.address.key.empty()  ? Level::bucket
                                                     : Level::object;
  request.operation = find_operation(head.method, level, request.parameters, head.headers);
  if (!request.operation)
    return Fault{"MethodNotAllowed", "The specified method is not allowed against this resource.",
                 405};
  AWS_TRY(check_rights(request));
  if (request.operation->op == Op::none)
    return not_implemented(std::string(request.operation->name));
  if (const auto version = request.parameter("versionId"); version && *version != "null")
    return no_versions();
  return check_fields(request, parts_.account);
}

io::Task<io::HttpResponse> S3::handle(io::HttpRequest http, std::string request_id,
                                      aws::SessionPtr session) {
  auto request = std::make_shared<Request>();
  request->http = std::move(http);
  request->id = std::move(request_id);
  Response response = Fault{};
  if (auto good = prepare(*request, session); good.has_error()) {
    response = std::move(good).error();
  } else {
    auto answering = dispatch(request);
    response = co_await std::move(answering);
  }
  // Clients of botocore that expected a 100 and got the answer at once, as for an empty object,
  // take the next answer on the connection amiss.
  const bool close = request->header("Expect") && request->header("Content-Length") == "0";
  if (response.has_error()) {
    const Fault& fault = response.error();
    if (fault.status >= 500 && fault.status != 501)
      log::warn("{} of request {}: {}", fault.code, request->id, fault.message);
    response = fault_response(fault, request->http.head.path(), request->id);
  }
  if (close) response->head.headers.set("Connection", "close");
  response->head.headers.set("x-amz-request-id", request->id);
  co_return std::move(*response);
}

S3::Answer S3::dispatch(RequestPtr request) {
  switch (request->operation->op) {
    case Op::list_buckets:
      return list_buckets(std::move(request));
    case Op::create_bucket:
      return create_bucket(std::move(request));
    case Op::delete_bucket:
      return delete_bucket(std::move(request));
    case Op::head_bucket:
    case Op::get_location:
      return look_at_bucket(std::move(request));
    case Op::configuration:
    case Op::remove_configuration:
      return configuration(std::move(request));
    case Op::get_acl:
      return get_acl(std::move(request));
    case Op::get_notification:
      return get_notification(std::move(request));
    case Op::put_notification:
      return put_notification(std::move(request));
    case Op::get_bucket_tagging:
      return get_bucket_tagging(std::move(request));
    case Op::put_bucket_tagging:
    case Op::delete_bucket_tagging:
      return put_bucket_tagging(std::move(request));
    case Op::list_objects:
      return list_objects(std::move(request));
    case Op::list_objects_v2:
      return list_objects_v2(std::move(request));
    case Op::list_versions:
      return list_versions(std::move(request));
    case Op::put_object:
      return put_object(std::move(request));
    case Op::get_object:
    case Op::head_object:
      return get_object(std::move(request));
    case Op::delete_object:
      return delete_object(std::move(request));
    case Op::delete_objects:
      return delete_objects(std::move(request));
    case Op::get_tagging:
      return get_tagging(std::move(request));
    case Op::put_tagging:
    case Op::delete_tagging:
      return put_tagging(std::move(request));
    case Op::get_attributes:
      return get_attributes(std::move(request));
    case Op::restore_object:
      return restore_object(std::move(request));
    case Op::copy_object:
      return copy_object(std::move(request));
    case Op::create_upload:
      return create_upload(std::move(request));
    case Op::upload_part:
      return upload_part(std::move(request));
    case Op::upload_part_copy:
      return upload_part_copy(std::move(request));
    case Op::complete_upload:
      return complete_upload(std::move(request));
    case Op::abort_upload:
      return abort_upload(std::move(request));
    case Op::list_parts:
      return list_parts(std::move(request));
    case Op::list_uploads:
    case Op::none:
      return list_uploads(std::move(request));
  }
  return list_uploads(std::move(request));
}

}  // namespace mayfly::dialects::s3
