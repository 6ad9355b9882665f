// Uploads in parts.

#include <charconv>

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

constexpr std::size_t kPartsPageMax = 1000;
constexpr std::string_view kFull = "FULL_OBJECT", kComposite = "COMPOSITE";

Outcome<void> take_checksum(const Request& request, buckets::Upload& upload) {
  const auto& headers = request.http.head.headers;
  const auto named = headers.find("x-amz-checksum-algorithm");
  const auto type = headers.find("x-amz-checksum-type");
  if (!named) {
    if (type)
      return invalid_request(
          "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
          "header.");
    return boost::system::in_place_value;
  }
  const auto kind = buckets::checksum_named(*named);
  if (!kind)
    return invalid_request("Checksum algorithm provided is unsupported: " + std::string(*named));
  upload.algorithm = *kind;
  upload.composite = type ? *type == kComposite : *kind != Checksum::crc64nvme;
  if (type && *type != kFull && *type != kComposite)
    return invalid_request("Value for x-amz-checksum-type header is invalid.");
  if (upload.composite ? *kind == Checksum::crc64nvme : !is_crc(*kind))
    return invalid_request("The " + std::string(type.value_or(kComposite)) +
                           " checksum type cannot be used with the " + std::string(*named) +
                           " checksum algorithm.");
  return boost::system::in_place_value;
}

Outcome<buckets::Buckets::Completion> read_completion(const aws::XmlNode& root,
                                                      Checksum algorithm) {
  if (root.name != "CompleteMultipartUpload")
    return malformed_xml("The root must be CompleteMultipartUpload.");
  buckets::Buckets::Completion completion;
  const std::string checksum = "Checksum" + std::string(name_of(algorithm));
  for (const auto& child : root.children) {
    if (child.name != "Part") continue;
    buckets::Buckets::NamedPart part;
    const auto number = child.text_of("PartNumber").value_or("");
    const auto [end, failed] =
        std::from_chars(number.data(), number.data() + number.size(), part.number);
    if (failed != std::errc() || end != number.data() + number.size() || part.number == 0)
      return malformed_xml("Every Part needs a PartNumber.");
    const auto etag = child.text_of("ETag");
    if (!etag) return malformed_xml("Every Part needs an ETag.");
    part.etag = unquoted(*etag);
    if (algorithm != Checksum::none) part.checksum = child.text_of(checksum).value_or("");
    completion.parts.push_back(std::move(part));
  }
  if (completion.parts.empty()) return malformed_xml("There must be one Part at least.");
  return completion;
}

// The number of a part, as the path names it.
Outcome<std::uint32_t> part_number(const Request& request, std::uint32_t max) {
  auto number = number_parameter(request, "partNumber", 0);
  if (number.has_error() || *number < 1 || *number > max)
    return invalid_argument("Part number must be an integer between 1 and " + std::to_string(max) +
                            ", inclusive (setting buckets.parts_max)");
  return static_cast<std::uint32_t>(*number);
}

void add_people(XmlOut& out, const std::string& account, const buckets::Upload& upload) {
  for (const auto role : {"Initiator", "Owner"}) {
    out.open(role);
    out.add("ID", account);
    out.add("DisplayName", account);
    out.close(role);
  }
  out.add("StorageClass", storage_name(upload.attributes));
}

void add_algorithm(XmlOut& out, const buckets::Upload& upload) {
  if (upload.algorithm == Checksum::none) return;
  out.add("ChecksumAlgorithm", name_of(upload.algorithm));
  out.add("ChecksumType", upload.composite ? kComposite : kFull);
}

}  // namespace

S3::Answer S3::create_upload(RequestPtr request) {
  auto attributes = attributes_of(*request, parts_.buckets.limits());
  if (attributes.has_error()) co_return std::move(attributes).error();
  buckets::Upload upload;
  upload.key = request->address.key;
  upload.attributes = std::move(*attributes);
  if (auto good = take_checksum(*request, upload); good.has_error())
    co_return std::move(good).error();
  auto beginning = parts_.buckets.begin_upload(request->address.bucket, std::move(upload));
  auto begun = co_await std::move(beginning);
  if (begun.has_error()) co_return fault_of(begun.error());
  XmlOut out("InitiateMultipartUploadResult");
  out.add("Bucket", request->address.bucket);
  out.add("Key", begun->key);
  out.add("UploadId", begun->id);
  io::HttpResponse response = std::move(out).response();
  if (begun->algorithm != Checksum::none) {
    response.head.headers.add("x-amz-checksum-algorithm", name_of(begun->algorithm));
    response.head.headers.add("x-amz-checksum-type", begun->composite ? kComposite : kFull);
  }
  co_return std::move(response);
}

S3::Answer S3::upload_part(RequestPtr request) {
  auto number = part_number(*request, parts_.buckets.limits().parts_max);
  if (number.has_error()) co_return std::move(number).error();
  auto claims = body_claims(*request);
  if (claims.has_error()) co_return std::move(claims).error();
  auto finding = parts_.buckets.find_upload(request->address.bucket, request->address.key,
                                            std::string(*request->parameter("uploadId")));
  auto upload = co_await std::move(finding);
  if (upload.has_error()) co_return fault_of(upload.error());
  const Checksum algorithm =
      claims->algorithm != Checksum::none ? claims->algorithm : upload->algorithm;
  if (upload->algorithm != Checksum::none && algorithm != upload->algorithm)
    co_return invalid_request("Checksum Type mismatch occurred, expected checksum Type: " +
                              std::string(name_of(upload->algorithm)) +
                              ", actual checksum Type: " + std::string(name_of(algorithm)));
  auto content = parts_.buckets.new_content(algorithm, !request->payload.sha256.empty());
  auto receiving = receive(request, std::move(*claims), content);
  auto received = co_await std::move(receiving);
  if (received.has_error()) co_return std::move(received).error();
  auto putting =
      parts_.buckets.put_part(request->address.bucket, std::move(*upload), *number, content);
  auto part = co_await std::move(putting);
  if (part.has_error()) co_return fault_of(part.error());
  io::HttpResponse response;
  response.head.headers.add("ETag", quoted(part->etag));
  if (algorithm != Checksum::none)
    response.head.headers.add(checksum_field(algorithm), buckets::base64_of(content->checksum()));
  co_return std::move(response);
}

S3::Answer S3::complete_upload(RequestPtr request) {
  auto reading = document(request);
  auto root = co_await std::move(reading);
  if (root.has_error()) co_return std::move(root).error();
  auto finding = parts_.buckets.find_upload(request->address.bucket, request->address.key,
                                            std::string(*request->parameter("uploadId")));
  auto upload = co_await std::move(finding);
  if (upload.has_error()) co_return fault_of(upload.error());
  auto completion = read_completion(*root, upload->algorithm);
  if (completion.has_error()) co_return std::move(completion).error();
  auto precondition = precondition_of(*request);
  if (precondition.has_error()) co_return std::move(precondition).error();
  completion->precondition = std::move(*precondition);
  const auto& headers = request->http.head.headers;
  const auto type = headers.find("x-amz-checksum-type");
  if (type && upload->algorithm != Checksum::none &&
      *type != (upload->composite ? kComposite : kFull))
    co_return invalid_request("The upload was created using the " +
                              std::string(upload->composite ? kComposite : kFull) +
                              " checksum mode. The complete request must use the same checksum "
                              "mode.");
  if (upload->algorithm != Checksum::none)
    completion->checksum = headers.find(checksum_field(upload->algorithm)).value_or("");
  if (const auto size = request->header("x-amz-mp-object-size")) {
    std::uint64_t bytes = 0;
    const auto [end, failed] = std::from_chars(size->data(), size->data() + size->size(), bytes);
    if (failed != std::errc() || end != size->data() + size->size())
      co_return invalid_argument("x-amz-mp-object-size must be a whole number.");
    completion->size = bytes;
  }
  auto completing = parts_.buckets.complete_upload(
      request->address.bucket, std::move(*upload), std::move(*completion),
      request->cause("ObjectCreated:CompleteMultipartUpload"));
  auto object = co_await std::move(completing);
  if (object.has_error()) co_return fault_of(object.error());
  XmlOut out("CompleteMultipartUploadResult");
  const std::string host(request->header("Host").value_or("localhost"));
  out.add("Location",
          request->http.head.scheme + "://" + host + std::string(request->http.head.path()));
  out.add("Bucket", request->address.bucket);
  out.add("Key", object->key);
  out.add("ETag", quoted(object->etag));
  if (!object->checksum.empty()) {
    out.add("Checksum" + std::string(name_of(object->algorithm)), object->checksum);
    out.add("ChecksumType", object->composite ? kComposite : kFull);
  }
  co_return std::move(out).response();
}

S3::Answer S3::abort_upload(RequestPtr request) {
  auto aborting = parts_.buckets.abort_upload(request->address.bucket, request->address.key,
                                              std::string(*request->parameter("uploadId")));
  auto aborted = co_await std::move(aborting);
  if (aborted.has_error()) co_return fault_of(aborted.error());
  io::HttpResponse response;
  response.head.status = 204;
  co_return std::move(response);
}

S3::Answer S3::list_parts(RequestPtr request) {
  const std::string id(*request->parameter("uploadId"));
  auto limit = number_parameter(*request, "max-parts", kPartsPageMax);
  if (limit.has_error()) co_return std::move(limit).error();
  auto after = number_parameter(*request, "part-number-marker", 0);
  if (after.has_error()) co_return std::move(after).error();
  const std::size_t count = std::min<std::size_t>(*limit, kPartsPageMax);
  auto finding = parts_.buckets.find_upload(request->address.bucket, request->address.key, id);
  auto upload = co_await std::move(finding);
  if (upload.has_error()) co_return fault_of(upload.error());
  auto listing = parts_.buckets.list_parts(
      request->address.bucket, request->address.key, id,
      static_cast<std::uint32_t>(std::min<std::uint64_t>(*after, 99'998)), count + 1);
  auto parts = co_await std::move(listing);
  if (parts.has_error()) co_return fault_of(parts.error());
  const bool more = parts->size() > count;
  if (more) parts->resize(count);
  XmlOut out("ListPartsResult");
  out.add("Bucket", request->address.bucket);
  out.add("Key", request->address.key);
  out.add("UploadId", id);
  add_people(out, parts_.account, *upload);
  out.add("PartNumberMarker", *after);
  if (!parts->empty()) out.add("NextPartNumberMarker", parts->back().number);
  out.add("MaxParts", count);
  out.add_flag("IsTruncated", more);
  add_algorithm(out, *upload);
  for (const auto& part : *parts) {
    out.open("Part");
    out.add("PartNumber", part.number);
    out.add("LastModified", time_text(part.modified_us));
    out.add("ETag", quoted(part.etag));
    out.add("Size", part.size);
    if (!part.checksum.empty())
      out.add("Checksum" + std::string(name_of(upload->algorithm)), part.checksum);
    out.close("Part");
  }
  co_return std::move(out).response();
}

S3::Answer S3::list_uploads(RequestPtr request) {
  auto page = page_request(*request, "max-uploads");
  if (page.has_error()) co_return std::move(page).error();
  page->query.after = request->parameter("key-marker").value_or("");
  const std::string after_id(request->parameter("upload-id-marker").value_or(""));
  auto listing = parts_.buckets.list_uploads(page->query, after_id);
  auto found = co_await std::move(listing);
  if (found.has_error()) co_return fault_of(found.error());
  XmlOut out("ListMultipartUploadsResult");
  out.add("Bucket", page->query.bucket);
  out.add("KeyMarker", page->name(page->query.after));
  out.add("UploadIdMarker", after_id);
  if (found->truncated && !found->entries.empty()) {
    const auto& last = found->entries.back();
    out.add("NextKeyMarker", page->name(last.upload ? last.upload->key : last.prefix));
    if (last.upload) out.add("NextUploadIdMarker", last.upload->id);
  }
  out.add("Prefix", page->name(page->query.prefix));
  if (!page->query.delimiter.empty()) out.add("Delimiter", page->name(page->query.delimiter));
  if (page->encoded) out.add("EncodingType", "url");
  out.add("MaxUploads", page->query.limit);
  out.add_flag("IsTruncated", found->truncated);
  for (const auto& entry : found->entries) {
    if (!entry.upload) continue;
    out.open("Upload");
    out.add("Key", page->name(entry.upload->key));
    out.add("UploadId", entry.upload->id);
    add_people(out, parts_.account, *entry.upload);
    out.add("Initiated", time_text(entry.upload->begun_us));
    add_algorithm(out, *entry.upload);
    out.close("Upload");
  }
  for (const auto& entry : found->entries) {
    if (entry.upload) continue;
    out.open("CommonPrefixes");
    out.add("Prefix", page->name(entry.prefix));
    out.close("CommonPrefixes");
  }
  co_return std::move(out).response();
}

}  // namespace mayfly::dialects::s3
