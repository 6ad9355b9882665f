// Objects: put, read, removed; their tags.

#include "dialects/s3/attributes.h"
#include "dialects/s3/faults.h"
#include "dialects/s3/pages.h"
#include "dialects/s3/rights.h"
#include "dialects/s3/s3.h"
#include "dialects/s3/xml_out.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;

namespace {

constexpr std::size_t kDeletesMax = 1000;

io::HttpResponse empty_response(int status) {
  io::HttpResponse response;
  response.head.status = status;
  return response;
}

Fault no_bucket_fault() {
  return fault_of(buckets::Failure{buckets::Why::no_such_bucket, {}});
}

// What of an object a GetObject or HeadObject wants.
struct Slice {
  ByteRange range;
  bool partial = false;
};

Outcome<Slice> slice_of(const Request& request, const buckets::Found& found) {
  Slice slice{{0, found.object.size}, false};
  const auto number = request.parameter("partNumber");
  const auto field = request.header("Range");
  if (number && field)
    return invalid_request("Cannot specify both Range header and partNumber query parameter");
  if (number) {
    auto wanted = number_parameter(request, "partNumber", 0);
    if (wanted.has_error()) return std::move(wanted).error();
    const std::uint64_t parts = std::max<std::uint64_t>(found.object.parts, 1);
    if (*wanted < 1 || *wanted > parts)
      return Fault{"InvalidPartNumber", "The requested partnumber is not satisfiable", 416};
    slice.partial = true;
    if (found.object.parts == 0) return slice;
    slice.range = {0, 0};
    for (std::uint64_t i = 0; i < *wanted && i < found.segments.size(); ++i) {
      slice.range.first += slice.range.size;
      slice.range.size = found.segments[i].size;
    }
    return slice;
  }
  if (!field) return slice;
  auto range = parse_range(*field, found.object.size);
  if (range.has_error()) {
    Fault fault = std::move(range).error();
    fault.detail["RangeRequested"] = *field;
    fault.detail["ActualObjectSize"] = std::to_string(found.object.size);
    return fault;
  }
  if (*range) slice = {**range, true};
  return slice;
}

}  // namespace

S3::Answer S3::put_object(RequestPtr request) {
  if (!parts_.buckets.find(request->address.bucket)) co_return no_bucket_fault();
  auto claims = body_claims(*request);
  if (claims.has_error()) co_return std::move(claims).error();
  auto attributes = attributes_of(*request, parts_.buckets.limits());
  if (attributes.has_error()) co_return std::move(attributes).error();
  auto precondition = precondition_of(*request);
  if (precondition.has_error()) co_return std::move(precondition).error();
  buckets::Object object;
  object.key = request->address.key;
  object.attributes = std::move(*attributes);
  object.algorithm = claims->algorithm;
  auto content = parts_.buckets.new_content(claims->algorithm, !request->payload.sha256.empty());
  auto receiving = receive(request, std::move(*claims), content);
  auto received = co_await std::move(receiving);
  if (received.has_error()) co_return std::move(received).error();
  if (object.algorithm != buckets::Checksum::none)
    object.checksum = buckets::base64_of(content->checksum());
  auto putting = parts_.buckets.put(request->address.bucket, std::move(object), content,
                                    std::move(*precondition), request->cause("ObjectCreated:Put"));
  auto put = co_await std::move(putting);
  if (put.has_error()) co_return fault_of(put.error());
  io::HttpResponse response;
  response.head.headers.add("ETag", quoted(put->etag));
  write_checksum(*put, response.head.headers);
  co_return std::move(response);
}

S3::Answer S3::get_object(RequestPtr request) {
  auto getting = parts_.buckets.get(request->address.bucket, request->address.key);
  auto found = co_await std::move(getting);
  if (found.has_error()) co_return fault_of(found.error());
  const buckets::Object& object = found->object;
  io::HttpResponse response;
  auto& headers = response.head.headers;
  if (auto good = check_conditions(*request, object, "", true); good.has_error()) {
    if (good.error().status != 304) co_return std::move(good).error();
    response.head.status = 304;
    write_fields(object, *request, headers);
    headers.remove("Content-Type");
    co_return std::move(response);
  }
  if (request->http.head.method != "HEAD") {
    auto readable = check_readable(object.attributes, to_epoch_us(parts_.clock.wall_now()));
    if (readable.has_error()) co_return std::move(readable).error();
  }
  auto slice = slice_of(*request, *found);
  if (slice.has_error()) co_return std::move(slice).error();
  write_fields(object, *request, headers);
  const auto [first, size] = slice->range;
  headers.set("Content-Length", std::to_string(size));
  if (slice->partial && size > 0) {
    response.head.status = 206;
    headers.set("Content-Range", "bytes " + std::to_string(first) + "-" +
                                     std::to_string(first + size - 1) + "/" +
                                     std::to_string(object.size));
  }
  if (request->parameter("partNumber") && object.parts > 0)
    headers.set("x-amz-mp-parts-count", std::to_string(object.parts));
  const auto mode = request->header("x-amz-checksum-mode");
  if (mode && wire::equal_ignoring_case(*mode, "ENABLED") && size == object.size)
    write_checksum(object, headers);
  if (request->http.head.method != "HEAD") response.more = parts_.buckets.read(*found, first, size);
  co_return std::move(response);
}

S3::Answer S3::delete_object(RequestPtr request) {
  std::vector<std::string> keys{request->address.key};
  auto removing = parts_.buckets.remove(request->address.bucket, std::move(keys),
                                        request->cause("ObjectRemoved:Delete"));
  auto removed = co_await std::move(removing);
  if (removed.has_error()) co_return fault_of(removed.error());
  co_return empty_response(204);
}

S3::Answer S3::delete_objects(RequestPtr request) {
  if (!parts_.buckets.find(request->address.bucket)) co_return no_bucket_fault();
  auto reading = document(request);
  auto root = co_await std::move(reading);
  if (root.has_error()) co_return std::move(root).error();
  if (root->name != "Delete") co_return malformed_xml("The root must be Delete.");
  struct Refused {
    std::string key, code, message;
  };
  std::vector<std::string> keys;
  std::vector<Refused> refused;
  for (const auto& child : root->children) {
    if (child.name != "Object") continue;
    const std::string key(child.text_of("Key").value_or(""));
    if (key.empty()) co_return malformed_xml("Every Object needs a Key.");
    const auto version = child.text_of("VersionId");
    if (version && !version->empty() && *version != "null")
      refused.push_back({key, "NoSuchVersion", no_versions().message});
    else if (auto good = buckets::check_key(key); good.has_error())
      refused.push_back({key, "InvalidArgument", good.error().message});
    else if (auto may = check_right(*request, "s3:DeleteObject", key); may.has_error())
      refused.push_back({key, may.error().code, may.error().message});
    else
      keys.push_back(key);
  }
  if (keys.size() + refused.size() > kDeletesMax || keys.size() + refused.size() == 0)
    co_return malformed_xml("There must be 1 to 1000 objects.");
  if (!keys.empty()) {
    auto removing = parts_.buckets.remove(request->address.bucket, keys,
                                          request->cause("ObjectRemoved:Delete"));
    auto removed = co_await std::move(removing);
    if (removed.has_error()) co_return fault_of(removed.error());
  }
  XmlOut out("DeleteResult");
  if (root->text_of("Quiet").value_or("") != "true")
    for (const auto& key : keys) {
      out.open("Deleted");
      out.add("Key", key);
      out.close("Deleted");
    }
  for (const auto& one : refused) {
    out.open("Error");
    out.add("Key", one.key);
    out.add("Code", one.code);
    out.add("Message", one.message);
    out.close("Error");
  }
  co_return std::move(out).response();
}

// -- tags
// -------------------------------------------------------------------------------------------

namespace {

struct SetTags {
  std::string tags;
  buckets::Answer<void> operator()(buckets::Attributes& attributes) const {
    attributes.tags = tags;
    return boost::system::in_place_value;
  }
};

}  // namespace

S3::Answer S3::get_tagging(RequestPtr request) {
  auto getting = parts_.buckets.get(request->address.bucket, request->address.key);
  auto found = co_await std::move(getting);
  if (found.has_error()) co_return fault_of(found.error());
  XmlOut out("Tagging");
  if (auto good = add_tags(out, found->object.attributes.tags); good.has_error())
    co_return std::move(good).error();
  co_return std::move(out).response();
}

S3::Answer S3::put_tagging(RequestPtr request) {
  std::string tags;
  const bool remove = request->operation->op == Op::delete_tagging;
  if (!remove) {
    auto reading = document(request);
    auto root = co_await std::move(reading);
    if (root.has_error()) co_return std::move(root).error();
    auto read = read_tags(*root, kObjectTagsMax);
    if (read.has_error()) co_return std::move(read).error();
    tags = std::move(*read);
  }
  SetTags amendment{std::move(tags)};
  auto setting =
      parts_.buckets.amend(request->address.bucket, request->address.key, std::move(amendment),
                           request->cause(remove ? "ObjectTagging:Delete" : "ObjectTagging:Put"));
  auto set = co_await std::move(setting);
  if (set.has_error()) co_return fault_of(set.error());
  co_return empty_response(remove ? 204 : 200);
}

}  // namespace mayfly::dialects::s3
