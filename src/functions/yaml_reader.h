#pragma once
// Internal: reads values of a YAML document by what they must be. Problems are thrown as Wrong, and
// leave the readers of manifests (manifest.cc, manifest_events.cc) as Errors that name the line.

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/checks.h"

namespace mayfly::functions::yaml {

// Thrown within the readers of manifests only; parse_manifest turns it into an Error.
struct Wrong {
  int line;
  std::string message;
};

[[noreturn]] inline void wrong(const YAML::Node& node, std::string message) {
  throw Wrong{node.Mark().line + 1, std::move(message)};
}

inline void unwrap(const YAML::Node& node, const Status& status) {
  if (status.has_error()) wrong(node, status.error().message);
}

inline std::string text_of(const YAML::Node& node, const std::string& what) {
  if (!node.IsScalar()) wrong(node, what + " must be a text.");
  return node.Scalar();
}

inline std::string filled_text_of(const YAML::Node& node, const std::string& what) {
  std::string text = text_of(node, what);
  if (text.empty()) wrong(node, what + " must not be empty.");
  if (text.find('\0') != std::string::npos) wrong(node, what + " holds a NUL byte.");
  return text;
}

inline std::uint32_t whole_of(const YAML::Node& node, const std::string& what, std::uint32_t max) {
  const std::string text = text_of(node, what);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > max)
    wrong(node, fmt::format("{} must be a whole number from 0 to {}, not '{}'.", what, max,
                            text.substr(0, 40)));
  return value;
}

inline std::int64_t milliseconds_of(const YAML::Node& node, const std::string& what) {
  const std::string text = text_of(node, what);
  double value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      !(value >= 0 && value <= 1e6))
    wrong(node, fmt::format("{} must be a number of seconds, not '{}'.", what, text.substr(0, 40)));
  const auto ms = static_cast<std::int64_t>(std::llround(value * 1000));
  if (ms == 0 && value > 0) wrong(node, fmt::format("{} is shorter than a millisecond.", what));
  return ms;
}

inline bool boolean_of(const YAML::Node& node, const std::string& what) {
  const std::string text = text_of(node, what);
  if (text == "true") return true;
  if (text == "false") return false;
  wrong(node, what + " must be true or false.");
}

// YAML 1.1 calls a bare on or off a boolean.
inline bool on_of(const YAML::Node& node, const std::string& what) {
  const std::string text = text_of(node, what);
  if (text == "on" || text == "true") return true;
  if (text == "off" || text == "false") return false;
  wrong(node, what + " must be on or off.");
}

inline std::vector<std::string> texts_of(const YAML::Node& node, const std::string& what) {
  std::vector<std::string> texts;
  if (node.IsScalar()) return {filled_text_of(node, what)};  // one item needs no brackets
  if (!node.IsSequence()) wrong(node, what + " must be a list of texts.");
  for (const auto& item : node) texts.push_back(filled_text_of(item, "An item of " + what));
  return texts;
}

// The members of a mapping, each known and there once.
class Keys {
 public:
  Keys(const YAML::Node& node, std::string what, std::vector<std::string_view> known)
      : node_(node), what_(std::move(what)) {
    if (!node.IsMap()) wrong(node, what_ + " must be a mapping (key: value).");
    std::set<std::string> seen;
    for (const auto& member : node) {
      const std::string key = text_of(member.first, "A key of " + what_);
      if (!seen.insert(key).second)
        wrong(member.first, fmt::format("'{}' is there twice in {}.", key.substr(0, 100), what_));
      if (std::find(known.begin(), known.end(), key) == known.end())
        wrong(member.first,
              fmt::format("'{}' is not a known key of {}.{} Known: {}.", key.substr(0, 100), what_,
                          did_you_mean(key, known), fmt::join(known, ", ")));
    }
  }

  // Calls use(value) when the key is there with a value.
  template <class Use>
  void with(const char* key, Use use) const {
    const YAML::Node value = node_[key];
    if (value.IsDefined() && !value.IsNull()) use(value);
  }
  void require(const char* key) const {
    const YAML::Node value = node_[key];
    if (!value.IsDefined() || value.IsNull())
      wrong(node_, fmt::format("{} has no '{}'.", what_, key));
  }

 private:
  const YAML::Node node_;
  const std::string what_;
};

}  // namespace mayfly::functions::yaml
