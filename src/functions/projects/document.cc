#include "functions/projects/document.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <set>

namespace mayfly::functions::projects {
namespace {

constexpr std::size_t kNodesMadeMax = 200'000;
constexpr std::size_t kBytesMadeMax = 32u << 20;
constexpr std::size_t kKeyBytesMax = 1024;

std::string shortened(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 60))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return text.size() > 60 ? out + "..." : out;
}

class Loader {
 public:
  explicit Loader(const std::string& file) : file_(std::make_shared<const std::string>(file)) {}

  Value load(const YAML::Node& node, PlacePtr parent, std::string name, int depth) {
    auto place = std::make_shared<Place>();
    place->parent = std::move(parent);
    place->name = std::move(name);
    place->file = file_;
    place->line = node.Mark().line + 1;
    Value value;
    value.place = place;
    if (++nodes_ > kNodesMax)
      wrong(value,
            fmt::format("the document has more than {} values (an alias counts as all that it "
                        "stands for).",
                        kNodesMax));
    if (depth > kDepthMax)
      wrong(value, fmt::format("it is nested more than {} levels deep.", kDepthMax));
    if (const std::string tag = node.Tag(); tag.size() > 1 && tag[0] == '!') value.tag = tag;
    if (node.IsScalar()) {
      value.kind = Value::Kind::scalar;
      value.text = node.Scalar();
      value.quoted = node.Tag() == "!";
      if (value.text.find('\0') != std::string::npos) wrong(value, "it holds a NUL byte.");
      const bool nothing = value.text.empty() || value.text == "~" || value.text == "null";
      if (!value.quoted && value.tag.empty() && nothing) value.kind = Value::Kind::null;
    } else if (node.IsSequence()) {
      value.kind = Value::Kind::list;
      int index = 0;
      for (const auto& item : node)
        value.items.push_back(load(item, place, fmt::format("[{}]", index++), depth + 1));
    } else if (node.IsMap()) {
      value.kind = Value::Kind::map;
      load_members(node, value, place, depth);
    }
    return value;
  }

 private:
  void load_members(const YAML::Node& node, Value& value, const PlacePtr& place, int depth) {
    std::set<std::string> seen;
    std::vector<Value> merged;
    for (const auto& member : node) {
      Value at;
      auto key_place = std::make_shared<Place>(*place);
      key_place->line = member.first.Mark().line + 1;
      at.place = key_place;
      if (!member.first.IsScalar()) wrong(at, "a key must be a text.");
      const std::string key = member.first.Scalar();
      if (key.size() > kKeyBytesMax || key.find('\0') != std::string::npos)
        wrong(at, "a key is longer than 1024 bytes or holds a NUL byte.");
      if (key == "<<" && member.first.Tag() != "!") {
        merged.push_back(load(member.second, place, key, depth + 1));
        continue;
      }
      if (!seen.insert(key).second)
        wrong(at, fmt::format("the key '{}' is there twice.", shortened(key)));
      auto loaded = load(member.second, place, key, depth + 1);
      // The line of the key is where people look; an anchor's content may be far away.
      auto own = std::make_shared<Place>(*loaded.place);
      own->line = key_place->line;
      loaded.place = own;
      value.members.emplace_back(key, std::move(loaded));
    }
    for (auto& source : merged) merge(value, seen, std::move(source));
  }

  // YAML's merge key: what is there already stays.
  void merge(Value& into, std::set<std::string>& seen, Value source) {
    if (source.is_list()) {
      for (auto& item : source.items) {
        if (!item.is_map()) wrong(item, "a merge (<<) takes mappings.");
        merge(into, seen, std::move(item));
      }
      return;
    }
    if (source.is_scalar()) {  // <<: ${file(x.yml)}: resolved later
      into.members.emplace_back("<<", std::move(source));
      return;
    }
    if (!source.is_map()) wrong(source, "a merge (<<) takes a mapping or a list of them.");
    for (auto& member : source.members)
      if (seen.insert(member.first).second) into.members.push_back(std::move(member));
  }

  std::shared_ptr<const std::string> file_;
  std::size_t nodes_ = 0;
};

Value at_top(const std::string& file, int line) {
  Value value;
  auto place = std::make_shared<Place>();
  place->file = std::make_shared<const std::string>(file);
  place->line = line;
  value.place = place;
  return value;
}

boost::json::value json_value_of(const Value& value) {
  namespace json = boost::json;
  switch (value.kind) {
    case Value::Kind::map: {
      json::object object;
      for (const auto& [key, member] : value.members) object[key] = json_value_of(member);
      return object;
    }
    case Value::Kind::list: {
      json::array array;
      for (const auto& item : value.items) array.push_back(json_value_of(item));
      return array;
    }
    case Value::Kind::scalar: {
      const std::string& text = value.text;
      if (value.quoted || text.empty()) return json::string(text);
      if (text == "true" || text == "false" || text[0] == '-' ||
          (text[0] >= '0' && text[0] <= '9')) {
        boost::system::error_code failed;
        auto parsed = json::parse(text, failed);
        if (!failed) return parsed;
      }
      return json::string(text);
    }
    case Value::Kind::unknown:
      wrong(value, value.text);
    case Value::Kind::null:
      break;
  }
  return nullptr;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return c < 0x80 ? std::tolower(c) : c; });
  return text;
}

}  // namespace

std::string Place::path() const {
  std::string before = parent ? parent->path() : "";
  if (name.empty()) return before;
  if (!before.empty() && name[0] != '[') before += '.';
  return before + shortened(name);
}

const Value* Value::find(std::string_view key) const {
  for (const auto& member : members)
    if (member.first == key) return &member.second;
  return nullptr;
}

Value* Value::find(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

Value::Value() = default;
Value::~Value() = default;
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;

Value Value::scalar(std::string text, PlacePtr place) {
  Value value;
  value.kind = Kind::scalar;
  value.quoted = true;
  value.text = std::move(text);
  value.place = std::move(place);
  return value;
}

Value Value::unknown(std::string why, PlacePtr place) {
  Value value;
  value.kind = Kind::unknown;
  value.text = std::move(why);
  value.place = std::move(place);
  return value;
}

void wrong(const Value& at, std::string message) {
  throw Wrong{at.place, std::move(message)};
}

Error to_error(const Wrong& problem) {
  const std::string path = problem.place ? problem.place->path() : "";
  std::string text = path.empty() ? problem.message : path + ": " + problem.message;
  if (problem.place && problem.place->file && problem.place->line > 0)
    text = fmt::format("in {}, line {}: {}", *problem.place->file, problem.place->line, text);
  else if (problem.place && problem.place->file)
    text = "in " + *problem.place->file + ": " + text;
  return Error{Code::invalid_argument, text};
}

void Budget::spend(const Value& at, std::size_t nodes, std::size_t bytes) {
  nodes_ += nodes;
  bytes_ += bytes;
  if (nodes_ > kNodesMadeMax || bytes_ > kBytesMadeMax)
    wrong(at, fmt::format("variables make more of this document than {} values or {} MiB of text.",
                          kNodesMadeMax, kBytesMadeMax >> 20));
}

void Budget::spend_copy(const Value& at, const Value& copied) {
  spend(at, 1, copied.text.size());
  for (const auto& item : copied.items) spend_copy(at, item);
  for (const auto& [key, member] : copied.members) {
    spend(at, 0, key.size());
    spend_copy(at, member);
  }
}

Value load_document(std::string_view text, const std::string& file) {
  if (text.size() > kDocumentBytesMax)
    wrong(at_top(file, 0),
          fmt::format("the file has {} bytes; {} are allowed.", text.size(), kDocumentBytesMax));
  try {
    const YAML::Node node = YAML::Load(std::string(text));
    if (!node.IsDefined() || node.IsNull()) wrong(at_top(file, 0), "the file is empty.");
    return Loader(file).load(node, nullptr, "", 0);
  } catch (const YAML::Exception& problem) {
    wrong(at_top(file, problem.mark.line + 1), "this is not valid YAML: " + problem.msg + ".");
  }
}

std::string text_of(const Value& value) {
  if (value.is_unknown()) wrong(value, value.text);
  if (!value.is_scalar()) wrong(value, "must be a text.");
  return value.text;
}

std::string filled_text_of(const Value& value) {
  std::string text = text_of(value);
  if (text.empty()) wrong(value, "must not be empty.");
  return text;
}

bool boolean_of(const Value& value) {
  const std::string text = lower(text_of(value));
  if (text == "true" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "no" || text == "off") return false;
  wrong(value, "must be true or false, not '" + shortened(text) + "'.");
}

std::int64_t whole_of(const Value& value, std::int64_t min, std::int64_t max) {
  const std::string text = text_of(value);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < min ||
      number > max)
    wrong(value, fmt::format("must be a whole number from {} to {}, not '{}'.", min, max,
                             shortened(text)));
  return number;
}

std::vector<std::string> texts_of(const Value& value) {
  if (value.is_scalar()) return {filled_text_of(value)};
  if (!value.is_list()) wrong(value, "must be a list of texts.");
  std::vector<std::string> texts;
  for (const auto& item : value.items) texts.push_back(filled_text_of(item));
  return texts;
}

std::string json_of(const Value& value) {
  return boost::json::serialize(json_value_of(value));
}

std::string json_text_of(const Value& value) {
  return value.is_scalar() ? value.text : json_of(value);
}

}  // namespace mayfly::functions::projects
