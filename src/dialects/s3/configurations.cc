// What a bucket says of itself: its tags, and what S3 answers about configurations that nobody
// made.

#include "dialects/s3/attributes.h"
#include "dialects/s3/faults.h"
#include "dialects/s3/pages.h"
#include "dialects/s3/s3.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;

namespace {

// Told by the name of its parameter: an empty document, or the error that says there is none.
struct Configuration {
  std::string_view parameter, root, code, message;
};
constexpr Configuration kConfigurations[] = {
    {"accelerate", "AccelerateConfiguration", "", ""},
    {"analytics", "ListBucketAnalyticsConfigurationResult", "", ""},
    {"cors", "", "NoSuchCORSConfiguration", "The CORS configuration does not exist"},
    {"encryption", "", "ServerSideEncryptionConfigurationNotFoundError",
     "The server side encryption configuration was not found"},
    {"intelligent-tiering", "ListBucketIntelligentTieringConfigurationsOutput", "", ""},
    {"inventory", "ListInventoryConfigurationsResult", "", ""},
    {"lifecycle", "", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"},
    {"logging", "BucketLoggingStatus", "", ""},
    {"metrics", "ListMetricsConfigurationsResult", "", ""},
    {"object-lock", "", "ObjectLockConfigurationNotFoundError",
     "Object Lock configuration does not exist for this bucket"},
    {"ownershipControls", "OwnershipControls", "", ""},
    {"policy", "", "NoSuchBucketPolicy", "The bucket policy does not exist"},
    {"policyStatus", "", "NoSuchBucketPolicy", "The bucket policy does not exist"},
    {"publicAccessBlock", "PublicAccessBlockConfiguration", "", ""},
    {"replication", "", "ReplicationConfigurationNotFoundError",
     "The replication configuration was not found"},
    {"requestPayment", "RequestPaymentConfiguration", "", ""},
    {"versioning", "VersioningConfiguration", "", ""},
    {"website", "", "NoSuchWebsiteConfiguration",
     "The specified bucket does not have a website configuration"},
};

// What holds of every bucket here, as S3 says it.
void add_defaults(XmlOut& out, std::string_view parameter) {
  if (parameter == "publicAccessBlock") {
    for (const auto name :
         {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"})
      out.add_flag(name, true);
  } else if (parameter == "ownershipControls") {
    out.open("Rule");
    out.add("ObjectOwnership", "BucketOwnerEnforced");
    out.close("Rule");
  } else if (parameter == "requestPayment") {
    out.add("Payer", "BucketOwner");
  } else if (parameter == "analytics" || parameter == "intelligent-tiering" ||
             parameter == "inventory" || parameter == "metrics") {
    out.add_flag("IsTruncated", false);
  }
}

Fault no_bucket_found() {
  return fault_of(buckets::Failure{buckets::Why::no_such_bucket, {}});
}

}  // namespace

Outcome<void> add_tags(XmlOut& out, std::string_view tags) {
  auto pairs = parse_query(tags);
  if (pairs.has_error()) return std::move(pairs).error();
  out.open("TagSet");
  for (const auto& [name, value] : *pairs) {
    out.open("Tag");
    out.add("Key", name);
    out.add("Value", value);
    out.close("Tag");
  }
  out.close("TagSet");
  return boost::system::in_place_value;
}

Outcome<std::string> read_tags(const aws::XmlNode& root, std::size_t max) {
  const aws::XmlNode* set = root.find("TagSet");
  if (root.name != "Tagging" || !set)
    return malformed_xml("The root must be Tagging with a TagSet.");
  PageRequest names;
  names.encoded = true;
  std::string tags;
  for (const auto& tag : set->children) {
    tags.append(tags.empty() ? "" : "&").append(names.name(tag.text_of("Key").value_or("")));
    tags.append("=").append(names.name(tag.text_of("Value").value_or("")));
  }
  return check_tags(tags, max);
}

S3::Answer S3::configuration(RequestPtr request) {
  if (!parts_.buckets.find(request->address.bucket)) co_return no_bucket_found();
  if (request->operation->op == Op::remove_configuration) {
    io::HttpResponse response;
    response.head.status = 204;
    co_return std::move(response);
  }
  for (const auto& one : kConfigurations) {
    if (one.parameter != request->operation->needs) continue;
    if (!one.code.empty()) co_return Fault{std::string(one.code), std::string(one.message), 404};
    XmlOut out(one.root);
    add_defaults(out, one.parameter);
    co_return std::move(out).response();
  }
  co_return not_implemented(std::string(request->operation->name));
}

S3::Answer S3::get_acl(RequestPtr request) {
  if (request->address.key.empty()) {
    if (!parts_.buckets.find(request->address.bucket)) co_return no_bucket_found();
  } else {
    auto getting = parts_.buckets.get(request->address.bucket, request->address.key);
    const auto found = co_await std::move(getting);
    if (found.has_error()) co_return fault_of(found.error());
  }
  XmlOut out("AccessControlPolicy");
  add_owner(out, parts_.account);
  out.open("AccessControlList");
  out.open("Grant");
  out.open(
      "Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
      "xsi:type=\"CanonicalUser\"");
  out.add("ID", parts_.account);
  out.add("DisplayName", parts_.account);
  out.close("Grantee");
  out.add("Permission", "FULL_CONTROL");
  out.close("Grant");
  out.close("AccessControlList");
  co_return std::move(out).response();
}

S3::Answer S3::get_bucket_tagging(RequestPtr request) {
  const buckets::Bucket* bucket = parts_.buckets.find(request->address.bucket);
  if (!bucket) co_return no_bucket_found();
  if (bucket->tags.empty()) co_return Fault{"NoSuchTagSet", "The TagSet does not exist", 404};
  XmlOut out("Tagging");
  if (auto good = add_tags(out, bucket->tags); good.has_error()) co_return std::move(good).error();
  co_return std::move(out).response();
}

S3::Answer S3::put_bucket_tagging(RequestPtr request) {
  std::string tags;
  if (request->operation->op == Op::put_bucket_tagging) {
    auto reading = document(request);
    auto root = co_await std::move(reading);
    if (root.has_error()) co_return std::move(root).error();
    auto read = read_tags(*root, kBucketTagsMax);
    if (read.has_error()) co_return std::move(read).error();
    tags = std::move(*read);
  }
  auto setting = parts_.buckets.set_bucket_tags(request->address.bucket, std::move(tags));
  auto set = co_await std::move(setting);
  if (set.has_error()) co_return fault_of(set.error());
  io::HttpResponse response;
  response.head.status = 204;
  co_return std::move(response);
}

}  // namespace mayfly::dialects::s3
