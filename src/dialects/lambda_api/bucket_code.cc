// Code that lies in a bucket of this server.

#include "dialects/aws_values.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"

namespace mayfly::dialects::lambda_api {

using aws::Outcome;
using buckets::Why;

namespace {

aws::Fault get_failed(std::string_view code, std::string_view message) {
  return invalid_parameter("Error occurred while GetObject. S3 Error Code: " + std::string(code) +
                           ". S3 Error Message: " + std::string(message));
}

}  // namespace

io::Task<Outcome<std::string>> LambdaApi::take_from_bucket(Object code) {
  if (!text_member(code, "ZipFile").empty())
    co_return invalid_parameter(
        "Please do not provide other FunctionCode parameters when providing a ZipFile.");
  if (code.contains("S3ObjectVersion") && text_member(code, "S3ObjectVersion") != "null")
    co_return get_failed("NoSuchVersion",
                         "Buckets keep no versions here: leave S3ObjectVersion out.");
  const std::string bucket = text_member(code, "S3Bucket"), key = text_member(code, "S3Key");
  if (bucket.empty() || key.empty())
    co_return invalid_parameter("Code in a bucket wants both S3Bucket and S3Key.");
  auto getting = parts_.buckets.get(bucket, key);
  auto found = co_await std::move(getting);
  if (found.has_error()) {
    if (found.error().why == Why::no_such_bucket)
      co_return get_failed("NoSuchBucket", "The specified bucket does not exist");
    if (found.error().why == Why::no_such_key)
      co_return get_failed("NoSuchKey", "The specified key does not exist.");
    co_return lambda_fault(found.error().error);
  }
  auto more = parts_.buckets.read(*found, 0, found->object.size);
  std::string first;
  while (more && first.size() < 2) {
    auto reading = more->read();
    auto piece = co_await std::move(reading);
    if (piece.has_error()) co_return lambda_fault(piece.error());
    if (piece->empty()) more.reset();
    first += *piece;
  }
  auto keeping = keep_code(std::move(first), std::move(more));
  co_return co_await std::move(keeping);
}

}  // namespace mayfly::dialects::lambda_api
