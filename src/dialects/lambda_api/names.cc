#include "dialects/lambda_api/names.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "dialects/lambda_api/faults.h"

namespace mayfly::dialects::lambda_api {

namespace {

constexpr std::size_t kNameBytesMax = 256;

bool is_word(std::string_view text, std::string_view more, std::size_t max) {
  return !text.empty() && text.size() <= max && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}

std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto colon = text.find(':');
    parts.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

}  // namespace

aws::Outcome<FunctionRef> parse_function(std::string_view text, std::string_view qualifier) {
  const auto misfit = [&] {
    return validation(std::string(text.substr(0, 300)), "functionName",
                      "Member must satisfy regular expression pattern: "
                      "(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-"
                      "\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+)"
                      ")?");
  };
  if (text.size() > kNameBytesMax) return misfit();
  auto parts = parts_of(text);
  if (parts[0] == "arn") {
    if (parts.size() < 7 || !parts[1].starts_with("aws") || parts[2] != "lambda" ||
        parts[5] != "function")
      return misfit();
    parts.erase(parts.begin(), parts.begin() + 6);
  } else if (parts.size() > 2 && parts[1] == "function") {
    parts.erase(parts.begin(), parts.begin() + 2);  // ACCOUNT:function:NAME
  } else if (parts.size() > 1 && parts[0] == "function") {
    parts.erase(parts.begin());
  }
  if (parts.size() > 2 || !is_word(parts[0], "-_", 64)) return misfit();
  FunctionRef ref;
  ref.name = std::string(parts[0]);
  if (parts.size() == 2) ref.qualifier = std::string(parts[1]);
  if (!qualifier.empty()) {
    if (!ref.qualifier.empty() && ref.qualifier != qualifier)
      return invalid_parameter(
          "The derived qualifier from the function name does not match the specified qualifier.");
    ref.qualifier = std::string(qualifier);
  }
  if (parts.size() == 2 && ref.qualifier.empty()) return misfit();
  if (!ref.qualifier.empty() && ref.qualifier != "$LATEST" && !is_word(ref.qualifier, "-_", 128))
    return validation(ref.qualifier.substr(0, 300), "qualifier",
                      "Member must satisfy regular expression pattern: "
                      "\\$(LATEST(\\.PUBLISHED)?)|[a-zA-Z0-9-_$]+");
  return ref;
}

aws::Outcome<functions::LayerRef> parse_layer(std::string_view text, std::string_view version) {
  const auto ref = functions::parse_layer_ref(text.substr(0, kNameBytesMax));
  std::uint64_t number = 0;
  if (!version.empty()) {
    const auto [end, failed] =
        std::from_chars(version.data(), version.data() + version.size(), number);
    if (failed != std::errc() || end != version.data() + version.size() || number == 0)
      return validation(std::string(version.substr(0, 100)), "versionNumber",
                        "Member must be a whole number greater than 0");
  }
  if (text.size() > kNameBytesMax || !ref ||
      (number != 0 && ref->version != 0 && ref->version != number))
    return validation(std::string(text.substr(0, 300)), "layerName",
                      "Member must satisfy regular expression pattern: "
                      "(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{12}:layer:[a-zA-Z0-9-_]+)|"
                      "[a-zA-Z0-9-_]+");
  return functions::LayerRef{ref->name, ref->version != 0 ? ref->version : number};
}

std::string Home::layer_arn(std::string_view name, std::uint64_t version) const {
  std::string out = "arn:aws:lambda:" + region + ":" + account + ":layer:";
  out += name;
  if (version != 0) out.append(":").append(std::to_string(version));
  return out;
}

std::string Home::arn(std::string_view name, std::string_view qualifier) const {
  std::string out = "arn:aws:lambda:" + region + ":" + account + ":function:";
  out += name;
  if (!qualifier.empty()) out.append(":").append(qualifier);
  return out;
}

}  // namespace mayfly::dialects::lambda_api
