// Buckets: made, listed, removed; what is in them.

#include <charconv>

#include "base/base64.h"
#include "dialects/s3/attributes.h"
#include "dialects/s3/faults.h"
#include "dialects/s3/pages.h"
#include "dialects/s3/s3.h"
#include "dialects/s3/xml_out.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;

namespace {

constexpr std::uint64_t kPageMax = 1000;
constexpr std::string_view kOnlyVersion = "null";
constexpr std::string_view kFirstRegion = "us-east-1";  // named by an empty LocationConstraint

// Objects and common prefixes of a page.
void add_entries(XmlOut& out, const PageRequest& page, const buckets::ListPage& found,
                 const std::string& owner, std::string_view element = "Contents") {
  for (const auto& entry : found.entries) {
    if (!entry.object) continue;
    const buckets::Object& object = *entry.object;
    out.open(element);
    out.add("Key", page.name(object.key));
    if (element != "Contents") {
      out.add("VersionId", kOnlyVersion);
      out.add_flag("IsLatest", true);
    }
    out.add("LastModified", time_text(object.modified_us));
    out.add("ETag", quoted(object.etag));
    if (!object.checksum.empty()) {
      out.add("ChecksumAlgorithm", name_of(object.algorithm));
      out.add("ChecksumType", object.composite ? "COMPOSITE" : "FULL_OBJECT");
    }
    out.add("Size", object.size);
    if (!owner.empty()) add_owner(out, owner);
    out.add("StorageClass", storage_name(object.attributes));
    out.close(element);
  }
  for (const auto& entry : found.entries) {
    if (entry.object) continue;
    out.open("CommonPrefixes");
    out.add("Prefix", page.name(entry.prefix));
    out.close("CommonPrefixes");
  }
}

}  // namespace

std::string PageRequest::name(std::string_view text) const {
  if (!encoded) return std::string(text);
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || c == '/';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kDigits[static_cast<std::uint8_t>(c) >> 4];
      out += kDigits[static_cast<std::uint8_t>(c) & 15];
    }
  }
  return out;
}

Outcome<std::uint64_t> number_parameter(const Request& request, std::string_view name,
                                        std::uint64_t fallback) {
  const auto text = request.parameter(name);
  if (!text || text->empty()) return fallback;
  std::uint32_t number = 0;
  const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (failed != std::errc() || end != text->data() + text->size() || number > INT32_MAX)
    return invalid_argument("Argument " + std::string(name) +
                            " must be an integer between 0 and 2147483647");
  return number;
}

Outcome<PageRequest> page_request(const Request& request, std::string_view limit_name) {
  PageRequest page;
  page.query.bucket = request.address.bucket;
  page.query.prefix = request.parameter("prefix").value_or("");
  page.query.delimiter = request.parameter("delimiter").value_or("");
  if (const auto encoding = request.parameter("encoding-type")) {
    if (*encoding != "url") return invalid_argument("Invalid Encoding Method specified in Request");
    page.encoded = true;
  }
  auto limit = number_parameter(request, limit_name, kPageMax);
  if (limit.has_error()) return std::move(limit).error();
  page.query.limit = std::min(*limit, kPageMax);
  return page;
}

S3::Answer S3::list_buckets(RequestPtr request) {
  const std::string prefix(request->parameter("prefix").value_or(""));
  const std::string after(request->parameter("continuation-token").value_or(""));
  auto limit = number_parameter(*request, "max-buckets", 10'000);
  if (limit.has_error()) co_return std::move(limit).error();
  XmlOut out("ListAllMyBucketsResult");
  add_owner(out, parts_.account);
  out.open("Buckets");
  std::uint64_t count = 0;
  std::string last;
  bool more = false;
  for (const auto& bucket : parts_.buckets.list()) {
    if (!bucket.name.starts_with(prefix) || bucket.name <= after) continue;
    if (count >= *limit) {
      more = true;
      break;
    }
    ++count;
    last = bucket.name;
    out.open("Bucket");
    out.add("Name", bucket.name);
    out.add("CreationDate", time_text(bucket.created_us));
    out.add("BucketRegion", bucket.region);
    out.close("Bucket");
  }
  out.close("Buckets");
  if (!prefix.empty()) out.add("Prefix", prefix);
  if (more) out.add("ContinuationToken", last);
  co_return std::move(out).response();
}

S3::Answer S3::create_bucket(RequestPtr request) {
  const std::string& name = request->address.bucket;
  if (auto good = buckets::check_bucket_name(name); good.has_error())
    co_return Fault{"InvalidBucketName",
                    "The specified bucket is not valid. " + good.error().message};
  std::string region = parts_.region;
  if (!request->http.body.empty() || request->http.more) {
    auto reading = document(request);
    auto root = co_await std::move(reading);
    if (root.has_error()) co_return std::move(root).error();
    if (root->name != "CreateBucketConfiguration")
      co_return malformed_xml("The root must be CreateBucketConfiguration.");
    const std::string wanted(root->text_of("LocationConstraint").value_or(""));
    // S3 takes the first region for granted, and refuses its name.
    if (wanted == kFirstRegion)
      co_return Fault{"InvalidLocationConstraint",
                      "The specified location-constraint is not valid: for us-east-1 name none."};
    if (!wanted.empty()) region = wanted;
    if (region.size() > 64) co_return malformed_xml("No region has such a long name.");
  }
  auto creating = parts_.buckets.create(name, region);
  auto created = co_await std::move(creating);
  // In the first region a bucket of one's own may be made again.
  if (created.has_error() &&
      !(created.error().why == buckets::Why::bucket_exists && region == kFirstRegion))
    co_return fault_of(created.error());
  io::HttpResponse response;
  response.head.headers.add("Location", "/" + name);
  co_return std::move(response);
}

S3::Answer S3::delete_bucket(RequestPtr request) {
  auto removing = parts_.buckets.remove(request->address.bucket);
  auto removed = co_await std::move(removing);
  if (removed.has_error()) co_return fault_of(removed.error());
  io::HttpResponse response;
  response.head.status = 204;
  co_return std::move(response);
}

S3::Answer S3::look_at_bucket(RequestPtr request) {
  const buckets::Bucket* bucket = parts_.buckets.find(request->address.bucket);
  if (!bucket) co_return fault_of(buckets::Failure{buckets::Why::no_such_bucket, {}});
  if (request->operation->op == Op::get_location) {
    XmlOut out("LocationConstraint");
    if (bucket->region != kFirstRegion) out.text(bucket->region);
    co_return std::move(out).response();
  }
  io::HttpResponse response;
  response.head.headers.add("x-amz-bucket-region", bucket->region);
  response.head.headers.add("Content-Type", "application/xml");
  co_return std::move(response);
}

S3::Answer S3::list_objects(RequestPtr request) {
  auto page = page_request(*request, "max-keys");
  if (page.has_error()) co_return std::move(page).error();
  page->query.after = request->parameter("marker").value_or("");
  auto listing = parts_.buckets.list(page->query);
  auto found = co_await std::move(listing);
  if (found.has_error()) co_return fault_of(found.error());
  XmlOut out("ListBucketResult");
  out.add("Name", page->query.bucket);
  out.add("Prefix", page->name(page->query.prefix));
  out.add("Marker", page->name(page->query.after));
  if (found->truncated && !found->entries.empty())
    out.add("NextMarker", page->name(found->entries.back().name()));
  out.add("MaxKeys", page->query.limit);
  if (!page->query.delimiter.empty()) out.add("Delimiter", page->name(page->query.delimiter));
  if (page->encoded) out.add("EncodingType", "url");
  out.add_flag("IsTruncated", found->truncated);
  add_entries(out, *page, *found, parts_.account);
  co_return std::move(out).response();
}

S3::Answer S3::list_objects_v2(RequestPtr request) {
  auto page = page_request(*request, "max-keys");
  if (page.has_error()) co_return std::move(page).error();
  const std::string start(request->parameter("start-after").value_or(""));
  const auto token = request->parameter("continuation-token");
  page->query.after = start;
  if (token) {
    const auto decoded = decode_base64(*token);
    if (!decoded || decoded->empty())
      co_return invalid_argument("The continuation token provided is incorrect");
    page->query.after = *decoded;
  }
  auto listing = parts_.buckets.list(page->query);
  auto found = co_await std::move(listing);
  if (found.has_error()) co_return fault_of(found.error());
  XmlOut out("ListBucketResult");
  out.add("Name", page->query.bucket);
  out.add("Prefix", page->name(page->query.prefix));
  if (token) out.add("ContinuationToken", *token);
  if (!start.empty()) out.add("StartAfter", page->name(start));
  if (found->truncated && !found->entries.empty())
    out.add("NextContinuationToken", buckets::base64_of(found->entries.back().name()));
  out.add("KeyCount", found->entries.size());
  out.add("MaxKeys", page->query.limit);
  if (!page->query.delimiter.empty()) out.add("Delimiter", page->name(page->query.delimiter));
  if (page->encoded) out.add("EncodingType", "url");
  out.add_flag("IsTruncated", found->truncated);
  const bool owners = request->parameter("fetch-owner").value_or("") == "true";
  add_entries(out, *page, *found, owners ? parts_.account : "");
  co_return std::move(out).response();
}

// Buckets keep no versions: every object has one, "null".
S3::Answer S3::list_versions(RequestPtr request) {
  auto page = page_request(*request, "max-keys");
  if (page.has_error()) co_return std::move(page).error();
  page->query.after = request->parameter("key-marker").value_or("");
  auto listing = parts_.buckets.list(page->query);
  auto found = co_await std::move(listing);
  if (found.has_error()) co_return fault_of(found.error());
  XmlOut out("ListVersionsResult");
  out.add("Name", page->query.bucket);
  out.add("Prefix", page->name(page->query.prefix));
  out.add("KeyMarker", page->name(page->query.after));
  out.add("VersionIdMarker", request->parameter("version-id-marker").value_or(""));
  if (found->truncated && !found->entries.empty()) {
    out.add("NextKeyMarker", page->name(found->entries.back().name()));
    if (found->entries.back().object) out.add("NextVersionIdMarker", kOnlyVersion);
  }
  out.add("MaxKeys", page->query.limit);
  if (!page->query.delimiter.empty()) out.add("Delimiter", page->name(page->query.delimiter));
  if (page->encoded) out.add("EncodingType", "url");
  out.add_flag("IsTruncated", found->truncated);
  add_entries(out, *page, *found, parts_.account, "Version");
  co_return std::move(out).response();
}

}  // namespace mayfly::dialects::s3
