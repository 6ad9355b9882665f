#pragma once
// What the input and output of an operation look like: names, types and where a member travels.
// Services declare their shapes as constexpr tables; the protocols of this room read and write by
// them. The value itself is always a boost::json::object under the names of the members, in which
// a blob is base64 text and a timestamp a number of seconds since 1970.

#include <cstdint>
#include <span>
#include <string_view>

namespace mayfly::aws {

enum class Kind : std::uint8_t {
  string,
  integer,  // 64 bits, signed
  floating,
  boolean,
  blob,
  timestamp,
  structure,
  list,
  map,
  document,  // any JSON, as it is
};

// In which form a timestamp travels; standard is what the protocol says for the place.
enum class TimeForm : std::uint8_t { standard, epoch, iso8601, http_date };

// rest-json only; the other protocols have everything in the body.
enum class Place : std::uint8_t {
  body,
  payload,    // the whole body is this member
  path,       // {wire_name} in Operation::path
  query,      // ?wire_name=...; a map: every parameter that no other member takes
  header,     // field wire_name
  headers,    // a map: every field that begins with wire_name, which may be empty
  status,     // of an answer
  host_label  // also in the body
};

struct Shape;

struct Member {
  std::string_view name;  // in the JSON value
  const Shape* shape = nullptr;
  std::string_view wire_name = {};  // on the wire, where it differs from name
  Place place = Place::body;
  bool required = false;
  std::string_view query_name = {};  // in the query protocol, where it is yet another

  std::string_view wire() const { return wire_name.empty() ? name : wire_name; }
  std::string_view query() const { return query_name.empty() ? wire() : query_name; }
  bool renamed_in_query() const { return !query_name.empty() || !wire_name.empty(); }
};

struct Shape {
  Kind kind = Kind::string;
  std::span<const Member> members = {};  // structure
  const Shape* element = nullptr;        // list: of its items; map: of its values
  std::string_view element_name = {};    // query: default "member", or "value" in a map
  std::string_view key_name = {};        // query, map: default "key"
  bool flattened = false;                // query: items without an element around them
  TimeForm time = TimeForm::standard;
};

inline constexpr Shape kString{Kind::string};
inline constexpr Shape kInteger{Kind::integer};
inline constexpr Shape kFloating{Kind::floating};
inline constexpr Shape kBoolean{Kind::boolean};
inline constexpr Shape kBlob{Kind::blob};
inline constexpr Shape kTimestamp{Kind::timestamp};
inline constexpr Shape kDocument{Kind::document};
inline constexpr Shape kEmpty{Kind::structure};
inline constexpr Shape kStrings{Kind::list, {}, &kString};
inline constexpr Shape kStringMap{Kind::map, {}, &kString};

}  // namespace mayfly::aws
