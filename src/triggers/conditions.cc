#include "triggers/conditions.h"

#include <arpa/inet.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace mayfly::triggers {

namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 8> kWords = {
    "prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric",
    "cidr",   "exists"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool equal_lowered(std::string_view text, std::string_view low) {
  return text.size() == low.size() && std::equal(text.begin(), text.end(), low.begin(),
                                                 [](char a, char b) { return lower(a) == b; });
}

int sign(double a, double b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// Whole against real without the rounding of a cast: 2^53 + 1 is not 2^53.
int compare_whole(std::int64_t whole, double real) {
  constexpr double kLimit = 9223372036854775808.0;
  if (real >= kLimit) return -1;
  if (real < -kLimit) return 1;
  const auto cut = static_cast<std::int64_t>(real);
  if (whole != cut) return whole < cut ? -1 : 1;
  return sign(static_cast<double>(cut), real);
}

int compare_positive(std::uint64_t positive, double real) {
  constexpr double kLimit = 18446744073709551616.0;
  if (real >= kLimit) return -1;
  if (real < 9223372036854775808.0) return 1;
  const auto cut = static_cast<std::uint64_t>(real);
  if (positive != cut) return positive < cut ? -1 : 1;
  return sign(static_cast<double>(cut), real);
}

}  // namespace

std::optional<Number> Number::of(const json::value& value) {
  Number n;
  if (const auto* i = value.if_int64()) {
    n.whole = *i;
  } else if (const auto* u = value.if_uint64()) {
    if (*u <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      n.whole = static_cast<std::int64_t>(*u);
    } else {
      n.kind = Kind::positive;
      n.positive = *u;
    }
  } else if (const auto* d = value.if_double()) {
    if (!std::isfinite(*d)) return std::nullopt;
    n.kind = Kind::real;
    n.real = *d;
  } else {
    return std::nullopt;
  }
  return n;
}

int Number::compare(const Number& other) const {
  if (kind == Kind::real && other.kind == Kind::real) return sign(real, other.real);
  if (other.kind == Kind::real)
    return kind == Kind::whole ? compare_whole(whole, other.real)
                               : compare_positive(positive, other.real);
  if (kind == Kind::real) return -other.compare(*this);
  if (kind != other.kind) return kind == Kind::whole ? -1 : 1;
  if (kind == Kind::whole) return whole < other.whole ? -1 : whole > other.whole ? 1 : 0;
  return positive < other.positive ? -1 : positive > other.positive ? 1 : 0;
}

Result<Wildcard> Wildcard::parse(std::string_view text) {
  Wildcard wildcard;
  std::string piece;
  bool after_star = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '*') {
      if (after_star) return invalid("\"wildcard\" has two * in a row");
      wildcard.pieces_.push_back(std::move(piece));
      piece.clear();
      after_star = true;
      continue;
    }
    after_star = false;
    if (c != '\\') {
      piece += c;
      continue;
    }
    if (i + 1 == text.size() || (text[i + 1] != '*' && text[i + 1] != '\\'))
      return invalid("\"wildcard\" has a \\ that stands before neither * nor \\");
    piece += text[++i];
  }
  wildcard.pieces_.push_back(std::move(piece));
  return wildcard;
}

bool Wildcard::matches(std::string_view text) const {
  if (pieces_.size() == 1) return text == pieces_[0];
  const std::string& first = pieces_.front();
  const std::string& last = pieces_.back();
  if (text.size() < first.size() + last.size()) return false;
  if (!text.starts_with(first) || !text.ends_with(last)) return false;
  text = text.substr(first.size(), text.size() - first.size() - last.size());
  // The leftmost place of each piece leaves the most room for the next; memmem is linear.
  for (std::size_t i = 1; i + 1 < pieces_.size(); ++i) {
    const void* at = ::memmem(text.data(), text.size(), pieces_[i].data(), pieces_[i].size());
    if (at == nullptr) return false;
    const auto place = static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
    text.remove_prefix(place + pieces_[i].size());
  }
  return true;
}

std::optional<Network> Network::parse(std::string_view text) {
  Network network;
  const auto slash = text.find('/');
  const std::string address(text.substr(0, slash));
  network.six_ = address.find(':') != std::string::npos;
  if (inet_pton(network.six_ ? AF_INET6 : AF_INET, address.c_str(), network.bytes_.data()) != 1 ||
      address.find('\0') != std::string::npos)
    return std::nullopt;
  const unsigned bits_max = network.six_ ? 128 : 32;
  network.bits_ = bits_max;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), network.bits_);
    if (failed != std::errc() || end != digits.data() + digits.size() || network.bits_ > bits_max)
      return std::nullopt;
  }
  return network;
}

bool Network::contains(std::string_view address) const {
  if (address.size() > INET6_ADDRSTRLEN || address.find('\0') != std::string_view::npos)
    return false;
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(six_ ? AF_INET6 : AF_INET, std::string(address).c_str(), bytes.data()) != 1)
    return false;
  const std::size_t whole = bits_ / 8;
  if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  bytes_.begin()))
    return false;
  const unsigned rest = bits_ % 8;
  return rest == 0 || (bytes[whole] >> (8 - rest)) == (bytes_[whole] >> (8 - rest));
}

bool is_condition_word(std::string_view key) {
  return std::find(kWords.begin(), kWords.end(), key) != kWords.end();
}

namespace {

bool text_holds(const Condition& c, std::string_view text) {
  using Kind = Condition::Kind;
  switch (c.kind) {
    case Kind::text:
      return text == c.text;
    case Kind::prefix:
      return text.starts_with(c.text);
    case Kind::suffix:
      return text.ends_with(c.text);
    case Kind::prefix_ignore_case:
      return equal_lowered(text.substr(0, c.text.size()), c.text);
    case Kind::suffix_ignore_case:
      return text.size() >= c.text.size() &&
             equal_lowered(text.substr(text.size() - c.text.size()), c.text);
    case Kind::ignore_case:
      return equal_lowered(text, c.text);
    case Kind::wildcard:
      return c.wildcard.front().matches(text);
    case Kind::cidr:
      return c.network.front().contains(text);
    default:
      return false;
  }
}

bool bound_holds(const Condition::Bound& bound, const Number& number) {
  using Operator = Condition::Bound::Operator;
  const int order = number.compare(bound.number);
  switch (bound.op) {
    case Operator::equal:
      return order == 0;
    case Operator::less:
      return order < 0;
    case Operator::less_equal:
      return order <= 0;
    case Operator::greater:
      return order > 0;
    case Operator::greater_equal:
      return order >= 0;
  }
  return false;
}

// A word that takes a text: prefix, suffix, equals-ignore-case, wildcard.
Result<Condition> parse_text_word(std::string_view word, const json::value& value) {
  using Kind = Condition::Kind;
  Condition c;
  const json::value* text = &value;
  bool ignore_case = word == "equals-ignore-case";
  if (const auto* object = value.if_object();
      object != nullptr && (word == "prefix" || word == "suffix")) {
    text = object->size() == 1 ? object->if_contains("equals-ignore-case") : nullptr;
    ignore_case = true;
  }
  if (text == nullptr || !text->is_string())
    return invalid(
        "\"" + std::string(word) + "\" wants a text" +
        (word == "prefix" || word == "suffix" ? " or {\"equals-ignore-case\": text}" : ""));
  const std::string_view given(text->get_string());
  c.text = ignore_case ? lowered(given) : std::string(given);
  if (word == "prefix") c.kind = ignore_case ? Kind::prefix_ignore_case : Kind::prefix;
  if (word == "suffix") c.kind = ignore_case ? Kind::suffix_ignore_case : Kind::suffix;
  if (word == "equals-ignore-case") c.kind = Kind::ignore_case;
  if (word == "wildcard") {
    auto wildcard = Wildcard::parse(given);
    if (wildcard.has_error()) return wildcard.error();
    c.kind = Kind::wildcard;
    c.wildcard.push_back(std::move(*wildcard));
  }
  return c;
}

Status parse_except(const json::value& value, bool inside, std::vector<Condition>& out) {
  constexpr std::string_view kWants =
      "\"anything-but\" wants a text, a number, a list of them, or an object with one of "
      "\"prefix\", \"suffix\", \"equals-ignore-case\", \"wildcard\"";
  if (const auto* list = value.if_array(); list != nullptr && !inside) {
    if (list->empty()) return invalid("\"anything-but\" has an empty list");
    for (const auto& item : *list) MAYFLY_TRY(parse_except(item, true, out));
    return ok();
  }
  if (const auto* object = value.if_object(); object != nullptr && !inside) {
    if (object->size() != 1) return invalid(std::string(kWants));
    const std::string_view word = object->begin()->key();
    if (word != "prefix" && word != "suffix" && word != "equals-ignore-case" && word != "wildcard")
      return invalid(std::string(kWants));
    json::array one;
    const json::value& given = object->begin()->value();
    if (!given.is_array()) one.push_back(given);
    const json::array& texts = given.is_array() ? given.get_array() : one;
    if (texts.empty()) return invalid("\"anything-but\" has an empty list");
    for (const auto& text : texts) {
      auto condition = parse_text_word(word, text);
      if (condition.has_error()) return condition.error();
      out.push_back(std::move(*condition));
    }
    return ok();
  }
  if (!value.is_string() && !value.is_number()) return invalid(std::string(kWants));
  auto condition = parse_condition(value);
  if (condition.has_error()) return condition.error();
  out.push_back(std::move(*condition));
  return ok();
}

Result<Condition> parse_numeric(const json::value& value) {
  using Operator = Condition::Bound::Operator;
  constexpr std::string_view kWants =
      "\"numeric\" wants a list of a comparison and a number, such as [\"=\", 5], or of two, such "
      "as [\">\", 0, \"<=\", 5]";
  Condition c;
  c.kind = Condition::Kind::numeric;
  const auto* list = value.if_array();
  if (list == nullptr || (list->size() != 2 && list->size() != 4))
    return invalid(std::string(kWants));
  for (std::size_t i = 0; i < list->size(); i += 2) {
    const auto* sign = (*list)[i].if_string();
    const auto number = Number::of((*list)[i + 1]);
    if (sign == nullptr || !number) return invalid(std::string(kWants));
    Condition::Bound bound{Operator::equal, *number};
    if (*sign == "<") {
      bound.op = Operator::less;
    } else if (*sign == "<=") {
      bound.op = Operator::less_equal;
    } else if (*sign == ">") {
      bound.op = Operator::greater;
    } else if (*sign == ">=") {
      bound.op = Operator::greater_equal;
    } else if (*sign != "=") {
      return invalid("\"numeric\" knows =, <, <=, > and >=, not " + std::string(*sign));
    }
    c.bounds.push_back(bound);
  }
  if (c.bounds.size() == 2) {
    const auto lower_bound = [](Operator op) {
      return op == Operator::greater || op == Operator::greater_equal;
    };
    if (c.bounds[0].op == Operator::equal || c.bounds[1].op == Operator::equal ||
        lower_bound(c.bounds[0].op) == lower_bound(c.bounds[1].op))
      return invalid("\"numeric\" with two comparisons wants a lower and an upper bound");
    const auto& low = lower_bound(c.bounds[0].op) ? c.bounds[0] : c.bounds[1];
    const auto& high = lower_bound(c.bounds[0].op) ? c.bounds[1] : c.bounds[0];
    if (low.number.compare(high.number) > 0)
      return invalid("\"numeric\" has a lower bound above the upper one");
  }
  return c;
}

Result<Condition> parse_word(std::string_view word, const json::value& value) {
  if (word == "numeric") return parse_numeric(value);
  Condition c;
  if (word == "exists") {
    if (!value.is_bool()) return invalid("\"exists\" wants true or false");
    c.kind = Condition::Kind::exists;
    c.flag = value.get_bool();
    return c;
  }
  if (word == "anything-but") {
    c.kind = Condition::Kind::anything_but;
    MAYFLY_TRY(parse_except(value, false, c.except));
    return c;
  }
  if (word == "cidr") {
    auto network = value.is_string() ? Network::parse(value.get_string()) : std::nullopt;
    if (!network)
      return invalid("\"cidr\" wants a network such as \"10.0.0.0/8\" or \"fe80::/10\"");
    c.kind = Condition::Kind::cidr;
    c.network.push_back(*network);
    return c;
  }
  return parse_text_word(word, value);
}

}  // namespace

bool Condition::holds(const json::value& value) const {
  switch (kind) {
    case Kind::null:
      return value.is_null();
    case Kind::boolean:
      return value.is_bool() && value.get_bool() == flag;
    case Kind::number: {
      const auto given = Number::of(value);
      return given && given->compare(number) == 0;
    }
    case Kind::numeric: {
      const auto given = Number::of(value);
      return given && std::all_of(bounds.begin(), bounds.end(),
                                  [&](const Bound& bound) { return bound_holds(bound, *given); });
    }
    case Kind::anything_but:
      return std::none_of(except.begin(), except.end(),
                          [&](const Condition& c) { return c.holds(value); });
    case Kind::exists:
      return flag;
    default:
      return value.is_string() && text_holds(*this, value.get_string());
  }
}

Result<Condition> parse_condition(const json::value& value) {
  Condition c;
  switch (value.kind()) {
    case json::kind::null:
      return c;
    case json::kind::bool_:
      c.kind = Condition::Kind::boolean;
      c.flag = value.get_bool();
      return c;
    case json::kind::string:
      c.kind = Condition::Kind::text;
      c.text = std::string(value.get_string());
      return c;
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: {
      const auto number = Number::of(value);
      if (!number) return invalid("a number is too large");
      c.kind = Condition::Kind::number;
      c.number = *number;
      return c;
    }
    case json::kind::array:
      return invalid("a list of conditions holds no lists");
    case json::kind::object:
      break;
  }
  const auto& object = value.get_object();
  if (object.size() != 1)
    return invalid(
        "a condition is an object with exactly one of: prefix, suffix, "
        "equals-ignore-case, wildcard, anything-but, numeric, cidr, exists");
  const std::string_view word = object.begin()->key();
  if (!is_condition_word(word))
    return invalid(
        "unknown condition \"" + std::string(word) +
        "\"; known: prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, "
        "cidr, exists");
  return parse_word(word, object.begin()->value());
}

}  // namespace mayfly::triggers
