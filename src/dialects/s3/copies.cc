// Objects and parts that are made of bytes that are here already.

#include "dialects/s3/attributes.h"
#include "dialects/s3/faults.h"
#include "dialects/s3/pages.h"
#include "dialects/s3/s3.h"
#include "dialects/s3/xml_out.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;
using buckets::Checksum;

namespace {

constexpr std::string_view kCopyIf = "x-amz-copy-source-";

// Which checksum a copy gets: the one that is asked for, else that of its source.
Outcome<Checksum> copy_algorithm(const Request& request, Checksum of_source) {
  const auto named = request.http.head.headers.find("x-amz-checksum-algorithm");
  if (!named) return of_source;
  const auto kind = buckets::checksum_named(*named);
  if (!kind) return invalid_request("Checksum algorithm provided is unsupported.");
  return *kind;
}

void add_result(XmlOut& out, const std::string& etag, std::int64_t modified_us, Checksum algorithm,
                const std::string& checksum) {
  out.add("LastModified", time_text(modified_us));
  out.add("ETag", quoted(etag));
  if (algorithm != Checksum::none && !checksum.empty())
    out.add("Checksum" + std::string(name_of(algorithm)), checksum);
}

}  // namespace

io::Task<Outcome<buckets::Found>> S3::copy_source(RequestPtr request, Address from) {
  auto getting = parts_.buckets.get(from.bucket, from.key);
  auto source = co_await std::move(getting);
  if (source.has_error()) co_return fault_of(source.error());
  if (auto good = check_conditions(*request, source->object, kCopyIf, false); good.has_error())
    co_return std::move(good).error();
  const std::int64_t now_us = to_epoch_us(parts_.clock.wall_now());
  if (auto good = check_readable(source->object.attributes, now_us); good.has_error())
    co_return std::move(good).error();
  co_return std::move(*source);
}

S3::Answer S3::copy_object(RequestPtr request) {
  if (!parts_.buckets.find(request->address.bucket))
    co_return fault_of(buckets::Failure{buckets::Why::no_such_bucket, {}});
  auto from = parse_copy_source(request->header("x-amz-copy-source").value_or(""));
  if (from.has_error()) co_return std::move(from).error();
  const bool replaces = request->header("x-amz-metadata-directive").value_or("COPY") == "REPLACE";
  const bool tags_replaced =
      request->header("x-amz-tagging-directive").value_or("COPY") == "REPLACE";
  const bool moves = request->header("x-amz-storage-class").has_value();
  if (from->bucket == request->address.bucket && from->key == request->address.key && !replaces &&
      !moves)
    co_return invalid_request(
        "This copy request is illegal because it is trying to copy an object to itself without "
        "changing the object's metadata, storage class, website redirect location or encryption "
        "attributes.");
  auto finding_source = copy_source(request, std::move(*from));
  auto source = co_await std::move(finding_source);
  if (source.has_error()) co_return std::move(source).error();
  if (source->object.size > parts_.buckets.limits().put_bytes_max)
    co_return invalid_request(
        "The specified copy source is larger than the maximum allowable size for a copy source: "
        "the setting buckets.put_bytes_max; copy it in parts.");
  auto attributes = attributes_of(*request, parts_.buckets.limits());
  if (attributes.has_error()) co_return std::move(attributes).error();
  auto precondition = precondition_of(*request);
  if (precondition.has_error()) co_return std::move(precondition).error();
  auto algorithm = copy_algorithm(*request, source->object.algorithm);
  if (algorithm.has_error()) co_return std::move(algorithm).error();

  buckets::Object object;
  object.key = request->address.key;
  object.attributes = source->object.attributes;
  // The class is not copied: S3 takes STANDARD when the request names none.
  object.attributes.storage = attributes->storage;
  object.attributes.restored_until_us = 0;
  if (replaces) {
    object.attributes.fields = attributes->fields;
    object.attributes.metadata = attributes->metadata;
  }
  if (tags_replaced) object.attributes.tags = attributes->tags;
  object.algorithm = *algorithm;
  auto content = parts_.buckets.new_content(*algorithm, false);
  const ByteRange whole{0, source->object.size};
  auto copying = copy_bytes(std::move(*source), whole, content);
  auto copied = co_await std::move(copying);
  if (copied.has_error()) co_return std::move(copied).error();
  if (*algorithm != Checksum::none) object.checksum = buckets::base64_of(content->checksum());
  auto putting = parts_.buckets.put(request->address.bucket, std::move(object), content,
                                    std::move(*precondition), request->cause("ObjectCreated:Copy"));
  auto put = co_await std::move(putting);
  if (put.has_error()) co_return fault_of(put.error());
  XmlOut out("CopyObjectResult");
  add_result(out, put->etag, put->modified_us, put->algorithm, put->checksum);
  co_return std::move(out).response();
}

S3::Answer S3::upload_part_copy(RequestPtr request) {
  auto number = number_parameter(*request, "partNumber", 0);
  if (number.has_error()) co_return std::move(number).error();
  const auto& limits = parts_.buckets.limits();
  if (*number < 1 || *number > limits.parts_max)
    co_return invalid_argument("Part number must be an integer between 1 and " +
                               std::to_string(limits.parts_max) + ", inclusive");
  auto finding = parts_.buckets.find_upload(request->address.bucket, request->address.key,
                                            std::string(*request->parameter("uploadId")));
  auto upload = co_await std::move(finding);
  if (upload.has_error()) co_return fault_of(upload.error());
  auto from = parse_copy_source(request->header("x-amz-copy-source").value_or(""));
  if (from.has_error()) co_return std::move(from).error();
  auto finding_source = copy_source(request, std::move(*from));
  auto source = co_await std::move(finding_source);
  if (source.has_error()) co_return std::move(source).error();
  ByteRange range{0, source->object.size};
  if (const auto field = request->header("x-amz-copy-source-range")) {
    auto parsed = parse_range(*field, source->object.size);
    if (parsed.has_error() || !*parsed)
      co_return invalid_argument(
          "The x-amz-copy-source-range value must be of the form bytes=first-last where first and "
          "last are the zero-based offsets of the first and last bytes to copy");
    range = **parsed;
  }
  if (range.size > limits.put_bytes_max)
    co_return Fault{"EntityTooLarge", "The part is larger than the setting buckets.put_bytes_max."};
  auto content = parts_.buckets.new_content(upload->algorithm, false);
  auto copying = copy_bytes(std::move(*source), range, content);
  auto copied = co_await std::move(copying);
  if (copied.has_error()) co_return std::move(copied).error();
  const Checksum algorithm = upload->algorithm;
  auto putting = parts_.buckets.put_part(request->address.bucket, std::move(*upload),
                                         static_cast<std::uint32_t>(*number), content);
  auto part = co_await std::move(putting);
  if (part.has_error()) co_return fault_of(part.error());
  XmlOut out("CopyPartResult");
  add_result(out, part->etag, part->modified_us, algorithm, part->checksum);
  co_return std::move(out).response();
}

}  // namespace mayfly::dialects::s3
