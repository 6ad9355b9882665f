#include "dialects/s3/attributes.h"

#include <fmt/format.h>

#include "aws/times.h"
#include "dialects/s3/faults.h"
#include "dialects/s3/receive.h"
#include "wire/utf8.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;

namespace {

constexpr std::string_view kMetadata = "x-amz-meta-";
constexpr std::string_view kChunkedCoding = "aws-chunked";
constexpr std::string_view kKept[] = {"Content-Type",     "Cache-Control",    "Content-Disposition",
                                      "Content-Encoding", "Content-Language", "Expires"};
constexpr std::size_t kTagKeyMax = 128, kTagValueMax = 256;

constexpr std::string_view kStandard = "STANDARD";
// Labels: everything is stored alike. The last two are read only after a RestoreObject.
constexpr std::string_view kStorageClasses[] = {
    "STANDARD_IA",        "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR",
    "REDUCED_REDUNDANCY", "GLACIER",    "DEEP_ARCHIVE"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// aws-chunked is how the body travels, and no property of the object.
std::string without_chunked(std::string_view codings) {
  std::string out;
  while (!codings.empty()) {
    const auto end = codings.find(',');
    const std::string_view one = trimmed(codings.substr(0, end));
    codings = end == std::string_view::npos ? std::string_view() : codings.substr(end + 1);
    if (one.empty() || one == kChunkedCoding) continue;
    out.append(out.empty() ? "" : ",").append(one);
  }
  return out;
}

// One of a list of ETags, or *.
bool names_etag(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const auto end = list.find(',');
    std::string_view one = trimmed(list.substr(0, end));
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || unquoted(one) == etag) return true;
  }
  return false;
}

std::string http_date_of(std::int64_t us) {
  return aws::http_date(static_cast<double>(us / 1'000'000));
}

Fault failed_condition(std::string_view name) {
  Fault fault{"PreconditionFailed", "At least one of the pre-conditions you specified did not hold",
              412};
  fault.detail["Condition"] = name;
  return fault;
}

}  // namespace

std::string quoted(std::string_view etag) {
  return "\"" + std::string(etag) + "\"";
}

std::string unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

Outcome<std::string> check_tags(std::string_view text, std::size_t max) {
  auto tags = parse_query(text);
  if (tags.has_error())
    return invalid_argument(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded "
        "URL query parameters without tag name duplicates.");
  if (tags->size() > max)
    return Fault{"BadRequest", fmt::format("{} tags cannot be greater than {}",
                                           max == kObjectTagsMax ? "Object" : "Bucket", max)};
  for (std::size_t i = 0; i < tags->size(); ++i) {
    const auto& [name, value] = (*tags)[i];
    if (name.empty() || name.size() > kTagKeyMax)
      return Fault{"InvalidTag", "The TagKey you have provided is invalid"};
    if (value.size() > kTagValueMax)
      return Fault{"InvalidTag", "The TagValue you have provided is invalid"};
    for (std::size_t k = 0; k < i; ++k)
      if ((*tags)[k].first == name)
        return Fault{"InvalidTag", "Cannot provide multiple Tags with the same key"};
  }
  return Outcome<std::string>(boost::system::in_place_value, text);
}

Outcome<std::string> check_storage(std::string_view name) {
  if (name == kStandard) return Outcome<std::string>(boost::system::in_place_value);
  for (const auto known : kStorageClasses)
    if (known == name) return Outcome<std::string>(boost::system::in_place_value, name);
  return Fault{"InvalidStorageClass", "The storage class you specified is not valid"};
}

std::string_view storage_name(const buckets::Attributes& attributes) {
  return attributes.storage.empty() ? kStandard : std::string_view(attributes.storage);
}

Outcome<void> check_readable(const buckets::Attributes& attributes, std::int64_t now_us) {
  if (buckets::is_readable(attributes, now_us)) return boost::system::in_place_value;
  Fault fault{"InvalidObjectState",
              "The operation is not valid for the object's storage class: restore it first "
              "(RestoreObject)",
              403};
  fault.detail["StorageClass"] = attributes.storage;
  return fault;
}

Outcome<buckets::Attributes> attributes_of(const Request& request, const buckets::Limits& limits) {
  buckets::Attributes out;
  for (const auto name : kKept) {
    const auto value = request.header(name);
    if (!value) continue;
    std::string text =
        name == "Content-Encoding" ? without_chunked(*value) : std::string(trimmed(*value));
    if (!text.empty()) out.fields.emplace_back(name, std::move(text));
  }
  std::size_t bytes = 0;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (name.size() <= kMetadata.size() ||
        !wire::equal_ignoring_case(name.substr(0, kMetadata.size()), kMetadata))
      return;
    std::string key = lower(name.substr(kMetadata.size()));
    bytes += key.size() + value.size();
    for (auto& [known, text] : out.metadata)
      if (known == key) {
        text.append(",").append(value);
        return;
      }
    out.metadata.emplace_back(std::move(key), value);
  };
  for (const auto field : request.http.head.headers) add(field.name, field.value);
  for (const auto& [name, value] : request.parameters) add(name, value);
  for (const auto* pairs : {&out.fields, &out.metadata})
    for (const auto& [name, value] : *pairs)
      if (!wire::is_utf8(value) || !wire::is_token(name) || !wire::is_field_value(value))
        return invalid_argument("The value of " + name +
                                " cannot be kept: it is not UTF-8, or "
                                "no field could carry it.");
  if (bytes > limits.metadata_bytes_max) {
    Fault fault{"MetadataTooLarge",
                fmt::format("Your metadata headers exceed the maximum allowed metadata size: the "
                            "setting buckets.metadata_bytes_max allows {} bytes.",
                            limits.metadata_bytes_max)};
    fault.detail["Size"] = std::to_string(bytes);
    fault.detail["MaxSizeAllowed"] = std::to_string(limits.metadata_bytes_max);
    return fault;
  }
  if (const auto tags = request.header("x-amz-tagging")) {
    auto good = check_tags(*tags);
    if (good.has_error()) return std::move(good).error();
    out.tags = std::move(*good);
  }
  if (const auto named = request.header("x-amz-storage-class")) {
    auto storage = check_storage(*named);
    if (storage.has_error()) return std::move(storage).error();
    out.storage = std::move(*storage);
  }
  return out;
}

void write_checksum(const buckets::Object& object, wire::Headers& headers) {
  if (object.checksum.empty()) return;
  headers.set(checksum_field(object.algorithm), object.checksum);
  headers.set("x-amz-checksum-type", object.composite ? "COMPOSITE" : "FULL_OBJECT");
}

void write_fields(const buckets::Object& object, const Request& request, wire::Headers& headers) {
  headers.set("Content-Type", "binary/octet-stream");
  for (const auto& [name, value] : object.attributes.fields) headers.set(name, value);
  for (const auto name : kKept) {
    const auto value = request.parameter("response-" + lower(name));
    if (value && wire::is_field_value(*value)) headers.set(name, *value);
  }
  for (const auto& [name, value] : object.attributes.metadata)
    headers.add(std::string(kMetadata) + name, value);
  if (!object.attributes.tags.empty()) {
    const auto tags = parse_query(object.attributes.tags);
    if (tags.has_value()) headers.add("x-amz-tagging-count", std::to_string(tags->size()));
  }
  // As S3 does: the usual one is not named.
  const buckets::Attributes& attributes = object.attributes;
  if (!attributes.storage.empty()) headers.add("x-amz-storage-class", attributes.storage);
  if (attributes.restored_until_us != 0)
    headers.add("x-amz-restore", "ongoing-request=\"false\", expiry-date=\"" +
                                     http_date_of(attributes.restored_until_us) + "\"");
  headers.add("Last-Modified", http_date_of(object.modified_us));
  headers.add("ETag", quoted(object.etag));
  headers.add("Accept-Ranges", "bytes");
}

Outcome<void> check_conditions(const Request& request, const buckets::Object& object,
                               std::string_view prefix, bool not_modified) {
  const auto field = [&](std::string_view name) {
    return request.header(std::string(prefix) + std::string(name));
  };
  const std::int64_t modified_s = object.modified_us / 1'000'000;
  const auto time = [&](std::string_view text) -> std::optional<std::int64_t> {
    const auto parsed = aws::parse_http_date(text);
    return parsed ? std::optional(static_cast<std::int64_t>(*parsed)) : std::nullopt;
  };
  if (const auto match = field("If-Match")) {
    if (!names_etag(*match, object.etag)) return failed_condition("If-Match");
  } else if (const auto since = field("If-Unmodified-Since")) {
    const auto limit = time(*since);
    if (limit && modified_s > *limit) return failed_condition("If-Unmodified-Since");
  }
  const auto unchanged = [&](std::string_view name) -> Fault {
    return not_modified ? Fault{"NotModified", "Not Modified", 304} : failed_condition(name);
  };
  if (const auto none = field("If-None-Match")) {
    if (names_etag(*none, object.etag)) return unchanged("If-None-Match");
  } else if (const auto since = field("If-Modified-Since")) {
    const auto limit = time(*since);
    if (limit && modified_s <= *limit) return unchanged("If-Modified-Since");
  }
  return boost::system::in_place_value;
}

Outcome<buckets::Precondition> precondition_of(const Request& request) {
  buckets::Precondition out;
  if (const auto none = request.header("If-None-Match")) {
    if (trimmed(*none) != "*")
      return not_implemented("If-None-Match of a write with anything but *");
    out.absent = true;
  }
  if (const auto match = request.header("If-Match")) out.etag = unquoted(trimmed(*match));
  return out;
}

}  // namespace mayfly::dialects::s3
