// What is known of an object without its bytes, and the restore of one that is archived.

#include <algorithm>
#include <charconv>

#include "aws/times.h"
#include "dialects/s3/attributes.h"
#include "dialects/s3/faults.h"
#include "dialects/s3/pages.h"
#include "dialects/s3/receive.h"
#include "dialects/s3/s3.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;
using buckets::Checksum;

namespace {

constexpr std::uint64_t kPartsMax = 1000;
constexpr std::int64_t kDayUs = 24ll * 3600 * 1'000'000;
constexpr std::uint32_t kRestoreDaysMax = 36'500;
constexpr std::string_view kSelectors[] = {"ETag", "Checksum", "ObjectParts", "StorageClass",
                                           "ObjectSize"};

// Which attributes a request wants, of x-amz-object-attributes.
class Selection {
 public:
  static Outcome<Selection> of(const Request& request) {
    Selection selection;
    const auto add = [&](std::string_view list) {
      while (!list.empty()) {
        const auto end = list.find(',');
        std::string_view one = list.substr(0, end);
        list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
        while (one.starts_with(' ')) one.remove_prefix(1);
        while (one.ends_with(' ')) one.remove_suffix(1);
        if (std::find(std::begin(kSelectors), std::end(kSelectors), one) == std::end(kSelectors))
          return false;
        selection.names_.push_back(one);
      }
      return true;
    };
    bool good = true;
    for (const auto field : request.http.head.headers)
      if (wire::equal_ignoring_case(field.name, "x-amz-object-attributes"))
        good = good && add(field.value);
    if (!good || selection.names_.empty())
      return invalid_argument("Invalid attribute name specified.");
    return selection;
  }
  bool has(std::string_view name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }

 private:
  std::vector<std::string_view> names_;  // of the request
};

Outcome<std::uint64_t> number_field(const Request& request, std::string_view name,
                                    std::uint64_t fallback) {
  const auto text = request.header(name);
  if (!text) return fallback;
  std::uint32_t number = 0;
  const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (failed != std::errc() || end != text->data() + text->size())
    return invalid_argument(std::string(name) + " must be a whole number");
  return number;
}

Outcome<void> add_parts(XmlOut& out, const Request& request, const buckets::Found& found) {
  auto after = number_field(request, "x-amz-part-number-marker", 0);
  if (after.has_error()) return std::move(after).error();
  auto limit = number_field(request, "x-amz-max-parts", kPartsMax);
  if (limit.has_error()) return std::move(limit).error();
  const std::uint64_t count = found.object.parts, most = std::min(*limit, kPartsMax);
  const std::uint64_t last = std::min(count, std::min(*after, count) + most);
  out.open("ObjectParts");
  out.add("PartsCount", count);
  out.add("PartNumberMarker", *after);
  if (last < count) out.add("NextPartNumberMarker", last);
  out.add("MaxParts", most);
  out.add_flag("IsTruncated", last < count);
  for (std::uint64_t i = *after; i < last && i < found.segments.size(); ++i) {
    // S3 lists the parts of those objects alone that have a checksum.
    if (found.segments[i].checksum.empty()) break;
    out.open("Part");
    out.add("PartNumber", i + 1);
    out.add("Size", found.segments[i].size);
    out.add("Checksum" + std::string(name_of(found.object.algorithm)), found.segments[i].checksum);
    out.close("Part");
  }
  out.close("ObjectParts");
  return boost::system::in_place_value;
}

}  // namespace

S3::Answer S3::get_attributes(RequestPtr request) {
  auto selection = Selection::of(*request);
  if (selection.has_error()) co_return std::move(selection).error();
  auto getting = parts_.buckets.get(request->address.bucket, request->address.key);
  auto found = co_await std::move(getting);
  if (found.has_error()) co_return fault_of(found.error());
  const buckets::Object& object = found->object;
  if (auto good = check_conditions(*request, object, "", true); good.has_error())
    co_return std::move(good).error();
  XmlOut out("GetObjectAttributesResponse");
  if (selection->has("ETag")) out.add("ETag", object.etag);
  if (selection->has("Checksum") && !object.checksum.empty()) {
    out.open("Checksum");
    out.add("Checksum" + std::string(name_of(object.algorithm)), object.checksum);
    out.add("ChecksumType", object.composite ? "COMPOSITE" : "FULL_OBJECT");
    out.close("Checksum");
  }
  if (selection->has("ObjectParts") && object.parts > 0)
    if (auto good = add_parts(out, *request, *found); good.has_error())
      co_return std::move(good).error();
  if (selection->has("StorageClass")) out.add("StorageClass", storage_name(object.attributes));
  if (selection->has("ObjectSize")) out.add("ObjectSize", object.size);
  io::HttpResponse response = std::move(out).response();
  response.head.headers.add("Last-Modified",
                            aws::http_date(static_cast<double>(object.modified_us / 1'000'000)));
  co_return std::move(response);
}

namespace {

struct Restore {
  std::int64_t until_us = 0;
  std::int64_t now_us = 0;
  bool* again;  // it was restored already
  buckets::Answer<void> operator()(buckets::Attributes& attributes) const {
    if (!buckets::is_archived(attributes))
      return buckets::Failure{buckets::Why::other,
                              invalid("Restore is not allowed for the object's current storage "
                                      "class")};
    *again = attributes.restored_until_us > now_us;
    attributes.restored_until_us = until_us;
    return boost::system::in_place_value;
  }
};

}  // namespace

// Nothing has to be brought from anywhere: the object can be read when the call has answered.
S3::Answer S3::restore_object(RequestPtr request) {
  auto reading = document(request);
  auto root = co_await std::move(reading);
  if (root.has_error()) co_return std::move(root).error();
  if (root->name != "RestoreRequest") co_return malformed_xml("The root must be RestoreRequest.");
  if (root->find("SelectParameters") || root->find("OutputLocation"))
    co_return not_implemented("RestoreRequest of the type SELECT");
  const auto text = root->text_of("Days").value_or("");
  std::uint32_t days = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), days);
  if (failed != std::errc() || end != text.data() + text.size() || days < 1 ||
      days > kRestoreDaysMax)
    co_return malformed_xml("Days must be a whole number, 1 at least.");
  bool again = false;
  const std::int64_t now_us = to_epoch_us(parts_.clock.wall_now());
  Restore amendment{now_us + days * kDayUs, now_us, &again};
  auto amending =
      parts_.buckets.amend(request->address.bucket, request->address.key, std::move(amendment),
                           request->cause("ObjectRestore:Completed"));
  auto amended = co_await std::move(amending);
  if (amended.has_error()) {
    if (amended.error().error.code == Code::invalid_argument)
      co_return Fault{"InvalidObjectState", amended.error().error.message, 403};
    co_return fault_of(amended.error());
  }
  io::HttpResponse response;
  response.head.status = again ? 200 : 202;
  co_return std::move(response);
}

}  // namespace mayfly::dialects::s3
