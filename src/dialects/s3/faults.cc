#include "dialects/s3/faults.h"

#include "aws/text.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using buckets::Why;

Fault invalid_argument(std::string message) {
  return {"InvalidArgument", std::move(message)};
}

Fault invalid_request(std::string message) {
  return {"InvalidRequest", std::move(message)};
}

Fault malformed_xml(std::string why) {
  return {"MalformedXML",
          "The XML you provided was not well-formed or did not validate against our published "
          "schema. " +
              std::move(why)};
}

Fault not_implemented(std::string what) {
  return {"NotImplemented",
          std::move(what) + " is not implemented here; docs/reference/s3.md lists what is.", 501};
}

Fault no_versions() {
  return {"NoSuchVersion",
          "The specified version does not exist: buckets keep no versions here, and the only "
          "version of an object is \"null\".",
          404};
}

Fault fault_of(const buckets::Failure& failure) {
  const std::string& message = failure.error.message;
  switch (failure.why) {
    case Why::no_such_bucket:
      return {"NoSuchBucket", "The specified bucket does not exist", 404};
    case Why::no_such_key:
      return {"NoSuchKey", "The specified key does not exist.", 404};
    case Why::no_such_upload:
      return {"NoSuchUpload",
              "The specified upload does not exist. The upload ID may be invalid, or the upload "
              "may have been aborted or completed.",
              404};
    case Why::bucket_exists:
      return {"BucketAlreadyOwnedByYou",
              "Your previous request to create the named bucket succeeded and you already own it.",
              409};
    case Why::bucket_not_empty:
      return {"BucketNotEmpty", "The bucket you tried to delete is not empty", 409};
    case Why::too_many_buckets:
      return {"TooManyBuckets", message, 400};
    case Why::too_many_uploads:
      return {"TooManyUploads", message, 400};
    case Why::too_large:
      return {"EntityTooLarge", message, 400};
    case Why::full:
      return {"InsufficientStorage", message, 507, "", false};
    case Why::precondition_failed:
      return {"PreconditionFailed", "At least one of the pre-conditions you specified did not hold",
              412};
    case Why::busy:
      return {"OperationAborted",
              "A conflicting conditional operation is currently in progress against this "
              "resource. Please try again. " +
                  message,
              409};
    case Why::invalid_part:
      return {"InvalidPart",
              "One or more of the specified parts could not be found. The part may not have been "
              "uploaded, or the specified entity tag may not match the part's entity tag. " +
                  message};
    case Why::invalid_part_order:
      return {"InvalidPartOrder",
              "The list of parts was not in ascending order. Parts must be ordered by part "
              "number."};
    case Why::part_too_small:
      return {"EntityTooSmall",
              "Your proposed upload is smaller than the minimum allowed size. " + message};
    case Why::wrong_size:
      return invalid_request(
          "The provided 'x-amz-mp-object-size' header does not match what was "
          "computed. " +
          message);
    case Why::bad_digest:
      return {"BadDigest", "The checksum you specified did not match what we received. " + message};
    case Why::other:
      break;
  }
  if (failure.error.sys_errno == ENOSPC || failure.error.sys_errno == EDQUOT)
    return {"InsufficientStorage", message, 507, "", false};
  if (failure.error.code == Code::invalid_argument) return invalid_argument(message);
  if (is_retryable(failure.error.code))
    return {"ServiceUnavailable", failure.error.describe(), 503, "", false};
  return {"InternalError", failure.error.describe(), 500, "", false};
}

io::HttpResponse fault_response(const Fault& fault, std::string_view resource,
                                std::string_view request_id) {
  io::HttpResponse response;
  response.head.status = fault.status;
  response.head.headers.add("x-amz-request-id", request_id);
  if (fault.status == 304) return response;
  response.head.headers.add("Content-Type", "application/xml");
  std::string& out = response.body;
  out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>";
  const auto add = [&out](std::string_view name, std::string_view text) {
    out.append("<").append(name).append(">");
    aws::append_xml(out, text);
    out.append("</").append(name).append(">");
  };
  add("Code", fault.code);
  add("Message", fault.message);
  add("Resource", resource);
  for (const auto& member : fault.detail)
    if (member.value().is_string()) add(member.key(), member.value().get_string());
  add("RequestId", request_id);
  out += "</Error>";
  return response;
}

}  // namespace mayfly::dialects::s3
