#pragma once
// Patterns over JSON: EventBridge event patterns, filter policies of topics, filters of queue
// triggers. Compiled once, then matched without backtracking: the time of a match grows with the
// size of the event times that of the pattern's part for the same place, and no further.
//
// A pattern is an object. A key names a field of the event; its value is an object (a pattern for
// what is in that field) or a list of conditions, one of which must hold for the field. All fields
// of a pattern must match; "$or" holds a list of patterns, one of which must. A field that is a
// list matches when one of its elements does; for a list of objects, one object must match all
// that the pattern says about it.
//
// Conditions: a string, number, true, false or null that equals the value, or an object with one
// of these: {"prefix": S | {"equals-ignore-case": S}}, {"suffix": the same},
// {"equals-ignore-case": S}, {"wildcard": S} (* is any text, \* and \\ are themselves),
// {"anything-but": value | list | {"prefix" | "suffix" | "equals-ignore-case" | "wildcard": S |
// list}}, {"numeric": ["=", 5] | [">", 0, "<=", 5]}, {"cidr": "10.0.0.0/8"}, {"exists": true |
// false}. "exists" and "anything-but" look at values, not at objects: a field that holds an object
// is absent to them. Letters are compared without case in ASCII only.

#include <boost/json/fwd.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::triggers {

// Immutable, cheap to copy; thread-safe.
class Pattern {
 public:
  static constexpr std::size_t kBytesMax = 64 * 1024;
  static constexpr std::size_t kDepthMax = 16;  // objects in objects, $or included

  // invalid_argument with the path of what is wrong ("detail.state: ...").
  static Result<Pattern> compile(std::string_view text, std::size_t bytes_max = kBytesMax);

  bool matches(const boost::json::value& event) const;
  // False for what is no JSON.
  bool matches_text(std::string_view event) const;

  struct Node;

 private:
  explicit Pattern(std::shared_ptr<const Node> root);
  std::shared_ptr<const Node> root_;
};

}  // namespace mayfly::triggers
