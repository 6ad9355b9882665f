#pragma once
// Internal to patterns.cc: one condition on one value.

#include <array>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::triggers {

// A number without loss for 64-bit whole numbers.
struct Number {
  static std::optional<Number> of(const boost::json::value& value);
  // <0, 0, >0
  int compare(const Number& other) const;

  enum class Kind : std::uint8_t { whole, positive, real } kind = Kind::whole;
  std::int64_t whole = 0;
  std::uint64_t positive = 0;  // greater than INT64_MAX
  double real = 0;
};

// Text between the stars; matches without backtracking.
class Wildcard {
 public:
  // A reason when it is not valid.
  static Result<Wildcard> parse(std::string_view text);
  bool matches(std::string_view text) const;

 private:
  std::vector<std::string> pieces_;  // n + 1 for n stars
};

class Network {
 public:
  static std::optional<Network> parse(
      std::string_view text);  // "10.0.0.0/8", "::1/128", "10.1.2.3"
  bool contains(std::string_view address) const;

 private:
  std::array<unsigned char, 16> bytes_{};
  unsigned bits_ = 0;
  bool six_ = false;
};

struct Condition {
  enum class Kind : std::uint8_t {
    null,
    boolean,
    text,
    number,
    prefix,
    suffix,
    prefix_ignore_case,
    suffix_ignore_case,
    ignore_case,
    wildcard,
    numeric,
    cidr,
    anything_but,
    exists
  };
  Kind kind = Kind::null;
  bool flag = false;  // boolean, exists
  std::string text;   // lower case for those that ignore it
  Number number;
  std::vector<Wildcard> wildcard;  // one or none: keeps the others small
  std::vector<Network> network;
  std::vector<Condition> except;  // anything_but

  struct Bound {
    enum class Operator : std::uint8_t { equal, less, less_equal, greater, greater_equal } op;
    Number number;
  };
  std::vector<Bound> bounds;  // numeric

  // value: no object, no list.
  bool holds(const boost::json::value& value) const;
};

// A condition of a leaf's list. The message of an error is without its path.
Result<Condition> parse_condition(const boost::json::value& value);
// The words that make an object in a list a condition.
bool is_condition_word(std::string_view key);

}  // namespace mayfly::triggers
