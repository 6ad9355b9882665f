#include "dialects/s3/request.h"

#include <algorithm>
#include <charconv>

#include "buckets/types.h"
#include "dialects/s3/faults.h"
#include "wire/query.h"
#include "wire/utf8.h"

namespace mayfly::dialects::s3 {

using aws::Fault;
using aws::Outcome;

namespace {

constexpr std::string_view kHostSuffix = ".localhost";

Outcome<std::string> decoded(std::string_view text) {
  auto plain = wire::percent_decode(text);
  if (!plain || !wire::is_utf8(*plain))
    return Fault{"InvalidURI",
                 "Couldn't parse the specified URI: it has a broken %-escape, a NUL, "
                 "or bytes that are not UTF-8."};
  return Outcome<std::string>(boost::system::in_place_value, std::move(*plain));
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Outcome<Address> parse_address(std::string_view host, std::string_view path) {
  Address address;
  const auto port = host.rfind(':');
  if (port != std::string_view::npos && host.find(']', port) == std::string_view::npos)
    host = host.substr(0, port);
  if (path.starts_with('/')) path.remove_prefix(1);
  if (host.size() > kHostSuffix.size() && host.ends_with(kHostSuffix)) {
    address.bucket = host.substr(0, host.size() - kHostSuffix.size());
  } else {
    const auto slash = path.find('/');
    auto bucket = decoded(path.substr(0, slash));
    if (bucket.has_error()) return std::move(bucket).error();
    address.bucket = std::move(*bucket);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  auto key = decoded(path);
  if (key.has_error()) return std::move(key).error();
  if (key->size() > buckets::kKeyBytesMax)
    return Fault{"KeyTooLongError", "Your key is too long: it has " + std::to_string(key->size()) +
                                        " bytes, 1024 are allowed."};
  address.key = std::move(*key);
  return address;
}

Outcome<Address> parse_copy_source(std::string_view text) {
  const auto mark = text.find('?');
  if (mark != std::string_view::npos) {
    if (const auto version = text.substr(mark + 1); version != "versionId=null")
      return no_versions();
    text = text.substr(0, mark);
  }
  auto plain = decoded(text);
  if (plain.has_error()) return std::move(plain).error();
  std::string_view path = *plain;
  if (path.starts_with('/')) path.remove_prefix(1);
  const auto slash = path.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == path.size())
    return Fault{"InvalidArgument",
                 "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"};
  return Address{std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

Outcome<Parameters> parse_query(std::string_view query) {
  Parameters parameters;
  while (const auto one = wire::take_parameter(query)) {
    auto name = decoded(one->name);
    if (name.has_error()) return std::move(name).error();
    std::string text(one->value);
    for (char& c : text)
      if (c == '+') c = ' ';
    auto value = decoded(text);
    if (value.has_error()) return std::move(value).error();
    parameters.emplace_back(std::move(*name), std::move(*value));
  }
  return parameters;
}

Outcome<std::optional<ByteRange>> parse_range(std::string_view field, std::uint64_t size) {
  const std::optional<ByteRange> whole;
  constexpr std::string_view kUnit = "bytes=";
  if (!field.starts_with(kUnit)) return whole;
  field.remove_prefix(kUnit.size());
  const auto dash = field.find('-');
  if (dash == std::string_view::npos || field.find(',') != std::string_view::npos) return whole;
  const std::string_view from = field.substr(0, dash), to = field.substr(dash + 1);
  const Fault nothing{"InvalidRange", "The requested range is not satisfiable", 416};
  if (from.empty()) {
    const auto last = whole_number(to);
    if (!last) return whole;
    if (*last == 0 || size == 0) return nothing;
    const std::uint64_t count = std::min(*last, size);
    return std::optional(ByteRange{size - count, count});
  }
  const auto first = whole_number(from);
  const auto last = to.empty() ? std::optional<std::uint64_t>(UINT64_MAX) : whole_number(to);
  if (!first || !last || *last < *first) return whole;
  if (*first >= size) return nothing;
  return std::optional(ByteRange{*first, std::min(*last, size - 1) - *first + 1});
}

buckets::Cause Request::cause(std::string event) const {
  return {std::move(event), id, http.head.remote_ip,
          signature ? signature->caller.access_key_id : std::string()};
}

std::optional<std::string_view> Request::parameter(std::string_view name) const {
  for (const auto& [given, value] : parameters)
    if (given == name) return value;
  return std::nullopt;
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  if (const auto field = http.head.headers.find(name)) return field;
  if (!name.starts_with("x-amz-") || name.starts_with("x-amz-checksum-") ||
      name.starts_with("x-amz-sdk-") || name.starts_with("x-amz-trailer"))
    return std::nullopt;
  for (const auto& [given, value] : parameters)
    if (wire::equal_ignoring_case(given, name)) return value;
  return std::nullopt;
}

}  // namespace mayfly::dialects::s3
