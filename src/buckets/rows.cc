#include "buckets/rows.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mayfly::buckets {
namespace {

namespace json = boost::json;

constexpr char kRowVersion = 1;

std::string written(const json::value& value) {
  return kRowVersion + json::serialize(value);
}

Error unreadable(std::string_view what) {
  return Error{Code::corrupt, "the stored row of " + std::string(what) + " is not readable",
               "read a bucket"};
}

// The members of a row, each as its type or its default.
class Members {
 public:
  static Result<Members> parse(std::string_view what, std::string_view bytes) {
    if (bytes.empty() || bytes.front() != kRowVersion) return unreadable(what);
    bytes.remove_prefix(1);
    boost::system::error_code failed;
    json::value value = json::parse(json::string_view(bytes.data(), bytes.size()), failed);
    if (failed) return unreadable(what);
    return Members(std::move(value));
  }

  std::string text(std::string_view name) const {
    const json::value* value = find(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
  }
  std::int64_t number(std::string_view name) const {
    const json::value* value = find(name);
    return value && value->is_int64() ? value->get_int64() : 0;
  }
  Pairs pairs(std::string_view name) const {
    Pairs out;
    const json::value* value = find(name);
    if (!value || !value->is_array()) return out;
    const json::array& flat = value->get_array();
    for (std::size_t i = 0; i + 1 < flat.size(); i += 2)
      if (flat[i].is_string() && flat[i + 1].is_string())
        out.emplace_back(flat[i].get_string(), flat[i + 1].get_string());
    return out;
  }
  Attributes attributes() const {
    return {pairs("f"), pairs("m"), text("t"), text("g"), number("v")};
  }
  Checksum algorithm() const { return checksum_named(text("a")).value_or(Checksum::none); }

  explicit Members(json::value value) : value_(std::move(value)) {}
  const json::value* find(std::string_view name) const {
    return value_.is_object() ? value_.get_object().if_contains(name) : nullptr;
  }

 private:
  json::value value_;
};

json::array flat(const Pairs& pairs) {
  json::array out;
  for (const auto& [name, value] : pairs) {
    out.emplace_back(name);
    out.emplace_back(value);
  }
  return out;
}

void add(json::object& out, const Attributes& attributes) {
  if (!attributes.fields.empty()) out["f"] = flat(attributes.fields);
  if (!attributes.metadata.empty()) out["m"] = flat(attributes.metadata);
  if (!attributes.tags.empty()) out["t"] = attributes.tags;
  if (!attributes.storage.empty()) out["g"] = attributes.storage;
  if (attributes.restored_until_us != 0) out["v"] = attributes.restored_until_us;
}

void add(json::object& out, Checksum algorithm, bool composite) {
  if (algorithm == Checksum::none) return;
  out["a"] = name_of(algorithm);
  if (composite) out["o"] = 1;
}

}  // namespace

std::string bucket_row(std::string_view bucket) {
  return std::string(kBucketPrefix).append(bucket);
}
std::string object_row(std::string_view bucket, std::string_view key) {
  return std::string("o/k/").append(bucket).append("/").append(key);
}
std::string upload_row(std::string_view bucket, std::string_view key, std::string_view id) {
  std::string row = std::string(kUploadsPrefix).append(bucket).append("/").append(key);
  return row.append(1, '\0').append(id);
}
std::string part_prefix(std::string_view upload) {
  return std::string("o/p/").append(upload).append("/");
}
std::string part_row(std::string_view upload, std::uint32_t number) {
  return fmt::format("{}{:05}", part_prefix(upload), number);
}
std::string segments_row(std::string_view content) {
  return std::string("o/s/").append(content);
}
std::string file_row(std::string_view file) {
  return std::string(kFilePrefix).append(file);
}
std::string garbage_row(std::string_view file) {
  return std::string(kGarbagePrefix).append(file);
}

std::string encode(const Bucket& bucket) {
  json::object out{{"r", bucket.region}, {"c", bucket.created_us}};
  if (!bucket.tags.empty()) out["t"] = bucket.tags;
  json::array told;
  for (const auto& n : bucket.notifications)
    told.push_back(json::object{{"i", n.id},
                                {"t", n.target},
                                {"e", json::array(n.events.begin(), n.events.end())},
                                {"p", n.prefix},
                                {"s", n.suffix}});
  if (!told.empty()) out["n"] = std::move(told);
  return written(out);
}

std::string encode(const Object& object) {
  json::object out{
      {"e", object.etag}, {"s", static_cast<std::int64_t>(object.size)}, {"d", object.modified_us}};
  if (!object.content.empty()) out["c"] = object.content;
  if (object.parts > 0) out["n"] = object.parts;
  add(out, object.algorithm, object.composite);
  if (!object.checksum.empty()) out["k"] = object.checksum;
  add(out, object.attributes);
  return written(out);
}

std::string encode(const Upload& upload) {
  json::object out{{"d", upload.begun_us}};
  add(out, upload.algorithm, upload.composite);
  add(out, upload.attributes);
  return written(out);
}

std::string encode(const Part& part) {
  json::object out{
      {"e", part.etag}, {"s", static_cast<std::int64_t>(part.size)}, {"d", part.modified_us}};
  if (!part.content.empty()) out["c"] = part.content;
  if (!part.checksum.empty()) out["k"] = part.checksum;
  return written(out);
}

std::string encode(const Segments& segments) {
  json::array out;
  for (const auto& segment : segments)
    out.push_back(
        json::array{segment.file, static_cast<std::int64_t>(segment.size), segment.checksum});
  return written(json::object{{"s", std::move(out)}});
}

Result<Bucket> decode_bucket(std::string_view row, std::string_view value) {
  const std::string name(row.substr(kBucketPrefix.size()));
  auto members = Members::parse("the bucket " + name, value);
  if (members.has_error()) return members.error();
  Bucket bucket{name, members->text("r"), members->number("c"), members->text("t"), {}};
  const json::value* told = members->find("n");
  if (told == nullptr) return bucket;
  if (!told->is_array()) return unreadable("the bucket " + name);
  for (const auto& one : told->get_array()) {
    const Members n(one);
    Notification notification{n.text("i"), n.text("t"), {}, n.text("p"), n.text("s")};
    const json::value* events = n.find("e");
    if (events == nullptr || !events->is_array()) return unreadable("the bucket " + name);
    for (const auto& event : events->get_array())
      if (event.is_string()) notification.events.emplace_back(event.get_string());
    bucket.notifications.push_back(std::move(notification));
  }
  return bucket;
}

Result<Object> decode_object(std::string key, std::string_view value) {
  auto members = Members::parse("the object " + key, value);
  if (members.has_error()) return members.error();
  Object object;
  object.key = std::move(key);
  object.etag = members->text("e");
  object.size = static_cast<std::uint64_t>(members->number("s"));
  object.modified_us = members->number("d");
  object.parts = static_cast<std::uint32_t>(members->number("n"));
  object.algorithm = members->algorithm();
  object.composite = members->number("o") != 0;
  object.checksum = members->text("k");
  object.attributes = members->attributes();
  object.content = members->text("c");
  return object;
}

Result<Upload> decode_upload(std::string key, std::string id, std::string_view value) {
  auto members = Members::parse("the upload " + id, value);
  if (members.has_error()) return members.error();
  return Upload{std::move(key),
                std::move(id),
                members->number("d"),
                members->algorithm(),
                members->number("o") != 0,
                members->attributes()};
}

Result<Part> decode_part(std::uint32_t number, std::string_view value) {
  auto members = Members::parse("part " + std::to_string(number), value);
  if (members.has_error()) return members.error();
  return Part{number,
              members->text("e"),
              static_cast<std::uint64_t>(members->number("s")),
              members->number("d"),
              members->text("k"),
              members->text("c")};
}

Result<Segments> decode_segments(std::string_view content, std::string_view value) {
  const Error broken = unreadable("the content " + std::string(content));
  if (value.empty() || value.front() != kRowVersion) return broken;
  value.remove_prefix(1);
  boost::system::error_code failed;
  const json::value read = json::parse(json::string_view(value.data(), value.size()), failed);
  if (failed || !read.is_object()) return broken;
  const json::value* list = read.get_object().if_contains("s");
  if (!list || !list->is_array()) return broken;
  Segments segments;
  for (const auto& one : list->get_array()) {
    if (!one.is_array() || one.get_array().size() != 3) return broken;
    const json::array& fields = one.get_array();
    if (!fields[0].is_string() || !fields[1].is_int64() || !fields[2].is_string()) return broken;
    segments.push_back({std::string(fields[0].get_string()),
                        static_cast<std::uint64_t>(fields[1].get_int64()),
                        std::string(fields[2].get_string())});
  }
  return segments;
}

}  // namespace mayfly::buckets
